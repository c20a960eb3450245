"""Draw messages, of live topics or from bags."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from maven_ros.counters import Counters
from maven_ros.errors import InputError
from maven_ros.graph.convert import (
    DIAGNOSTICS,
    attention_record,
    event_record,
    state_record,
    utterance_record,
)
from maven_ros.graph.interface import Graph, Received
from maven_ros.graph.messages import from_cdr, time_ns
from maven_ros.graph.topics import (
    ATTENTION_TOPIC,
    BEHAVIOUR_TOPIC,
    DIAGNOSTICS_TOPIC,
    EVENT_TOPIC,
    LED_TOPIC,
    OUTPUT_TYPES,
    ROBOT_TYPES,
    STATE_SMOOTHED_TOPIC,
    STATE_TOPIC,
    UTTERANCE_TOPIC,
    diagnosis_name,
)
from maven_ros.intake.intake import Intake
from maven_ros.records import NS, AudioChunk, Frame, Input
from maven_ros.settings import AudioSettings
from maven_ros.view.screen import Screen

#: Topics and types, besides those of camera and microphone.
TYPES = {**{topic: OUTPUT_TYPES[topic] for topic in (
             STATE_TOPIC, STATE_SMOOTHED_TOPIC, ATTENTION_TOPIC, EVENT_TOPIC, UTTERANCE_TOPIC)},
         DIAGNOSTICS_TOPIC: DIAGNOSTICS,
         **{topic: ROBOT_TYPES[topic] for topic in (LED_TOPIC, BEHAVIOUR_TOPIC)}}


class Reader:
    """
    Draw messages of all topics; those that cannot be drawn are counted.

    :param graph: resolves names of topics.
    """

    def __init__(self, graph: Graph, screen: Screen, counters: Counters) -> None:
        self._screen = screen
        self._counters = counters
        self._intake = Intake(AudioSettings(), counters)
        self._node = diagnosis_name(graph)
        self._led = (255, 255, 255)
        draw: dict[str, Callable[[Any, int], None]] = {
            STATE_TOPIC: self._state,
            STATE_SMOOTHED_TOPIC: lambda message, _: screen.show_smoothed(state_record(message)),
            ATTENTION_TOPIC: lambda message, _: screen.show_attention(attention_record(message)),
            EVENT_TOPIC: lambda message, _: screen.show_event(event_record(message)),
            UTTERANCE_TOPIC: lambda message, _: screen.show_utterance(utterance_record(message)),
            DIAGNOSTICS_TOPIC: self._diagnostics,
            LED_TOPIC: self._light,
            BEHAVIOUR_TOPIC: self._behaviour,
        }
        self._draw = {graph.resolve(topic): one for topic, one in draw.items()}

    def describe(self, info: Received | None) -> None:
        """Take a bag's description of its sound, or None, before any message."""
        self._intake.describe(info)

    def take(self, received: Received) -> None:
        """Draw a message."""
        draw = self._draw.get(received.topic)
        try:
            if draw is not None:
                draw(from_cdr(received.cdr, received.msgtype), received.received_ns)
            else:
                self._show(self._intake.take(received))
        except InputError as error:
            self._counters.count(received.topic, error.cause, str(error))

    def _show(self, records: Iterable[Input]) -> None:
        for record in records:
            if isinstance(record, Frame):
                self._screen.show_picture(record)
            elif isinstance(record, AudioChunk):
                self._screen.show_sound(record)

    def _state(self, message: Any, received_ns: int) -> None:
        self._screen.show_state(state_record(message), time_ns(message.latency) / NS)

    def _diagnostics(self, message: Any, received_ns: int) -> None:
        """Show the affect node's counts, which are the values named ``source.cause``."""
        for status in message.status:
            if status.name == self._node:
                self._screen.show_drops(time_ns(message.header.stamp), {
                    one.key: int(one.value) for one in status.values
                    if '.' in one.key and one.value.isdecimal()})

    def _light(self, message: Any, received_ns: int) -> None:
        self._led = tuple(round(255 * one) for one in (message.r, message.g, message.b))

    def _behaviour(self, message: Any, received_ns: int) -> None:
        self._screen.show_behaviour(received_ns, message.data, self._led)
