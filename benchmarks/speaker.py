"""
Whose voice it is among several faces: windows right, wrong and undecided, in composed pictures.

One woman speaks; other faces move without speech, or nobody in view speaks. Tiles of 240 pixels
side by side, ten frames a second. Nothing is written. ::

    python benchmarks/speaker.py --data ../shared/data --min-motion 0.06 0.065 0.07
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'test'))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from composed import portrait, records, sound_of, still, to_and_fro

from maven_ros.pipeline import Pipeline
from maven_ros.records import NS, AffectState, VoiceAssigned
from maven_ros.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
START_NS = 1_700_000_000 * NS
SIDE = 240
SHE = 'talking'
#: Rows: faces from the left in each of its pictures; ``*`` after a name for a photograph of it.
IN_VIEW = {
    'she and a listener': ('talking listening', 'listening talking'),
    'she and a woman who laughs': ('talking laughing', 'laughing talking'),
    'she and a woman in distress': ('talking distress', 'distress talking'),
    'she and two of these': ('laughing listening talking', 'talking distress listening')}
OUT_OF_VIEW = {
    'nobody: laughs, beside a listener, a photograph': ('laughing listening', 'laughing talking*'),
    'nobody: in distress, beside either': ('distress listening', 'distress talking*')}


def faces_of(folder):
    changing = portrait(folder / 'changing_face.mp4', SIDE, (240, 0, 360))
    return {'talking': portrait(folder / 'talking_head_0.mp4', SIDE),
            'listening': portrait(folder / 'single_face.mp4', SIDE),
            'distress': changing[:90], 'laughing': changing[100:190]}


def owners(settings, tiles, sound, seconds):
    """Return for each window with a voice and several faces whose it is: a tile, or None."""
    windows = {}
    with Pipeline(settings) as pipeline:
        outputs = [one for record in records(START_NS, seconds, tiles, sound)
                   for one in pipeline.feed(record)] + pipeline.finish()
    for one in outputs:
        if isinstance(one, AffectState):
            windows.setdefault(one.window_end_ns, []).append(one)
    return [next(((one.face.x + one.face.width // 2) // SIDE for one in states
                  if one.voice_assigned is VoiceAssigned.SELF), None)
            for states in windows.values()
            if len(states) > 1 and states[0].voice_assigned is not VoiceAssigned.NONE]


def row(settings, clips, pictures, sound, speaks, seconds=7.9):
    """Return how many windows there are, and are right and wrong."""
    counts = [0, 0, 0]
    for names in map(str.split, pictures):
        found = owners(settings, [
            still(clips[name[:-1]]) if name.endswith('*') else to_and_fro(clips[name])
            for name in names], sound, seconds)
        right = found.count(names.index(SHE)) if speaks else 0
        counts[0] += len(found)
        counts[1] += right
        counts[2] += len(found) - found.count(None) - right
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[1])
    parser.add_argument('--data', type=Path, default=ROOT.parent / 'shared' / 'data')
    parser.add_argument('--min-motion', type=float, nargs='+',
                        default=[Settings().speaker.min_motion])
    arguments = parser.parse_args()
    folder = arguments.data / 'clips'
    clips, hers = faces_of(folder), sound_of(folder / 'talking_head_0.mp4')
    anothers = sound_of(ROOT / 'media' / 'sample.mp4')
    for least in arguments.min_motion:
        settings = Settings().with_values({
            'speech.recogniser': 'none', 'model.influence': False, 'speaker.min_motion': least})
        rows = {name: row(settings, clips, pictures, hers, rows is IN_VIEW)
                for rows in (IN_VIEW, OUT_OF_VIEW) for name, pictures in rows.items()}
        rows['she speaks, and another\'s voice is heard'] = row(
            settings, clips, ['talking listening'], anothers, False, 12.9)
        for name, (windows, right, wrong) in rows.items():
            print(f'{least:5} {name:50} {windows:3} windows, {right:3} right, {wrong:2} wrong',
                  flush=True)


if __name__ == '__main__':
    main()
