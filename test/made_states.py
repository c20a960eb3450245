"""States for tests of what is made of them."""

import math
from dataclasses import replace

from maven_ros.affect import Affect
from maven_ros.records import (
    NS,
    AffectState,
    Modality,
    Status,
    Utterance,
    VoiceAssigned,
    Word,
)

T0 = 1_700_000_000 * NS
HOP_NS = NS // 5


def state(
    end_ns, valence=math.nan, arousal=math.nan, std=0.2, person_id='person_1', voice=False,
    length_ns=2 * NS, **changes,
):
    """Return a state; one without evidence when valence is NaN."""
    known = not math.isnan(valence)
    modalities = Modality.VIDEO | (Modality.AUDIO if voice else Modality.NONE)
    made = AffectState(
        window_start_ns=end_ns - length_ns, window_end_ns=end_ns,
        status=Status.OK if known else Status.NO_EVIDENCE, person_id=person_id,
        affect=Affect(valence, arousal), valence_std=std if known else math.nan,
        arousal_std=std if known else math.nan,
        modalities=modalities if known else Modality.NONE,
        influence=(1.0, 0.0, 0.0) if known else (0.0, 0.0, 0.0),
        voice_assigned=VoiceAssigned.UNDECIDED if voice else VoiceAssigned.NONE,
        transcript='', face=None, frame_id='camera', model='test')
    return replace(made, **changes)


def utterance(text, start_ns, end_ns, is_final=True, confidence=0.8, language='en'):
    """Return an utterance whose words fill the time evenly."""
    words = text.split()
    each_ns = (end_ns - start_ns) // max(1, len(words))
    return Utterance(start_ns, end_ns, tuple(
        Word(word, start_ns + place * each_ns, end_ns - (len(words) - 1 - place) * each_ns,
             confidence, language) for place, word in enumerate(words)),
        is_final, 'test', language, 0.9)
