"""The topics of a bag as its storages list them, under the full names of their types."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

_SHORT = re.compile(r'(\w+)/(\w+)')
_DDS = re.compile(r'(\w+)::msg::(?:dds_::)?(\w+?)_?')


def with_full_types(connections: Iterable[Any]) -> list[Any]:
    """Return connections whose types have the names of ROS 2, which some recorders shorten."""
    return [one._replace(msgtype=_full(one.msgtype)) if one.ext.serialization_format == 'cdr'
            and isinstance(one.msgtype, str) else one for one in connections]


def _full(name: str) -> str:
    """Return ``sensor_msgs/msg/Image`` for ``sensor_msgs/Image``, and for its name in DDS."""
    found = _SHORT.fullmatch(name) or _DDS.fullmatch(name)
    return f'{found[1]}/msg/{found[2]}' if found else name


def joined(storages: Iterable[Any], owner: Any) -> list[Any]:
    """Return the connections of several files of one recording, numbered from 1."""
    found: dict[Any, Any] = {}
    for one in (each for storage in storages for each in storage.connections):
        key = one.topic, one.msgtype, one.digest, repr(one.ext)
        had = found.get(key)
        if had is None:
            found[key] = one._replace(id=len(found) + 1, owner=owner)
        else:
            found[key] = had._replace(msgcount=had.msgcount + one.msgcount,
                                      msgdef=had.msgdef if had.msgdef.data else one.msgdef)
    return list(found.values())
