"""What a view can show, made up: pictures of one colour, a tone, and states that move."""

import math

import numpy as np

from maven_ros.affect import Affect
from maven_ros.records import (
    NS,
    AffectEvent,
    AffectState,
    Attention,
    AudioChunk,
    Box,
    Engagement,
    EventKind,
    Frame,
    HeadPose,
    Modality,
    Status,
    Utterance,
    VoiceAssigned,
    Word,
)

MAGENTA = (200, 0, 200)
RATE_HZ = 16_000


def frame(stamp_ns, width=320, height=240):
    """A picture all magenta but for a dark bar that moves."""
    pixels = np.full((height, width, 3), MAGENTA, np.uint8)
    left = int(stamp_ns / NS * 80) % width
    pixels[:, left:left + 40] = 20
    return Frame.of(stamp_ns, pixels, 'camera')


def sound(stamp_ns, seconds=0.1):
    times = stamp_ns / NS + np.arange(int(RATE_HZ * seconds)) / RATE_HZ
    tone = 0.5 * np.sin(math.tau * times) ** 2 * np.sin(math.tau * 220 * times)
    return AudioChunk(stamp_ns, tone.astype(np.float32)[:, None], RATE_HZ)


def state(end_ns, person='person_1', status=Status.OK, affect=None):
    angle = end_ns / NS
    known = status is not Status.NO_EVIDENCE
    affect = affect or (Affect(0.6 * math.cos(angle), 0.6 * math.sin(angle)) if known else
                        Affect(math.nan, math.nan))
    spread = 0.15 if known else math.nan
    return AffectState(
        end_ns - 2 * NS, end_ns, status, person, affect, spread, spread,
        Modality.VIDEO | Modality.AUDIO if known else Modality.NONE,
        (0.7, 0.3, 0.0) if known else (0.0, 0.0, 0.0), VoiceAssigned.NONE, '',
        Box(100, 60, 90, 110) if person else None, 'camera', 'made up')


def utterance(end_ns, text='this is what was said'):
    words = tuple(Word(word, end_ns - NS, end_ns, 0.9) for word in text.split())
    return Utterance(end_ns - NS, end_ns, words, True, 'made up')


def event(stamp_ns, kind=EventKind.REGION_ENTERED, region='distressed', person='person_1'):
    return AffectEvent(
        stamp_ns, kind, person, stamp_ns - NS, Affect(0.0, 0.0), Affect(-0.5, 0.5), 0.7,
        region if 'REGION' in kind.name else '', 'camera')


def attention(stamp_ns, yaw=0.2, engagement=Engagement.ENGAGED, person='person_1'):
    return Attention(stamp_ns, person, engagement, stamp_ns - NS,
                     HeadPose(yaw, 0.1, 0.0, (0.1, 0.1, 0.1)), None, 'camera')
