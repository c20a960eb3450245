"""
Publish people, states and utterances in the form of ROS4HRI (REP-155).

The expression is the word of REP-155 whose angle in Russell, "A circumplex model of affect"
(1980), table 2, is nearest. Near the centre of the circumplex it is neutral.
"""

from __future__ import annotations

import logging
import math
import time
from typing import Any

from maven_ros.affect import Affect
from maven_ros.closing import Closing
from maven_ros.errors import GraphError
from maven_ros.graph.convert import BOOL, LIVE_SPEECH
from maven_ros.graph.interface import STATE, Graph, Publisher
from maven_ros.graph.messages import new, time_message
from maven_ros.graph.topics import MATCHES_TOPIC, VOICES_TOPIC
from maven_ros.intake.face_pairing import IDS_LIST
from maven_ros.nodes.ros4hri_faces import FaceOutputs, new_id
from maven_ros.records import (
    NS,
    AffectState,
    Attention,
    Seen,
    Status,
    Utterance,
    VoiceAssigned,
)

EXPRESSION = 'hri_msgs/msg/Expression'
ENGAGEMENT = 'hri_msgs/msg/EngagementLevel'
#: Angles in degrees. Russell's words for surprised and scared are astonished and afraid.
ANGLES_DEG = {'happy': 7.8, 'excited': 48.6, 'surprised': 69.8, 'angry': 99.0, 'scared': 116.0,
              'annoyed': 123.0, 'sad': 207.5, 'bored': 241.9, 'tired': 267.7}
MATCH = 'hri_msgs/msg/IdsMatch'
#: The confidence that a voice is a face's. Of 284 windows that gave a voice to a face in composed
#: pictures of several people (docs/acting.md), 253 were right. 0 means: they do not belong
#: together. Of a voice that is undecided, nothing is said.
_MATCHES = {VoiceAssigned.SELF: 0.89, VoiceAssigned.OTHER: 0.0}
_AGAIN_S = 1.0
_GONE_NS = 10 * NS

_log = logging.getLogger('maven_ros.affect')


class Ros4Hri(Closing):
    """
    Publish faces, the microphone's voice, and which of the faces it is.

    The names are relative; without a namespace they are those of REP-155. A microphone counts as
    one voice, which is listed all the time.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self.faces = FaceOutputs(graph, time.monotonic())
        self._voice_id = new_id()
        self._open: dict[str, tuple[Publisher, int]] = {}  # by topic, with the time of its use
        self._matched: dict[str, float] = {}  # confidence of each face that is in view
        self._told_s, self._speaking = -math.inf, False
        self._always: list[Publisher] = []
        try:
            self._always = [graph.advertise(topic, msgtype, STATE) for topic, msgtype in (
                (f'humans/voices/{self._voice_id}/speech', LIVE_SPEECH),
                (f'humans/voices/{self._voice_id}/is_speaking', BOOL),
                (VOICES_TOPIC, IDS_LIST), (MATCHES_TOPIC, MATCH))]
        except GraphError as error:
            _log.info('ROS4HRI outputs are not published: %s', error)

    @property
    def works(self) -> bool:
        """Whether hri_msgs is installed."""
        return bool(self._always)

    def look(self, now_s: float, now_ns: int, speaking: bool) -> None:
        """
        Look for other detectors; tell of the voice when it changes, and once a second.

        :param now_s: a steady clock; ``now_ns`` is the graph's.
        """
        if not self.works:
            return
        self.faces.look(now_s)
        if speaking is self._speaking and now_s - self._told_s < _AGAIN_S:
            return
        _, says, voices, matches = self._always
        self._told_s, self._speaking = now_s, speaking
        voices.publish(new(IDS_LIST, header={'stamp': time_message(now_ns)},
                           ids=[self._voice_id]))
        says.publish(new(BOOL, data=speaking))
        for face_id, confidence in self._matched.items():
            matches.publish(self._match(face_id, confidence))

    def publish_faces(self, seen: Seen) -> None:
        """Publish the faces in a frame."""
        if self.works:
            self.faces.publish(seen)

    def publish_state(self, state: AffectState) -> None:
        """Publish the expression of a face, if there is evidence, and whether the voice is its."""
        if not self.works or not state.person_id:
            return
        face_id, now_ns = self.faces.id_of(state.person_id), state.window_end_ns
        confidence = _MATCHES.get(state.voice_assigned)
        if confidence is None:
            self._matched.pop(face_id, None)
        elif self._matched.get(face_id) != confidence:
            self._matched[face_id] = confidence
            self._always[-1].publish(self._match(face_id, confidence))
        if state.status is not Status.NO_EVIDENCE:
            self._publisher(f'humans/faces/{face_id}/expression', EXPRESSION,
                            now_ns).publish(expression_message(state))

    def publish_attention(self, attention: Attention) -> None:
        """Publish the engagement of a person."""
        if self.works:
            self._publisher(f'humans/persons/{attention.person_id}/engagement_status', ENGAGEMENT,
                            attention.stamp_ns).publish(engagement_message(attention))

    def publish_utterance(self, utterance: Utterance) -> None:
        """Publish an utterance, partial or final."""
        if self.works and utterance.words:
            self._always[0].publish(speech_message(utterance))

    def close(self) -> None:
        """Close all topics."""
        self.faces.close()
        for publisher in (*self._always, *(publisher for publisher, _ in self._open.values())):
            publisher.close()
        self._open.clear()
        self._always = []

    def _match(self, face_id: str, confidence: float) -> Any:
        match = new(MATCH, id1=face_id, id2=self._voice_id, confidence=confidence)
        match.id1_type, match.id2_type = match.FACE, match.VOICE
        return match

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
                self._matched.pop(other.split('/')[2], None)
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
