"""Sound on the sample clock: rates, gaps, overlaps, drift, late sound, the robot's own voice."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inputs import SAMPLE
from listening import chunks_of
from speaking import sound_of

from maven_ros.counters import Counters
from maven_ros.errors import InputError
from maven_ros.freezing import decode, encode
from maven_ros.records import NS, AudioChunk, RobotSpeaking
from maven_ros.senses.audio import AudioSense
from maven_ros.senses.resample import Resampler
from maven_ros.settings import AudioSettings

START = 1_700_000_000 * NS
MS = 1_000_000
chunks = partial(chunks_of, start_ns=START)


def sense(**values):
    return AudioSense(AudioSettings(**values), 5.0, Counters())


def tone(seconds, rate_hz=16000, hz=440.0, channels=1):
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    wave = (0.5 * np.sin(2 * np.pi * hz * t)).astype(np.float32)
    return np.repeat(wave[:, None], channels, axis=1)


def feed(audio, items, **kwargs):
    return [segment for chunk in items for segment in audio.add(chunk, **kwargs)]


@pytest.mark.parametrize('rate_hz', [8000, 16000, 22050, 44100, 48000])
@pytest.mark.parametrize('channels', [1, 2, 6])
def test_any_rate_and_channel_count_lands_on_the_same_time_line(rate_hz, channels):
    audio = sense()
    feed(audio, chunks(tone(2.0, rate_hz, channels=channels), rate_hz=rate_hz))
    got = audio.read(START + 500 * MS, START + 1500 * MS)
    want = tone(2.0)[8000:24000, 0]
    assert got.heard.all() and len(got.waveform) == 16000
    assert np.abs(got.waveform - want).max() < 0.02  # in phase: a shift of 1 sample is 0.09


RATES = [8000, 11025, 16000, 22050, 44056, 44100, 48000, 96000]


def heard_alike(audio, other, start_ns, end_ns):
    """Return how far the same time is from being the same sound in both."""
    got, want = audio.read(start_ns, end_ns), other.read(start_ns, end_ns)
    assert got.heard.all() and want.heard.all()
    return np.abs(got.waveform - want.waveform).max()


@pytest.mark.parametrize('rate_hz', RATES)
def test_with_which_chunk_the_sound_begins_makes_no_difference_to_the_rest(rate_hz):
    """Node and recorder begin at different chunks: their samples were off by parts of one."""
    start_ns = START + 12_345_678
    noise = np.random.default_rng(0).normal(0, 0.1, (2 * rate_hz, 1)).astype(np.float32)
    items = chunks(noise, rate_hz=rate_hz, size=706, start_ns=start_ns)
    first = sense()
    feed(first, items)
    for number in (1, 2, 5):
        other = sense()
        feed(other, items[number:])
        begun_ns = items[number].stamp_ns + 50 * MS  # until the filter has run in
        assert heard_alike(other, first, begun_ns, start_ns + 1500 * MS) < 1e-6


@pytest.mark.parametrize('rate_hz', RATES)
def test_sound_behind_a_gap_is_as_without_it(rate_hz):
    noise = np.random.default_rng(0).normal(0, 0.1, (2 * rate_hz, 1)).astype(np.float32)
    items = chunks(noise, rate_hz=rate_hz, size=rate_hz // 8)
    whole, torn = sense(), sense()
    feed(whole, items)
    feed(torn, items[:4] + items[5:])
    assert heard_alike(torn, whole, items[5].stamp_ns + 50 * MS, START + 1500 * MS) < 1e-6
    missed = torn.read(items[4].stamp_ns + MS, items[5].stamp_ns - MS)
    assert not missed.heard.any() and not missed.waveform.any()


@pytest.mark.parametrize('rate_hz', RATES)
def test_sound_goes_on_where_it_was_written_down(rate_hz):
    noise = np.random.default_rng(0).normal(0, 0.1, (2 * rate_hz, 1)).astype(np.float32)
    items = chunks(noise, rate_hz=rate_hz, size=706)
    half = len(items) // 2
    whole, before, after = sense(), sense(), sense()
    feed(whole, items)
    feed(before, items[:half])
    after.thaw(decode(encode(before.freeze())))
    assert after.watermark_ns == before.watermark_ns
    feed(after, items[half:])
    assert heard_alike(after, whole, START, START + 1500 * MS) < 1e-6


def test_voice_is_told_alike_by_who_began_later():
    sound = sound_of(SAMPLE)[:8 * 16000, None]
    first, later = sense(), sense()
    feed(first, chunks(sound))
    feed(later, chunks(sound, size=500)[40:])  # 1.25 s: no whole block of voice activity
    span = START + 5 * NS, START + 8 * NS
    got, want = first.read(*span).voiced, later.read(*span).voiced
    assert np.mean(got == want) > 0.98 and got.any() and not got.all()


def test_what_has_not_arrived_is_silent_and_not_heard():
    audio = sense()
    feed(audio, chunks(tone(1.0)))
    got = audio.read(START - 500 * MS, START + 1500 * MS)
    assert got.heard.sum() == 16000
    assert got.heard[8000:24000].all()
    assert not got.waveform[:8000].any() and not got.waveform[24000:].any()


def test_a_voice_is_told_at_its_time_wherever_the_interval_begins():
    lead_ms = AudioSettings().voice_lead_s * 1000
    audio = sense()
    feed(audio, chunks(sound_of(SAMPLE)[:4 * 16000, None]))
    voiced = audio.read(START - 500 * MS, START + 4 * NS).voiced
    assert len(voiced) == 140  # each 32 ms; the first sentence is from 1.05 to 2.7 s
    assert not voiced[:43].any() and voiced[49:99].all() and not voiced[105:133].any()
    for begin_ms in (0, 7, 31, 32):
        voiced = audio.read(START + begin_ms * MS, START + 2 * NS + begin_ms * MS).voiced
        begun_ms = int(voiced.argmax()) * 32 + begin_ms
        assert len(voiced) == 62 and abs(begun_ms - (1050 - lead_ms)) <= 40


def test_before_any_sound_nothing_is_heard():
    got = sense().read(START, START + NS)
    assert len(got.waveform) == 16000 and not got.heard.any() and not got.voiced.any()


def test_a_gap_is_filled_with_unheard_silence_and_counted():
    audio = sense()
    items = chunks(tone(2.0))
    segments = feed(audio, items[:20] + items[30:]) + audio.finish()
    got = audio.read(START, START + 2 * NS)
    assert not got.heard[20 * 512:30 * 512].any()
    assert got.heard[:20 * 512].all() and got.heard[30 * 512:].all()
    assert sum(len(one.samples) for one in segments) == 32256  # contiguous, in whole blocks
    assert audio._counters.get('audio', 'gap') == 1


def test_a_gap_longer_than_the_ring_starts_the_clock_anew():
    audio = sense()
    feed(audio, chunks(tone(1.0)))
    later = START + 60 * NS
    feed(audio, chunks(tone(1.0), start_ns=later))
    assert audio.watermark_ns == later + NS
    assert audio.read(later, later + NS).heard.all()


def test_a_gap_longer_than_the_ring_forgets_the_sound_alone():
    audio = sense(robot_tail_s=0.25)
    audio.add(AudioChunk(START, tone(1.0), 16000, 0))
    audio.robot_speaking(RobotSpeaking(START + NS, True))
    later = START + 9 * NS
    audio.robot_speaking(RobotSpeaking(later + 250 * MS, False))
    audio.add(AudioChunk(later, tone(1.0), 16000, 3))
    heard = audio.read(later, later + NS).heard
    assert not heard[:8000].any() and heard[8000:].all()
    assert audio.clock == 'stamps'
    audio.add(AudioChunk(later, tone(1.0), 16000, 3))
    audio.add(AudioChunk(later + NS, tone(1.0), 16000, 5))
    assert audio.watermark_ns == later + 2 * NS
    counts = audio._counters.snapshot()
    assert (counts['audio.gap'], counts['audio.duplicate'], counts['audio.lost_chunks']) == (
        1, 1, 3)


@pytest.mark.parametrize('size', [512, 3200])
def test_duplicates_and_stragglers_are_dropped_and_counted(size):
    audio = sense()
    items = chunks(tone(1.0), size=size)
    feed(audio, [items[0], items[0], items[1], items[0], *items[2:]])
    assert audio.watermark_ns == START + NS
    assert audio._counters.snapshot() == {'audio.duplicate': 1, 'audio.out_of_order': 1}
    assert np.array_equal(audio.read(START, START + NS).waveform, tone(1.0)[:, 0])


def test_overlaps_are_cut_off_and_counted():
    audio = sense()
    wave = tone(1.0)
    audio.add(AudioChunk(START, wave[:8000], 16000))
    audio.add(AudioChunk(START + 250 * MS, wave[4000:], 16000))
    assert audio.watermark_ns == START + NS
    assert audio._counters.snapshot() == {'audio.overlap': 1}
    assert np.array_equal(audio.read(START, START + NS).waveform, tone(1.0)[:, 0])


def test_jitter_of_the_stamps_does_not_reach_the_samples():
    audio = sense()
    jitter = np.random.default_rng(0).integers(-20 * MS, 20 * MS, 63)
    items = [AudioChunk(chunk.stamp_ns + int(off), chunk.samples, 16000)
             for chunk, off in zip(chunks(tone(2.0)), jitter, strict=True)]
    segments = feed(audio, items) + audio.finish()
    got = np.concatenate([one.samples for one in segments])
    begin = round((items[0].stamp_ns - segments[0].start_ns) * 16000 / NS)
    assert np.array_equal(got[begin:begin + 32000], tone(2.0)[:, 0])
    assert not got[:begin].any() and not got[begin + 32000:].any()
    assert audio._counters.snapshot() == {}


def test_a_drifting_device_stays_in_step():
    """A device 200 ppm too fast would be 120 ms ahead after ten minutes."""
    audio = sense()
    silence = np.zeros((1600, 1), np.float32)
    true_ns = 1600 * NS / (16000 * 1.0002)
    for index in range(6000):
        audio.add(AudioChunk(START + round(index * true_ns), silence, 16000))
    assert abs(audio.watermark_ns - (START + 6000 * true_ns)) < 10 * MS
    assert audio._counters.snapshot() == {}


def test_arrival_times_may_jitter_far_more_than_stamps():
    audio = sense()
    for index, late_ms in enumerate([0, 0, 300, 260, 200, 100, 0, 0]):
        samples = np.full((1600, 1), index / 10, np.float32)
        audio.add(AudioChunk(START + index * 100 * MS + late_ms * MS, samples, 16000,
                             stamped=False))
    assert audio._counters.snapshot() == {}


def test_a_changed_rate_is_counted_and_carried_on():
    audio = sense()
    feed(audio, chunks(tone(1.0)))
    feed(audio, chunks(tone(1.0, 48000), rate_hz=48000, start_ns=START + NS))
    assert audio._counters.get('audio', 'rate_changed') == 1
    assert audio.read(START, START + 2 * NS).heard[:31500].all()


def test_lost_chunks_show_in_the_sequence():
    audio = sense()
    for sequence in (0, 1, 4):
        audio.add(AudioChunk(START + sequence * 32 * MS, tone(0.032), 16000, sequence))
    assert audio._counters.get('audio', 'lost_chunks') == 2


def test_a_chunk_that_a_later_one_overtook_is_counted_once():
    audio = sense()
    for sequence in (0, 1, 3, 2, 4):
        audio.add(AudioChunk(START + sequence * 32 * MS, tone(0.032), 16000, sequence))
    assert {name: n for name, n in audio._counters.snapshot().items() if 'gap' not in name} == {
        'audio.out_of_order': 1}


def test_one_lost_chunk_shifts_nothing_though_it_is_shorter_than_the_tolerance():
    audio = sense()
    items = [AudioChunk(one.stamp_ns, one.samples, 16000, index)
             for index, one in enumerate(chunks(tone(1.0)))]
    feed(audio, items[:10] + items[11:])
    got = audio.read(START, START + NS)
    assert not got.heard[10 * 512:11 * 512].any() and got.heard[11 * 512:].all()
    assert np.array_equal(got.waveform[11 * 512:], tone(1.0)[11 * 512:, 0])


def test_late_sound_is_no_evidence_but_reaches_the_recogniser():
    audio = sense()
    segments = feed(audio, chunks(tone(1.0)), sealed_ns=START + 500 * MS) + audio.finish()
    got = audio.read(START, START + NS)
    assert not got.heard[:8000].any() and got.heard[8000:].all()
    assert not got.waveform[:8000].any()
    assert np.array_equal(np.concatenate([one.samples for one in segments])[:16000],
                          tone(1.0)[:, 0])
    assert audio._counters.get('audio', 'late') > 0


def test_the_robots_own_voice_is_silenced_with_a_tail():
    audio = sense(robot_tail_s=0.25)
    audio.robot_speaking(RobotSpeaking(START + 250 * MS, True))
    items = chunks(tone(1.0), size=1600)
    segments = feed(audio, items[:5])
    audio.robot_speaking(RobotSpeaking(START + 500 * MS, False))
    segments += feed(audio, items[5:])
    heard = audio.read(START, START + NS).heard
    assert heard[:4000].all() and not heard[4000:12000].any() and heard[12000:].all()
    assert not np.concatenate([one.samples for one in segments])[4000:12000].any()


def heard_share(audio, start_ns):
    return audio.read(start_ns, start_ns + NS).heard.mean()


def test_a_robot_that_speaks_across_a_jump_in_time_stays_silenced():
    audio = sense()
    feed(audio, chunks(tone(1.0)))
    audio.robot_speaking(RobotSpeaking(START + NS, True))
    audio.reset()
    feed(audio, chunks(tone(1.0)))
    assert heard_share(audio, START) == 0.0


def test_what_the_robot_said_before_a_jump_in_time_silences_nothing_after_it():
    audio = sense()
    audio.robot_speaking(RobotSpeaking(START, True))
    audio.robot_speaking(RobotSpeaking(START + NS, False))
    audio.reset()
    feed(audio, chunks(tone(1.0)))
    assert heard_share(audio, START) == 1.0


@pytest.mark.parametrize('before', [True, False])
def test_a_robots_flag_on_another_clock_counts_from_now_on(before):
    """A bag of last year in a live node: the flag has no stamp but its arrival, today's."""
    audio = sense()
    if not before:
        feed(audio, chunks(tone(1.0), start_ns=START - NS))
    audio.robot_speaking(RobotSpeaking(START + 31_536_000 * NS, True))
    feed(audio, chunks(tone(1.0)))
    assert heard_share(audio, START) == 0.0


def test_a_sequence_that_starts_anew_is_no_loss():
    audio = sense()
    for index, sequence in enumerate((0, 2**64 - 1, 0)):
        audio.add(AudioChunk(START + index * 32 * MS, tone(0.032), 16000, sequence))
    assert audio._counters.snapshot() == {}


def test_samples_beyond_full_scale_are_clipped():
    audio = sense()
    loud = np.full((16000, 2), 3e38, np.float32)
    audio.add(AudioChunk(START, loud, 16000))
    assert audio.read(START, START + NS).waveform.max() == 1.0


def test_voice_is_told_from_silence_and_steady_noise():
    audio = sense()
    quiet = np.random.default_rng(1).normal(0, 1e-4, (16000, 1)).astype(np.float32)
    feed(audio, chunks(quiet))
    assert not audio.read(START, START + NS).voiced.any()


@pytest.mark.parametrize('bad', [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite_are_refused(bad):
    with pytest.raises(InputError, match='hold NaN or infinity; allowed: finite values'):
        sense().add(AudioChunk(0, np.array([[0.0], [bad]], np.float32), 16000))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 3000)), min_size=1, max_size=30),
       st.sampled_from([8000, 16000, 48000]))
def test_whatever_is_lost_the_rest_stays_at_its_time(pieces, rate_hz):
    """Each sample holds its own time (in 100 s), so that a shifted one gives itself away."""
    audio = sense(gap_tolerance_ms=5.0)
    position, kept = 0, []
    for keep, length in pieces:
        if keep:
            ramp = (np.arange(position, position + length) / rate_hz / 100).astype(np.float32)
            audio.add(AudioChunk(START + position * NS // rate_hz, ramp[:, None], rate_hz))
            kept.append((position, length))
        position += length
    if not kept:
        return
    got = audio.read(START, START + 5 * NS)
    times = np.arange(len(got.waveform)) / 16000
    where = got.heard & (np.abs(got.waveform) > 0)
    if rate_hz == 16000:  # no filter rings at the edges
        assert np.abs(100 * got.waveform - times)[where].max(initial=0.0) < 0.006
    assert got.heard.sum() <= sum(length for _, length in kept) * 16000 / rate_hz + len(kept)


def test_the_resampler_loses_nothing_at_the_end():
    resampler = Resampler(48000)
    got = [resampler.accept(piece) for piece in np.split(tone(1.0, 48000)[:, 0], 10)]
    got.append(resampler.accept(np.zeros(0, np.float32), last=True))
    assert sum(map(len, got)) == 16000


def listened(samples, **values):
    """Return what is heard of a second of sound."""
    audio = sense(**values)
    feed(audio, chunks(samples))
    return audio.read(START, START + NS).waveform


@pytest.mark.parametrize('noise', [0.0, 1e-5, 2e-3])
@pytest.mark.parametrize('channels', [2, 6])
def test_channels_without_a_microphone_do_not_lower_the_level(channels, noise):
    samples = np.random.default_rng(0).normal(0, noise, (16000, channels)).astype(np.float32)
    samples[:, 1:2] = tone(1.0)
    assert np.abs(listened(samples) - tone(1.0)[:, 0]).max() < 1e-6


def test_the_mean_is_of_all_channels_that_sound():
    samples = np.concatenate([tone(1.0), tone(1.0, hz=800.0), np.zeros((16000, 1), np.float32)], 1)
    assert np.abs(listened(samples) - samples[:, :2].mean(axis=1)).max() < 1e-6
    assert not listened(np.zeros((16000, 3), np.float32)).any()


def test_one_channel_of_several_is_listened_to():
    samples = np.concatenate([tone(1.0, hz=300.0), tone(1.0, hz=800.0)], axis=1)
    for channel in (1, 2):
        assert np.array_equal(listened(samples, channel=channel), samples[:, channel - 1])


def test_a_channel_that_is_not_there_is_refused_by_name():
    audio = sense(channel=3)
    with pytest.raises(InputError, match=r'audio\.channel: 3, of sound with 2 channels; allowed: '
                                         r'0 \(all\) to 2') as caught:
        audio.add(AudioChunk(START, tone(0.1, channels=2), 16000))
    assert caught.value.cause == 'no_channel'
    audio.change(AudioSettings(channel=2))
    assert audio.add(AudioChunk(START, tone(0.1, channels=2), 16000))
