"""The report of a preparation: what was prepared, what was excluded, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from maven_ros.files import write_json, written
from maven_ros.text import shown
from maven_ros.training.affwild2.layout import Layout
from maven_ros.training.people.prepared import FORMAT, SUMMARY

REPORT = 'report.md'
_COUNTS = ('frames', 'labelled', 'unlabelled', 'faceless')


def write_report(
    out: Path, layout: Layout, options: Mapping[str, Any], rows: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """
    Write ``prepared.json`` and ``report.md``.

    :param rows: rows of ``videos.parquet``.
    :returns: counts for each split, and of everything excluded.
    """
    used = [row for row in rows if row['status'] == 'ok']
    counts: dict[str, Any] = {
        'splits': {split: {'people': len(own), **{name: sum(row[name] for row in own)
                                                  for name in _COUNTS}}
                   for split in sorted({row['split'] for row in used})
                   if (own := [row for row in used if row['split'] == split])},
        'excluded': len(rows) - len(used),
        'videos_without_annotation': len(layout.without_annotation)}
    write_json(out / SUMMARY, {'format': FORMAT, 'origin': asdict(layout.origin),
                               'options': options, 'counts': counts})
    with written(out / REPORT) as beside:
        text = shown('\n'.join(_lines(layout, options, rows, used, counts)))
        beside.write_text(text + '\n', 'utf-8')
    return counts


def _lines(
    layout: Layout, options: Mapping[str, Any], rows: Sequence[Mapping[str, Any]],
    used: Sequence[Mapping[str, Any]], counts: Mapping[str, Any],
) -> list[str]:
    excluded = [row for row in rows if row['status'] != 'ok']
    remarked = [row for row in used if row['reason']]
    shared = Counter({(row['video'], row['split']) for row in used})
    across = sorted(video for video, n in Counter(video for video, _ in shared).items() if n > 1)
    return [
        '# Prepared set', '',
        '| split | people | frames | labelled | unlabelled (-5) | without a face |',
        '| --- | --- | --- | --- | --- | --- |',
        *(f'| {split} | {one["people"]} | ' + ' | '.join(str(one[name]) for name in _COUNTS)
          + ' |' for split, one in counts['splits'].items()), '',
        f'Different numbers of lines and frames: `{options["mismatch"]}`. Unlabelled frames are '
        'in the manifest, with NaN; no loss uses them.',
        *_section('Excluded', excluded), *_section('Used, with a remark', remarked),
        '', f'## Videos without annotation: {len(layout.without_annotation)}', '',
        *(f'- {name}' for name in layout.without_annotation),
        '', f'## Videos with people in several splits: {len(across)}', '',
        *(f'- {name}' for name in across)]


def _section(title: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return ['', f'## {title}: {len(rows)}', '',
            *(f'- {row["person"]} ({row["split"]}): {row["reason"]}' for row in rows)]
