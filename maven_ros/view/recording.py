"""A Rerun recording that goes to the viewer and, on request, to a file."""

from __future__ import annotations

import os
import webbrowser
from pathlib import Path

from maven_ros.closing import Closing
from maven_ros.errors import ResourceError
from maven_ros.text import say
from maven_ros.view import DEFAULT_PORT
from maven_ros.view.blueprint import layout
from maven_ros.view.require import require_rerun
from maven_ros.view.screen import Screen
from maven_ros.view.server import Viewer

_SUFFIX = '.rrd'
_FLUSH_S = 10.0


class Recording(Closing):
    """
    A viewer with the project's layout, and the screen that draws into it.

    :param live: True follows new data; False plays from the start.
    :param port: port of the viewer's page; the next free one if it is in use.
    :param save: new file with the suffix .rrd that is also written.
    :raises ResourceError: if Rerun is missing or does not start, no port is free, or the file
        cannot be written.
    """

    def __init__(self, live: bool, port: int = DEFAULT_PORT, save: Path | None = None) -> None:
        rerun = require_rerun()
        if save is not None:
            check_save(save)
        self._viewer = Viewer(port)
        self._asked_port = port
        self._stream = rerun.RecordingStream('maven_ros')
        sinks = [rerun.GrpcSink(self._viewer.data_url)]
        if save is not None:
            sinks.append(rerun.FileSink(save))
        self._stream.set_sinks(*sinks)
        self._stream.send_blueprint(layout(live), make_active=True, make_default=True)
        self.screen = Screen(self._stream)

    @property
    def url(self) -> str:
        """The address of the page."""
        return self._viewer.url

    def announce(self) -> None:
        """Print the address of the page, and open a browser if there is a display."""
        if self._viewer.port != self._asked_port:
            say(f'port {self._asked_port} is in use: the view is on {self._viewer.port}')
        display = os.environ.get('DISPLAY') or os.environ.get('WAYLAND_DISPLAY')
        opened = bool(display) and webbrowser.open(self.url)
        say(f'view: {self.url}' + ('' if opened else '   (open it in a browser)'))

    def check(self) -> None:
        """
        Check that the viewer still runs.

        :raises ResourceError: if it has ended.
        """
        self._viewer.check()

    def flush(self) -> None:
        """Send all drawings to the viewer."""
        self._stream.flush(timeout_sec=_FLUSH_S)

    def close(self) -> None:
        """Complete the file, and stop the viewer."""
        self._stream.disconnect()
        self._viewer.close()


def check_save(save: Path) -> None:
    """
    Check that a recording can be written.

    :raises ResourceError: if the file exists, has another suffix, or its folder is not writable.
    """
    if save.suffix != _SUFFIX:
        raise ResourceError(f'{save}: does not end in {_SUFFIX}')
    if save.exists():
        raise ResourceError(f'{save}: exists already; name a new file')
    if not save.parent.is_dir() or not os.access(save.parent, os.W_OK):
        raise ResourceError(f'{save.parent}: is not a writable folder')
