"""
Services of the embedded graph, as ``rmw_cyclonedds_cpp`` speaks them.

A service is two topics: each request on ``rq/NAMERequest``, each answer on ``rr/NAMEReply``. The
CDR of each begins with 16 bytes, the client's number and that of its request, which the answer
repeats. Other middleware of ROS 2 keeps these numbers elsewhere, so its clients get no answer
from here.
"""

from __future__ import annotations

import itertools
import logging
import secrets
import struct
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from maven_ros.closing import Closing
from maven_ros.errors import GraphError, InputError
from maven_ros.graph.dds.domain import delete_all, matched
from maven_ros.graph.interface import SERVICE, Answer
from maven_ros.graph.messages import from_cdr, to_cdr
from maven_ros.graph.names import dds_type

if TYPE_CHECKING:
    from maven_ros.graph.dds.dds_graph import DdsGraph

_log = logging.getLogger(__name__)

_HEADER = 4   # bytes of CDR's own header
_NUMBERS = 16
_IDLE_NS = 200_000_000
_POLL_S = 0.002


class _Ends(Closing):
    """A reader and a writer, and a way to wait for the reader; not thread-safe."""

    def __init__(
        self, graph: DdsGraph, service: str, reads: tuple[str, str], writes: tuple[str, str],
    ) -> None:
        from cyclonedds.core import InstanceState, ReadCondition, SampleState, ViewState, WaitSet

        self._reading = graph.open_end(service, *reads, to_read=True)
        self._writing = graph.open_end(service, *writes, to_read=False)
        self.reader, self.writer = self._reading[0], self._writing[0]
        self._type = writes[1]
        self._waiting = ReadCondition(
            self.reader, SampleState.Any | ViewState.Any | InstanceState.Any)
        self._waitset = WaitSet(graph.participant)
        self._waitset.attach(self._waiting)

    def receive(self, wait_ns: int) -> list[bytes]:
        """Return what has arrived, after at most this time."""
        self._waitset.wait(wait_ns)
        return [one.cdr for one in self.reader.take(SERVICE.depth)
                if one.sample_info.valid_data and len(one.cdr) >= _HEADER + _NUMBERS]

    def send(self, numbers: bytes, cdr: bytes) -> None:
        """Send CDR bytes of the writer's type with the numbers of a request."""
        from cyclonedds.core import DDSException

        from maven_ros.graph.dds.cdr_types import raw_type

        try:
            self.writer.write(raw_type(self._type)(cdr[:_HEADER] + numbers + cdr[_HEADER:]))
        except DDSException as error:
            raise GraphError(f'{dds_type(self._type)}: {error}') from error

    def close(self) -> None:
        """Delete all parts."""
        delete_all([self._waitset, self._waiting, *self._reading, *self._writing])


def parted(cdr: bytes) -> tuple[bytes, bytes]:
    """Return the numbers of a request, and the CDR of its or its answer's fields."""
    return cdr[_HEADER:_HEADER + _NUMBERS], cdr[:_HEADER] + cdr[_HEADER + _NUMBERS:]


class DdsService(Closing):
    """
    A service, from ``DdsGraph.serve``. A thread of its own runs the answer.

    :param answer: takes a request and returns a response; its errors are logged and counted.
    """

    def __init__(self, graph: DdsGraph, service: str, srvtype: str, answer: Answer) -> None:
        self.service, self.srvtype = service, srvtype
        self._graph, self._answer = graph, answer
        self._ends = _Ends(graph, service, (f'rq{service}Request', f'{srvtype}_Request'),
                           (f'rr{service}Reply', f'{srvtype}_Response'))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name='service', daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop answering."""
        self._graph.forget_service(self)
        self._stop.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()
        self._ends.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            for cdr in self._ends.receive(_IDLE_NS):
                numbers, fields = parted(cdr)
                try:
                    request = from_cdr(fields, f'{self.srvtype}_Request')
                    response = self._answer(request)
                    self._ends.send(numbers, to_cdr(response, f'{self.srvtype}_Response'))
                except InputError as error:
                    self._graph.counters.count(self.service, error.cause, str(error))
                except Exception as error:  # of one request; the next one must be answered
                    _log.exception('%s failed', self.service)
                    self._graph.counters.count(self.service, 'failed', repr(error))


def call_service(
    graph: DdsGraph, service: str, srvtype: str, request: Any, timeout_s: float,
) -> Any:
    """
    Call a service once and return its response; see ``DdsGraph.call``.

    :raises GraphError: if nobody answers in time.
    """
    deadline_s = time.monotonic() + timeout_s
    numbers = next(_requests)
    with _Ends(graph, service, (f'rr{service}Reply', f'{srvtype}_Response'),
               (f'rq{service}Request', f'{srvtype}_Request')) as ends:
        _await(lambda: bool(matched(ends.writer.get_matched_subscriptions))
               and bool(matched(ends.reader.get_matched_publications)), deadline_s,
               f'{service}: nobody serves it, for {timeout_s:g} s')
        ends.send(numbers, to_cdr(request, f'{srvtype}_Request'))
        while time.monotonic() < deadline_s:
            for cdr in ends.receive(_IDLE_NS // 10):
                answered, fields = parted(cdr)
                if answered == numbers:
                    return from_cdr(fields, f'{srvtype}_Response')
    raise GraphError(f'{service}: no answer within {timeout_s:g} s')


def _numbers() -> Any:
    client = secrets.randbits(63)
    return (struct.pack('=Qq', client, number) for number in itertools.count(1))


_requests = _numbers()


def _await(condition: Callable[[], bool], deadline_s: float, otherwise: str) -> None:
    while not condition():
        if time.monotonic() >= deadline_s:
            raise GraphError(otherwise)
        time.sleep(_POLL_S)
