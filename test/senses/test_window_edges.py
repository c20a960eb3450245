"""Every edge of a half-open interval between a stream and a window, on both of its sides."""

import numpy as np
import pytest
from windows_rig import MS, T0, Rig, ends

from maven_ros.records import NS, RobotSpeaking, Stream, Utterance, Word

NEXT = 1 / MS  # a nanosecond, in milliseconds: the next stamp there is


class SlowRecogniser:
    """A recogniser that is behind, and understands nothing."""

    recognises = True

    def __init__(self, lag_s):
        self.lag_s = lag_s

    def put(self, segment):
        """Take sound."""

    def poll(self):
        return []

    def reset(self):
        """Forget nothing."""

    def finish(self, timeout_s):
        return []

    def close(self):
        """Nothing is held."""


# --- which window ----------------------------------------------------------------------------


@pytest.mark.parametrize(('first_ms', 'first_end'), [
    (0, 200), (199.999, 200), (200 - NEXT, 200), (200, 400)])
def test_the_first_window_ends_after_the_first_stamp(first_ms, first_end):
    rig = Rig()
    rig.frame(first_ms)
    assert ends(rig.frame(1000))[0] == first_end


def test_a_window_closes_with_the_first_frame_that_is_not_before_its_end():
    rig = Rig()
    rig.frame(0)
    assert rig.frame(200 - NEXT) == []
    assert ends(rig.frame(200)) == [200]


def test_a_window_closes_with_the_sample_that_completes_it():
    rig = Rig()
    rig.sound(0)
    assert rig.sound(40, length_ms=159) == []
    assert ends(rig.sound(199, length_ms=1)) == [200]


def test_a_frame_is_in_the_windows_that_begin_at_it_or_before_and_end_after_it():
    rig = Rig(length_s=0.4)
    rig.frame(0)
    closed = rig.frame(400) + rig.frame(1000)
    assert {end: [(face.stamp_ns - T0) // MS for face in window.faces]
            for end, window in zip(ends(closed), closed, strict=True)} == {
        200: [0], 400: [0], 600: [400], 800: [400], 1000: []}


def test_words_are_in_a_window_that_begins_with_them_or_ends_with_them():
    rig = Rig(length_s=0.4)
    rig.frame(0)
    rig.words((200, 260), (300, 400 + NEXT), (400, 600))
    closed = rig.frame(1000)
    assert {end: [word.text for word in window.words]
            for end, window in zip(ends(closed), closed, strict=True)} == {
        200: [], 400: ['w200'], 600: ['w200', 'w300', 'w400'], 800: ['w400'], 1000: []}


def test_a_word_of_no_length_stays_until_no_window_holds_it():
    rig = Rig(length_s=0.4)
    rig.frame(0)
    rig.words((200, 200))
    assert [(end, len(window.words)) for window in rig.frame(1000) for end in ends([window])] == [
        (200, 1), (400, 1), (600, 1), (800, 0), (1000, 0)]


def test_at_the_end_windows_close_that_some_stream_has_reached():
    rig = Rig()
    rig.frame(0), rig.sound(0)
    rig.frame(400, now_ms=20)
    assert ends(rig.finish()) == [200, 400]
    rig = Rig()
    rig.frame(0), rig.sound(0)
    rig.frame(400 - NEXT, now_ms=20)
    assert ends(rig.finish()) == [200]


# --- late ------------------------------------------------------------------------------------


@pytest.mark.parametrize(('ms', 'late'), [(400 - NEXT, 1), (400, 0)])
def test_a_frame_is_late_before_the_end_of_the_last_window_and_not_at_it(ms, late):
    rig = Rig(max_wait_s=0.0)
    rig.sound(0)
    assert ends(rig.sound(40, length_ms=360)) == [200, 400]
    rig.frame(ms, now_ms=401)
    assert rig.count('video.late') == late


def test_samples_are_late_before_the_end_of_the_last_window_and_not_at_it():
    rig = Rig(max_wait_s=0.0)
    rig.frame(0), rig.sound(0)
    rig.frame(400)
    last, = rig.sound(40, now_ms=420, length_ms=561)
    assert rig.count('audio.late') == 1
    assert last.heard[-16 * 200 - 1:].tolist() == [False] + [True] * 3200
    rig = Rig(max_wait_s=0.0)
    rig.frame(0), rig.sound(0)
    rig.frame(400)
    rig.sound(400, now_ms=420)
    assert rig.count('audio.late') == 0


@pytest.mark.parametrize(('end_ms', 'late'), [(-1600, 1), (-1600 + NEXT, 0)])
def test_words_are_late_that_end_where_the_next_window_begins(end_ms, late):
    rig = Rig()
    rig.frame(0), rig.frame(200)  # the next window is that from -1600 to 400 ms
    rig.words((-1700, end_ms))
    assert rig.count('speech.late') == late


def test_a_frame_that_is_late_shows_that_its_camera_is_there():
    """Else a slow camera would be a stopped one, and be waited for no more."""
    rig = Rig(max_wait_s=0.1, stale_after_s=1.0)
    rig.frame(0)
    closed = []
    for ms in range(0, 4000, 40):
        closed += rig.sound(ms)
        if ms >= 600:
            closed += rig.frame(ms - 600, now_ms=ms + 40)
    assert rig.count('video.late') > 80
    assert rig.pipeline.stopped == frozenset()
    assert {window.stale for window in closed} == {frozenset()}


# --- waits -----------------------------------------------------------------------------------


def test_a_stream_has_stopped_after_exactly_so_long():
    rig = Rig(stale_after_s=1.0)
    rig.frame(0)
    rig.advance(1000 - NEXT)
    assert rig.pipeline.stopped == frozenset()
    rig.advance(1000)
    assert rig.pipeline.stopped == {Stream.VIDEO}


def test_a_window_waits_for_exactly_so_long():
    rig = Rig(max_wait_s=0.25)
    rig.frame(0), rig.sound(0)
    rig.frame(200)
    assert rig.advance(450 - NEXT) == []
    assert ends(rig.advance(450)) == [200]


def test_words_stop_with_the_sound_that_they_are_in():
    rig = Rig(SlowRecogniser(lag_s=0.0), stale_after_s=1.0)
    rig.sound(0)
    for ms in range(0, 1100, 100):
        rig.frame(ms)
    assert rig.pipeline.stopped == {Stream.AUDIO, Stream.TEXT}


def test_in_silence_time_goes_on_from_when_it_had_come_so_far():
    """A chunk that comes twice tells nothing new, but that somebody is there."""
    rig = Rig(max_wait_s=0.25, stale_after_s=1.0)
    rig.sound(0)
    rig.sound(0, now_ms=500)
    assert rig.count('audio.duplicate') == 1
    assert rig.advance(1500 - NEXT) == []
    assert ends(rig.advance(1500)) == list(range(200, 1201, 200))


@pytest.mark.parametrize(('ms', 'without'), [(199, 1), (200, 0)])
def test_a_stream_that_has_reached_the_end_was_not_left_out(ms, without):
    rig = Rig()
    rig.frame(0)
    rig.sound(0, length_ms=ms)
    assert ends(rig.frame(200) + rig.advance(800)) == [200]
    assert rig.count('windows.closed_without_audio') == without
    assert rig.count('windows.closed_without_video') == 0


def test_a_stream_of_another_clock_is_not_waited_for():
    """Sound that is an hour behind costs no window any time."""
    rig = Rig(max_wait_s=0.25)
    for ms in range(0, 4000, 40):
        rig.sound(ms - 3_600_000, now_ms=ms)
        closed = rig.frame(ms)
        assert ends(closed) == ([ms] if ms and ms % 200 == 0 else [])


@pytest.mark.parametrize(('behind_ms', 'waits'), [(9999, True), (10_000, False)])
def test_a_clock_is_another_when_it_is_as_far_behind_as_a_jump(behind_ms, waits):
    rig = Rig(max_wait_s=0.25, jump_ahead_s=10.0)
    rig.frame(0)
    rig.sound(199 - behind_ms, now_ms=0, length_ms=1)
    assert ends(rig.frame(200, now_ms=1)) == ([] if waits else [200])


def test_a_window_waits_for_recognition_as_far_as_it_is_behind():
    rig = Rig(SlowRecogniser(lag_s=0.5), max_wait_s=2.0)
    closed = []
    for ms in range(0, 2000, 40):
        for window in rig.frame(ms) + rig.sound(ms):
            closed.append((ends([window])[0], ms + 40))
    assert [end for end, _ in closed] == list(range(200, 1401, 200))
    assert all(0 <= known - 500 - end < 40 for end, known in closed)


def test_sound_is_kept_for_as_long_as_a_window_may_wait_for_a_picture():
    rig = Rig(max_wait_s=4.0, stale_after_s=60.0, length_s=2.0)
    rig.frame(0)
    closed = [window for ms in range(0, 12_000, 40) for window in rig.sound(ms)]
    waited = [window for window in closed if window.end_ns >= T0 + 2 * NS]
    assert len(waited) > 20 and all(window.heard.all() for window in waited)


# --- jumps -----------------------------------------------------------------------------------


@pytest.mark.parametrize(('ms', 'restarts'), [(10_000, 0), (10_000 + NEXT, 1)])
def test_a_stamp_may_be_so_far_ahead(ms, restarts):
    rig = Rig(jump_ahead_s=10.0)
    rig.frame(0)
    rig.frame(ms, now_ms=0)
    assert rig.count('windows.jump_ahead') == restarts


@pytest.mark.parametrize(('ms', 'restarts'), [(12_000, 0), (12_000 + NEXT, 1)])
def test_silence_lets_a_stamp_be_as_much_further_ahead(ms, restarts):
    rig = Rig(jump_ahead_s=10.0)
    rig.frame(0)
    rig.frame(ms, now_ms=2000)
    assert rig.count('windows.jump_ahead') == restarts


@pytest.mark.parametrize(('ms', 'restarts'), [(500, 0), (500 - NEXT, 1)])
def test_a_stamp_may_be_so_far_back_in_its_own_stream(ms, restarts):
    rig = Rig(jump_back_s=0.5)
    rig.frame(1000)
    rig.frame(ms, now_ms=1010)
    assert rig.count('windows.jump_back') == restarts


@pytest.mark.parametrize(('ms', 'restarts'), [(-9000, 0), (-9001, 1)])
def test_a_chunk_without_a_stamp_may_be_further_back(ms, restarts):
    rig = Rig(jump_back_s=0.5, jump_ahead_s=10.0)
    rig.sound(960, length_ms=40)
    rig.sound(ms, now_ms=1010, stamped=False)
    assert rig.count('windows.jump_back') == restarts


@pytest.mark.parametrize(('ms', 'restarts'), [(500 - NEXT, 0), (500 - 2 * NEXT, 1)])
def test_a_stream_that_is_new_may_be_so_far_behind_what_is_closed(ms, restarts):
    """All others have stopped: nothing else says which time it is."""
    rig = Rig(jump_back_s=0.5, max_wait_s=0.0, stale_after_s=1.0)
    rig.sound(0, length_ms=1000)
    rig.advance(2000)
    assert rig.pipeline.stopped == {Stream.AUDIO}
    closed_to_ms = ends(rig.pipeline.windows)[-1]
    rig.frame(closed_to_ms - 1000 + ms, now_ms=2000)
    assert rig.count('windows.jump_back') == restarts


@pytest.mark.parametrize(('ms', 'slept'), [(10_000, 0), (10_000 + NEXT, 1)])
def test_a_process_may_be_away_for_so_long(ms, slept):
    rig = Rig(jump_ahead_s=10.0)
    rig.frame(0)
    rig.advance(ms)
    assert rig.count('windows.slept') == slept


def test_after_another_hop_windows_end_at_its_multiples_and_none_is_left_out():
    rig = Rig(hop_s=0.2)
    rig.frame(0)
    closed = rig.frame(200)
    rig.pipeline.change(rig.pipeline.settings.with_values({'windows.hop_s': 0.1}))
    assert ends(closed + rig.frame(400)) == [200, 300, 400]
    rig.pipeline.change(rig.pipeline.settings.with_values({'windows.hop_s': 0.4}))
    assert ends(rig.frame(1200)) == [800, 1200]


# --- the robot's own voice -------------------------------------------------------------------


def test_the_robots_voice_is_moved_with_the_sound_that_it_is_heard_in():
    """What the robot says is in the sound, whose time is off by as much."""
    rig = Rig(**{'audio.offset_ms': 300.0, 'audio.robot_tail_s': 0.0})
    rig.feed(RobotSpeaking(T0 + 500 * MS, True), T0)
    rig.feed(RobotSpeaking(T0 + 900 * MS, False), T0)
    closed = [window for ms in range(0, 2000, 40) for window in rig.sound(ms)]
    last = closed[-1]
    assert ends([last]) == [2200]
    times_ms = 200 + np.arange(len(last.heard)) / 16  # the window's, the offset in them
    unheard = times_ms[~last.heard & (times_ms >= 300)]
    assert (unheard[0], unheard[-1]) == (800, 1200 - 1 / 16)


@pytest.mark.parametrize(('begin_ms', 'end_ms', 'kept'), [
    (300, 500, 1), (300, 500 + NEXT, 0), (900 - NEXT, 1000, 0), (900, 1000, 1), (600, 700, 0)])
def test_words_that_touch_the_robots_speech_are_its_own(begin_ms, end_ms, kept):
    rig = Rig(**{'audio.robot_tail_s': 0.0})
    rig.frame(0)
    rig.feed(RobotSpeaking(T0 + 500 * MS, True))
    rig.feed(RobotSpeaking(T0 + 900 * MS, False))
    word = Word('mine', T0 + round(begin_ms * MS), T0 + round(end_ms * MS), 1.0)
    utterance, = rig.pipeline.feed(
        Utterance(word.start_ns, word.end_ns, (word,), True, 'test'), T0)
    assert len(utterance.words) == kept
    assert rig.count('speech.robot_speaking') == 1 - kept
