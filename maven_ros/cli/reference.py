"""
Generate the parameter file and the tables of ``docs/ros2.md`` from the code.

``tools/update_reference.py`` writes them; a test compares them with the code.
"""

from __future__ import annotations

import dataclasses
import json
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from maven_ros.declarations import Parameter
from maven_ros.graph.convert import BOOL, DIAGNOSTICS, LIVE_SPEECH, OUTLETS
from maven_ros.graph.images import IMAGE
from maven_ros.graph.interface import DRAWING, IMAGE_INPUT, INPUT, SOUND_INPUT, STATE, Qos
from maven_ros.graph.topics import (
    ANNOTATED_TOPIC,
    AUDIO_TOPIC,
    DIAGNOSTICS_TOPIC,
    IMAGE_TOPIC,
    MATCHES_TOPIC,
    ROBOT_AUDIO_TOPIC,
    ROBOT_SPEAKING_TOPIC,
    SPEECH_TOPIC,
    TRACKED_TOPIC,
    VOICES_TOPIC,
    camera_info_topic,
)
from maven_ros.intake.face_pairing import IDS_LIST, LANDMARKS, REGION
from maven_ros.intake.input_reader import INPUT_TYPES
from maven_ros.nodes.ros4hri import ENGAGEMENT, EXPRESSION, MATCH
from maven_ros.nodes.ros4hri_faces import PARTS
from maven_ros.outside import FORM
from maven_ros.settings import Settings, parameters

_WIDTH = 96
_LIVE = 'may change while the node runs'


@dataclass(frozen=True)
class Topic:
    """
    A topic of the affect node.

    :param name: relative to the namespace unless absolute.
    :param types: the published type, or the accepted ones.
    :param direction: ``'in'`` or ``'out'``.
    """

    name: str
    types: tuple[str, ...]
    direction: str
    qos: Qos
    doc: str


TOPICS = (
    Topic(IMAGE_TOPIC, INPUT_TYPES['image'], 'in', IMAGE_INPUT,
          'pictures; `<name>/compressed` if there is no such topic'),
    Topic(camera_info_topic(IMAGE_TOPIC), INPUT_TYPES['camera_info'], 'in', INPUT,
          'calibration of the camera, beside the pictures, for [attention](acting.md#attention)'),
    Topic(AUDIO_TOPIC, INPUT_TYPES['audio'], 'in', SOUND_INPUT, 'sound'),
    Topic('audio_info', INPUT_TYPES['audio_info'], 'in', INPUT,
          'format of `AudioData`, beside the sound; may be latched'),
    Topic(ROBOT_SPEAKING_TOPIC, INPUT_TYPES['robot_speaking'], 'in', INPUT,
          'true while the robot itself speaks: its sound and words are ignored'),
    Topic(ROBOT_AUDIO_TOPIC, INPUT_TYPES['robot_audio'], 'in', SOUND_INPUT,
          'sound that the robot plays, published before it is heard: its echo is ignored'),
    Topic(SPEECH_TOPIC, INPUT_TYPES['speech'], 'in', INPUT, 'words from another recogniser'),
    Topic(TRACKED_TOPIC, (IDS_LIST,), 'in', IMAGE_INPUT,
          'ids of the faces that a ROS4HRI detector sees, if `faces.ros4hri` is true'),
    Topic('humans/faces/<id>/roi', (REGION,), 'in', IMAGE_INPUT, 'position of the face; likewise'),
    Topic('humans/faces/<id>/landmarks', (LANDMARKS,), 'in', IMAGE_INPUT,
          'positions of the eyes; likewise'),
    *(Topic(one.topic, (one.msgtype,), 'out', STATE, one.doc) for one in OUTLETS.values()),
    Topic(ANNOTATED_TOPIC, (IMAGE,), 'out', DRAWING,
          'pictures with faces and affect; drawn only for subscribers'),
    Topic('humans/faces/<id>/expression', (EXPRESSION,), 'out', STATE,
          'the nearest expression of ROS4HRI, if `outputs.ros4hri` is true'),
    Topic('humans/persons/<id>/engagement_status', (ENGAGEMENT,), 'out', STATE,
          'whether the person attends to the robot; likewise'),
    Topic(TRACKED_TOPIC, (IDS_LIST,), 'out', STATE,
          'ids of the faces in the newest frame, while no other node publishes this; likewise'),
    *(Topic(f'humans/faces/<id>/{part}', (msgtype,), 'out', DRAWING if msgtype == IMAGE else STATE,
            f'{what}; made for subscribers, and likewise')
      for (part, msgtype), what in zip(PARTS.items(), (
          'box of the face', 'eyes, nose and corners of the mouth',
          'the box in 128x128 pixels, with 0 beside it', 'the same size, the eyes level'),
          strict=True)),
    Topic(VOICES_TOPIC, (IDS_LIST,), 'out', STATE,
          'id of the microphone, which counts as one voice; likewise'),
    Topic('humans/voices/<id>/is_speaking', (BOOL,), 'out', STATE,
          'whether somebody speaks; likewise'),
    Topic('humans/voices/<id>/speech', (LIVE_SPEECH,), 'out', STATE, 'utterances; likewise'),
    Topic(MATCHES_TOPIC, (MATCH,), 'out', STATE,
          'of several faces, whose voice it is (0.89) and is not (0), if decided; likewise'),
    Topic(DIAGNOSTICS_TOPIC, (DIAGNOSTICS,), 'out', STATE,
          'rates, drops by cause, latency, device and model, each second'),
)


def parameter_file() -> str:
    """Return a ROS parameter file with every parameter at its default, annotated."""
    lines = [
        '# All parameters of the affect node with their defaults, from `maven-ros parameters`.',
        '# /** means any node in any namespace; /robot1/affect_node would mean a single node.',
        '/**:',
        '  ros__parameters:']
    section = ''
    for one in parameters(Settings()):
        name, _, key = one.name.partition('.')
        if name != section:
            section = name
            lines += ['', *_comment(_section_doc(name), 4), f'    {name}:']
        kind = ', '.join(filter(None, (_ros_type(one), _allowed(one), _LIVE * one.live)))
        lines += [*_comment(one.doc, 6), *_comment(kind, 6),
                  f'      {key}: {json.dumps(one.default)}']
    return '\n'.join(lines) + '\n'


def parameter_table() -> str:
    """Return every parameter as a table in Markdown."""
    return _table(('parameter', 'type', 'default', 'allowed', 'live', 'effect'), (
        (f'`{one.name}`', _ros_type(one), f'`{json.dumps(one.default)}`', _allowed(one),
         'yes' * one.live, one.doc) for one in parameters(Settings())))


def topic_table(direction: str) -> str:
    """
    Return the topics of the affect node as a table in Markdown.

    :param direction: ``'in'`` or ``'out'``.
    """
    return _table(('topic', 'type', 'QoS', 'content'), (
        (f'`{one.name}`', ', '.join(f'`{_short(kind)}`' for kind in one.types),
         f'{one.qos.reliability.value.replace("_", " ")}, {one.qos.depth}', one.doc)
        for one in TOPICS if one.direction == direction))


#: The text between ``<!-- NAME -->`` and ``<!-- /NAME -->`` in docs/ros2.md.
TABLES = {
    'topics in': lambda: topic_table('in'),
    'topics out': lambda: topic_table('out'),
    'parameters': parameter_table,
}


def with_tables(text: str) -> str:
    """
    Return a document with its tables updated.

    :raises ValueError: names a table whose markers are missing.
    """
    for name, table in TABLES.items():
        begin, end = f'<!-- {name} -->\n', f'<!-- /{name} -->'
        before, found, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not (found and closed):
            raise ValueError(f'{name}: no {begin.strip()} ... {end} in the document')
        text = f'{before}{begin}{table()}{end}{after}'
    return text


def _section_doc(name: str) -> str:
    values = getattr(Settings(), name)
    assert dataclasses.is_dataclass(values)
    return (type(values).__doc__ or '').strip()


def _ros_type(one: Parameter) -> str:
    return {bool: 'bool', int: 'integer', float: 'double', str: 'string'}[one.type]


def _allowed(one: Parameter) -> str:
    """Describe the allowed values beyond the type."""
    if one.choices:
        return ' or '.join([*one.choices, *([FORM] if one.outside else [])])
    if one.path:
        return f'{one.existing}, or empty'
    return one.allowed.partition(' in ')[2]


def _short(msgtype: str) -> str:
    return msgtype.replace('/msg/', '/')


def _comment(text: str, indent: int) -> list[str]:
    prefix = ' ' * indent + '# '
    return textwrap.wrap(text, _WIDTH, initial_indent=prefix, subsequent_indent=prefix)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ['---'] * len(head), *rows]
    return ''.join(f'| {" | ".join(cells)} |\n' for cells in lines)
