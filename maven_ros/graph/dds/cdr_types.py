"""
DDS types whose samples are CDR bytes.

The class has a message's fields, so that discovery announces the right type, but serialisation
passes the bytes unchanged. Field by field, cyclonedds needs 39 ms for a 640x480 picture, because
a ``uint8[]`` becomes a list of ints; this way it needs 1.2 ms in both directions together.
"""

from __future__ import annotations

import dataclasses
import functools
import types as python_types
from typing import Any

from maven_ros.errors import GraphError
from maven_ros.graph import messages
from maven_ros.graph.names import dds_type


@functools.cache
def raw_type(msgtype: str) -> Any:
    """
    Return the DDS type of a message type; an instance holds ``cdr``.

    The parts of a service begin with two more fields, the numbers of the client and the request:
    Cyclone checks bytes against the type.

    :raises GraphError: for an unknown type, or one that the binding cannot describe.
    """
    return _struct(msgtype, msgtype, {
        '__init__': _init, 'serialize': _serialize, 'deserialize': classmethod(_deserialize),
        'deserialize_key': classmethod(_deserialize)})


@functools.cache
def field_type(msgtype: str, within: str) -> Any:
    """
    Return the DDS type of a message that is a field of others; cyclonedds can serialise it itself.

    :param within: the topic type whose field it is, since two families share names.
    """
    return dataclasses.dataclass(_struct(msgtype, within, {}))


def _init(self: Any, cdr: bytes) -> None:
    self.cdr = cdr


def _serialize(self: Any, *_: Any, **__: Any) -> bytes:
    cdr: bytes = self.cdr
    return cdr


def _deserialize(cls: Any, data: bytes, *_: Any, **__: Any) -> Any:
    return cls(data)


def _struct(msgtype: str, within: str, methods: dict[str, Any]) -> Any:
    from cyclonedds.idl import IdlStruct
    from cyclonedds.idl.types import int64, uint64

    numbers = {'client_number': uint64, 'request_number': int64} if '/srv/' in msgtype else {}
    fields = numbers | {name: _annotation(kind, within)
              for name, kind in messages.field_types(msgtype, within)}

    def body(namespace: dict[str, Any]) -> None:
        namespace['__annotations__'].update(fields)
        namespace.update(methods)

    # new_class, since a plain type(...) call would lose the typename.
    name = dds_type(msgtype)
    return python_types.new_class(
        name.rsplit('::', 1)[1], (IdlStruct,), {'typename': name.replace('::', '.')}, body)


def _annotation(kind: Any, within: str) -> Any:
    import cyclonedds.idl.types
    from rosbags.interfaces import Nodetype

    types: Any = cyclonedds.idl.types
    node, detail = kind
    if node == Nodetype.NAME:
        return field_type(detail, within)
    if node == Nodetype.BASE:
        name, limit = detail
        if name == 'string':
            return types.bounded_str[limit] if limit else str
        scalar = {'bool': bool, 'byte': types.byte, 'char': types.uint8}.get(name)
        scalar = scalar or getattr(types, name, None)
        if scalar is None:
            raise GraphError(f'{within}: DDS cannot carry its {name}')
        return scalar
    item, length = detail
    inner = _annotation(item, within)
    if node == Nodetype.ARRAY:
        return types.array[inner, length]
    return types.sequence[inner, length] if length else types.sequence[inner]
