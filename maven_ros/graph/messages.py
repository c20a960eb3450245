"""
The one place that knows message types: Python objects, CDR bytes, definitions and hashes.

Types are ROS 2 Jazzy's own, ours (``msg/*.msg``, ``srv/*.srv``) and those of
:mod:`maven_ros.graph.foreign`, all kept by ``rosbags``; the CDR it reads and writes is what DDS
and bags carry. Two families share the package name ``audio_common_msgs``, so there are two
stores: as topic types, ``AudioStamped`` (and what it is made of) is mgonzs13's; ``AudioData``,
``AudioDataStamped`` and ``AudioInfo`` are ros-drivers'.
"""

from __future__ import annotations

import difflib
import functools
import struct
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from maven_ros.errors import GraphError, InputError
from maven_ros.graph import foreign
from maven_ros.records import NS
from maven_ros.resources import resource
from maven_ros.text import printable, shown

_MGONZS13_TYPES = ('audio_common_msgs/msg/Audio', 'audio_common_msgs/msg/AudioStamped')
_LONGEST_DEFINITION = 50_000  # characters, which take a second; ours have up to 6,000
#: What rosbags' generated code raises for a value that does not fit its field.
_UNFIT = (struct.error, AttributeError, TypeError, ValueError, OverflowError)


def new(msgtype: str, **fields: Any) -> Any:
    """
    Build a message; fields that are left out get ROS's defaults (0, '', empty, False).

    :param msgtype: ROS type name, such as ``sensor_msgs/msg/Image``.
    :param fields: scalars; numpy arrays, bytes or lists for arrays; messages, or mappings of
        their fields, for nested ones.
    :raises GraphError: for an unknown type or field (the nearest is suggested), and for an array
        whose values do not fit.
    """
    return _build(_store(msgtype), msgtype, fields)


def to_cdr(message: Any, msgtype: str) -> bytes:
    """
    Serialise a message, in the machine's byte order, with the 4-byte header.

    Padded to whole words, as DDS does, so that every transport carries the same bytes.

    :raises GraphError: when it is of another type, or a value does not fit its field.
    """
    from rosbags.serde import SerdeError

    store = _store(msgtype)
    if not isinstance(message, store.types[msgtype]):
        found = getattr(message, '__msgtype__', type(message).__name__)
        raise GraphError(f'message: a {found} is not a {msgtype} of messages.new')
    try:
        cdr = bytes(store.serialize_cdr(message, msgtype))
    except (SerdeError, *_UNFIT) as error:
        raise GraphError(
            f'{msgtype}: {_culprit(store, message, msgtype)} does not fit its field: {error}'
        ) from error
    return cdr.ljust(-(-len(cdr) // 4) * 4, b'\0')


def from_cdr(cdr: bytes, msgtype: str) -> Any:
    """
    Read a message. Its arrays are read-only views of ``cdr``.

    :raises GraphError: for an unknown type.
    :raises InputError: ``bad_payload`` when the bytes are no such message.
    """
    from rosbags.serde import SerdeError

    store = _store(msgtype)
    try:
        return store.deserialize_cdr(memoryview(cdr), msgtype)  # a slice of a view is no copy
    except SerdeError as error:
        raise InputError('bad_payload', f'{msgtype}: {len(cdr)} bytes are no such message: '
                                        f'{error}') from error


def type_hash(msgtype: str) -> str:
    """Return the type's REP-2011 hash, ``RIHS01_`` and 64 hexadecimal digits."""
    return str(_store(msgtype).hash_rihs01(msgtype))


def hash_of_definition(text: str, msgtype: str, idl: bool = False) -> str:
    """
    Return the hash of a type as a bag defines it.

    :param text: definition of the type and those in it, in ROS's .msg form, or in its .idl form.
    :raises InputError: ``bad_definition`` when it cannot be read, at once.
    """
    if len(text) > _LONGEST_DEFINITION:
        raise InputError('bad_definition', f'{msgtype}: its definition has {len(text)} '
                         f'characters; allowed: up to {_LONGEST_DEFINITION}')
    from rosbags.typesys import TypesysError, get_types_from_idl, get_types_from_msg
    from rosbags.typesys.store import Typestore

    store = Typestore()
    try:
        store.register(get_types_from_idl(text) if idl else get_types_from_msg(text, msgtype))
        return str(store.hash_rihs01(msgtype))
    except RecursionError as error:
        raise InputError('bad_definition', f'{msgtype}: its definition contains itself'
                         ) from error
    except (TypesysError, LookupError, ValueError, TypeError) as error:
        raise InputError('bad_definition', f'{msgtype}: its definition cannot be read: '
                         f'{printable(error):.300}') from error


def definition(msgtype: str) -> str:
    """Return the type's definition and those of all types in it, as bags store them."""
    return str(_store(msgtype).generate_msgdef(msgtype, ros_version=2)[0])


def field_types(msgtype: str, within: str) -> list[tuple[str, Any]]:
    """
    Return the fields of a type, in order, as the topic type ``within`` knows it.

    :returns: name, and the type as rosbags describes it: ``(Nodetype, ...)``.
    """
    return list(_store(within).fielddefs[msgtype][1])


def types() -> tuple[str, ...]:
    """Return the names of all types that can be spoken, sorted."""
    return tuple(sorted({*_stores()[0].types, *_MGONZS13_TYPES}))


def time_message(ns: int, msgtype: str = 'builtin_interfaces/msg/Time') -> Any:
    """Build a Time, or a Duration, from nanoseconds."""
    sec, nanosec = divmod(ns, NS)
    return new(msgtype, sec=sec, nanosec=nanosec)


def time_ns(time: Any) -> int:
    """Return the nanoseconds of a Time or a Duration."""
    return int(time.sec) * NS + int(time.nanosec)


@functools.cache
def _stores() -> tuple[Any, Any]:
    from rosbags.typesys import Stores, get_typestore

    ours = {f'maven_ros/msg/{path.stem}': path.read_text(encoding='utf-8')
            for path in sorted(resource('msg').glob('*.msg'))}
    for path in sorted(resource('srv').glob('*.srv')):
        parts = path.read_text(encoding='utf-8').split('\n---\n')
        ours |= {f'maven_ros/srv/{path.stem}_{part}': text
                 for part, text in zip(('Request', 'Response'), parts, strict=True)}
    main, mgonzs13 = get_typestore(Stores.ROS2_JAZZY), get_typestore(Stores.ROS2_JAZZY)
    _register(main, {**ours, **foreign.ROS_DRIVERS, **foreign.ROS4HRI})
    _register(mgonzs13, foreign.MGONZS13)
    return main, mgonzs13


def _register(store: Any, definitions: Mapping[str, str]) -> None:
    from rosbags.typesys import get_types_from_msg

    parsed: dict[str, Any] = {}
    for msgtype, text in definitions.items():
        lines = '\n'.join(line.strip() for line in text.splitlines())
        # rosbags does not know that a service's parts are below srv/.
        parsed[msgtype], = get_types_from_msg(lines, msgtype.replace('/srv/', '/msg/')).values()
    store.register(parsed)


def _store(msgtype: str) -> Any:
    main, mgonzs13 = _stores()
    if msgtype in _MGONZS13_TYPES:
        return mgonzs13
    if msgtype not in main.types:
        raise GraphError(f'message type: {_unknown(msgtype, types())}')
    return main


def _unknown(name: str, allowed: Iterable[str]) -> str:
    allowed = list(allowed)
    near = difflib.get_close_matches(name, allowed, 1)
    hint = f'did you mean {near[0]}?' if near else (
        f'allowed: {", ".join(allowed)}' if len(allowed) < 30 else 'allowed: package/msg/Name')
    return f'{name!r} is unknown; {hint}'


def _build(store: Any, msgtype: str, given: Mapping[str, Any]) -> Any:
    known = dict(store.fielddefs[msgtype][1])
    for name in given:
        if name not in known:
            raise GraphError(f'field of {msgtype}: {_unknown(name, known)}')
    return store.types[msgtype](*(
        _value(store, f'{msgtype}.{name}', kind, given[name]) if name in given
        else _default(store, kind)
        for name, kind in known.items()))


def _default(store: Any, kind: Any) -> Any:
    from rosbags.interfaces import Nodetype

    node, detail = kind
    if node == Nodetype.NAME:
        return _build(store, detail, {})
    if node == Nodetype.BASE:
        return {'string': '', 'bool': False, 'float32': 0.0, 'float64': 0.0}.get(detail[0], 0)
    item, length = detail
    count = length if node == Nodetype.ARRAY else 0
    if _is_numeric(item):
        return np.zeros(count, _dtype(item))
    return [_default(store, item) for _ in range(count)]


def _value(store: Any, where: str, kind: Any, value: Any) -> Any:
    from rosbags.interfaces import Nodetype

    node, detail = kind
    if node == Nodetype.NAME:
        return _build(store, detail, value) if isinstance(value, Mapping) else value
    if node == Nodetype.BASE:
        return shown(value) if isinstance(value, str) else value
    item = detail[0]
    if _is_numeric(item):
        return _array(where, value, _dtype(item))
    return [_value(store, where, item, one) for one in value]


def _is_numeric(kind: Any) -> bool:
    from rosbags.interfaces import Nodetype

    return bool(kind[0] == Nodetype.BASE and kind[1][0] != 'string')


def _dtype(kind: Any) -> np.dtype[Any]:
    name = kind[1][0]
    return np.dtype('uint8' if name in ('byte', 'char') else name)


def _array(where: str, value: Any, dtype: np.dtype[Any]) -> Any:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return np.frombuffer(value, dtype)
    array = np.asarray(value)
    if array.size == 0:
        return np.zeros(0, dtype)
    if array.dtype != dtype:
        exact = dtype.kind == 'f' and array.dtype.kind in 'fiu'
        with np.errstate(invalid='ignore'):
            cast = array.astype(dtype)
        if not exact and not np.array_equal(cast, array):
            raise GraphError(f'{where}: {array.dtype} values that do not fit; allowed: {dtype}')
        array = cast
    return np.ascontiguousarray(array).reshape(-1)


def _culprit(store: Any, message: Any, msgtype: str) -> str:
    """Name the first field that cannot be serialised, with its value."""
    from rosbags.serde import SerdeError

    for name, _ in store.fielddefs[msgtype][1]:
        probe = _build(store, msgtype, {})
        setattr(probe, name, getattr(message, name))
        try:
            store.serialize_cdr(probe, msgtype)
        except (SerdeError, *_UNFIT):
            return f'{name}={getattr(message, name)!r:.80}'
    return 'a value'
