"""Choose the topics of a bag that are replayed, by their types or names."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Collection
from dataclasses import dataclass, fields

from maven_ros.errors import GraphError, ResourceError
from maven_ros.graph.bag.bag_graph import BagGraph
from maven_ros.graph.interface import SENSOR, Received
from maven_ros.graph.topics import (
    OWN_ID,
    ROBOT_AUDIO_TOPIC,
    ROBOT_SPEAKING_TOPIC,
    TRACKED_TOPIC,
    camera_info_topic,
    info_topic,
    is_echo,
)
from maven_ros.intake.face_pairing import IDS_LIST
from maven_ros.intake.face_topics import part_topics
from maven_ros.intake.input_reader import INPUT_TYPES

_log = logging.getLogger('maven_ros.replay')

_TYPES = {**INPUT_TYPES, 'faces': (IDS_LIST,)}
#: The types std_msgs/Bool and IdsList may mean anything, and sound may be the microphone's.
#: So these topics are found by name.
_BY_NAME = {'robot_speaking': ROBOT_SPEAKING_TOPIC, 'robot_audio': ROBOT_AUDIO_TOPIC,
            'faces': TRACKED_TOPIC}

#: What describes another input, and stands beside it.
_BESIDE = {'camera_info': ('image', camera_info_topic), 'audio_info': ('audio', info_topic)}


@dataclass(frozen=True)
class Sources:
    """
    Full names of the topics that are replayed; empty for topics that are found, or absent.

    :param image: sensor_msgs/Image or CompressedImage.
    :param camera_info: calibration of the camera; found beside the pictures if not named.
    :param audio: AudioChunk, AudioStamped, AudioData or AudioDataStamped.
    :param audio_info: description of AudioData; found beside the sound if not named.
    :param robot_speaking: std_msgs/Bool; found by its name.
    :param robot_audio: AudioChunk or AudioStamped that the robot plays; found by its name.
    :param speech: hri_msgs/LiveSpeech.
    :param faces: lists of ids of a ROS4HRI face detector; found by its name.
    """

    image: str = ''
    camera_info: str = ''
    audio: str = ''
    audio_info: str = ''
    robot_speaking: str = ''
    robot_audio: str = ''
    speech: str = ''
    faces: str = ''

    def topics(self, bag: BagGraph) -> list[str]:
        """Return all topics to read, including two for each face."""
        own = list(filter(None, (getattr(self, one.name) for one in fields(self))))
        return own + (part_topics(self.faces, bag.topics()) if self.faces else [])


def find_sources(
    bag: BagGraph, named: Sources, ros4hri: bool = True, unused: Collection[str] = (),
) -> Sources:
    """
    Choose the topics to replay.

    :param named: topics that the caller names; another topic is found if it has one candidate.
    :param ros4hri: False to leave out the faces of a ROS4HRI detector.
    :param unused: roles that are left out.
    :raises GraphError: for a named topic that is missing or has another type, for several
        candidates, and for a bag with neither pictures nor sound; lists the bag's topics.
    """
    found = {one.name: getattr(named, one.name) for one in fields(Sources)}
    for role, name in found.items():
        if role in unused:
            found[role] = ''
        elif name:
            found[role] = _named(bag, role, bag.resolve(name))
        elif role in _BY_NAME:
            found[role] = _ending(bag, role, _BY_NAME[role])
        elif role not in _BESIDE:
            found[role] = _only(bag, role, bag.resolve(named.robot_audio or ROBOT_AUDIO_TOPIC))
    if not ros4hri or _own(bag, found['faces']) or not _usable(bag, found['faces']):
        found['faces'] = ''
    for role, (described, topic_of) in _BESIDE.items():
        if not found[role] and found[described]:
            beside = topic_of(found[described])
            found[role] = beside if beside in _candidates(bag, role) else ''
    if not found['image'] and not found['audio']:
        wanted = ', '.join((*INPUT_TYPES['image'], *INPUT_TYPES['audio']))
        raise GraphError(f'{bag.path}: holds neither pictures nor sound ({wanted}); its topics: '
                         f'{_listed(bag)}')
    for role, what in (('image', 'pictures'), ('audio', 'sound')):
        if not found[role] and role not in unused:
            _log.warning('%s: replayed without %s (%s); its topics: %s', bag.path, what,
                         ', '.join(INPUT_TYPES[role]), _listed(bag))
    return Sources(**found)


def sound_info(bag: BagGraph, sources: Sources, start_ns: int | None = None) -> Received | None:
    """
    Return the AudioInfo that describes the sound from some time on.

    :param start_ns: that time: the newest message before it is taken, or else the first one;
        None for the beginning of the bag.
    :returns: None if the bag has none.
    """
    found: Received | None = None
    with contextlib.suppress(ResourceError):  # the replay reports where a bag is broken
        for received in bag.read([sources.audio_info] if sources.audio_info else []):
            if found is not None and received.received_ns > (start_ns or 0):
                break
            found = received
    return found


def _candidates(bag: BagGraph, role: str) -> list[str]:
    counts = bag.message_counts()
    return [topic for topic, msgtype in bag.topics().items()
            if msgtype in _TYPES[role] and counts[topic] and not is_echo(topic)]


def _named(bag: BagGraph, role: str, topic: str) -> str:
    msgtype = bag.topics().get(topic)
    if msgtype is None:
        raise GraphError(f'{topic}: is not in {bag.path}; its topics: {_listed(bag)}')
    if msgtype not in _TYPES[role]:
        raise GraphError(f'{topic}: is {msgtype}; allowed for {role}: '
                         f'{", ".join(_TYPES[role])}')
    return topic


def _only(bag: BagGraph, role: str, robot_audio: str) -> str:
    candidates = [one for one in _candidates(bag, role)
                  if one != robot_audio and not one.endswith(f'/{ROBOT_AUDIO_TOPIC}')]
    if len(candidates) > 1:
        raise GraphError(_several(bag, role, candidates))
    return candidates[0] if candidates else ''


def _ending(bag: BagGraph, role: str, name: str) -> str:
    """Return the only topic with that name, in any namespace, and with the right type."""
    candidates = [one for one in _candidates(bag, role) if one.endswith(f'/{name}')]
    if len(candidates) > 1:
        _log.warning('%s; replayed without', _several(bag, role, candidates))
    return candidates[0] if len(candidates) == 1 else ''


def _several(bag: BagGraph, role: str, candidates: list[str]) -> str:
    return (f'{bag.path}: {role} may be any of {", ".join(candidates)}; name one with '
            f'--{role.replace("_", "-")}-topic')


def _own(bag: BagGraph, lists: str) -> bool:
    """Tell whether an affect node found the faces in a bag: the replay finds them again."""
    ids = {topic.rsplit('/', 2)[1] for topic in part_topics(lists, bag.topics())}
    return bool(ids) and all(map(OWN_ID.fullmatch, ids))


def _usable(bag: BagGraph, lists: str) -> bool:
    """Tell whether a detector's messages have known definitions."""
    known = bag.topics()
    try:
        for topic in Sources(faces=lists).topics(bag):
            bag.subscribe(topic, known[topic], SENSOR, lambda received: None).close()
    except GraphError as error:  # a live node also goes on without these faces
        _log.warning('%s: replayed without the faces of %s: %s', bag.path, lists, error)
        return False
    return True


def _listed(bag: BagGraph) -> str:
    counts = bag.message_counts()
    return ', '.join(f'{topic} ({msgtype}, {counts[topic]})'
                     for topic, msgtype in bag.topics().items()) or 'none'
