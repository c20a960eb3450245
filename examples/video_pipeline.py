#!/usr/bin/env python3
"""
The pipeline on a video, step by step as in a notebook: no graph, no node, no thread. ::

    python examples/video_pipeline.py talk.mp4
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from maven_ros.acting.memory import Memory
from maven_ros.media import read_media
from maven_ros.pipeline import Pipeline
from maven_ros.records import AffectEvent, AffectSummary, AffectTurn, Output
from maven_ros.resources import resource
from maven_ros.settings import Settings


def outputs_of(path: str, settings: Settings) -> Iterator[Output]:
    """Yield all that the pipeline makes of a video."""
    with Pipeline(settings) as pipeline:
        for record in read_media(path):
            yield from pipeline.feed(record)
        yield from pipeline.finish()


def line(output: Output) -> str:
    """Return an output in words; empty for those of every window."""
    if isinstance(output, AffectEvent):
        return f'{output.stamp_ns / 1e9:6.1f} s  {output.text}'
    if isinstance(output, AffectTurn):
        return (f'{output.end_ns / 1e9:6.1f} s  {output.person_id or "?"}: {output.text!r}, '
                f'valence {output.affect.valence:+.2f}')
    if isinstance(output, AffectSummary):
        return f'{output.stamp_ns / 1e9:6.1f} s  "{output.text}"'
    return ''


def main(arguments: Sequence[str]) -> None:
    """Look at a video; its changes of parameters follow it, as ``name=value``."""
    path = arguments[0] if arguments else str(resource('media/sample.mp4'))
    settings = Settings().with_values(dict(one.split('=', 1) for one in arguments[1:]))
    memory = Memory(settings)
    for output in outputs_of(path, settings):
        memory.take(output)
        if text := line(output):
            print(text)
    for person in memory.recall().people:
        shares = ', '.join(f'{name} {share:.0%}' for name, share in person.regions.items())
        print(f'{person.person_id or "a voice alone"}: {person.evidence_s:.0f} s of evidence, '
              f'valence {person.affect.valence:+.2f} +- {person.valence_std:.2f}; {shares}')


if __name__ == '__main__':
    main(sys.argv[1:])
