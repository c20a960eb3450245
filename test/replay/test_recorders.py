"""One scene as robots record it: storages and families of sound differ, and the states do not."""

import numpy as np
import pytest
from inputs import SAMPLE

from maven_ros.graph.bag.bag_graph import BagGraph
from maven_ros.graph.convert import image_message
from maven_ros.graph.images import COMPRESSED_IMAGE, IMAGE, read_compressed
from maven_ros.graph.interface import STATE
from maven_ros.graph.messages import from_cdr, new, time_message, time_ns, to_cdr
from maven_ros.graph.sound import (
    AUDIO_CHUNK,
    AUDIO_DATA,
    AUDIO_DATA_STAMPED,
    AUDIO_INFO,
    AUDIO_STAMPED,
)
from maven_ros.records import NS
from maven_ros.replay.from_media import START_NS, bags_from_media
from maven_ros.replay.replay import replay
from maven_ros.replay.state_table import read_states
from maven_ros.replay.summary import is_loss
from maven_ros.settings import Settings

QUIET = Settings().with_values({'speech.recogniser': 'none'})
INT16 = 8  # PortAudio's number of it


@pytest.fixture(scope='module')
def ours(tmp_path_factory):
    """Our own recording: JPEG, and sound in chunks of ours; the first five seconds."""
    folder = tmp_path_factory.mktemp('ours')
    whole = bags_from_media([SAMPLE], folder, width=320)[0].path
    with BagGraph(whole) as source, BagGraph(folder / 'bag', 'w') as bag:
        out = {topic: bag.advertise(topic, kind, STATE) for topic, kind in source.topics().items()}
        for one in source.read([*out], end_ns=START_NS + 5 * NS):
            out[one.topic].publish_cdr(one.cdr, one.received_ns)
    return folder / 'bag'


def end_stamped(chunk):
    """Mgonzs13's: stamped when the buffer was full."""
    samples = chunk.data.view('<i2')
    end_ns = time_ns(chunk.header.stamp) + round(len(samples) * NS / chunk.sample_rate)
    return AUDIO_STAMPED, {'header': {'stamp': time_message(end_ns)}, 'audio': {
        'audio_data': {'int16_data': samples},
        'info': {'format': INT16, 'channels': 1, 'rate': chunk.sample_rate}}}


def unstamped(chunk):
    """Ros-drivers': it ends at its arrival."""
    return AUDIO_DATA, {'data': chunk.data}


def start_stamped(chunk):
    """Ros-drivers', stamped when the buffer began."""
    return AUDIO_DATA_STAMPED, {'header': chunk.header, 'audio': {'data': chunk.data}}


def raw(jpeg):
    """Decoded before it was recorded."""
    frame = read_compressed(jpeg)
    return IMAGE, image_message(frame.stamp_ns, frame.decode(), frame.frame_id)


def jpeg(one):
    return COMPRESSED_IMAGE, one


def record(source, path, storage, picture, sound):
    """Write what another recorder would have written."""
    with BagGraph(source) as bag, BagGraph(path, 'w', storage) as out:
        publishers = {}

        def publish(topic, msgtype, message, at_ns):
            if topic not in publishers:
                publishers[topic] = out.advertise(topic, msgtype, STATE)
            publishers[topic].publish_cdr(to_cdr(message, msgtype), at_ns)

        publish('/audio_info', AUDIO_INFO, new(
            AUDIO_INFO, channels=1, sample_rate=22_050, sample_format='S16LE',
            coding_format='WAVE'), bag.now_ns())
        for one in bag.read([*bag.topics()]):
            message = from_cdr(one.cdr, one.msgtype)
            if one.msgtype == AUDIO_CHUNK:
                msgtype, fields = sound(message)
                publish('/sound', msgtype, new(msgtype, **fields), one.received_ns)
            else:
                publish('/pictures', *picture(message), one.received_ns)
    return path


def test_what_is_recorded_otherwise_gives_the_same_states(ours, tmp_path):
    replay(ours, QUIET, tmp_path / 'ours')
    expected = read_states(tmp_path / 'ours' / 'states.parquet')
    assert any(state.modalities == 3 for state in expected)
    for sound, picture, storage in ((end_stamped, jpeg, 'mcap'), (unstamped, raw, 'sqlite3'),
                                    (start_stamped, jpeg, 'sqlite3')):
        bag = record(ours, tmp_path / sound.__name__, storage, picture, sound)
        replay(bag, QUIET, tmp_path / 'out' / sound.__name__)
        states = read_states(tmp_path / 'out' / sound.__name__ / 'states.parquet')
        assert repr(states) == repr(expected), sound.__doc__  # NaN is not equal to itself


def test_bags_of_a_real_recorder_agree_in_three_storages_and_two_families(shared_data, tmp_path):
    ends, hop_ns = [], NS // 5
    for bag in sorted((shared_data / 'bags').iterdir()):
        summary = replay(bag, Settings(), tmp_path / bag.name)
        states = read_states(tmp_path / bag.name / 'states.parquet')
        assert summary.people == ['person_1'] and not summary.broken
        everything = [state for state in states if state.modalities == 7]
        assert len(everything) >= 20, bag.name
        assert not [name for name in summary.drops if is_loss(name)], bag.name
        first = (everything[0].window_end_ns - summary.start_ns) / hop_ns
        last = (states[-1].window_end_ns - summary.start_ns) / hop_ns
        ends.append((first, last))
        assert any('orientation' in state.transcript for state in states), bag.name
    firsts, lasts = zip(*ends, strict=True)
    assert np.ptp(lasts) <= 1.0, ends
    assert np.ptp(firsts) <= 3.0, ends  # a hop, and the time between two partial results
