"""
The names of our topics, each in one place, and the way to hear what the affect node says.

Names are relative, so that a namespace sets two robots apart; on a graph without one they are
``/camera/image_raw``, ``/affect/state`` and so on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from maven_ros.graph.convert import (
    AFFECT_STATE,
    OUTLETS,
    UTTERANCE,
    state_record,
    utterance_record,
)
from maven_ros.graph.interface import STATE, Graph, Received, Subscription
from maven_ros.graph.messages import from_cdr
from maven_ros.records import NS, AffectEvent, AffectState, Output, SmoothedState, Utterance

IMAGE_TOPIC = 'camera/image_raw'
AUDIO_TOPIC = 'audio'
ROBOT_SPEAKING_TOPIC = 'robot_speaking'
ROBOT_AUDIO_TOPIC = 'robot_audio'
SPEECH_TOPIC = 'speech'
STATE_TOPIC = OUTLETS[AffectState].topic
STATE_SMOOTHED_TOPIC = OUTLETS[SmoothedState].topic
EVENT_TOPIC = OUTLETS[AffectEvent].topic
UTTERANCE_TOPIC = OUTLETS[Utterance].topic
ANNOTATED_TOPIC = 'affect/image_annotated'
TRACKED_TOPIC = 'humans/faces/tracked'
VOICE_TOPIC = 'humans/voices/voice_1/speech'  # one microphone is one voice: nobody tells whose
DIAGNOSTICS_TOPIC = '/diagnostics'  # ROS's own, for all robots

# What the example behaviour asks of a robot.
GAZE_TOPIC = 'robot/gaze'
LED_TOPIC = 'robot/led'
STYLE_TOPIC = 'robot/speaking_style'
DISTANCE_TOPIC = 'robot/distance'
BEHAVIOUR_TOPIC = 'robot/behaviour'  # all of it in words, for people
ROBOT_TYPES = {
    GAZE_TOPIC: 'sensor_msgs/msg/RegionOfInterest', LED_TOPIC: 'std_msgs/msg/ColorRGBA',
    STYLE_TOPIC: 'std_msgs/msg/String', DISTANCE_TOPIC: 'std_msgs/msg/Float32',
    BEHAVIOUR_TOPIC: 'std_msgs/msg/String'}

#: Topic and type of all that a pipeline hands out.
OUTPUT_TYPES = {one.topic: one.msgtype for one in OUTLETS.values()}


def output_message(output: Output, now_ns: int) -> tuple[str, Any]:
    """
    Turn what a pipeline hands out into a message.

    :param now_ns: when it becomes known: a state's latency is from its window's end to then.
    :returns: one of :data:`OUTPUT_TYPES`' topics, and the message.
    :raises GraphError: for a time that a message cannot hold.
    """
    outlet = OUTLETS[type(output)]
    return outlet.topic, outlet.message(output, now_ns)


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
