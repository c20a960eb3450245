"""A bag of a robot with a detector of ROS4HRI replays with that detector's faces and ids."""

import numpy as np
import pytest
from rosbags.rosbag2 import Writer
from rosbags.typesys import get_types_from_msg
from rosbags.typesys.store import Typestore
from stopping import After

from maven_ros.freezing import decode
from maven_ros.graph.bag.bag_graph import BagGraph
from maven_ros.graph.convert import image_message
from maven_ros.graph.images import IMAGE
from maven_ros.graph.interface import STATE
from maven_ros.graph.messages import definition, new, time_message, to_cdr, type_hash
from maven_ros.intake.face_pairing import IDS_LIST, LANDMARKS, REGION
from maven_ros.records import NS, Box
from maven_ros.replay.from_media import START_NS
from maven_ros.replay.journal import read_checkpoint
from maven_ros.replay.replay import ReplayOptions, replay
from maven_ros.replay.sources import Sources
from maven_ros.replay.state_table import read_states
from maven_ros.settings import Settings

QUIET = Settings().with_values({'speech.recogniser': 'none'})
HOP_NS = NS // 20  # from one picture to the next
LISTS = '/humans/faces/tracked'


def box(i):
    """Return where 'abcde' is in a picture: it moves to the right."""
    left = 8 + i // 4
    return Box(left, 12, 32, 24)


def told(i, people, base='/humans/faces'):
    """Return what a detector says of a picture: regions first, as they are published."""
    header = {'stamp': time_message(START_NS + i * HOP_NS), 'frame_id': 'camera'}
    place = box(i)
    region = {'xmin': place.x / 64, 'xmax': (place.x + place.width) / 64,
              'ymin': place.y / 48, 'ymax': (place.y + place.height) / 48}
    for person_id in people:
        yield f'{base}/{person_id}/roi', REGION, new(REGION, header=header, **region, c=1.0)
        yield f'{base}/{person_id}/landmarks', LANDMARKS, new(LANDMARKS, header=header)
    yield f'{base}/tracked', IDS_LIST, new(IDS_LIST, header=header, ids=list(people))


def write(path, storage='mcap', base='/humans/faces', pictures=80, first='abcde',
          second='fghij'):
    """Write a bag: a picture each HOP_NS, and 30 ms later what a detector saw in every second."""
    with BagGraph(path, 'w', storage) as bag:
        def record(topic, msgtype, message, at_ns):
            bag.advertise(topic, msgtype, STATE).publish_cdr(to_cdr(message, msgtype), at_ns)

        for i in range(pictures):
            at_ns = START_NS + i * HOP_NS
            picture = image_message(at_ns, np.full((48, 64, 3), i, np.uint8), 'camera')
            record('/camera/image_raw', IMAGE, picture, at_ns + NS // 100)
            if i % 2 == 0:
                people = [first] if i < 50 else [first, second]
                for topic, msgtype, message in told(i, people, base):
                    record(topic, msgtype, message, at_ns + NS // 25)
    return path


def states(bag, out, settings=QUIET, **options):
    summary = replay(bag, settings, out, ReplayOptions(**options))
    return summary, read_states(out / 'states.parquet')


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    return write(tmp_path_factory.mktemp('ros4hri') / 'bag')


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_the_detectors_ids_and_places_are_those_of_the_states(tmp_path, storage):
    summary, found = states(write(tmp_path / 'bag', storage), tmp_path / 'out')
    assert summary.topics == {'image': '/camera/image_raw', 'faces': LISTS}
    assert summary.people == ['abcde', 'fghij']
    faces = [one for one in found if one.person_id == 'abcde']
    assert len(faces) >= 17
    for one in faces:
        newest = (one.window_end_ns - 1 - START_NS) // HOP_NS // 2 * 2
        assert one.face == box(newest), one.window_end_ns
    assert summary.drops['video.thinned'] == 39  # that the detector left out: all but the first
    assert summary.stamps['/camera/image_raw'][0] == 80


def test_faces_that_an_affect_node_published_are_found_anew(tmp_path):
    bag = write(tmp_path / 'bag', first='mv3fa9c', second='mv0f1e2')
    summary, found = states(bag, tmp_path / 'out')
    assert summary.topics == {'image': '/camera/image_raw'} and not summary.people
    assert len(found) >= 17


def test_an_interrupted_replay_goes_on_with_pictures_that_wait(bag, tmp_path):
    whole = states(bag, tmp_path / 'whole', rest_s=0.2)
    waited = []
    for taken in (61, 42, 23):
        options = ReplayOptions(rest_s=0.2)
        assert replay(bag, QUIET, tmp_path / 'out', options, After(taken)) is None
        state = decode(read_checkpoint(tmp_path / 'out' / 'unfinished' / 'checkpoint').state)
        waited.append(len(state['intake']['faces']['_held']))
    assert any(waited)
    resumed = states(bag, tmp_path / 'out', rest_s=0.2)
    assert repr(resumed[1]) == repr(whole[1]) and resumed[0].drops == whole[0].drops
    assert resumed[0].resumed


def test_who_does_not_want_a_detectors_faces_detects_all_the_same(bag, tmp_path):
    settings = QUIET.with_values({'faces.ros4hri': False})
    summary, found = states(bag, tmp_path, settings)
    assert summary.topics == {'image': '/camera/image_raw'}
    assert {one.person_id for one in found} == {''}  # nobody is in these pictures


def test_of_two_detectors_one_is_to_be_named(tmp_path, caplog):
    path = write(tmp_path / 'bag', pictures=20)
    with BagGraph(path) as one, BagGraph(tmp_path / 'two', 'w') as two:
        for received in one.read(one.topics()):
            for base in ('', '/r2') if 'humans' in received.topic else ('',):
                two.advertise(base + received.topic, received.msgtype, STATE).publish_cdr(
                    received.cdr, received.received_ns)
    assert states(tmp_path / 'two', tmp_path / 'none')[0].people == []
    assert (f'faces may be any of {LISTS}, /r2{LISTS}; name one with --faces-topic; replayed '
            'without') in caplog.text
    sources = Sources(faces=f'/r2{LISTS}')
    assert states(tmp_path / 'two', tmp_path / 'out', sources=sources)[0].people == ['abcde']


def test_messages_of_another_definition_cost_the_faces_alone(bag, tmp_path, caplog):
    store = Typestore()
    store.register(get_types_from_msg('float32 xmin\n', REGION))
    with BagGraph(bag) as one, Writer(tmp_path / 'old', version=9) as old:
        connections = {
            topic: old.add_connection(topic, msgtype, typestore=store) if msgtype == REGION else
            old.add_connection(topic, msgtype, msgdef=definition(msgtype),
                               rihs01=type_hash(msgtype))
            for topic, msgtype in one.topics().items()}
        for received in one.read(one.topics()):
            old.write(connections[received.topic], received.received_ns, received.cdr)
    summary, found = states(tmp_path / 'old', tmp_path / 'out')
    assert summary.topics == {'image': '/camera/image_raw'}
    assert summary.people == [] and len(found) >= 17
    assert f'replayed without the faces of {LISTS}: ' in caplog.text
    assert f'has another definition of {REGION}' in caplog.text
