"""Read the rows of a corpus's table."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from maven_ros.errors import ResourceError


def csv_rows(
    path: Path, columns: Sequence[str], tabs: bool = False,
) -> Iterator[tuple[int, dict[str, str]]]:
    """
    Yield the number of the line and the values of each row of a CSV file.

    :param columns: names that the first line must have.
    :param tabs: whether tabs separate the values, and quotes are plain characters.
    :raises ResourceError: if the file cannot be read, or a column is missing.
    """
    try:
        with path.open(encoding='utf-8', newline='') as lines:
            rows = (csv.DictReader(lines, delimiter='\t', quoting=csv.QUOTE_NONE) if tabs
                    else csv.DictReader(lines))
            missing = set(columns) - set(rows.fieldnames or ())
            if missing:
                raise ResourceError(f'{path}: has no column {", ".join(sorted(missing))}')
            for row in rows:
                yield rows.line_num, row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ResourceError(f'{path}: cannot be read: {error}') from error
