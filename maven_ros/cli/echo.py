"""Show the messages of a topic, as ``ros2 topic echo`` does."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from maven_ros.counters import Counters
from maven_ros.errors import GraphError, InputError
from maven_ros.graph.interface import Graph, Qos, Reliability
from maven_ros.graph.messages import from_cdr
from maven_ros.intake.inbox import Inbox
from maven_ros.text import printable

_LONGEST = 12  # shown numbers of an array


def echo(
    graph: Graph, topic: str, stop: threading.Event, show: Callable[[str], None],
    count: int = 0, wait_s: float = 5.0,
) -> None:
    """
    Show the messages of a topic until ``stop`` is set.

    :param show: called with each message as text in the form of YAML.
    :param count: number of messages after which it ends; 0 for no limit.
    :param wait_s: time to wait for the topic; 0 waits until ``stop``.
    :raises GraphError: if the topic does not appear; names the known topics.
    """
    topic = graph.resolve(topic)
    waited_s = 0.0
    while (msgtype := graph.topics().get(topic)) is None:
        if stop.wait(0.1):
            return
        waited_s += 0.1
        if 0 < wait_s < waited_s:
            known = ', '.join(sorted(graph.topics())) or 'none'
            raise GraphError(f'{topic}: no such topic here; topics: {known}')
    counters = Counters()
    inbox = Inbox({'echo': 100}, counters)
    subscription = graph.subscribe(topic, msgtype, Qos(Reliability.AS_OFFERED, 100),
                                   lambda received: inbox.put('echo', received))
    shown = 0
    try:
        while not stop.is_set() and not 0 < count <= shown:
            received = inbox.get(0.1)
            if received is None:
                continue
            try:
                message = from_cdr(received.cdr, msgtype)
            except InputError as error:
                counters.count(topic, error.cause, str(error))
                continue
            show('\n'.join(lines(message)) + '\n---')
            shown += 1
    finally:
        subscription.close()


def lines(message: Any, indent: str = '') -> Iterator[str]:
    """Yield a message as lines of YAML; long arrays are shortened, with their length."""
    for field in dataclasses.fields(message):
        if field.name.startswith('__') or field.name.isupper():  # constants
            continue
        value = getattr(message, field.name)
        if dataclasses.is_dataclass(value):
            yield f'{indent}{field.name}:'
            yield from lines(value, indent + '  ')
        elif isinstance(value, list) and value and dataclasses.is_dataclass(value[0]):
            yield f'{indent}{field.name}:'
            for one in value:
                first, *rest = lines(one, indent + '  ')
                yield f'{indent}- {first.strip()}'
                yield from rest
        else:
            yield f'{indent}{field.name}: {_scalar(value)}'


def _scalar(value: Any) -> str:
    if isinstance(value, np.ndarray | list):
        shown = ', '.join(map(_one, value[:_LONGEST]))
        return f'[{shown}, ... {len(value)} in all]' if len(value) > _LONGEST else f'[{shown}]'
    return f'{value:.6g}' if isinstance(value, float) else _one(value)


def _one(value: Any) -> str:
    return printable(repr(value) if isinstance(value, str) else value)
