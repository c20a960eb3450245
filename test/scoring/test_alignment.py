"""Which state speaks for which time and person: by hand."""

import math

import numpy as np
import pytest

from maven_ros.affect import Affect
from maven_ros.errors import InputError
from maven_ros.records import NS, AffectState, Box, Modality, Status, VoiceAssigned
from maven_ros.scoring.alignment import Missing, align, believed, check_order, states_of
from maven_ros.scoring.annotations import Annotation


def state(end_s, person='person_1', valence=0.5, box=(0, 10)):
    known = not math.isnan(valence)
    end_ns = round(end_s * NS)
    return AffectState(
        end_ns - 2 * NS, end_ns, Status.OK if known else Status.NO_EVIDENCE, person,
        Affect(valence, valence), 0.2 if known else math.nan, 0.2 if known else math.nan,
        Modality.VIDEO if known else Modality.NONE, (1., 0., 0.), VoiceAssigned.NONE, '',
        Box(box[0], 0, box[1], box[1]) if box else None, 'camera', 'compact-0')


def pair(annotation, states, **offset):
    return align('talk', annotation, believed(annotation.person, states, 0.2), **offset)


def said(*times_s, person=''):
    times_ns = np.array([round(time * NS) for time in times_s], np.int64)
    return Annotation(person, 'talk.csv', times_ns, np.zeros((len(times_ns), 2)), 0)


def test_a_state_speaks_from_its_window_s_end_until_the_next():
    states = [state(2.0, valence=0.1), state(2.2, valence=0.2), state(2.8, valence=0.3)]
    pairs = pair(said(1.99, 2.0, 2.19, 2.2, 2.399, 2.4, 2.8), states)
    assert pairs.missing.tolist() == [1, 0, 0, 0, 0, 1, 0]
    np.testing.assert_array_equal(
        pairs.estimated[:, 0], [math.nan, 0.1, 0.1, 0.2, 0.2, math.nan, 0.3])


def test_raters_who_are_late_are_held_against_the_past():
    states = [state(2.0 + index / 5, valence=index / 100) for index in range(20)]
    pairs = pair(said(3.0, 4.0), states, offset_s=0.5)
    np.testing.assert_allclose(pairs.estimated[:, 0], [0.02, 0.07])
    assert pairs.times_ns.tolist() == [3 * NS, 4 * NS]


def test_why_a_state_is_missing():
    states = [state(1.0, 'person_2'), state(1.2, valence=math.nan), state(1.4)]
    pairs = pair(said(0.5, 1.0, 1.2, 1.4, person='person_1'), states)
    assert pairs.missing.tolist() == [Missing.NO_WINDOW, Missing.NOT_IN_VIEW, Missing.NO_EVIDENCE,
                                      Missing.NOTHING]
    np.testing.assert_allclose(pairs.error, [math.nan] * 3 + [math.hypot(0.5, 0.5)])


def test_nobody_in_particular_is_the_largest_face_or_the_voice():
    found = states_of('', [state(1.0, 'a', box=(0, 10)), state(1.0, 'b', box=(50, 20)),
                           state(1.2, '', box=None)])
    assert [one.person_id for one in found.values()] == ['b', '']


def test_sides_are_those_of_the_outermost_faces():
    together = [state(1.0, 'a', box=(300, 10)), state(1.0, 'b', box=(20, 10)),
                state(1.0, 'c', box=(150, 90))]
    alone = [state(1.2, 'a', box=(10, 10)), state(1.4, 'stranger'), state(1.6, 'c')]
    right = states_of('right', [*together, *alone])
    assert {end / NS: one.person_id for end, one in right.items()} == {1.0: 'a', 1.2: 'a'}
    assert [one.person_id for one in states_of('left', [*together, *alone]).values()] == ['b']
    pairs = pair(said(1.4, person='left'), [*together, *alone])
    assert pairs.missing.tolist() == [Missing.NOT_IN_VIEW]


def test_no_state_at_all_covers_nothing():
    pairs = pair(said(1.0, 2.0), [])
    assert pairs.missing.tolist() == [Missing.NO_WINDOW] * 2 and not pairs.covered.any()


def test_a_bag_whose_time_goes_back_is_refused():
    check_order('loop', [state(1.0, 'a'), state(1.0, 'b'), state(1.2, 'a')])
    with pytest.raises(InputError, match='loop: a window that ends at 1000000000 ns came after '
                                         'one that ends at 1200000000 ns; allowed: later ones'):
        check_order('loop', [state(1.0), state(1.2), state(1.0)])
