"""
States and utterances as ROS4HRI (REP-155) has them, for those who listen to people that way.

Expressions stand where Russell, "A circumplex model of affect" (1980), table 2, has the nearest
word of REP-155: the angle decides, and near the middle a face is neutral.
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
from maven_ros.records import NS, AffectState, Status, Utterance

EXPRESSION = 'hri_msgs/msg/Expression'
#: Angles in degrees; Russell's words, where they differ: astonished, afraid.
ANGLES_DEG = {'happy': 7.8, 'excited': 48.6, 'surprised': 69.8, 'angry': 99.0, 'scared': 116.0,
              'annoyed': 123.0, 'sad': 207.5, 'bored': 241.9, 'tired': 267.7}
_GONE_NS = 10 * NS

_log = logging.getLogger('maven_ros.affect')


class Ros4Hri:
    """
    Publishes ``humans/faces/<id>/expression`` and ``humans/voices/voice_1/speech``.

    Names are relative, so that they are REP-155's where there is no namespace.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._faces: dict[str, tuple[Publisher, int]] = {}  # and when it was last heard of
        self._speech: Publisher | None = None
        try:
            self._speech = graph.advertise(VOICE_TOPIC, LIVE_SPEECH, STATE)
        except GraphError as error:
            _log.info('nothing is published as ROS4HRI has it: %s', error)

    def publish_state(self, state: AffectState) -> None:
        """Publish the expression of a face; nothing where there is no evidence of one."""
        if self._speech is None or not state.person_id or state.status is Status.NO_EVIDENCE:
            return
        now_ns = state.window_end_ns
        publisher, _ = self._faces.get(state.person_id, (None, 0))
        if publisher is None:
            publisher = self._graph.advertise(
                f'humans/faces/{state.person_id}/expression', EXPRESSION, STATE)
        self._faces[state.person_id] = publisher, now_ns
        publisher.publish(expression_message(state))
        for person_id, (gone, then_ns) in list(self._faces.items()):
            if not 0 <= now_ns - then_ns < _GONE_NS:
                gone.close()
                del self._faces[person_id]

    def publish_utterance(self, utterance: Utterance) -> None:
        """Publish what was said, or is being said."""
        if self._speech is not None and utterance.words:
            self._speech.publish(speech_message(utterance))

    def close(self) -> None:
        """Withdraw from every topic."""
        for publisher, _ in self._faces.values():
            publisher.close()
        self._faces.clear()
        if self._speech is not None:
            self._speech.close()


def expression_of(affect: Affect) -> str:
    """Return the expression of REP-155 that is nearest on the circumplex."""
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


def speech_message(utterance: Utterance) -> Any:
    """Build a ``hri_msgs/LiveSpeech``, stamped with the end of what was said."""
    text = {'final' if utterance.is_final else 'incremental': utterance.text}
    return new(LIVE_SPEECH, header={'stamp': time_message(utterance.end_ns)}, **text,
               confidence=utterance.confidence, locale=utterance.language)
