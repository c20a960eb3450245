"""A pipeline that goes on from what another one wrote down."""

import pytest
from inputs import SAMPLE
from tiny_encoders import write_untrained

from maven_ros.devices.media import available_ns, read_media
from maven_ros.freezing import decode, encode
from maven_ros.pipeline import Pipeline
from maven_ros.records import (
    NS,
    AffectEvent,
    AffectMood,
    AffectState,
    Attention,
    Modality,
    SmoothedState,
)
from maven_ros.settings import Settings

QUIET = Settings().with_values({'speech.recogniser': 'none', 'faces.rate_hz': 5.0,
                                'baseline.enabled': True})
T0 = 1_700_000_000 * NS
REST_NS, END_NS = T0 + 4 * NS, T0 + 6 * NS


def feed(pipeline, records):
    return [one for record in records for one in pipeline.feed(record)]


@pytest.mark.parametrize('kinds', [
    {'video': True, 'audio': True}, {'video': True, 'audio': False},
    {'video': False, 'audio': True}])
def test_another_pipeline_goes_on_exactly_alike(kinds, tmp_path):
    settings = QUIET.with_values({'model.path': str(write_untrained(tmp_path))})
    records = [one for one in read_media(SAMPLE, start_ns=T0, **kinds)
               if one.stamp_ns < END_NS]
    first = [one for one in records if available_ns(one) < REST_NS]
    then = records[len(first):]
    with Pipeline(settings) as pipeline, Pipeline(settings) as other:
        feed(pipeline, first)
        assert pipeline.rest() == []
        state = encode(pipeline.freeze())
        pipeline.thaw(decode(state))
        other.thaw(decode(state))
        outputs = feed(pipeline, then) + pipeline.finish()
        assert repr(feed(other, then) + other.finish()) == repr(outputs)
        assert other.counters.snapshot() == pipeline.counters.snapshot()
    attends = {Attention} if kinds['video'] else set()
    assert {type(one) for one in outputs} == {
        AffectState, SmoothedState, AffectEvent, AffectMood} | attends
    outputs = [one for one in outputs if isinstance(one, AffectState)]
    with Pipeline(settings) as undisturbed:
        expected = {one.window_end_ns: one
                    for one in feed(undisturbed, records) + undisturbed.finish()
                    if isinstance(one, AffectState)}
    assert len(outputs) >= 9
    # A rest moves no sample; the filter of the sound rounds another way, by 3e-7.
    for one in outputs:
        same = expected[one.window_end_ns]
        assert (one.person_id, one.modalities) == (same.person_id, same.modalities)
        if one.modalities:
            assert one.affect.valence == pytest.approx(same.affect.valence, abs=1e-5)
    seen = Modality(outputs[-1].modalities)
    assert bool(seen & Modality.VIDEO) is kinds['video']
