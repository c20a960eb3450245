"""Several people in one picture, composed of clips of one each; of one portrait where none are."""

import cv2
import numpy as np
import pytest
from composed import acted, loudness, portrait, records, sound_of, to_and_fro
from inputs import SAMPLE, SHARED_DATA

from maven_ros.pipeline import Pipeline
from maven_ros.records import NS, AffectState, Modality, VoiceAssigned
from maven_ros.settings import Settings

T0 = 1_700_000_000 * NS
SIDE = 240
QUIET = Settings().with_values({'speech.recogniser': 'none', 'model.influence': False})
HEARD = Modality.AUDIO | Modality.TEXT


def made():
    """Return one who speaks, one who is beside herself, one who laughs, one who listens."""
    voice = sound_of(SAMPLE, after_s=1.0)  # before it, 2 s in which she laughs already
    loud = loudness(voice)

    def laugh(time_s):
        return 0.1 + 0.1 * np.sin(20 * time_s)

    def talk(time_s):  # a mouth moves less than loudness does: by 0.1, as hers in the clips
        return 1.3 * loud(time_s)**0.5

    return {'talking': acted(talk, 8, SIDE),
            'distress': acted(lambda time_s: 0.05 * np.sin(time_s), 8, SIDE, pale, 1.0),
            'laughing': acted(laugh, 8, SIDE, mirrored, 2.0),
            'listening': acted(lambda time_s: 0, 8, SIDE, dark, 3.0)}, voice


def pale(picture):
    return cv2.convertScaleAbs(picture, alpha=0.7, beta=60)


def mirrored(picture):
    return np.ascontiguousarray(picture[:, ::-1])


def dark(picture):
    return cv2.convertScaleAbs(mirrored(picture), alpha=0.6)


def real():
    """Return the same of clips that are not ours to pass on."""
    folder = SHARED_DATA / 'clips'
    changing = portrait(folder / 'changing_face.mp4', SIDE, (240, 0, 360))
    return {'talking': portrait(folder / 'talking_head_0.mp4', SIDE), 'distress': changing[:90],
            'laughing': changing[100:190],
            'listening': portrait(folder / 'single_face.mp4', SIDE)
            }, sound_of(folder / 'talking_head_0.mp4')


@pytest.fixture(scope='module', params=[made, real] if SHARED_DATA.is_dir() else [made],
                ids=lambda source: source.__name__)
def people(request):
    """Return pictures by who is in them, and the voice of the one who speaks."""
    return request.param()


def watch(tiles, sound, seconds):
    """Return the states of each window, by its end, and how many people each pass had."""
    passes, windows = [], {}
    with Pipeline(QUIET) as pipeline:
        infer = pipeline.engine.infer
        pipeline.engine.infer = lambda pieces: passes.append(len(pieces)) or infer(pieces)
        outputs = [one for record in records(T0, seconds, map(to_and_fro, tiles), sound)
                   for one in pipeline.feed(record)] + pipeline.finish()
    for one in outputs:
        if isinstance(one, AffectState):
            windows.setdefault(one.window_end_ns, []).append(one)
    return windows, passes


def place(state):
    """Return which tile a face is in, from the left."""
    return (state.face.x + state.face.width // 2) // SIDE


def check(windows, people):
    """Check that everybody keeps an id, and that sound is evidence of no more than one."""
    later = [states for end_ns, states in windows.items() if end_ns >= T0 + NS]
    assert all(len(states) == people for states in later)
    assert {(one.person_id, place(one)) for states in later for one in states} == {
        (one.person_id, place(one)) for one in later[-1]}
    for states in later:
        voices = sorted(one.voice_assigned for one in states)
        assert voices in ([0] * people, [3] * people, [1] + [2] * (people - 1))
        for one in states:
            assert one.modalities & Modality.VIDEO
            own = one.voice_assigned is VoiceAssigned.SELF
            assert bool(one.modalities & HEARD) == own


def speakers(windows):
    """Return for each window in which a voice was heard whose it is: a tile, or None."""
    return [next((place(one) for one in states if one.voice_assigned is VoiceAssigned.SELF), None)
            for states in windows.values() if len(states) > 1
            and states[0].voice_assigned is not VoiceAssigned.NONE]


def test_three_people_are_three_states_and_the_voice_is_of_the_one_who_speaks(people):
    clips, voice = people
    names = ('laughing', 'listening', 'talking')
    windows, passes = watch([clips[name] for name in names], voice, 7.9)
    check(windows, 3)
    assert len(passes) <= len(windows) and passes[-30:] == [3] * 30  # all in one pass
    found = speakers(windows)
    assert len(found) >= 25 and set(found) == {2, None} and np.mean([
        one == 2 for one in found]) >= 0.8


@pytest.mark.parametrize(('names', 'tile', 'share'), [
    (('talking', 'distress'), 0, 0.5), (('listening', 'talking'), 1, 0.8)])
def test_a_face_that_moves_without_speaking_is_not_given_the_voice(people, names, tile, share):
    clips, voice = people
    windows, _ = watch([clips[name] for name in names], voice, 7.9)
    check(windows, 2)
    found = speakers(windows)
    assert set(found) == {tile, None} and np.mean([one == tile for one in found]) >= share


def test_a_voice_from_outside_the_picture_is_nobodys(people):
    clips, voice = people
    windows, _ = watch([clips['listening'], clips['laughing']], voice, 5.9)
    check(windows, 2)
    found = speakers(windows)
    assert len(found) >= 15 and set(found) == {None}


def test_three_photographs_that_move_do_not_speak():
    pictures = portrait(SAMPLE, SIDE)
    tiles = [pictures[start:start + 50] for start in (0, 30, 60)]
    windows, passes = watch(tiles, sound_of(SAMPLE), 4.5)
    check(windows, 3)
    assert passes[-10:] == [3] * 10
    found = speakers(windows)
    assert len(found) >= 10 and set(found) == {None}
