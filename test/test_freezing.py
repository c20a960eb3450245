"""A state that outlives its object is plain data: the classes that are marked, and no others."""

import pickle
import subprocess
from collections import deque

import numpy as np
import pytest

from maven_ros.errors import ResourceError
from maven_ros.freezing import decode, encode
from maven_ros.graph.sound import RawFormat
from maven_ros.records import Box, Face, FoundFace, Stream, Word


def test_plain_data_and_our_records_come_back():
    state = {'a': deque([1, 2], maxlen=2), 'b': np.arange(6, dtype=np.float32).reshape(2, 3),
             'c': Face(1, 'person_1', Box(1, 2, 3, 4), np.zeros((2, 2, 3), np.uint8)),
             'd': {Word('hi', 0, 1, 0.5)}, 'e': np.zeros(3, np.bool_)[::2],
             'f': {Stream.AUDIO: RawFormat(16000, 1, 'S16LE')}, 'g': np.float32(1.5)}
    back = decode(encode(state))
    assert back['a'].maxlen == 2 and np.array_equal(back['b'], state['b'])
    assert back['c'].box == Box(1, 2, 3, 4) and back['d'] == state['d']
    assert back['e'].dtype == np.bool_ and back['f'] == state['f'] and back['g'] == 1.5


class Evil:
    def __reduce__(self):
        return subprocess.check_call, (['false'],)


class Hidden:
    """Reaches through one of our modules for something that is not ours."""

    def __reduce__(self):
        from maven_ros.store import packages
        return packages.subprocess.Popen, (['false'],)


class Starting:
    """One of our own classes, which starts processes."""

    def __reduce__(self):
        from maven_ros.store.packages import Packages
        return Packages, ('this', print)


@pytest.mark.parametrize('content', [
    pickle.dumps(Evil()), pickle.dumps(Hidden()), pickle.dumps(Starting()),
    b'cmaven_ros.cli\nsignal.raise_signal\n.', b'cmaven_ros.cli\nmain\n.', b'nonsense', b''])
def test_nothing_else_is_made(content):
    with pytest.raises(ResourceError, match='checkpoint: cannot be read'):
        decode(content)


def test_a_record_of_ours_without_the_mark_is_refused():
    with pytest.raises(ResourceError, match=r'maven_ros\.records\.FoundFace is no plain data'):
        decode(encode(FoundFace('a', (0.0, 0.0, 1.0, 1.0))))
