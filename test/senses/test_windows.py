"""Windows: in order, once each, bounded waits, and only evidence from their own interval."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from windows_rig import HOP, MS, T0, Rig, ends

from maven_ros.records import NS, Stream, Utterance


def test_a_window_closes_when_every_live_stream_has_passed_its_end():
    rig = Rig()
    assert rig.frame(0) == [] and rig.sound(0) == []
    assert rig.frame(210) == []                  # video has passed 200, sound has not
    assert ends(rig.sound(40, length_ms=200)) == [200]


def test_windows_end_at_multiples_of_the_hop_and_have_their_length():
    rig = Rig()
    closed = [window for ms in range(50, 1100, 100) for window in rig.frame(ms)]
    assert ends(closed) == [200, 400, 600, 800, 1000]
    assert all(window.end_ns - window.start_ns == 2 * NS for window in closed)
    assert all(window.end_ns % HOP == 0 for window in closed)
    assert all(len(window.waveform) == 32000 for window in closed)


def test_the_first_frame_after_the_end_is_not_in_the_window():
    rig = Rig()
    closed = rig.frame(150) + rig.frame(200)
    assert [face.stamp_ns for face in closed[0].faces] == [T0 + 150 * MS]


def test_a_stream_that_is_behind_is_waited_for_but_not_for_ever():
    rig = Rig(max_wait_s=0.25)
    rig.frame(0), rig.sound(0)
    assert rig.frame(210) == []
    assert rig.advance(459) == []
    assert ends(rig.advance(460)) == [200]
    assert rig.count('windows.closed_without_audio') == 1


def test_waits_do_not_add_up():
    """With one stream behind, each window is late by the wait, not by the sum of waits."""
    rig = Rig(max_wait_s=0.35, stale_after_s=60.0)
    rig.sound(0)
    when = [(end, ms) for ms in range(0, 4000, 50) for end in ends(rig.frame(ms))]
    assert when[5:] and all(ms - end in (350, 400) for end, ms in when)


def test_late_evidence_is_kept_out_of_every_window():
    rig = Rig(max_wait_s=0.0)
    rig.frame(0), rig.sound(0)
    rig.frame(450)                               # closes 200 and 400 without sound
    rig.frame(100, now_ms=460)
    assert rig.count('video.late') == 1
    closed = rig.sound(40, now_ms=500, length_ms=600)  # 360 ms of it too late; closes 600
    assert ends(closed) == [600]
    assert not closed[-1].heard[-16 * 200 - 16 * 160:-16 * 200].any()  # 240 to 400 ms
    assert closed[-1].heard[-16 * 200:].all()                          # 400 to 600 ms
    assert rig.count('audio.late') == 1


def test_a_stream_that_stopped_is_stale_and_no_longer_waited_for():
    rig = Rig(stale_after_s=1.0)
    for ms in range(0, 400, 40):
        rig.sound(ms), rig.frame(ms)
    closed = [window for ms in range(400, 3000, 40) for window in rig.sound(ms)]
    assert closed[0].stale == frozenset()
    assert closed[-1].stale == {Stream.VIDEO}
    rig.frame(3000)                              # it is back
    assert rig.pipeline.stopped == frozenset()


def test_when_all_streams_stop_time_goes_on_and_evidence_runs_out():
    rig = Rig()
    for ms in range(0, 1000, 50):
        rig.frame(ms)
    closed = [window for ms in range(1000, 5000, 50)
              for window in rig.advance(ms)]
    assert ends(closed) == list(range(1000, 4800, 200))
    assert closed[-1].stale == {Stream.VIDEO} and closed[-1].faces == ()


def test_a_bag_that_loops_starts_over_and_loses_no_window():
    rig = Rig()
    once = [window for ms in range(0, 5000, 100) for window in rig.frame(ms)]
    again = [window for ms in range(0, 5000, 100) for window in rig.frame(ms, now_ms=5000 + ms)]
    assert ends(once) == list(range(200, 5000, 200))
    assert ends(again) == ends(once)
    assert rig.restarts == 1 and rig.count('windows.jump_back') == 1
    assert all(face.stamp_ns < window.end_ns for window in again for face in window.faces)


def test_a_loop_with_stragglers_of_the_old_time_settles():
    rig = Rig()
    for ms in range(0, 20000, 100):
        rig.frame(ms), rig.sound(ms, length_ms=100)
    rig.frame(0, now_ms=20000)
    rig.sound(20000, now_ms=20010, length_ms=100)              # still from before the loop
    closed = []
    for ms in range(0, 3000, 100):
        closed += rig.sound(ms, now_ms=20100 + ms, length_ms=100)
        closed += rig.frame(ms + 100, now_ms=20110 + ms)
    assert ends(closed)[-5:] == [2200, 2400, 2600, 2800, 3000]
    assert closed[-1].heard.all() and len(closed[-1].faces) == 20


def test_a_clock_that_was_set_ahead_starts_over():
    rig = Rig()
    rig.frame(0), rig.frame(300)
    closed = rig.frame(3_600_000, now_ms=400) + rig.frame(3_600_300, now_ms=700)
    assert ends(closed) == [3_600_200] and rig.restarts == 1


def test_a_process_that_slept_starts_over():
    rig = Rig()
    rig.frame(0), rig.frame(300)
    assert rig.advance(7_200_000) == []
    assert ends(rig.frame(7_200_000) + rig.frame(7_200_210)) == [7_200_200]
    assert rig.count('windows.slept') == 1


def test_no_window_closes_twice_when_the_stream_that_was_behind_goes_on_after_a_sleep():
    rig = Rig()
    rig.sound(0)
    closed = rig.frame(0) + rig.frame(1050, now_ms=60)
    closed += rig.advance(7_200_000)         # what the camera has passed
    assert ends(closed) == [200, 400, 600, 800, 1000]
    for ms in range(40, 2000, 40):
        closed += rig.sound(ms, now_ms=7_200_000 + ms)
    assert ends(closed) == list(range(200, 2001, 200))
    assert rig.count('windows.slept') == 1


def test_clocks_that_disagree_leave_one_stream_late_and_the_other_working():
    rig = Rig()
    closed = []
    for ms in range(0, 5000, 40):
        closed += rig.sound(ms)
        closed += rig.frame(ms - 3_600_000, now_ms=ms + 40)
    tail = ends(closed)[-10:]
    assert tail == list(range(tail[0], tail[0] + 2000, 200))
    assert all(window.faces == () for window in closed[-10:])


def test_the_callers_clock_may_go_back():
    rig = Rig()
    rig.frame(0), rig.frame(300)
    assert ends(rig.frame(450, now_ms=-5000)) == [400]


def test_the_callers_clock_may_go_back_while_all_streams_are_silent():
    rig = Rig()
    closed = [window for ms in range(0, 1000, 50) for window in rig.frame(ms)]
    for begin_ms, end_ms in ((1000, 3000), (-600_000, -590_000)):  # in silence, then set back
        closed += [window for ms in range(begin_ms, end_ms, 50)
                   for window in rig.advance(ms)]
    assert ends(closed) == list(range(200, ends(closed)[-1] + 1, 200))
    assert ends(closed)[-1] > 12_000  # they go on at once, as time does


@pytest.mark.parametrize('delay_ms', [240, 500])
def test_a_camera_that_comes_after_the_sound_is_waited_for(delay_ms):
    """Once every frame was late, because the windows never learnt of the camera."""
    rig = Rig(max_wait_s=0.6)
    events = [(ms + 40, 'sound', ms) for ms in range(0, 5000, 40)]
    events += [(ms + delay_ms, 'frame', ms) for ms in range(0, 5000, 40)]
    closed = [window for now_ms, kind, ms in sorted(events)
              for window in getattr(rig, kind)(ms, now_ms=now_ms)]
    assert len(closed[-1].faces) == 50


def test_a_backlog_after_a_stall_is_no_jump_in_time():
    rig = Rig()
    for ms in range(0, 2000, 40):
        rig.sound(ms), rig.frame(ms)
    closed = [one for now in range(2040, 4000, 50)
              for one in rig.advance(now)]
    for ms in range(2000, 6000, 40):             # all at once, then in time
        closed += rig.frame(ms, now_ms=max(4000, ms)) + rig.sound(ms, now_ms=max(4000, ms + 40))
    assert rig.restarts == 0
    assert ends(closed) == sorted(set(ends(closed)))


def test_a_burst_of_unstamped_sound_is_no_jump_in_time():
    rig = Rig()
    for ms in range(0, 6000, 40):
        rig.frame(ms)
        late_ms = 1000 - (ms - 2000) if 2000 <= ms < 3000 else 0
        rig.sound(ms + late_ms, now_ms=ms + late_ms + 40, stamped=False)
    assert rig.restarts == 0


def gathered(state):
    """Yield all that a pipeline has gathered."""
    parts = state.values() if isinstance(state, dict) else (
        state if isinstance(state, list | tuple | set) else ())
    for part in parts:
        yield part
        yield from gathered(part)


def test_utterances_of_another_clock_do_not_gather():
    rig = Rig()
    for index in range(3000):
        rig.words((10_000_000 + index * 10, 10_000_009 + index * 10))
    assert sum(isinstance(one, Utterance) for one in gathered(rig.pipeline.freeze())) == 1000


def test_words_that_come_after_all_their_windows_are_late():
    rig = Rig()
    for ms in range(0, 4000, 100):
        rig.frame(ms)
    rig.words((100, 300))
    assert rig.count('speech.late') == 1


def test_flush_closes_what_some_stream_has_passed():
    rig = Rig()
    rig.frame(0), rig.sound(0)
    rig.frame(650, now_ms=20)
    assert ends(rig.finish()) == [200, 400, 600]


@pytest.mark.parametrize('hop_s', [0.02, 0.2, 1.0])
def test_a_large_leap_closes_a_bounded_number_of_windows(hop_s):
    rig = Rig(hop_s=hop_s, length_s=2.0, max_wait_s=0.0)
    rig.frame(0)
    assert len(rig.frame(9_000)) <= 9.5 / hop_s


@st.composite
def interleavings(draw):
    """Frames and chunks of a few seconds: lost, doubled, delayed, out of order."""
    events = []
    for kind, step, count in (('frame', 100, 40), ('sound', 40, 100)):
        for index in range(count):
            for _ in range(draw(st.sampled_from([1, 1, 1, 1, 1, 1, 0, 2]))):
                delay = draw(st.sampled_from([0, 0, 0, 5, 60, 150, 700]))
                events.append((index * step + delay, kind, index * step))
    return sorted(events, key=lambda event: event[0])


@settings(deadline=None, max_examples=60)
@given(interleavings(), st.sampled_from([0.0, 0.1, 0.25]), st.sampled_from([0.1, 0.2, 0.5]))
def test_any_interleaving_gives_windows_in_order_once_each_with_their_own_evidence(
        events, max_wait_s, hop_s):
    rig = Rig(max_wait_s=max_wait_s, hop_s=hop_s, jump_back_s=5.0)
    closed = []
    for now_ms, kind, ms in events:
        if kind == 'frame':
            closed += rig.frame(ms, now_ms=now_ms)
        else:
            closed += rig.sound(ms, now_ms=max(now_ms, ms + 40))
    closed += rig.finish()
    hop = round(hop_s * NS)
    ends_ns = [window.end_ns for window in closed]
    assert not ends_ns or ends_ns == list(range(ends_ns[0], ends_ns[-1] + 1, hop))
    for window in closed:
        assert all(window.start_ns <= face.stamp_ns < window.end_ns for face in window.faces)
        times = (window.start_ns - T0) / NS + np.arange(len(window.waveform)) / 16000
        known = window.heard & (window.waveform > 0)
        assert np.abs(100 * window.waveform - times)[known].max(initial=0.0) < 0.08
    seen_faces = {}
    for window in closed:                        # what one window saw of a time, all later ones do
        for stamp in {face.stamp_ns for face in window.faces}:
            seen_faces.setdefault(stamp, window.end_ns)
    for stamp, first_end in seen_faces.items():
        assert first_end == max((stamp // hop + 1) * hop, closed[0].end_ns)
