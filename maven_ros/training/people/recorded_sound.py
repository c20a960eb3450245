"""The sound of a video on the pipeline's clock, its words, and the files of both."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from maven_ros.counters import Counters
from maven_ros.devices.media import read_media
from maven_ros.errors import ResourceError
from maven_ros.files import read_json, write_json, written
from maven_ros.records import (
    NS,
    SAMPLE_RATE_HZ,
    VOICE_BLOCK,
    AudioChunk,
    Samples,
    Utterance,
    Word,
)
from maven_ros.senses.audio import AudioSegment, AudioSense
from maven_ros.senses.speech import SpeechStream
from maven_ros.settings import AudioSettings

_HISTORY_S = 60.0  # a longer gap starts a new run of sound; here it becomes silence
_BLOCKS = 16  # of voice activity, half a second, at once
_FULL_SCALE = 32767


@dataclass(frozen=True)
class Sound:
    """
    Continuous sound; it is 0 where none arrived.

    :param waveform: float32 (samples,), 16 kHz mono in [-1, 1].
    :param start_ns: time of the first sample on the clock of the file.
    :param voice: float32 (blocks,), the probability of a voice in each block of VOICE_BLOCK
        samples; the last one may be cut short.
    """

    waveform: Samples
    start_ns: int
    voice: Samples


def read_sound(path: Path, settings: AudioSettings, counters: Counters) -> Sound | None:
    """
    Read the sound of a file as the pipeline receives it.

    :param counters: count gaps and damaged data.
    :returns: None if nothing could be decoded.
    :raises ResourceError: if the file cannot be read.
    """
    sense = AudioSense(settings, _HISTORY_S, counters)
    segments: list[AudioSegment] = []
    for chunk in read_media(path, video=False, counters=counters):
        if isinstance(chunk, AudioChunk):
            segments += sense.add(chunk)
    segments += sense.finish()
    if not segments:
        return None
    start_ns = segments[0].start_ns
    first = [round((one.start_ns - start_ns) * SAMPLE_RATE_HZ / NS) for one in segments]
    # A new run after a long gap begins anywhere: it is put on the blocks of the first.
    first = [at - at % VOICE_BLOCK for at in first]
    waveform = np.zeros(first[-1] + len(segments[-1].samples), np.float32)
    voice = np.zeros(len(waveform) // VOICE_BLOCK, np.float32)
    for at, one in zip(first, segments, strict=True):
        waveform[at:at + len(one.samples)] = one.samples
        voice[at // VOICE_BLOCK:at // VOICE_BLOCK + len(one.voice)] = one.voice
    assert sense.watermark_ns is not None
    end = round((sense.watermark_ns - start_ns) * SAMPLE_RATE_HZ / NS)  # of what arrived
    return Sound(waveform[:end], start_ns, voice[:-(-end // VOICE_BLOCK)])


def recognise(
    sound: Sound, speech: SpeechStream, passed: Callable[[float], None] = lambda _: None,
) -> list[Word]:
    """
    Return the words in a sound, in order.

    :param speech: synchronous recogniser, which is reset first.
    :param passed: called with the number of seconds processed since the last call.
    """
    speech.reset()
    utterances: dict[int, Utterance] = {}  # by start; a later result replaces an earlier
    whole = np.pad(sound.waveform, (0, -len(sound.waveform) % VOICE_BLOCK))
    for first in range(0, len(sound.voice), _BLOCKS):
        at = first * VOICE_BLOCK
        segment = AudioSegment(
            sound.start_ns + at * NS // SAMPLE_RATE_HZ,
            whole[at:at + _BLOCKS * VOICE_BLOCK], sound.voice[first:first + _BLOCKS])
        speech.put(segment)
        utterances |= {one.start_ns: one for one in speech.poll()}
        passed(len(segment.samples) / SAMPLE_RATE_HZ)
    utterances |= {one.start_ns: one for one in speech.finish(0.0)}
    return sorted((word for one in utterances.values() for word in one.words),
                  key=lambda word: word.start_ns)


# --- files -----------------------------------------------------------------------------------


def write_flac(path: Path, waveform: Samples) -> None:
    """
    Write 16 kHz mono, 16 bit.

    :raises CannotWrite: if it cannot be written.
    """
    import av

    whole = io.BytesIO()
    pcm = np.rint(np.clip(waveform, -1, 1) * _FULL_SCALE).astype(np.int16)
    with av.open(whole, 'w', format='flac') as container:
        stream: Any = container.add_stream('flac', rate=SAMPLE_RATE_HZ, layout='mono')
        for first in range(0, len(pcm), SAMPLE_RATE_HZ):
            frame = av.AudioFrame.from_ndarray(pcm[None, first:first + SAMPLE_RATE_HZ], 's16',
                                               'mono')
            frame.sample_rate, frame.time_base = SAMPLE_RATE_HZ, Fraction(1, SAMPLE_RATE_HZ)
            frame.pts = first
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with written(path) as beside:
        beside.write_bytes(whole.getvalue())


def read_flac(path: Path) -> Samples:
    """
    Read a file of :func:`write_flac`: float32 (samples,).

    :raises ResourceError: if it cannot be read.
    """
    chunks = [one.samples for one in read_media(path, video=False) if isinstance(one, AudioChunk)]
    return np.concatenate(chunks)[:, 0]


def write_words(path: Path, words: Sequence[Word]) -> None:
    """
    Write a transcript: a JSON list of words with ``text, start_ns, end_ns, confidence``.

    The language of a word is written as ``language``, if it is known.

    :raises CannotWrite: if it cannot be written.
    """
    write_json(path, [{name: value for name, value in asdict(word).items()
                       if name != 'language' or value} for word in words])


def read_words(path: Path) -> list[Word]:
    """
    Read a transcript.

    :raises ResourceError: names the word that is not valid, and the allowed values.
    """
    content = read_json(path)
    if not isinstance(content, list):
        raise ResourceError(f'{path}: is not a list; allowed: a list of words')
    return sorted((_word(path, one) for one in content), key=lambda word: word.start_ns)


def _word(path: Path, one: Any) -> Word:
    try:
        word = Word(one['text'], one['start_ns'], one['end_ns'], float(one['confidence']),
                    one.get('language', ''))
        usable = (type(word.text) is type(word.language) is str
                  and type(word.start_ns) is type(word.end_ns) is int
                  and word.start_ns <= word.end_ns and 0 <= word.confidence <= 1)
    except (KeyError, TypeError, ValueError):
        usable = False
    if not usable:
        raise ResourceError(f'{path}: {one!r} is not a word; allowed: text (without lone '
                            'surrogates), start_ns and end_ns (whole numbers, the end not before '
                            'the start), confidence in [0, 1]')
    return word
