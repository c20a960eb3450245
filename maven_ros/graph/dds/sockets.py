"""
The sockets that Cyclone DDS opens in this process, as the system lists them.

It binds them to all addresses, whatever interface it is told to use. Linux lets a process tie its
own sockets to an interface afterwards, since 5.7 without privileges.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path

_log = logging.getLogger(__name__)

_OWN = Path('/proc/self/fd')
_LOOPBACK = b'lo\0'


def own_sockets() -> dict[str, int]:
    """Return the sockets of this process: file descriptors, by the system's name of each."""
    found = {}
    for entry in _OWN.iterdir() if _OWN.is_dir() else ():
        with contextlib.suppress(OSError):  # closed since it was listed
            name = str(entry.readlink())
            if name.startswith('socket:'):
                found[name] = int(entry.name)
    return found


def lent(descriptors: Iterable[int]) -> Iterator[tuple[int, socket.socket]]:
    """Yield file descriptors with their sockets, which somebody else owns and closes."""
    for descriptor in descriptors:
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as one:
            if one.family == socket.AF_INET:
                yield descriptor, one


def listener(descriptors: Iterable[int]) -> int | None:
    """Return the file descriptor that takes connections; None where none does."""
    for descriptor, one in lent(descriptors):
        if one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return descriptor
    return None


def withdraw(descriptors: Iterable[int]) -> None:
    """Tie what takes datagrams from everywhere to the loopback interface, where that can be."""
    for _, one in lent(descriptors):
        if one.type == socket.SOCK_DGRAM and one.getsockname()[0] == '0.0.0.0':
            try:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, _LOOPBACK)
            except (AttributeError, OSError) as error:  # another system; an older kernel
                _log.info('port %d stays open to the network: %s', one.getsockname()[1], error)
