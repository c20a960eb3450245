"""
Publish states and utterances in the form of ROS4HRI (REP-155).

The expression is the word of REP-155 whose angle in Russell, "A circumplex model of affect"
(1980), table 2, is nearest. Near the centre of the circumplex it is neutral.
"""

from __future__ import annotations

import logging
import math
from typing import Any

from maven_ros.affect import Affect
from maven_ros.errors import GraphError
from maven_ros.graph.convert import LIVE_SPEECH
from maven_ros.graph.interface import STATE, Graph, Publisher
from maven_ros.graph.messages import new, time_message
from maven_ros.graph.topics import VOICE_TOPIC
from maven_ros.records import NS, AffectState, Attention, Status, Utterance

EXPRESSION = 'hri_msgs/msg/Expression'
ENGAGEMENT = 'hri_msgs/msg/EngagementLevel'
#: Angles in degrees. Russell's words for surprised and scared are astonished and afraid.
ANGLES_DEG = {'happy': 7.8, 'excited': 48.6, 'surprised': 69.8, 'angry': 99.0, 'scared': 116.0,
              'annoyed': 123.0, 'sad': 207.5, 'bored': 241.9, 'tired': 267.7}
_GONE_NS = 10 * NS

_log = logging.getLogger('maven_ros.affect')


class Ros4Hri:
    """
    Publish the expressions and utterances, and whether people attend to the robot.

    The names are relative; without a namespace they are those of REP-155.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._open: dict[str, tuple[Publisher, int]] = {}  # by topic, with the time of its use
        self._speech: Publisher | None = None
        try:
            self._speech = graph.advertise(VOICE_TOPIC, LIVE_SPEECH, STATE)
        except GraphError as error:
            _log.info('ROS4HRI outputs are not published: %s', error)

    def publish_state(self, state: AffectState) -> None:
        """Publish the expression of a face, if there is evidence."""
        if self._speech is None or not state.person_id or state.status is Status.NO_EVIDENCE:
            return
        self._publisher(f'humans/faces/{state.person_id}/expression', EXPRESSION,
                        state.window_end_ns).publish(expression_message(state))

    def publish_attention(self, attention: Attention) -> None:
        """Publish the engagement of a person."""
        if self._speech is None:
            return
        self._publisher(f'humans/persons/{attention.person_id}/engagement_status', ENGAGEMENT,
                        attention.stamp_ns).publish(engagement_message(attention))

    def publish_utterance(self, utterance: Utterance) -> None:
        """Publish an utterance, partial or final."""
        if self._speech is not None and utterance.words:
            self._speech.publish(speech_message(utterance))

    def close(self) -> None:
        """Close all topics."""
        for publisher, _ in self._open.values():
            publisher.close()
        self._open.clear()
        if self._speech is not None:
            self._speech.close()

    def _publisher(self, topic: str, msgtype: str, now_ns: int) -> Publisher:
        """Return the publisher of a topic, and close those that are no longer used."""
        publisher, _ = self._open.get(topic, (None, 0))
        if publisher is None:
            publisher = self._graph.advertise(topic, msgtype, STATE)
        self._open[topic] = publisher, now_ns
        for other, (gone, then_ns) in list(self._open.items()):
            if not 0 <= now_ns - then_ns < _GONE_NS:
                gone.close()
                del self._open[other]
        return publisher


def expression_of(affect: Affect) -> str:
    """Return the nearest expression of REP-155 on the circumplex."""
    if affect.octant == 'neutral':
        return 'neutral'

    def distance(name: str) -> float:
        return abs(math.remainder(affect.angle - math.radians(ANGLES_DEG[name]), math.tau))

    return min(ANGLES_DEG, key=distance)


def expression_message(state: AffectState) -> Any:
    """Build a ``hri_msgs/Expression``, stamped with the window's end."""
    return new(
        EXPRESSION, header={'stamp': time_message(state.window_end_ns),
                            'frame_id': state.frame_id},
        expression=expression_of(state.affect), valence=state.affect.valence,
        arousal=state.affect.arousal, confidence=state.confidence)


def engagement_message(attention: Attention) -> Any:
    """Build a ``hri_msgs/EngagementLevel``; the levels' numbers are ours, too."""
    return new(ENGAGEMENT, header={'stamp': time_message(attention.stamp_ns),
                                   'frame_id': attention.frame_id},
               level=int(attention.engagement))


def speech_message(utterance: Utterance) -> Any:
    """Build a ``hri_msgs/LiveSpeech``, stamped with the utterance's end."""
    text = {'final' if utterance.is_final else 'incremental': utterance.text}
    return new(LIVE_SPEECH, header={'stamp': time_message(utterance.end_ns)}, **text,
               confidence=utterance.confidence, locale=utterance.language)
