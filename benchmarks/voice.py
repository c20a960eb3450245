"""
How surely a voice is told from noise and from other sounds, by the node's own detector.

Reports the share of spoken blocks that count as voice in clips of RAVDESS, clean and with pink
noise, and of blocks in their pauses; then how many sounds have a window with AUDIO evidence, and
the share of such windows: melodies that are made here, the recordings of places where nobody
speaks, and the clips of rooms and of nEMO. The data lie in ../shared/data; without them only the
melodies are heard.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from machine import described
from speech import DATA, pink, segments, sound_of

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'test' / 'senses'))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'test'))

from sounds import at_level, melody

from maven_ros import rules
from maven_ros.counters import Counters
from maven_ros.records import NS, SAMPLE_RATE_HZ, VOICE_BLOCK, Mask, Samples
from maven_ros.senses.audio import AudioSense
from maven_ros.settings import AudioSettings

SETTINGS = AudioSettings()
WINDOW_NS, HOP_NS = 2 * NS, NS // 5
SPOKEN_DB = 25  # below the loudest block; what is softer is breath, or the room's echo


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--every', type=int, default=13, help='hear one of so many clips')
    arguments = parser.parse_args()
    print(described())
    _report_windows('melodies', (at_level(melody(seed), -20) for seed in range(100, 124)))
    if not DATA.exists():
        return
    clips = sorted((DATA / 'speech' / 'ravdess').glob('*.flac'))[::arguments.every]
    for snr_db in (None, 10, 0):
        _report_blocks(clips, snr_db)
    for folder, counts in (
            ('sound/backgrounds', lambda row: row['what'] != 'scream'),
            ('speech/rooms', lambda row: row['speaker'] != 'unknown'),
            ('speech/nemo', lambda row: True)):
        _report_windows(folder, map(sound_of, _listed(folder, counts)[::arguments.every]))


def _listed(folder: str, counts: Callable[[dict[str, str]], bool]) -> list[Path]:
    with (DATA / folder / 'clips.tsv').open(encoding='utf-8') as file:
        return [DATA / folder / row['file'] for row in csv.DictReader(file, delimiter='\t')
                if counts(row)]


def _sense(samples: Samples) -> AudioSense:
    sense = AudioSense(SETTINGS, len(samples) / SAMPLE_RATE_HZ + 5, Counters())
    for _ in segments(sense, samples, NS):
        pass
    sense.finish()
    return sense


def _voiced(samples: Samples) -> Mask:
    return _sense(samples).read(NS, NS + len(samples) * NS // SAMPLE_RATE_HZ).voiced


def _report_blocks(clips: Iterable[Path], snr_db: float | None) -> None:
    found: list[tuple[Mask, Mask, Mask]] = []
    for seed, clip in enumerate(clips):
        clean = sound_of(clip)
        clean = clean[:len(clean) // VOICE_BLOCK * VOICE_BLOCK]
        power = np.square(clean.reshape(-1, VOICE_BLOCK)).mean(axis=1)
        spoken = power > power.max() * 10 ** (-SPOKEN_DB / 10)
        pause = np.convolve(spoken, np.ones(17), 'same') < 0.5  # further than 0.25 s from speech
        noise = 0 if snr_db is None else pink(len(clean), seed) * np.sqrt(
            power[spoken].mean() / 10 ** (snr_db / 10))
        found.append((spoken, pause, _voiced((clean + noise).astype(np.float32))))
    spoken, pause, voiced = (np.concatenate(one) for one in zip(*found, strict=True))
    print(f'RAVDESS, {len(found)} clips, {"clean" if snr_db is None else f"{snr_db} dB"}: voice '
          f'in {voiced[spoken].mean():.3f} of the spoken blocks, {voiced[pause].mean():.3f} of '
          f'{pause.sum()} in the pauses')


def _report_windows(name: str, sounds: Iterable[Samples]) -> None:
    clips: list[list[bool]] = []
    for samples in sounds:
        sense = _sense(samples)
        ends = range(NS + HOP_NS, (sense.watermark_ns or 0) + 1, HOP_NS)
        clips.append([rules.voiced_s(sense.read(end - WINDOW_NS, end).voiced)
                      >= SETTINGS.min_voiced_s for end in ends])
    windows = np.concatenate(clips)
    print(f'{name}: {sum(map(any, clips))} of {len(clips)} have a window with a voice; '
          f'{windows.mean():.2%} of {len(windows)} windows')


if __name__ == '__main__':
    main()
