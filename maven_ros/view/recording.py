"""One recording of Rerun's: to the viewer, and to a file where that is asked for."""

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
    A viewer with our layout, and the screen that draws into it.

    :param live: follow what comes; else play from the start.
    :param port: of the viewer's page; the next free one when it is in use.
    :param save: file to record into as well, ending in .rrd; it must not be there yet.
    :raises ResourceError: when Rerun is missing or does not start, no port is free, or the file
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
        """What a browser opens."""
        return self._viewer.url

    def announce(self) -> None:
        """Say where the view is, and open a browser where there is a display."""
        if self._viewer.port != self._asked_port:
            say(f'port {self._asked_port} is in use: the view is on {self._viewer.port}')
        display = os.environ.get('DISPLAY') or os.environ.get('WAYLAND_DISPLAY')
        opened = bool(display) and webbrowser.open(self.url)
        say(f'view: {self.url}' + ('' if opened else '   (open it in a browser)'))

    def check(self) -> None:
        """
        Check that the viewer still runs.

        :raises ResourceError: when it has ended.
        """
        self._viewer.check()

    def flush(self) -> None:
        """Hand over all that was drawn."""
        self._stream.flush(timeout_sec=_FLUSH_S)

    def close(self) -> None:
        """Complete the file, and end the viewer."""
        self._stream.disconnect()
        self._viewer.close()


def check_save(save: Path) -> None:
    """
    Check that a file may be recorded into.

    :raises ResourceError: when it is there already, has another ending or no folder.
    """
    if save.suffix != _SUFFIX:
        raise ResourceError(f'{save}: does not end in {_SUFFIX}')
    if save.exists():
        raise ResourceError(f'{save}: is there already; name a new file')
    if not save.parent.is_dir() or not os.access(save.parent, os.W_OK):
        raise ResourceError(f'{save.parent}: no folder that can be written')
