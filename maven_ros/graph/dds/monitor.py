"""
Read the number of each remote publisher's newest message from Cyclone DDS.

No status of Cyclone's readers reports messages that the network lost wholly or in part. Its debug
monitor does: it sends a description of all entities to anybody who connects to its port. That
port would be open to the network, and every connection from a new port would stay open. It is
therefore replaced by a port on the loopback interface, where the kernel admits only this process,
from a single port.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import re
import socket
import struct
import sys
import threading

_log = logging.getLogger(__name__)

_HOST = '127.0.0.1'
_TIMEOUT_S = 0.5
_SO_ATTACH_FILTER, _SO_DETACH_FILTER = 26, 27  # Linux's
_ENTITY = b'"guid":"'
_GUID = re.compile(rb'[0-9a-f:]+')
_NEWEST = re.compile(rb'"last_seq":(\d+)')
_END = b'\r\n0000\r\n\r\n'  # of HTTP's chunks


def can_monitor() -> bool:
    """Tell whether the system lets a port be kept to ourselves."""
    if sys.platform != 'linux':
        return False
    with socket.socket() as one:
        try:
            _let_through(one, 1)
        except OSError:
            return False
    return True


class Monitor:
    """
    The debug monitor of a domain.

    :param listener: the file descriptor of the socket on which Cyclone listens; it gets another.
    :raises OSError: when the system refuses that.
    """

    def __init__(self, listener: int) -> None:
        self._lock = threading.Lock()  # one call at a time, from that port
        with contextlib.ExitStack() as opened:
            self._caller = opened.enter_context(_bound())  # keeps the port that we call from
            self._door = opened.enter_context(_bound())
            _let_through(self._door, self._caller.getsockname()[1])
            self._door.listen()
            with socket.socket(fileno=os.dup(listener)) as old:
                port = old.getsockname()[1]
            os.dup2(self._door.fileno(), listener, inheritable=False)
            # Cyclone waits at the old one still, unless it was slow; it takes the next call there.
            with contextlib.suppress(ConnectionRefusedError), \
                    socket.create_connection((_HOST, port), _TIMEOUT_S) as last:
                _all(last)
            opened.pop_all()

    def newest(self) -> dict[str, int]:
        """
        Return the number of the newest message of each publisher elsewhere, whole or in parts.

        :returns: by GUID; 0 where nothing has come yet; empty where it does not answer.
        """
        try:
            with self._lock, _bound(self._caller.getsockname()[1]) as calling:
                calling.settimeout(_TIMEOUT_S)
                calling.connect(self._door.getsockname())
                return newest_of(_all(calling))
        except OSError:
            _log.debug('the debug monitor does not answer', exc_info=True)
            return {}

    def close(self) -> None:
        """Let Cyclone knock at its own door, by which it ends."""
        self._door.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)
        self._door.close()
        self._caller.close()


def newest_of(description: bytes) -> dict[str, int]:
    """
    Read a description; names in it are others' words, and need not make sense.

    :returns: as :meth:`Monitor.newest`; empty where it breaks off.
    """
    found: dict[str, int] = {}
    if not description.endswith(_END):
        return found
    for entity in description.split(_ENTITY)[1:]:
        guid, number = _GUID.match(entity), _NEWEST.search(entity)
        if guid and number:
            found[guid.group().decode()] = int(number.group(1))
    return found


def _bound(port: int = 0) -> socket.socket:
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.bind((_HOST, port))
    return one


def _all(calling: socket.socket) -> bytes:
    parts = []
    while part := calling.recv(1 << 16):
        parts.append(part)
    return b''.join(parts)


def _let_through(one: socket.socket, port: int) -> None:
    """Let a socket see only what comes from a port, by a program for Linux's packet filter."""
    program = b''.join(struct.pack('HBBI', *step) for step in (
        (0x28, 0, 0, 0),  # take the first 16 bits of TCP's header, the port that it comes from
        (0x15, 0, 1, port),  # is it this one?
        (0x06, 0, 0, 0xffffffff),  # yes: all passes
        (0x06, 0, 0, 0)))  # no: nothing does
    steps = ctypes.create_string_buffer(program)
    one.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER,
                   struct.pack('HP', 4, ctypes.addressof(steps)))
