"""The picture of a run: it is drawn, it says *untrained*, and it refuses what it cannot draw."""

import math

import cv2
import numpy as np
import pytest

from maven_ros.affect import Affect
from maven_ros.errors import ResourceError
from maven_ros.records import NS, AffectState, Modality, Status, Utterance, VoiceAssigned, Word
from maven_ros.report.timeline import draw_timeline


def state(index, model='compact-01234567', person='person_1'):
    known = index != 3
    point = Affect(0.5, -0.5) if known else Affect(math.nan, math.nan)
    std = 0.2 if known else math.nan
    end = index * NS // 5
    return AffectState(
        end - 2 * NS, end, Status.OK if known else Status.NO_EVIDENCE, person, point, std, std,
        Modality.VIDEO if known else Modality.NONE, (1.0, 0.0, 0.0) if known else (0., 0., 0.),
        VoiceAssigned.NONE, '', None, 'camera', model)


def red_share(path):
    picture = cv2.imread(str(path)).astype(int)
    assert picture.shape[0] > 500 and picture.shape[1] > 1000
    panel = picture[60:400, 110:950]
    return np.mean((panel[..., 2] - panel[..., 1] > 20) & (panel[..., 2] > 200))


def test_a_timeline_is_drawn_and_an_untrained_one_says_so(tmp_path):
    words = (Word('hello', NS, 2 * NS, 0.9),)
    utterances = [Utterance(NS, 2 * NS, words, True, 'test')]
    trained = [state(index) for index in range(20)]
    draw_timeline(trained, utterances, tmp_path / 'a.png')
    untrained = [state(index, 'untrained compact-01234567') for index in range(20)]
    draw_timeline(untrained, utterances, tmp_path / 'b.png')
    assert red_share(tmp_path / 'b.png') > red_share(tmp_path / 'a.png') + 0.01


def test_several_people_and_a_run_without_any_evidence_are_drawn(tmp_path):
    crowd = [state(index, person=person) for index in range(9) for person in ('a', 'b', '')]
    draw_timeline(crowd, [], tmp_path / 'crowd.png')
    draw_timeline([state(3)], [], tmp_path / 'nothing.png')
    assert (tmp_path / 'crowd.png').stat().st_size > 10_000
    assert (tmp_path / 'nothing.png').stat().st_size > 10_000


def test_words_are_drawn_as_they_are(tmp_path):
    words = (Word('a $_$ {b', NS, 2 * NS, 0.9),)
    draw_timeline([state(0), state(9)], [Utterance(NS, 2 * NS, words, True, 'test')],
                  tmp_path / 'a.png')
    assert (tmp_path / 'a.png').is_file()


def test_what_cannot_be_drawn_or_written_is_refused(tmp_path):
    with pytest.raises(ResourceError, match='there is no state to draw'):
        draw_timeline([], [], tmp_path / 'a.png')
    (tmp_path / 'a.png').touch()
    with pytest.raises(ResourceError, match=r'cannot be written: .*File exists'):
        draw_timeline([state(0)], [], tmp_path / 'a.png' / 'a.png')
