"""When something is said about a person, from states, events and turns."""

import math
from itertools import pairwise

import numpy as np
import pytest
from made_states import HOP_NS, T0, state, utterance

from maven_ros.acting.stage import Acting
from maven_ros.errors import SettingsError
from maven_ros.freezing import decode, encode
from maven_ros.records import (
    NS,
    AffectSummary,
    Box,
    Face,
    HeadPose,
    Modality,
    VoiceAssigned,
)
from maven_ros.settings import Settings

SETTINGS = Settings().with_values({'summary.period_s': 2.0})
TENSE, GLAD = (-0.5, 0.4), (0.6, 0.3)


def run(acting, points, first=0, person_id='person_1', std=0.1, **changes):
    """Return the summaries of windows with these points, as (hop, text)."""
    found = []
    for hop, point in enumerate(points, first):
        found += told(hop, acting.take([state(
            T0 + hop * HOP_NS, *point, std, person_id, **changes)]))
    return found


def told(hop, outputs):
    return [(hop, one.text) for one in outputs if isinstance(one, AffectSummary)]


def test_a_change_is_told_with_its_time_and_the_first_impression_without():
    found = run(Acting(SETTINGS), [TENSE] * 50 + [GLAD] * 50)
    assert [text for _, text in found] == [
        'The person looks tense (quite sure; from the face alone).',
        'The person looks pleased and lively (quite sure; from the face alone) and became so a '
        'moment ago.']
    assert 50 < found[1][0] < 60


def test_while_no_event_has_told_of_a_region_nothing_is_said_of_it():
    """A sharp rise was told as a stronger feeling of the region that was being left."""
    found = run(Acting(SETTINGS), [TENSE] * 50 + [(-0.1, 0.1)] * 3 + [GLAD] * 30)
    assert not any('strongly' in text for _, text in found)
    assert 'tense' not in found[-1][1]


@pytest.mark.parametrize('yaw_deg, said', [
    (0, ' The person attends to the robot.'), (70, ' The person does not attend to the robot.'),
    (None, '')])
def test_who_attends_is_told_where_the_head_is_seen(yaw_deg, said):
    acting, found = Acting(SETTINGS), []
    pose = None if yaw_deg is None else HeadPose(math.radians(yaw_deg), 0.0, 0.0, (0.07,) * 3)
    faces = [Face(T0 + hop * HOP_NS, 'person_1', Box(0, 0, 9, 9), np.zeros((2, 2, 3), np.uint8),
                  (), pose) for hop in range(100)]
    for hop in range(10, 100):
        outputs = acting.take([state(T0 + hop * HOP_NS, *(TENSE if hop < 50 else GLAD), 0.1,
                                     'person_1')], faces[hop - 10:hop])
        found += told(hop, outputs)
    assert found[-1][1].endswith(f'became so a moment ago.{said}')


def test_a_turn_is_told_at_once_with_its_words():
    acting = Acting(SETTINGS)
    assert len(run(acting, [GLAD] * 50, voice=True)) == 1
    outputs = acting.hear(utterance('I am so happy', T0 + 5 * NS, T0 + 9 * NS))
    assert told(50, outputs) == [(50, (
        'The person looks pleased and lively (quite sure; from face and voice), while saying '
        "'I am so happy'."))]


def test_what_changes_while_somebody_speaks_is_told_with_the_words():
    acting = Acting(SETTINGS)
    run(acting, [TENSE] * 40 + [GLAD] * 30, voice=True)
    (_, text), = told(0, acting.hear(utterance('oh wow', T0 + 7 * NS, T0 + 13 * NS)))
    assert text.endswith("and became so six seconds ago, while saying 'oh wow'.")


def test_words_below_the_gate_and_undecided_turns_are_not_told():
    acting = Acting(SETTINGS)
    run(acting, [GLAD] * 50, voice=True)
    assert 'mumble' not in str(told(0, acting.hear(
        utterance('mumble', T0 + 7 * NS, T0 + 9 * NS, confidence=0.3))))
    several = Acting(SETTINGS)
    for hop in range(50):
        several.take([state(T0 + hop * HOP_NS, *GLAD, 0.1, name,
                            voice_assigned=VoiceAssigned.UNDECIDED) for name in 'ab'])
    assert told(0, several.hear(utterance('who', T0 + 7 * NS, T0 + 9 * NS))) == []


def test_summaries_come_at_most_once_a_period_and_never_twice_alike():
    acting, found = Acting(SETTINGS), []
    for hop in range(300):
        found += told(hop, acting.take([state(
            T0 + hop * HOP_NS, *GLAD, 0.1, voice=True)]))
        found += told(hop, acting.hear(
            utterance(f'number {hop // 20}', T0 + (hop - 3) * HOP_NS, T0 + (hop - 1) * HOP_NS)))
    hops = [hop for hop, _ in found]
    assert all(later - hop >= 10 for hop, later in pairwise(hops))
    assert len({text for _, text in found}) == len(found) > 10


def test_a_turn_that_came_too_soon_is_told_later_or_at_the_end():
    acting = Acting(SETTINGS)
    run(acting, [GLAD] * 50, voice=True)
    acting.hear(utterance('one', T0 + 5 * NS, T0 + 9 * NS))
    assert told(0, acting.hear(utterance('two', T0 + 8 * NS, T0 + 9 * NS))) == []
    assert "'two'" in run(acting, [GLAD] * 20, 50, voice=True)[0][1]
    acting.hear(utterance('three', T0 + 12 * NS, T0 + 13 * NS))
    acting.hear(utterance('four', T0 + 12 * NS, T0 + 13 * NS))
    assert "'four'" in told(0, acting.reset())[0][1]
    assert told(0, acting.reset()) == []


def test_who_was_told_of_and_leaves_is_told_of_and_forgotten():
    acting = Acting(SETTINGS)
    run(acting, [GLAD] * 50)
    found = run(acting, [GLAD] * 50, 50, person_id='person_2')
    assert (54, 'person_1 has left.') in found
    assert set(acting._summaries._people) == {'', 'person_2'}
    late = acting.hear(utterance('bye', T0 + 8 * NS, T0 + 9 * NS))
    assert late and set(acting._summaries._people) == {'', 'person_2'}


def test_below_the_gate_there_is_silence_and_a_change_of_it_counts():
    acting = Acting(SETTINGS)
    assert run(acting, [GLAD] * 30, std=0.9) == []
    acting.change(SETTINGS.with_values({'summary.gate': 0.0}))
    assert len(run(acting, [TENSE] * 30, 30, std=0.2)) >= 1


def test_it_goes_on_exactly_alike_from_what_was_written_down():
    one, other = Acting(SETTINGS), Acting(SETTINGS)
    run(one, [TENSE] * 40 + [GLAD] * 10, voice=True)
    one.hear(utterance('well', T0 + 7 * NS, T0 + 9 * NS))
    other.thaw(decode(encode(one.freeze())))
    then = run(one, [GLAD] * 30 + [TENSE] * 30, 50, voice=True)
    assert run(other, [GLAD] * 30 + [TENSE] * 30, 50, voice=True) == then and len(then) >= 2


def test_a_stopped_stream_and_a_voice_alone_are_told(tmp_path):
    acting = Acting(SETTINGS)
    found = run(acting, [GLAD] * 30, person_id='', modalities=Modality.AUDIO)
    assert found[0][1].startswith('Somebody out of view sounds pleased and lively (')
    path = tmp_path / 'texts.yaml'
    path.write_text('left: "{name}"')
    with pytest.raises(SettingsError, match=r'texts\.yaml: numbers: None; allowed'):
        Acting(Settings().with_values({'summary.templates': str(path)}))
