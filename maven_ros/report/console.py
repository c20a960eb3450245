"""The text of a benchmark's results for the terminal."""

from __future__ import annotations

import math

from maven_ros.report.outcome import Outcome
from maven_ros.scoring.metrics import METRICS
from maven_ros.scoring.scores import Score


def as_text(outcome: Outcome) -> str:
    """Return the overall scores, the ablations, and everything that is missing."""
    full, scores = outcome.sets[0]
    lines = [f'LOSSY: {one.bag}: {one.reason}' for one in outcome.lossy]
    if full.pairs:
        overall = scores.overall
        scored = sum(one.covered > 0 for one in scores.bags.values())
        lines.append(f'{scored} of {len(outcome.cases)} bags scored, {overall.frames} annotated '
                     f'frames, {100 * overall.coverage:.1f}% of them with a state')
        if overall.unlabelled:
            lines.append(f'  {overall.unlabelled} more frames are unlabelled: ' + ', '.join(
                f'{bag} {one.unlabelled}' for bag, one in scores.bags.items() if one.unlabelled))
        if overall.covered < overall.frames:
            lines.append('  without a state: ' + ', '.join(
                f'{n} {cause.replace("_", " ")}' for cause, n in overall.missing.items() if n))
        if overall.covered:
            lines += [f'  {metric.label:24} {_score(overall.scores[metric.name])}'
                      for metric in METRICS]
            lines.append(f'  {overall.resampling}')
    else:
        lines.append('no scores: there is no usable annotation')
    search = outcome.search
    if search and math.isnan(search.at_best):
        lines.append('the delay of the raters is unknown: no mean CCC is defined')
    elif search:
        when = 'late' if search.best_s >= 0 else 'early, which is implausible'
        lines.append(
            f'raters are {abs(search.best_s):g} s {when}: the best of {len(search.offsets_s)} '
            f'offsets on these data{", and the edge of the search" * search.at_edge}, used above; '
            f'mean CCC {search.at_best:.3f}, and {search.at_zero:.3f} without, on the same frames')
    for (found, ablated), compared in zip(outcome.sets[1:], outcome.comparisons, strict=True):
        line = f'{found.name}: mean CCC {_score(ablated.overall.scores["mean_ccc"])}'
        if compared:
            change = compared.differences['mean_ccc']
            line += f'; {change.difference:+.3f} on the {compared.frames} frames of both'
            if math.isfinite(change.low):
                line += f' [{change.low:+.3f}, {change.high:+.3f}]'
        lines.append(line)
    lines += outcome.uneven
    lines += [f'not replayed: {one.bag}: {one.reason}' for one in outcome.failed]
    lines += [f'not scored: {one.reason}' for one in outcome.excluded]
    if outcome.unmatched:
        lines.append(f'annotation files without a bag ({len(outcome.unmatched)}): '
                     f'{", ".join(outcome.unmatched)}')
    if any(case.replayed and not case.replayed.summary.trained for case in outcome.cases):
        lines.append('the weights are random: these figures mean nothing')
    return '\n'.join(lines)


def _score(one: Score) -> str:
    if one.why:
        return f'undefined: {one.why}'
    interval = f' [{one.low:.3f}, {one.high:.3f}]' if math.isfinite(one.low) else ''
    return f'{one.value:.3f}{interval}'
