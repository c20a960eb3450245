"""
The names of our topics, each in one place, and the way to hear what the affect node says.

Names are relative, so that a namespace sets two robots apart; on a graph without one they are
``/camera/image_raw``, ``/affect/state`` and so on.
"""

from __future__ import annotations

from collections.abc import Callable

from maven_ros.graph.convert import AFFECT_STATE, UTTERANCE, state_record, utterance_record
from maven_ros.graph.interface import STATE, Graph, Received, Subscription
from maven_ros.graph.messages import from_cdr
from maven_ros.records import NS, AffectState, Utterance

IMAGE_TOPIC = 'camera/image_raw'
AUDIO_TOPIC = 'audio'
ROBOT_SPEAKING_TOPIC = 'robot_speaking'
SPEECH_TOPIC = 'speech'
STATE_TOPIC = 'affect/state'
UTTERANCE_TOPIC = 'affect/utterance'
ANNOTATED_TOPIC = 'affect/image_annotated'
VOICE_TOPIC = 'humans/voices/voice_1/speech'  # one microphone is one voice: nobody tells whose
DIAGNOSTICS_TOPIC = '/diagnostics'  # ROS's own, for all robots


def is_echo(topic: str) -> bool:
    """Tell an output whose type is an input's: it must never be taken for one."""
    return topic.endswith((f'/{ANNOTATED_TOPIC}', f'/{VOICE_TOPIC}'))


def hear_affect(
    graph: Graph, on_state: Callable[[AffectState, float], None],
    on_utterance: Callable[[Utterance], None],
) -> list[Subscription]:
    """
    Subscribe to states and utterances.

    :param on_state: takes a state, and the seconds from its window's end to its publication.
    :param on_utterance: takes a result of recognition, partial or final.
    """
    def state(received: Received) -> None:
        message = from_cdr(received.cdr, received.msgtype)
        latency_s = message.latency.sec + message.latency.nanosec / NS
        on_state(state_record(message), latency_s)

    def utterance(received: Received) -> None:
        on_utterance(utterance_record(from_cdr(received.cdr, received.msgtype)))

    return [graph.subscribe(STATE_TOPIC, AFFECT_STATE, STATE, state),
            graph.subscribe(UTTERANCE_TOPIC, UTTERANCE, STATE, utterance)]
