"""What is drawn, read back from a recording."""

import math
import subprocess
import sys

import numpy as np
import pytest
from made_view import attention, event, frame, sound, state, utterance

from maven_ros.affect import Affect
from maven_ros.errors import InputError
from maven_ros.records import NS, EventKind, Frame, Status
from maven_ros.view.evidence_strip import shares

rerun = pytest.importorskip('rerun')


class Drawn:
    """A recording in a file, and what it holds as text."""

    def __init__(self, path):
        from maven_ros.view.blueprint import layout
        from maven_ros.view.screen import Screen

        rerun.set_strict_mode(True)  # what it does not understand is a warning otherwise
        self._path = path
        self._stream = rerun.RecordingStream('test')
        self._stream.save(path)
        self._stream.send_blueprint(layout(live=True))
        self.screen = Screen(self._stream)

    def text(self):
        self._stream.disconnect()
        return subprocess.run(
            [sys.executable, '-m', 'rerun_cli', 'rrd', 'print', '-vvv', str(self._path)],
            capture_output=True, text=True, check=True).stdout


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CONFIG_HOME', str(tmp_path))
    return Drawn(tmp_path / 'drawn.rrd')


def test_every_record_is_drawn_at_its_own_stamp(drawn):
    screen, now_ns = drawn.screen, 1_700_000_000 * NS
    screen.show_picture(frame(now_ns))
    screen.show_sound(sound(now_ns, 0.3))
    for hop in range(3):
        screen.show_state(state(now_ns + hop * NS // 5), 0.07)
        screen.show_attention(attention(now_ns + hop * NS // 5))
        screen.show_smoothed(state(now_ns + hop * NS // 5))
    screen.show_utterance(utterance(now_ns))
    screen.show_event(event(now_ns))
    screen.show_behaviour(now_ns, 'keeps 2 m', (1, 2, 3))
    screen.show_drops(now_ns, {'video.late': 3})
    screen.show_annotation(now_ns, 'left', Affect(0.1, 0.2))
    text = drawn.text()
    for path in ('/camera/picture', '/camera/faces', '/camera/arrows', '/camera/heads', '/sound',
                 '/affect/person_1/valence', '/affect/person_1/arousal', '/evidence/strip',
                 '/circumplex/people/person_1/trail', '/circumplex/people/person_1/point',
                 '/words', '/told/event', '/told/robot', '/health/latency',
                 '/health/drops/video', '/affect/annotation/left/valence'):
        assert path in text, path
    for words in ('this is what was said', 'person_1 entered distressed', 'robot: keeps 2 m'):
        assert words in text, words
    assert '2023-11-14T22:13:20' in text


def test_partial_words_and_repeated_conduct_are_not_shown(drawn):
    import dataclasses

    drawn.screen.show_utterance(dataclasses.replace(utterance(NS, 'half a'), is_final=False))
    for second in range(3):
        drawn.screen.show_behaviour(second * NS, 'waits', (1, 2, 3))
    text = drawn.text()
    assert 'half a' not in text and text.count('robot: waits') == 1


def test_pictures_are_thinned_and_who_is_gone_is_taken_off(drawn):
    decoded = []

    def look():
        decoded.append(None)
        return np.zeros((48, 64, 3), np.uint8)

    for index in range(30):  # one second
        drawn.screen.show_picture(Frame(index * NS // 30, look))
    assert 8 <= len(decoded) <= 13
    drawn.screen.show_smoothed(state(NS))
    drawn.screen.show_smoothed(state(3 * NS, 'person_2'))
    drawn.screen.show_smoothed(state(4 * NS, '', Status.NO_EVIDENCE))
    text = drawn.text()
    assert 'Clear:is_recursive' in text and '/circumplex/people/person_2' in text


def test_a_damaged_picture_is_refused_by_name(drawn):
    def broken():
        raise InputError('undecodable', 'a broken picture')

    with pytest.raises(InputError, match='a broken picture'):
        drawn.screen.show_picture(Frame(0, broken))


def test_shares_are_the_influence_or_equal_parts_of_what_was_there():
    import dataclasses

    one = state(NS)
    assert shares(one) == (0.7, 0.3, 0.0)
    assert shares(dataclasses.replace(one, influence=(math.nan,) * 3)) == (0.5, 0.5, 0.0)
    assert shares(state(NS, status=Status.NO_EVIDENCE)) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(('kind', 'text'), [
    (EventKind.REGION_LEFT, 'person_1 left distressed'), (EventKind.ROSE, 'person_1 rose sharply'),
    (EventKind.APPEARED, 'person_1 appeared'),
    (EventKind.SPEECH_STARTED, 'person_1 speech started')])
def test_events_in_words(kind, text):
    assert event(NS, kind).text == text
    assert event(NS, kind, person='').text == text.replace('person_1', 'nobody in view')
