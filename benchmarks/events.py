"""
Measure false events of a still person, and the delay of events after a change.

One person is still for ten minutes: at neutral, well inside a region, or at the corner of three
regions. Another changes from distress to laughter in an instant, a hundred times. States have the
errors of overlapping windows of 2 s, and follow the change as the mean over such a window.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
from smoothing import HOP_S, STDS, WINDOW, Values, errors, made_state

from maven_ros.acting.stage import Acting
from maven_ros.affect import Affect
from maven_ros.records import AffectEvent, EventKind, seconds
from maven_ros.settings import Settings

STILL = {'neutral': (0.0, 0.0), 'inside a region': (0.5, 0.5), 'corner of three': (0.3, 0.0)}
MINUTES, RUNS = 10, 100
DISTRESS, LAUGHTER, TURN = (-0.6, 0.5), (0.7, 0.5), 50  # TURN in hops


def main() -> None:
    print('| std of a state | where | regions entered a minute | rises and falls a minute |\n'
          '| --- | --- | --- | --- |')
    hops = round(MINUTES * 60 / HOP_S)
    for std in STDS:
        for name, point in STILL.items():
            kinds = Counter(event.kind for event in events(np.tile(point, (hops, 1)), std, 1))
            sharp = kinds[EventKind.ROSE] + kinds[EventKind.FELL]
            print(f'| {std} | {name} | {kinds[EventKind.REGION_ENTERED] / MINUTES:.1f} | '
                  f'{sharp / MINUTES:.1f} |')
    for std in STDS:
        took = sorted(filter(None, (turn_s(std, 10 + run) for run in range(RUNS))))
        print(f'std {std}: {len(took)} of {RUNS} events of laughter, half of them within '
              f'{took[len(took) // 2]:.1f} s of the turn, 90% within '
              f'{took[len(took) * 9 // 10]:.1f} s')


def turn_s(std: float, seed: int) -> float | None:
    """Return the delay of the event of laughter, in seconds; None without an event."""
    felt = np.concatenate([np.tile(DISTRESS, (TURN, 1)), np.tile(LAUGHTER, (TURN, 1))])
    told = np.array([felt[max(0, hop - WINDOW + 1):hop + 1].mean(axis=0)
                     for hop in range(len(felt))])
    return next((seconds(event.stamp_ns) - TURN * HOP_S for event in events(told, std, seed)
                 if event.kind is EventKind.REGION_ENTERED and event.region == 'excited'), None)


def events(points: Values, std: float, seed: int) -> Iterator[AffectEvent]:
    """Yield the events of a person at some points, (hops, 2), with noisy states."""
    acting = Acting(Settings())
    noise = np.stack([errors(len(points), std, seed), errors(len(points), std, -seed % 9973)], 1)
    for hop, (valence, arousal) in enumerate(np.clip(points + noise, -1, 1).tolist()):
        for output in acting.take([made_state(hop, Affect(valence, arousal), std)]):
            if isinstance(output, AffectEvent):
                yield output


if __name__ == '__main__':
    main()
