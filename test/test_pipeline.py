"""The pipeline on real clips, offline: what goes in as records comes out as states."""

import itertools
import math

import cv2
import jiwer
import numpy as np
import pytest
import skimage.data
from composed import portrait, records, sound_of, to_and_fro
from inputs import ROOT, SAMPLE

from maven_ros.devices.media import read_media
from maven_ros.errors import SettingsError
from maven_ros.pipeline import Pipeline
from maven_ros.records import (
    NS,
    AffectEvent,
    AffectState,
    AudioChunk,
    EventKind,
    Frame,
    Modality,
    RobotSpeaking,
    SmoothedState,
    Status,
    Utterance,
    VoiceAssigned,
    Word,
)
from maven_ros.settings import Settings

T0 = 1_700_000_000 * NS
QUIET = Settings().with_values({'speech.recogniser': 'none'})


def run(taken, settings=QUIET):
    """Return all that comes of records, and the counters."""
    with Pipeline(settings) as pipeline:
        outputs = [one for record in taken for one in pipeline.feed(record)] + pipeline.finish()
        return outputs, pipeline.counters.snapshot()


@pytest.fixture(scope='module')
def spoken(whisper_base):
    """All that comes of the shipped clip, and the counters."""
    return run(read_media(SAMPLE, start_ns=T0), Settings())


def seen(until_s=2.4):
    """Return the frames of the shipped clip's beginning, in which nobody is heard."""
    return list(itertools.takewhile(lambda frame: frame.stamp_ns < T0 + until_s * NS,
                                    read_media(SAMPLE, start_ns=T0, audio=False)))


def plain(text):
    """Return words as they are compared."""
    return ' '.join(text.lower().translate(str.maketrans('', '', '.,!?')).split())


def states_of(outputs):
    return [one for one in outputs if isinstance(one, AffectState)]


def utterances_of(outputs):
    return [one for one in outputs if isinstance(one, Utterance)]


def check_shape(states, hop_ns=NS // 5):
    """Check what holds for every run: order, one state a person and window, sane values."""
    keys = [(state.window_end_ns, state.person_id) for state in states]
    assert len(keys) == len(set(keys))
    ends = sorted({end for end, _ in keys})
    assert ends == list(range(ends[0], ends[-1] + 1, hop_ns))
    for state in states:
        assert state.window_end_ns - state.window_start_ns == 2 * NS
        if state.status is Status.NO_EVIDENCE:
            assert state.modalities == Modality.NONE and math.isnan(state.affect.valence)
            assert state.influence == (0.0, 0.0, 0.0) and math.isnan(state.confidence)
        else:
            assert -1 <= state.affect.valence <= 1 and -1 <= state.affect.arousal <= 1
            assert state.valence_std > 0 and 0 <= state.confidence <= 1
            assert sum(state.influence) == pytest.approx(1.0, abs=1e-5)
            for share, modality in zip(state.influence, list(Modality)[-3:], strict=True):
                assert share == 0.0 or state.modalities & modality


def ids(states):
    return {state.person_id for state in states} - {''}


def test_the_shipped_clip_gives_face_voice_and_words_that_are_right(spoken):
    outputs, counts = spoken
    states = states_of(outputs)
    check_shape(states)
    assert ids(states) == {'person_1'}
    everything = Modality.VIDEO | Modality.AUDIO | Modality.TEXT
    assert any(state.modalities == everything for state in states)
    assert set(counts) <= {'video.thinned', 'windows.closed_without_video',
                           'windows.closed_without_audio', 'speech.invented'}
    said = [one for one in utterances_of(outputs) if one.is_final]
    heard = ' '.join(one.text for one in said)
    assert {one.language for one in said} == {'en'}
    assert jiwer.wer(plain((ROOT / 'media/sample.txt').read_text()), plain(heard)) <= 0.05


def test_two_runs_over_the_same_records_are_the_same(spoken):
    again, counts = run(read_media(SAMPLE, start_ns=T0), Settings())
    assert (again, counts) == spoken


@pytest.mark.usefixtures('whisper_base')
def test_a_talking_woman_has_all_three_kinds_of_evidence_in_most_windows(shared_data):
    outputs, _ = run(read_media(shared_data / 'clips/talking_head_0.mp4', start_ns=T0), Settings())
    states = states_of(outputs)
    assert ids(states) == {'person_1'}
    later = [state for state in states if state.window_end_ns > T0 + 3 * NS]
    share = np.mean([state.modalities == 7 for state in later])
    assert share >= 0.8
    assert all(state.voice_assigned is VoiceAssigned.UNDECIDED for state in later)


def test_where_nobody_is_in_view_states_rest_on_what_is_heard():
    cup = cv2.cvtColor(skimage.data.coffee(), cv2.COLOR_RGB2BGR)
    panned = to_and_fro([cup[:380, x:x + 480] for x in range(0, 100, 5)])
    states = states_of(run(records(T0, 5, [panned], sound_of(SAMPLE)))[0])
    check_shape(states)
    assert {state.modalities for state in states} == {Modality.NONE, Modality.AUDIO}
    assert ids(states) == set() and all(state.face is None for state in states)


def test_digital_silence_gives_states_without_audio_and_text():
    silence = [AudioChunk(index * NS // 10, np.zeros((1600, 1), np.float32), 16000)
               for index in range(50)]
    outputs, _ = run(records(T0, 5, [to_and_fro(portrait(SAMPLE)[:30])], silence), Settings())
    states = states_of(outputs)
    check_shape(states)
    assert {state.modalities for state in states} == {Modality.NONE, Modality.VIDEO}
    assert not any(one.words for one in utterances_of(outputs))
    assert ids(states) == {'person_1'}


def picture(value=0):
    return np.full((240, 320, 3), value, np.uint8)


def test_nothing_to_be_seen_or_heard_is_no_evidence_with_nan():
    with Pipeline(QUIET) as pipeline:
        states = states_of(output for index in range(30) for output in pipeline.feed(
            Frame.of(T0 + index * NS // 10, picture())))
    check_shape(states)
    assert {state.status for state in states} == {Status.NO_EVIDENCE}
    assert states[-1].model == pipeline.engine.name


def test_frames_are_thinned_by_stamp_before_they_are_decoded():
    decoded = []
    with Pipeline(QUIET) as pipeline:
        for index in range(60):
            stamp = T0 + index * NS // 60
            pipeline.feed(Frame(stamp, lambda stamp=stamp: decoded.append(stamp) or picture()))
        assert pipeline.counters.get('video', 'thinned') == 50
    assert decoded == [T0 + index * NS // 10 for index in range(10)]


@pytest.mark.parametrize(('records', 'name'), [
    ([Frame.of(T0, picture()), Frame.of(T0, picture())], 'video.duplicate'),
    ([Frame.of(T0 + NS // 5, picture()), Frame.of(T0, picture())], 'video.out_of_order'),
    ([AudioChunk(T0, np.full((9, 1), np.nan, np.float32), 16000)], 'audio.not_finite'),
])
def test_bad_records_are_dropped_and_counted_and_the_next_one_is_taken(records, name):
    with Pipeline(QUIET) as pipeline:
        for record in records:
            pipeline.feed(record, now_ns=T0)
        assert pipeline.counters.snapshot()[name] == 1
        states = [state for index in range(10)
                  for state in pipeline.feed(Frame.of(T0 + NS + index * NS // 10, picture()))]
    assert states


def test_while_the_robot_speaks_nothing_is_heard():
    speech = list(read_media(SAMPLE, start_ns=T0, video=False))
    statuses = [{state.status for state in states_of(run([*before, *speech])[0])}
                for before in ([], [RobotSpeaking(T0, True)])]
    assert statuses == [{Status.NO_EVIDENCE, Status.OK}, {Status.NO_EVIDENCE}]


def test_words_below_the_gate_are_shown_but_are_no_evidence():
    with Pipeline(QUIET) as pipeline:
        pipeline.feed(Frame.of(T0, picture()))
        words = (Word('hello', T0 + 10, T0 + 20, 0.9), Word('there', T0 + 30, T0 + 40, 0.01))
        pipeline.feed(Utterance(T0 + 10, T0 + 40, words[:1], False, 'test'), now_ns=T0)
        pipeline.feed(Utterance(T0 + 10, T0 + 40, words, True, 'test'), now_ns=T0)
        states = pipeline.feed(Frame.of(T0 + NS // 4, picture()))
        assert states[0].transcript == 'hello there' and states[0].modalities == Modality.TEXT
        pipeline.reset()
        pipeline.feed(Frame.of(T0, picture()))
        pipeline.feed(Utterance(T0 + 30, T0 + 40, words[1:], True, 'test'), now_ns=T0)
        states = pipeline.feed(Frame.of(T0 + NS // 4, picture()))
        assert states[0].transcript == 'there' and states[0].modalities == Modality.NONE
        assert states[0].status is Status.NO_EVIDENCE


#: The same, said in languages that a text encoder of English does not know.
MEANING = {'en': 'that is wonderful thank you', 'de': 'das ist wunderbar danke',
           'fr': "c'est merveilleux merci", 'es-MX': 'es maravilloso gracias'}
ANGUISH = {'en': 'i am afraid', 'de': 'ich habe angst', 'fr': "j'ai peur", 'es': 'tengo miedo'}


def judged(text, language):
    """Return the state of a window in which a face is seen and a text is heard."""
    settings = Settings().with_values({'speech.recogniser': 'none', 'faces.confirm_s': 0.0})
    frames = seen(3.0)
    words = tuple(Word(word, T0 + NS + k * NS // 10, T0 + NS + (k + 1) * NS // 10, 0.9, language)
                  for k, word in enumerate(text.split()))
    with Pipeline(settings) as pipeline:
        pipeline.engine.languages = ('en',)
        for frame in frames[:len(frames) // 2]:
            pipeline.feed(frame)
        if words:
            pipeline.feed(Utterance(words[0].start_ns, words[-1].end_ns, words, True, 'test',
                                    language, 0.9), now_ns=frames[len(frames) // 2].stamp_ns)
        states = {one.window_end_ns: one for one in states_of(
            one for frame in frames[len(frames) // 2:] for one in pipeline.feed(frame))}
        return states[T0 + 2 * NS + 2 * NS // 5], pipeline.counters


@pytest.mark.parametrize('same', [MEANING, ANGUISH])
def test_words_of_a_language_that_the_encoder_lacks_change_no_state(same, caplog):
    silent, _ = judged('', '')
    for language, text in same.items():
        caplog.clear()
        state, counters = judged(text, language)
        assert state.transcript == text
        if language == 'en':
            assert state.modalities == silent.modalities | Modality.TEXT
            assert state.affect != silent.affect
            assert counters.get('text', 'language') == 0
        else:
            assert (state.affect, state.modalities) == (silent.affect, silent.modalities)
            assert counters.get('text', 'language') == len(text.split())
            assert f"words in '{language}' are no evidence" in caplog.text


def test_another_language_is_said_once_in_the_log_and_a_language_unknown_is_taken(caplog):
    with Pipeline(QUIET) as pipeline:
        pipeline.engine.languages = ('en',)
        for k in range(30):
            words = (Word('ja', T0 + k * NS, T0 + k * NS + 1, 0.9, 'de'),)
            pipeline.feed(Utterance(T0 + k * NS, T0 + k * NS + 1, words, True, 'x', 'de', 0.9))
        assert pipeline.counters.get('text', 'language') == 30
    assert caplog.text.count('are no evidence') == 1
    state, counters = judged('that is wonderful', '')
    assert state.modalities & Modality.TEXT and counters.get('text', 'language') == 0


def test_an_audio_offset_shifts_sound_against_pictures():
    settings = QUIET.with_values({'audio.offset_ms': 500.0, 'windows.stale_after_s': 5.0})
    with Pipeline(settings) as pipeline:
        pipeline.feed(Frame.of(T0 - NS // 10, picture()), now_ns=T0)
        sound = np.full((8000, 1), 0.1, np.float32)
        outputs = pipeline.feed(AudioChunk(T0, sound, 16000), now_ns=T0)
        outputs += pipeline.feed(Frame.of(T0 + NS * 13 // 10, picture()), now_ns=T0)
        assert max(state.window_end_ns for state in states_of(outputs)) == T0 + NS


def test_a_loop_in_time_starts_over_and_people_get_new_ids():
    clip = seen()
    with Pipeline(QUIET) as pipeline:
        outputs = [one for _ in range(2) for frame in clip for one in pipeline.feed(frame)]
        assert pipeline.counters.get('windows', 'jump_back') == 1
    states = states_of(outputs)
    again = next(index for index, (one, other) in enumerate(itertools.pairwise(states), 1)
                 if other.window_end_ns < one.window_end_ns)
    smoothed = [one.state for one in outputs if isinstance(one, SmoothedState)]
    assert smoothed[again].affect == states[again].affect  # smoothing starts anew
    came = [(one.kind, one.person_id) for one in outputs if isinstance(one, AffectEvent)
            and one.kind in (EventKind.APPEARED, EventKind.LEFT)]
    assert came == [(EventKind.APPEARED, 'person_1'), (EventKind.LEFT, 'person_1'),
                    (EventKind.APPEARED, 'person_2')]
    first = [state.window_end_ns for state in states]
    assert len(first) == 2 * len(set(first))
    assert len(ids(states)) == 2


def test_each_state_is_followed_by_a_smoothed_one_and_events_come_of_those(spoken):
    outputs, _ = spoken
    raw = states_of(outputs)
    smoothed = [one.state for one in outputs if isinstance(one, SmoothedState)]
    assert [(one.window_end_ns, one.person_id, one.modalities) for one in raw] == [
        (one.window_end_ns, one.person_id, one.modalities) for one in smoothed]
    pairs = [(one, other) for one, other in zip(raw, smoothed, strict=True) if one.modalities]
    assert np.mean([other.valence_std < one.valence_std for one, other in pairs]) > 0.9
    events = [one for one in outputs if isinstance(one, AffectEvent)]
    kinds = [one.kind for one in events if one.person_id == 'person_1']
    assert kinds[0] is EventKind.APPEARED and kinds[-1] is EventKind.LEFT
    assert EventKind.SPEECH_STARTED in kinds
    assert all(one.baseline == (0.0, 0.0) for one in smoothed)


def test_the_baseline_is_subtracted_from_smoothed_states_until_it_is_reset():
    settings = QUIET.with_values({'baseline.enabled': True, 'baseline.settle_s': 10.0})
    frames = seen()
    with Pipeline(settings) as pipeline:
        outputs = [one for frame in frames[:-20] for one in pipeline.feed(frame)]
        learnt = [one.state.baseline for one in outputs if isinstance(one, SmoothedState)]
        assert learnt[-1] != (0.0, 0.0)
        pipeline.reset_baselines()
        outputs += (last := [one for frame in frames[-20:] for one in pipeline.feed(frame)])
        after = [one.state.baseline for one in last if isinstance(one, SmoothedState)]
    assert after[0] == (0.0, 0.0)
    assert all(one.baseline == (0.0, 0.0) for one in states_of(outputs))


def test_a_file_of_regions_that_cannot_be_used_is_refused_before_anything_opens(tmp_path):
    path = tmp_path / 'regions.yaml'
    path.write_text('calm: {intensity: [0, 3]}')
    with pytest.raises(SettingsError, match=r'regions\.yaml: calm: intensity'):
        Pipeline(QUIET.with_values({'events.regions': str(path)}))


def test_the_readme_example_runs(monkeypatch, capsys):
    code = (ROOT / 'README.md').read_text().split('```python\n')[1].split('```')[0]
    assert len(code.strip().splitlines()) <= 10
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr('maven_ros.media.read_media', lambda path: itertools.takewhile(
        lambda record: record.stamp_ns < 3 * NS, read_media(path)))
    exec(compile(code, 'README.md', 'exec'), {})
    assert 'valence' in capsys.readouterr().out
