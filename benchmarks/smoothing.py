"""
Measure how much smoothing reduces the error of states, and how much lag it adds.

The valence of the simulated people is known: it is a random walk as the filter assumes, or one
with a quarter of that variance, or it jumps at random every 4 s. A state every 0.2 s has the error
of a window of 2 s, which shares nine tenths of its evidence with the previous one. The filter has
its default settings. It is compared with the moving average and the 1-Euro filter (Casiez et al.,
2012). Their parameters give the smallest error without more lag than the filter, and are chosen
with knowledge of the truth.
"""

from __future__ import annotations

import argparse
import math

import numpy as np
from numpy.typing import NDArray

from maven_ros.acting.smoothing import Smoother
from maven_ros.affect import Z90, Affect
from maven_ros.records import NS, AffectState, Modality, Status, VoiceAssigned
from maven_ros.settings import SmoothingSettings

HOP_S, WINDOW = 0.2, 10  # hops per window
NOISE = SmoothingSettings().process_noise
STDS = (0.1, 0.2, 0.3)
Values = NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0].strip())
    parser.add_argument('--minutes', type=float, default=20.0, help='length of each stream')
    hops = round(parser.parse_args().minutes * 60 / HOP_S)
    truths = {'wanders': walk(hops, NOISE), 'wanders slowly': walk(hops, NOISE / 4),
              'jumps': jumps(hops)}
    print('| truth | std of a state | way | RMS error | lag (s) | hop to hop | in the 90% band |\n'
          '| --- | --- | --- | --- | --- | --- | --- |')
    for name, truth in truths.items():
        for std in STDS:
            measured = truth + errors(hops, std)
            means, stds = smoothed(measured, std)
            late = lag_s(truth, means)
            row(name, std, 'raw', truth, measured, np.full(hops, std))
            row(name, std, 'smoothed', truth, means, stds)
            row(name, std, 'moving average', truth, best(truth, late, [
                moving_average(measured, hops) for hops in range(1, 31)]))
            row(name, std, '1-Euro', truth, best(truth, late, [
                one_euro(measured, cutoff, beta) for cutoff in (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
                for beta in (0.0, 0.3, 1.0, 3.0)]))
    for std in STDS:
        response(std)


def row(
    name: str, std: float, way: str, truth: Values, values: Values, stds: Values | None = None,
) -> None:
    inside = '' if stds is None else f'{np.mean(np.abs(values - truth) < Z90 * stds):.0%}'
    print(f'| {name} | {std} | {way} | {rms(values - truth):.3f} | {lag_s(truth, values):.1f} | '
          f'{rms(np.diff(values)):.3f} | {inside} |')


def response(std: float) -> None:
    """Print the response to a step without noise."""
    means, _ = smoothed(np.repeat([0.0, 1.0], 100), std)
    after = means[100:]
    times = [np.argmax(after >= share) * HOP_S for share in (0.5, 0.9)]
    print(f'std {std}: of a sudden step, {after[0]:.0%} at once, half after {times[0]:.1f} s, '
          f'90% after {times[1]:.1f} s')


def walk(hops: int, noise: float) -> Values:
    """Return a random walk in [-1, 1], reflected at the ends."""
    steps = np.random.default_rng(1).normal(0, math.sqrt(noise * HOP_S), hops)
    folded = (np.cumsum(steps) + 1) % 4
    return np.asarray(np.where(folded > 2, 4 - folded, folded) - 1)


def jumps(hops: int) -> Values:
    return np.repeat(np.random.default_rng(2).uniform(-0.8, 0.8, hops // 20 + 1), 20)[:hops]


def errors(hops: int, std: float, seed: int = 3) -> Values:
    """Return correlated errors of overlapping windows: moving means of noise."""
    fresh = np.random.default_rng(seed).normal(0, std * math.sqrt(WINDOW), hops + WINDOW)
    total = np.concatenate([[0.0], np.cumsum(fresh)])
    return ((total[WINDOW:] - total[:-WINDOW]) / WINDOW)[1:]


def smoothed(measured: Values, std: float) -> tuple[Values, Values]:
    """Return means and standard deviations of the package's filter."""
    smoother, found = Smoother(SmoothingSettings()), []
    for hop, value in enumerate(measured.tolist()):
        found.append(smoother.take(made_state(hop, Affect(value, 0.0), std)))
    return (np.array([one.affect.valence for one in found]),
            np.array([one.valence_std for one in found]))


def made_state(hop: int, affect: Affect, std: float) -> AffectState:
    end_ns = round((1 + hop) * HOP_S * NS)
    return AffectState(
        end_ns - round(WINDOW * HOP_S * NS), end_ns, Status.OK, 'person', affect, std, std,
        Modality.VIDEO, (1.0, 0.0, 0.0), VoiceAssigned.NONE, '', None, '', '')


def moving_average(measured: Values, hops: int) -> Values:
    total = np.concatenate([np.full(hops, 0.0), np.cumsum(measured)])
    count = np.minimum(np.arange(1, len(measured) + 1), hops)
    return np.asarray((total[hops:] - total[:-hops]) / count)


def one_euro(measured: Values, cutoff_hz: float, beta: float) -> Values:
    def alpha(hz: float) -> float:
        return 1 / (1 + 1 / (2 * math.pi * hz * HOP_S))

    value, speed, found = float(measured[0]), 0.0, []
    for one in measured.tolist():
        speed += alpha(1.0) * ((one - value) / HOP_S - speed)
        value += alpha(cutoff_hz + beta * abs(speed)) * (one - value)
        found.append(value)
    return np.array(found)


def best(truth: Values, late_s: float, ways: list[Values]) -> Values:
    """Return the result with the smallest error among those without more lag."""
    return min((one for one in ways if lag_s(truth, one) <= late_s + 1e-9),
               key=lambda one: rms(one - truth))


def lag_s(truth: Values, values: Values) -> float:
    """Return the lag: the shift at which the values are closest to the truth."""
    return HOP_S * min(range(30), key=lambda hops: rms(
        truth[:len(truth) - hops] - values[hops:]))


def rms(values: Values) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


if __name__ == '__main__':
    main()
