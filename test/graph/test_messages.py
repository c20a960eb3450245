from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maven_ros.errors import GraphError, InputError
from maven_ros.graph.messages import (
    definition,
    from_cdr,
    hash_of_definition,
    new,
    time_message,
    time_ns,
    to_cdr,
    type_hash,
    types,
)

IMAGE = 'sensor_msgs/msg/Image'
BOOL = 'std_msgs/msg/Bool'
DURATION = 'builtin_interfaces/msg/Duration'

# As recorded by ROS 2 Jazzy.
HASHES = {
    IMAGE: 'd31d41a9a4c4bc8eae9be757b0beed306564f7526c88ea6a4588fb9582527d47',
    'sensor_msgs/msg/CompressedImage':
        '15640771531571185e2efc8a100baf923961a4d15d5569652e6cb6691e8e371a',
    'audio_common_msgs/msg/AudioStamped':
        'f6ad36427cfe3e7132f91509dca5a3be31b9b681f182db6e606e95e781b21611',
    'audio_common_msgs/msg/AudioData':
        'a9742fba1567e649bbdba6ae034a72c7ef129b97c7a4da50fd2f3e1bfd8ffa86',
    'audio_common_msgs/msg/AudioDataStamped':
        '6fc679d5a868ed68e4d301f1ef42abecc86140afb57d255656ff2d9e476ea9e3',
    'audio_common_msgs/msg/AudioInfo':
        'b3494d204e513d2cceefae1888e5be3da7c8c8ca31eb277f7b5b62f364bcb1fb',
}


@pytest.mark.parametrize('msgtype', HASHES)
def test_hashes_are_ros2s(msgtype):
    assert type_hash(msgtype) == f'RIHS01_{HASHES[msgtype]}'


def test_a_definition_keeps_its_hash():
    for msgtype in ('maven_ros/msg/AffectState', 'audio_common_msgs/msg/AudioStamped'):
        assert hash_of_definition(definition(msgtype), msgtype) == type_hash(msgtype)
    with pytest.raises(InputError, match='its definition cannot be read'):
        hash_of_definition('what is this', 'a/msg/B')


def test_every_type_has_defaults_that_survive_the_wire():
    assert {'maven_ros/msg/AffectEvent', 'hri_msgs/msg/LiveSpeech'} < set(types())
    for msgtype in types():
        cdr = to_cdr(new(msgtype), msgtype)
        assert to_cdr(from_cdr(cdr, msgtype), msgtype) == cdr
        assert len(cdr) % 4 == 0  # as DDS pads


def test_defaults_are_ros_defaults():
    message = new(IMAGE)
    assert (message.height, message.encoding, message.header.frame_id) == (0, '', '')
    assert message.data.dtype == np.uint8 and message.data.size == 0
    assert new(BOOL).data is False
    assert math.isclose(new('maven_ros/msg/AffectState').valence, 0.0)
    assert new('sensor_msgs/msg/CameraInfo').k.tolist() == [0.0] * 9


def test_fields_nest_as_mappings_and_as_messages():
    stamp = time_message(1_500_000_002)
    a = new(IMAGE, header={'stamp': stamp, 'frame_id': 'eye'}, data=[1, 2])
    b = new(IMAGE, header=new('std_msgs/msg/Header', stamp=stamp, frame_id='eye'), data=b'\1\2')
    assert to_cdr(a, IMAGE) == to_cdr(b, IMAGE)
    back = from_cdr(to_cdr(a, IMAGE), IMAGE)
    assert (back.header.stamp.sec, back.header.stamp.nanosec) == (1, 500_000_002)
    assert back.data.tolist() == [1, 2]


def test_the_two_audio_families_keep_apart():
    stamped = new('audio_common_msgs/msg/AudioStamped',
                  audio={'audio_data': {'int16_data': [-5]}, 'info': {'rate': 8000}})
    cdr = to_cdr(stamped, 'audio_common_msgs/msg/AudioStamped')
    back = from_cdr(cdr, 'audio_common_msgs/msg/AudioStamped')
    assert back.audio.audio_data.int16_data.tolist() == [-5] and back.audio.info.rate == 8000
    assert new('audio_common_msgs/msg/AudioData', data=b'x').data.tolist() == [120]
    with pytest.raises(GraphError, match='is not a audio_common_msgs/msg/AudioData'):
        to_cdr(stamped.audio.audio_data, 'audio_common_msgs/msg/AudioData')


@given(st.integers(-2**31 * 10**9, (2**31 - 1) * 10**9))
def test_times_are_exact(ns):
    assert time_ns(time_message(ns, DURATION)) == ns
    assert 0 <= time_message(ns).nanosec < 10**9


def raised(call, *arguments, **fields):
    with pytest.raises(GraphError) as caught:
        call(*arguments, **fields)
    return str(caught.value)


def test_unknown_names_suggest_the_nearest():
    assert raised(new, 'sensor_msgs/msg/Imge') == (
        "message type: 'sensor_msgs/msg/Imge' is unknown; did you mean sensor_msgs/msg/Image?")
    assert raised(type_hash, 'x') == (
        "message type: 'x' is unknown; allowed: package/msg/Name")
    assert raised(new, IMAGE, heigth=1) == (
        "field of sensor_msgs/msg/Image: 'heigth' is unknown; did you mean height?")
    assert raised(new, BOOL, zzz=1) == (
        "field of std_msgs/msg/Bool: 'zzz' is unknown; allowed: data")


def test_values_that_do_not_fit_are_named():
    assert raised(new, IMAGE, data=[256]) == (
        'sensor_msgs/msg/Image.data: int64 values that do not fit; allowed: uint8')
    assert raised(new, IMAGE, data=np.array([0.5])).endswith('allowed: uint8')
    assert 'width=-1 does not fit' in raised(to_cdr, new(IMAGE, width=-1), IMAGE)
    assert 'encoding=8 does not fit' in raised(to_cdr, new(IMAGE, encoding=8), IMAGE)
    assert 'header=None does not fit' in raised(to_cdr, new(IMAGE, header=None), IMAGE)
    assert raised(to_cdr, new(BOOL), IMAGE) == (
        'message: a std_msgs/msg/Bool is not a sensor_msgs/msg/Image of messages.new')
    assert raised(to_cdr, 5, BOOL).startswith('message: a int is not a std_msgs/msg/Bool')


@pytest.mark.parametrize('cut', [0, 3, 4, 7, 20, 30])
def test_a_truncated_payload_is_refused(cut):
    cdr = to_cdr(new(IMAGE, encoding='bgr8', data=bytes(30)), IMAGE)
    with pytest.raises(InputError, match=re.escape(f'{IMAGE}: {cut} bytes are no such message')
                       ) as caught:
        from_cdr(cdr[:cut], IMAGE)
    assert caught.value.cause == 'bad_payload'


@given(st.binary(max_size=200), st.booleans(), st.sampled_from(
    [IMAGE, 'maven_ros/msg/Utterance', 'audio_common_msgs/msg/AudioStamped', BOOL,
     'diagnostic_msgs/msg/DiagnosticArray']))
def test_garbage_is_refused_or_read_but_never_fails_otherwise(data, little, msgtype):
    try:
        from_cdr(bytes([0, little, 0, 0]) + data, msgtype)
    except InputError as error:
        assert error.cause == 'bad_payload'


def test_big_endian_payloads_are_read():
    cdr = bytes([0, 0, 0, 0]) + (7).to_bytes(4, 'big')
    assert from_cdr(cdr, 'std_msgs/msg/UInt32').data == 7
