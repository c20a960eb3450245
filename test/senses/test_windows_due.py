"""Windows are the same however often somebody looks whether one is due."""

from hypothesis import given, settings
from hypothesis import strategies as st

from maven_ros.counters import Counters
from maven_ros.records import NS, Stream
from maven_ros.senses.audio import AudioSense
from maven_ros.senses.windows import Windows
from maven_ros.settings import AudioSettings, WindowSettings

T0 = 1_700_000_000 * NS
MS = 1_000_000


def closed(events, every_ms=None, **values):
    """Return end and stale streams of the windows that close, looked at at events and between."""
    counters = Counters()
    windows = Windows(WindowSettings(**values), AudioSense(AudioSettings(), 7.0, counters),
                      counters)
    found, last_ms = [], None
    for now_ms, stream, stamp_ms in events:
        if every_ms is not None and last_ms is not None:
            for ms in range(last_ms + every_ms, now_ms, every_ms):
                found += windows.advance(T0 + ms * MS)
        found += windows.advance(T0 + now_ms * MS)
        if stream is not None:
            windows.arrived(stream, T0 + stamp_ms * MS, T0 + now_ms * MS)
            found += windows.advance(T0 + now_ms * MS)
        last_ms = now_ms
    return [((window.end_ns - T0) // MS, {one.value for one in window.stale})
            for window in found]


def test_a_camera_that_stops_is_stale_from_the_moment_on_at_which_it_has_been_silent_for_long():
    events = [(ms, Stream.VIDEO, ms) for ms in range(0, 1000, 100)]
    events += [(ms, Stream.AUDIO, ms) for ms in (0, 900, 1150, 1700)]  # and nothing after
    events = [*sorted(events, key=lambda event: event[0]), (4000, None, 0)]
    windows = closed(events)
    assert windows == closed(events, every_ms=10)
    assert [end for end, _ in windows] == list(range(200, 3800, 200))
    # The sound passes 1000 at 1150: the camera is waited for until 1400, and has stopped at 1900.
    stale = dict(windows)
    assert stale[1000] == set() and stale[1200] == {'video'} == stale[1600]
    assert stale[1800] == {'video', 'audio'}


@st.composite
def arrivals(draw):
    """Frames and sound of a few seconds: stalled, delayed, gone."""
    events = []
    for stream, step, count in ((Stream.VIDEO, 100, 50), (Stream.AUDIO, 40, 125)):
        gone = draw(st.integers(0, count))
        stall = draw(st.tuples(st.integers(0, 4000), st.sampled_from([0, 300, 900, 1500])))
        for index in range(count):
            ms = index * step
            now_ms = ms + draw(st.sampled_from([0, 0, 0, 5, 60, 150]))
            if stall[0] <= ms < sum(stall):
                now_ms = sum(stall)
            if not gone <= index < gone + 30:
                events.append((now_ms, stream, ms))
    return [*sorted(events, key=lambda event: event[0]), (7000, None, 0)]


@settings(deadline=None, max_examples=30)
@given(arrivals(), st.sampled_from([1, 7, 50]), st.sampled_from([0.0, 0.25, 2.0]))
def test_windows_do_not_depend_on_how_often_somebody_looks(events, every_ms, max_wait_s):
    fine = closed(events, every_ms, max_wait_s=max_wait_s)
    assert closed(events, max_wait_s=max_wait_s) == fine
    assert fine
