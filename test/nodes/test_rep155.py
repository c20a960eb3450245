"""
A listener written from REP-155 alone: it knows its topics, and nothing of this node.

It does as libhri does: it follows the lists of ids, and subscribes to the topics of each id.
"""

import dataclasses
import re
import threading

import numpy as np
import pytest
from inputs import SAMPLE
from waiting import eventually

from maven_ros.affect import Affect
from maven_ros.devices.player import Player
from maven_ros.graph.interface import STATE, Qos, Reliability
from maven_ros.graph.messages import from_cdr, new, time_message, time_ns
from maven_ros.nodes.affect_node import AffectNode
from maven_ros.nodes.ros4hri import Ros4Hri
from maven_ros.nodes.ros4hri_faces import FaceOutputs, aligned, cropped
from maven_ros.records import (
    NS,
    AffectState,
    Box,
    Face,
    Modality,
    Seen,
    Status,
    VoiceAssigned,
)
from maven_ros.settings import Settings

IDS, IMAGE = 'hri_msgs/msg/IdsList', 'sensor_msgs/msg/Image'
RELIABLE = Qos(Reliability.RELIABLE, 10)  # what rclcpp's SystemDefaultsQoS is


FACE = {'roi': 'hri_msgs/msg/NormalizedRegionOfInterest2D',
        'landmarks': 'hri_msgs/msg/FacialLandmarks', 'cropped': IMAGE, 'aligned': IMAGE,
        'expression': 'hri_msgs/msg/Expression'}
VOICE = {'is_speaking': 'std_msgs/msg/Bool', 'speech': 'hri_msgs/msg/LiveSpeech'}


class Rep155:
    """The faces and voices that are listed now, and the newest message on each of their topics."""

    def __init__(self, graph):
        self._graph = graph
        self.faces, self.voices, self.matches, self.ids = {}, {}, [], set()
        self._hear('/humans/faces/tracked', IDS, lambda one: self._listed(
            'faces', self.faces, FACE, one.ids))
        self._hear('/humans/voices/tracked', IDS, lambda one: self._listed(
            'voices', self.voices, VOICE, one.ids))
        self._hear('/humans/candidate_matches', 'hri_msgs/msg/IdsMatch', self.matches.append)

    def _hear(self, topic, msgtype, use):
        self._graph.subscribe(topic, msgtype, RELIABLE,
                              lambda received: use(from_cdr(received.cdr, msgtype)))

    def _listed(self, kind, known, parts, ids):
        for gone in [one for one in known if one not in ids]:
            del known[gone]
        for one in ids:
            if one not in known:
                known[one] = {}
                self.ids.add(one)
                threading.Thread(target=self._follow, args=(kind, one, parts, known[one])).start()

    def _follow(self, kind, one, parts, heard):
        for part, msgtype in parts.items():
            self._hear(f'/humans/{kind}/{one}/{part}', msgtype,
                       lambda message, part=part: heard.__setitem__(part, message))


def test_a_listener_of_rep_155_sees_a_face_with_its_expression_and_a_voice(graph, running):
    listener = Rep155(graph)
    running(AffectNode(graph, Settings().with_values({'speech.recogniser': 'none'})))
    stop = threading.Event()
    player = threading.Thread(target=Player(graph, SAMPLE, loop=0).run, args=(stop,))
    player.start()
    try:
        eventually(lambda: any(set(parts) == set(FACE) for parts in
                               listener.faces.values()), 40, lambda: listener.faces.keys())
        eventually(lambda: any(parts.get('is_speaking') and parts['is_speaking'].data
                               for parts in listener.voices.values()), 20, listener.voices.keys)
        [(face_id, face)] = listener.faces.items()
    finally:
        stop.set()
        player.join()
    roi, marks = face['roi'], face['landmarks']
    assert 0 <= roi.xmin < roi.xmax <= 1 and 0 <= roi.ymin < roi.ymax <= 1 and 0.5 < roi.c <= 1
    known = {index for index, point in enumerate(marks.landmarks) if point.c > 0}
    assert known == {68, 69, 30, 48, 54} and len(marks.landmarks) == 70
    right, left, nose = (marks.landmarks[index] for index in (68, 69, 30))
    assert roi.xmin < right.x < nose.x < left.x < roi.xmax and roi.ymin < nose.y < roi.ymax
    assert (marks.width, marks.height) == (384, 384)
    for part in ('cropped', 'aligned'):
        assert (face[part].width, face[part].height) == (128, 128)
        assert face[part].encoding == 'bgr8' and face[part].data.std() > 20
    assert -1 <= face['expression'].valence <= 1 and face['expression'].expression
    assert time_ns(roi.header.stamp) and roi.header.frame_id == 'camera'
    # Short, kept through the run, apart from each other, and allowed in a ROS 2 name.
    assert listener.ids == {face_id, *listener.voices}
    assert all(re.fullmatch('[a-z][a-z0-9_]{2,9}', one) for one in listener.ids)
    [status] = {topic for topic in graph.topics() if topic.endswith('/engagement_status')}
    assert graph.topics()[status] == 'hri_msgs/msg/EngagementLevel'


PICTURE = np.random.default_rng(1).integers(0, 255, (240, 320, 3), np.uint8)


def seen(*people, elsewhere=False, stamp_ns=5 * NS):
    faces = tuple(Face(stamp_ns, one, Box(10 + 100 * i, 20, 60, 80), PICTURE[:2, :2])
                  for i, one in enumerate(people))
    return Seen(stamp_ns, 'eye', PICTURE, faces, elsewhere)


def state(person, voice):
    return AffectState(
        window_start_ns=3 * NS, window_end_ns=5 * NS, status=Status.OK, person_id=person,
        affect=Affect(0.5, 0.4), valence_std=0.1, arousal_std=0.1, modalities=Modality.VIDEO,
        influence=(1.0, 0.0, 0.0), voice_assigned=voice, transcript='', face=None,
        frame_id='eye', model='m')


@pytest.fixture
def ros4hri(graph):
    with Ros4Hri(graph) as ros4hri:
        ros4hri.look(1e12, 5 * NS, False)  # long after any other would have been found
        yield ros4hri


def test_a_voice_is_matched_with_the_face_that_it_is_of(graph, ros4hri):
    listener = Rep155(graph)
    eventually(lambda: ros4hri._always[-1].subscription_count() and ros4hri.faces._list
               .subscription_count())
    ros4hri.publish_faces(seen('person_1', 'person_2'))
    eventually(lambda: len(listener.faces) == 2)
    first, second = listener.faces
    ros4hri.publish_state(state('person_1', VoiceAssigned.UNDECIDED))
    ros4hri.publish_state(state('person_1', VoiceAssigned.SELF))
    ros4hri.publish_state(state('person_2', VoiceAssigned.OTHER))
    eventually(lambda: len(listener.matches) == 2)
    ros4hri.look(2e12, 6 * NS, True)
    eventually(lambda: len(listener.matches) == 4 and listener.voices)
    [voice] = listener.voices
    assert {(one.id1, one.id2) for one in listener.matches} == {(first, voice), (second, voice)}
    assert all((one.id1_type, one.id2_type) == (2, 4) for one in listener.matches)
    assert {one.id1: round(one.confidence, 2) for one in listener.matches} == {
        first: 0.89, second: 0.0}


def test_another_detector_owns_the_list_and_keeps_its_ids(graph):
    faces = FaceOutputs(graph, 0.0)
    with faces:
        faces.look(2.0)
        assert faces.lists == 1
        faces.publish(seen('person_1'))
        other = graph.advertise('humans/faces/tracked', IDS, STATE)
        eventually(lambda: graph.publisher_count('/humans/faces/tracked') == 2)
        faces.look(3.0)
        assert faces.lists == 0 and not faces._faces
        faces.publish(seen('abcde', elsewhere=True))
        assert faces.id_of('abcde') == 'abcde' and faces.id_of('person_1') != 'person_1'
        other.close()
        eventually(lambda: graph.publisher_count('/humans/faces/tracked') == 0)
        faces.look(3.5)
        assert faces.lists == 0  # it may come back
        faces.look(8.0)
        assert faces.lists == 1


def test_what_nobody_subscribes_to_is_not_made(graph, monkeypatch):
    from maven_ros.nodes import ros4hri_faces

    made = []
    monkeypatch.setattr(ros4hri_faces, '_MAKERS', {
        part: lambda *_, part=part: made.append(part) or new(ros4hri_faces.PARTS[part])
        for part in ros4hri_faces.PARTS})
    with FaceOutputs(graph, 0.0) as faces:
        faces.look(2.0)
        faces.publish(seen('person_1'))
        assert not made
        [topic] = [one for one in graph.topics() if one.endswith('/roi')]
        graph.subscribe(topic, FACE['roi'], RELIABLE, print)
        [parts] = faces._faces.values()
        eventually(parts['roi'].subscription_count)
        faces.publish(seen('person_1'))
        assert made == ['roi']
        faces.publish(seen())
        assert not faces._faces


def test_crops_are_scaled_centred_and_padded():
    box = Box(40, 30, 64, 32)
    picture = cropped(PICTURE, box)
    assert picture.shape == (128, 128, 3) and not picture[:32].any() and not picture[96:].any()
    assert picture[32:96].any(axis=(1, 2)).all()
    tall = cropped(PICTURE, Box(40, 30, 128, 200))
    assert not tall[:, :20].any() and tall[:, 64].any()
    face = Face(0, 'p', Box(100, 60, 60, 80), PICTURE[:2, :2], ((115.0, 90.0), (145.0, 110.0)))
    level = aligned(PICTURE, face)
    plain = aligned(PICTURE, dataclasses.replace(face, landmarks=()))
    assert level.shape == plain.shape == (128, 128, 3) and (level != plain).any()


def test_the_stamp_of_a_list_is_that_of_its_picture(graph, ros4hri):
    heard = []
    graph.subscribe('humans/faces/tracked', IDS, RELIABLE, heard.append)
    eventually(lambda: ros4hri.faces._list.subscription_count())
    ros4hri.publish_faces(seen('person_1', stamp_ns=7 * NS + 5))
    eventually(lambda: heard)
    message = from_cdr(heard[0].cdr, IDS)
    assert message.header.stamp == time_message(7 * NS + 5) and message.header.frame_id == 'eye'
