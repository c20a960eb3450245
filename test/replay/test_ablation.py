"""Ablations: the same windows and people, of which the model sees less."""

import itertools

import pytest
from inputs import SAMPLE

from maven_ros.devices.media import read_media
from maven_ros.errors import SettingsError
from maven_ros.pipeline import Pipeline
from maven_ros.records import NS, AffectState, Modality, Status
from maven_ros.replay.ablation import AblatedPipeline, check_ablations
from maven_ros.settings import Settings

QUIET = Settings().with_values({'speech.recogniser': 'none'})


def states(pipeline):
    with pipeline:
        found = []
        records = itertools.takewhile(
            lambda record: record.stamp_ns < 5 * NS, read_media(SAMPLE))
        for record in records:
            found += pipeline.feed(record)
        return [one for one in found + pipeline.finish() if isinstance(one, AffectState)]


@pytest.fixture(scope='module')
def full():
    return states(Pipeline(QUIET))


def keys(found):
    return [(state.window_end_ns, state.person_id, state.face) for state in found]


def test_a_model_denied_a_modality_judges_the_same_windows_by_the_rest(full):
    blind = states(AblatedPipeline(QUIET, ['video']))
    assert keys(blind) == keys(full)
    for own, other in zip(full, blind, strict=True):
        if own.modalities == Modality.VIDEO:
            assert other.status is Status.NO_EVIDENCE and other.modalities == Modality.NONE
        elif own.modalities == Modality.VIDEO | Modality.AUDIO:
            assert other.affect != own.affect and other.influence == (0.0, 1.0, 0.0)
        else:
            assert other.affect == own.affect
    assert any(state.modalities & Modality.AUDIO for state in full)


def test_a_model_denied_everything_knows_nothing(full):
    nothing = states(AblatedPipeline(QUIET, ['video', 'audio', 'text']))
    assert keys(nothing) == keys(full)
    assert {state.status for state in nothing} == {Status.NO_EVIDENCE}


def test_a_pathway_counts_only_where_both_its_ends_are(full):
    cut = states(AblatedPipeline(QUIET, ['video_to_audio']))
    assert keys(cut) == keys(full)
    both = Modality.VIDEO | Modality.AUDIO
    for own, other in zip(full, cut, strict=True):
        if own.status is Status.OK:
            assert (own.affect != other.affect) == (own.modalities & both == both)


def test_an_unknown_part_is_refused_with_the_nearest():
    with pytest.raises(SettingsError, match=r"'video_to_audi' is no modality or pathway; allowed: "
                                            r'video, audio, text, video_to_audio.*did you mean'):
        check_ablations(['audio', 'video_to_audi'])
