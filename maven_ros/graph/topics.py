"""
The names of the project's topics, and a helper that subscribes to states and utterances.

Names are relative, so that namespaces separate robots. Without a namespace they are
``/camera/image_raw``, ``/affect/state`` and so on.
"""

from __future__ import annotations

import re
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
from maven_ros.records import (
    NS,
    AffectEvent,
    AffectState,
    Attention,
    Output,
    SmoothedState,
    Utterance,
)

IMAGE_TOPIC = 'camera/image_raw'
AUDIO_TOPIC = 'audio'
ROBOT_SPEAKING_TOPIC = 'robot_speaking'
ROBOT_AUDIO_TOPIC = 'robot_audio'
SPEECH_TOPIC = 'speech'
STATE_TOPIC = OUTLETS[AffectState].topic
STATE_SMOOTHED_TOPIC = OUTLETS[SmoothedState].topic
ATTENTION_TOPIC = OUTLETS[Attention].topic
EVENT_TOPIC = OUTLETS[AffectEvent].topic
UTTERANCE_TOPIC = OUTLETS[Utterance].topic
GET_AFFECT_SERVICE, GET_AFFECT = 'affect/get_affect', 'maven_ros/srv/GetAffect'
ANNOTATED_TOPIC = 'affect/image_annotated'
TRACKED_TOPIC = 'humans/faces/tracked'
VOICES_TOPIC = 'humans/voices/tracked'
MATCHES_TOPIC = 'humans/candidate_matches'
#: Ids that the node gives to faces and voices of ROS4HRI; a topic's part begins with a letter.
OWN_ID = re.compile('mv[0-9a-f]{5}')
#: The speech that the node publishes; before its ids were random, it was that of voice_1.
_OWN_SPEECH = re.compile(f'.*/humans/voices/(voice_1|{OWN_ID.pattern})/speech')
DIAGNOSTICS_TOPIC = '/diagnostics'  # ROS's own, for all robots

# Goals of the example behaviour.
GAZE_TOPIC = 'robot/gaze'
LED_TOPIC = 'robot/led'
STYLE_TOPIC = 'robot/speaking_style'
DISTANCE_TOPIC = 'robot/distance'
BEHAVIOUR_TOPIC = 'robot/behaviour'  # all goals in words
ROBOT_TYPES = {
    GAZE_TOPIC: 'sensor_msgs/msg/RegionOfInterest', LED_TOPIC: 'std_msgs/msg/ColorRGBA',
    STYLE_TOPIC: 'std_msgs/msg/String', DISTANCE_TOPIC: 'std_msgs/msg/Float32',
    BEHAVIOUR_TOPIC: 'std_msgs/msg/String'}

#: Topics and types of all outputs of a pipeline.
OUTPUT_TYPES = {one.topic: one.msgtype for one in OUTLETS.values()}


def diagnosis_name(graph: Graph, what: str = 'affect') -> str:
    """Return the name of a node's status on ``/diagnostics``."""
    return f'maven_ros: {graph.resolve(what)}'


def info_topic(audio: str) -> str:
    """Return the topic of the AudioInfo: ros-drivers has it beside that of the sound."""
    return audio.rpartition('/')[0] + '/audio_info'


def output_message(output: Output, now_ns: int) -> tuple[str, Any]:
    """
    Convert an output of a pipeline to a message.

    :param now_ns: time at which it becomes known; a state's latency is the time from its window's
        end to then.
    :returns: one of :data:`OUTPUT_TYPES`' topics, and the message.
    :raises GraphError: for a time that a message cannot hold.
    """
    outlet = OUTLETS[type(output)]
    return outlet.topic, outlet.message(output, now_ns)


def camera_info_topic(image: str) -> str:
    """Return the topic of the CameraInfo: image_transport has it beside that of the pictures."""
    return image.removesuffix('/compressed').rpartition('/')[0] + '/camera_info'


def is_echo(topic: str) -> bool:
    """Tell whether a topic is an output that must not be mistaken for an input."""
    return topic.endswith(f'/{ANNOTATED_TOPIC}') or bool(_OWN_SPEECH.fullmatch(topic))


def hear_affect(
    graph: Graph, on_state: Callable[[AffectState, float], None],
    on_utterance: Callable[[Utterance], None],
) -> list[Subscription]:
    """
    Subscribe to states and utterances.

    :param on_state: takes a state, and the seconds from its window's end to its publication.
    :param on_utterance: takes an utterance, partial or final.
    """
    def state(received: Received) -> None:
        message = from_cdr(received.cdr, received.msgtype)
        latency_s = message.latency.sec + message.latency.nanosec / NS
        on_state(state_record(message), latency_s)

    def utterance(received: Received) -> None:
        on_utterance(utterance_record(from_cdr(received.cdr, received.msgtype)))

    return [graph.subscribe(STATE_TOPIC, AFFECT_STATE, STATE, state),
            graph.subscribe(UTTERANCE_TOPIC, UTTERANCE, STATE, utterance)]
