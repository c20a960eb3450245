"""
An example to copy: the behaviour of a social robot that follows a person's affect.

It subscribes to ``affect/event`` and ``affect/state_smoothed``, and publishes on plain ROS types:

- ``robot/gaze`` (sensor_msgs/RegionOfInterest): the face to look at, in pixels of the camera's
  picture; all 0 to look at nobody,
- ``robot/led`` (std_msgs/ColorRGBA), ``robot/speaking_style`` (std_msgs/String),
- ``robot/distance`` (std_msgs/Float32): the distance to keep from the person, in metres,
- ``robot/behaviour`` (std_msgs/String): the whole behaviour in words.

It sets goals and moves nothing. The software that turns goals into motion must keep its own
limits. The behaviour attends to one person, whose event came first, until that person leaves.
"""

from __future__ import annotations

import threading

from maven_ros.acting.decisions import Conduct, DecisionTable
from maven_ros.affect import UNKNOWN
from maven_ros.counters import Counters
from maven_ros.errors import InputError
from maven_ros.graph import topics
from maven_ros.graph.convert import (
    AFFECT_EVENT,
    AFFECT_STATE,
    event_record,
    region_fields,
    state_record,
)
from maven_ros.graph.interface import STATE, Graph, Received
from maven_ros.graph.messages import from_cdr, new
from maven_ros.intake.inbox import Inbox
from maven_ros.records import NS, AffectEvent, AffectState, EventKind

_POLL_S = 0.05
_REPEAT_NS = NS  # for subscribers that join later


class Behaviour:
    """
    The behaviour on a graph.

    :param graph: any transport; the caller closes it.
    :param table: the conduct for each event.
    :param rate_hz: highest rate of publishing.
    :param idle_s: time without messages after which the behaviour becomes idle.
    """

    _person: str | None  # the attended person; empty for a voice with nobody in view
    _state: AffectState | None  # the newest state of that person
    _conduct: Conduct
    _why: str

    def __init__(
        self, graph: Graph, table: DecisionTable, rate_hz: float = 5.0, idle_s: float = 2.0,
        counters: Counters | None = None,
    ) -> None:
        self._graph, self._table = graph, table
        self._least_ns, self._idle_ns = round(NS / rate_hz), round(NS * idle_s)
        self._counters = counters or Counters()
        self._inbox = Inbox({'event': 100, 'state': 100}, self._counters)
        self._heard_ns, self._said_ns = graph.now_ns(), 0
        self._said: tuple[dict[str, int], tuple[int, int, int], str] | None = None
        self._rest('nobody is there')
        self._publishers = {topic: graph.advertise(topic, msgtype, STATE)
                            for topic, msgtype in topics.ROBOT_TYPES.items()}
        graph.subscribe(topics.EVENT_TOPIC, AFFECT_EVENT, STATE,
                        lambda received: self._inbox.put('event', received))
        graph.subscribe(topics.STATE_SMOOTHED_TOPIC, AFFECT_STATE, STATE,
                        lambda received: self._inbox.put('state', received))

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop`` is set, then become idle."""
        while not stop.is_set():
            received = self._inbox.get(_POLL_S)
            if received is not None:
                self._take(received)
            self._act(self._graph.now_ns())
        self._rest('the behaviour ends')
        self._publish()

    def _take(self, received: Received) -> None:
        try:
            message = from_cdr(received.cdr, received.msgtype)
            if received.msgtype == AFFECT_EVENT:
                self._decide(event_record(message))
            else:
                self._see(state_record(message))
        except InputError as error:
            self._counters.count(received.topic, error.cause, str(error))
        self._heard_ns = self._graph.now_ns()

    def _decide(self, event: AffectEvent) -> None:
        """Apply the table to an event of the attended person."""
        if not self._person and event.kind is not EventKind.LEFT:  # a voice alone has no id
            self._person = event.person_id
        if event.person_id == self._person:
            self._conduct, self._why = self._table.after(event, self._conduct), event.text
            if event.kind is EventKind.LEFT:
                self._rest(event.text)

    def _see(self, state: AffectState) -> None:
        """Keep the newest state of the attended person."""
        if state.person_id == self._person:
            self._state = state

    def _rest(self, why: str) -> None:
        self._person = None
        self._state = None
        self._conduct = self._table.idle
        self._why = why

    def _act(self, now_ns: int) -> None:
        """Publish changes at the allowed rate; become idle without messages."""
        if not 0 <= now_ns - self._heard_ns < self._idle_ns and self._person is not None:
            self._rest(f'nothing heard for {self._idle_ns / NS:g} s')
        waited_ns = now_ns - self._said_ns
        if 0 <= waited_ns < self._least_ns:
            return
        if self._goals() != self._said or not 0 <= waited_ns < _REPEAT_NS:
            self._said_ns = now_ns
            self._publish()

    def _publish(self) -> None:
        gaze, colour, words = self._said = self._goals()
        red, green, blue = (part / 255 for part in colour)
        for topic, fields in (
                (topics.GAZE_TOPIC, gaze),
                (topics.LED_TOPIC, {'r': red, 'g': green, 'b': blue, 'a': 1.0}),
                (topics.STYLE_TOPIC, {'data': self._conduct.style}),
                (topics.DISTANCE_TOPIC, {'data': self._conduct.distance_m}),
                (topics.BEHAVIOUR_TOPIC, {'data': words})):
            self._publishers[topic].publish(new(topics.ROBOT_TYPES[topic], **fields))

    def _goals(self) -> tuple[dict[str, int], tuple[int, int, int], str]:
        """Return the gaze, the LED's colour, and the conduct in words."""
        conduct, state = self._conduct, self._state
        gaze = region_fields(state.face if state is not None and conduct.look else None)
        colour = conduct.colour(UNKNOWN if state is None else state.affect)
        at = f'looks at {self._person}' if gaze else 'looks away'
        return gaze, colour, (f'{self._why}: {at}, speaks {conduct.style}, keeps '
                              f'{conduct.distance_m:g} m')
