"""
How well and how soon words are recognised, through the node's own voice detector and endpointing.

Reports the word error rate on clips of RAVDESS, clean and with pink noise, and on the shipped
sample; the language of RAVDESS and nEMO, heard one after another by a speaker; and, in real time,
when the first partial result and the final one come. The data lie in ../shared/data; without them
only the sample is heard. The CPU time of the whole node is benchmarks/live.py's to measure.
"""

from __future__ import annotations

import argparse
import csv
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import jiwer
import numpy as np
from machine import described

from maven_ros.counters import Counters
from maven_ros.devices.media import read_media
from maven_ros.languages import primary
from maven_ros.records import NS, SAMPLE_RATE_HZ, AudioChunk, Samples, Utterance
from maven_ros.resources import resource
from maven_ros.senses.audio import AudioSense
from maven_ros.senses.resample import Resampler, mono
from maven_ros.senses.speech import Recogniser, SpeechWorker, open_recogniser
from maven_ros.settings import AudioSettings, SpeechSettings

DATA = Path(__file__).resolve().parents[2] / 'shared' / 'data'
SENTENCES = {'01': 'kids are talking by the door', '02': 'dogs are sitting by the door'}
CHUNK = 512  # samples, as a microphone's
QUIET_S = 1.5  # after a clip, so that its utterance ends


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--model', type=Path, default=None, help='folder; whisper-base if none')
    parser.add_argument('--clips', type=int, default=60)
    parser.add_argument('--parts', nargs='+', default=['sample', 'words', 'languages', 'delays'])
    arguments = parser.parse_args()
    print(described())
    model = str(arguments.model or '')
    clips = sorted((DATA / 'speech' / 'ravdess').glob('*.flac'))
    clips = random.Random(1).sample(clips, min(arguments.clips, len(clips)))
    if 'sample' in arguments.parts:
        _report_sample(model)
    if 'words' in arguments.parts and clips:
        for snr_db in (None, 15, 5):
            _report_words(model, clips, snr_db)
    if 'languages' in arguments.parts and clips:
        for language, speakers in (('en', _ravdess_speakers()), ('pl', _nemo_speakers())):
            _report_language(model, language, speakers)
    if 'delays' in arguments.parts:
        _report_delays(model, clips[:12])


# --- sound -----------------------------------------------------------------------------------


def sound_of(path: Path) -> Samples:
    """Decode a file's sound to 16 kHz mono."""
    resampler, parts = None, []
    for chunk in read_media(path, video=False):
        if isinstance(chunk, AudioChunk):
            resampler = resampler or Resampler(chunk.sample_rate_hz)
            parts.append(resampler.accept(mono(chunk.samples)))
    assert resampler is not None
    parts.append(resampler.accept(np.zeros(0, np.float32), last=True))
    return np.concatenate(parts)


def pink(length: int, seed: int) -> Samples:
    """Return pink noise of deviation 1."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(length))
    noise = np.fft.irfft(spectrum / np.sqrt(np.arange(len(spectrum)) + 1), length)
    return (noise / noise.std()).astype(np.float32)


def in_noise(samples: Samples, snr_db: float | None, seed: int) -> Samples:
    """Append a pause, and add noise to both."""
    level = np.sqrt(np.mean(samples ** 2))
    samples = np.concatenate([samples, np.zeros(round(QUIET_S * SAMPLE_RATE_HZ), np.float32)])
    if snr_db is not None:
        samples = samples + pink(len(samples), seed) * level * 10 ** (-snr_db / 20)
    return samples.astype(np.float32)


def segments(sense: AudioSense, samples: Samples, start_ns: int) -> Iterator:
    """Yield what the node's recogniser is given, and when it is."""
    for at in range(0, len(samples), CHUNK):
        chunk = samples[at:at + CHUNK, None]
        yield from sense.add(AudioChunk(start_ns + at * NS // SAMPLE_RATE_HZ, chunk,
                                            SAMPLE_RATE_HZ))


def heard(recogniser: Recogniser, samples: Samples, hurry: bool = False) -> list[Utterance]:
    """Return all that is recognised, of one stream."""
    sense = AudioSense(AudioSettings(), 10.0, Counters())
    found = [one for segment in segments(sense, samples, NS)
             for one in recogniser.accept(segment, hurry)]
    return found + recogniser.finish()


def finals(utterances: Sequence[Utterance]) -> list[Utterance]:
    return [one for one in utterances if one.is_final and one.words]


def plain(text: str) -> str:
    """Return words as they are compared: lower case, no punctuation."""
    return ' '.join(''.join(one for one in word if one.isalnum() or one == "'")
                    for word in text.lower().split())


# --- reports ---------------------------------------------------------------------------------


def _report_sample(model: str) -> None:
    counters = Counters()
    recogniser = open_recogniser(SpeechSettings(whisper_model=model), counters)
    said = plain(resource('media/sample.txt').read_text())
    found = heard(recogniser, sound_of(resource('media/sample.mp4')))
    text = plain(' '.join(one.text for one in finals(found)))
    print(f'sample: word error rate {jiwer.wer(said, text):.1%}, languages '
          f'{dict(Counter(one.language for one in finals(found)))}')


def _report_words(model: str, clips: Sequence[Path], snr_db: int | None) -> None:
    """Hear clips, a stranger in each: of the language nothing is known before."""
    counters = Counters()
    recogniser = open_recogniser(SpeechSettings(whisper_model=model), counters)
    said, text = [], []
    heard_s, began_s = 0.0, time.process_time()
    for seed, clip in enumerate(clips):
        samples = in_noise(sound_of(clip), snr_db, seed)
        heard_s += len(samples) / SAMPLE_RATE_HZ
        recogniser.reset()
        found = finals(heard(recogniser, samples))
        said.append(SENTENCES[clip.stem.split('-')[4]])
        text.append(plain(' '.join(one.text for one in found)))
    took_s = time.process_time() - began_s
    print(f'RAVDESS, {len(clips)} clips, {"clean" if snr_db is None else f"{snr_db} dB"}: word '
          f'error rate {jiwer.wer(said, text):.1%}, CPU {took_s / heard_s:.2f} s a second of '
          f'sound, {counters.snapshot()}')


def _ravdess_speakers() -> dict[str, list[Path]]:
    speakers = defaultdict(list)
    for clip in sorted((DATA / 'speech' / 'ravdess').glob('*.flac')):
        speakers[clip.stem.split('-')[-1]].append(clip)
    return speakers


def _nemo_speakers() -> dict[str, list[Path]]:
    speakers = defaultdict(list)
    folder = DATA / 'speech' / 'nemo'
    with (folder / 'clips.tsv').open(encoding='utf-8') as file:
        for row in csv.DictReader(file, delimiter='\t'):
            speakers[row['speaker']].append(folder / row['file'])
    return speakers


def _report_language(
    model: str, language: str, speakers: dict[str, list[Path]], each: int = 10,
) -> None:
    """Hear some clips of each speaker in one stream; the detector begins anew with each."""
    recogniser = open_recogniser(SpeechSettings(whisper_model=model), Counters())
    right, wrong = 0, Counter()
    for speaker, clips in speakers.items():
        some = random.Random(speaker).sample(clips, min(each, len(clips)))
        recogniser.reset()
        for clip in some:
            found = finals(heard(recogniser, in_noise(sound_of(clip), None, 0), hurry=True))
            for one in found:
                right += primary(one.language) == language
                wrong[one.language] += primary(one.language) != language
    total = right + sum(wrong.values())
    print(f'language {language}: right in {right} of {total} utterances ({right / total:.1%}), '
          f'{len(speakers)} speakers; else {dict(+wrong)}')


def _report_delays(model: str, clips: Sequence[Path]) -> None:
    """Play clips in real time; speech is where the voice detector hears it."""
    firsts, lasts = [], []
    counters = Counters()
    with SpeechWorker(SpeechSettings(whisper_model=model), counters) as speech:
        for seed, clip in enumerate(clips):
            first, last = _delays(speech, in_noise(sound_of(clip), None, seed))
            firsts += first
            lasts += last
    for name, delays in (('first partial after speech began', firsts),
                         ('final after it ended', lasts)):
        if delays:
            p50, p90 = np.percentile(delays, [50, 90])
            print(f'{name}: median {p50:.2f} s, 90% within {p90:.2f} s, of {len(delays)}')
    print(f'counted: {counters.snapshot()}')


def _delays(speech: SpeechWorker, samples: Samples) -> tuple[list[float], list[float]]:
    """Return the delay of the first partial result, and of the final one, where there is one."""
    sense = AudioSense(AudioSettings(), 10.0, Counters())
    began_s = time.monotonic()
    voiced: list[float] = []  # times of voiced blocks
    first: list[float] = []
    last: list[float] = []
    speech.reset()
    for at in range(0, len(samples), CHUNK):
        time.sleep(max(0.0, began_s + (at + CHUNK) / SAMPLE_RATE_HZ - time.monotonic()))
        for segment in sense.add(AudioChunk(NS + at * NS // SAMPLE_RATE_HZ,
                                            samples[at:at + CHUNK, None], SAMPLE_RATE_HZ)):
            speech.put(segment)
            start_s = segment.start_ns / NS - 1
            voiced += [start_s + block * 0.032 for block in np.flatnonzero(segment.voice >= 0.5)]
        for one in speech.poll():
            now_s = time.monotonic() - began_s
            if one.words and not first:
                first.append(now_s - voiced[0])
            if one.words and one.is_final:
                last.append(now_s - one.end_ns / NS + 1)
    return first, last


if __name__ == '__main__':
    main()
