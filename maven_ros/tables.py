"""Tables in Parquet and CSV files; the same rows always give the same bytes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any

from maven_ros.errors import CannotWrite, ResourceError
from maven_ros.text import cell, shown

_ROWS = 4096  # rows per row group, and rows held in memory


def write_tables(
    rows: Iterator[dict[str, Any]], columns: Mapping[str, str], paths: tuple[Path, ...],
) -> None:
    """
    Write one table into several files; the suffix of each decides between Parquet and CSV.

    :param rows: consumed a few thousand at a time.
    :param columns: Arrow type by column name.
    :raises CannotWrite: if a file cannot be written.
    :raises ResourceError: if pyarrow is missing.
    """
    pa, pq, csv = require_pyarrow()
    schema = schema_of(columns)
    try:
        with ExitStack() as stack:
            # Open files: pyarrow takes a path with a colon for an address, and only UTF-8.
            writers = [
                stack.enter_context(
                    pq.ParquetWriter(file, schema) if '.parquet' in path.suffixes
                    else csv.CSVWriter(file, schema))
                for path in paths for file in (stack.enter_context(path.open('wb')),)]
            while some := [_as_text(row) for row in islice(rows, _ROWS)]:
                table = pa.Table.from_pylist(some, schema)
                for writer in writers:
                    csv_rows = isinstance(writer, csv.CSVWriter)
                    writer.write_table(_quoted(table) if csv_rows else table)
    except OSError as error:
        raise CannotWrite(f'{paths[0].parent}: a table cannot be written: {error}') from error


def schema_of(columns: Mapping[str, str]) -> Any:
    """Return the Arrow schema of columns, from their Arrow types by name."""
    pa, *_ = require_pyarrow()
    return pa.schema([(name, getattr(pa, kind)()) for name, kind in columns.items()])


def _quoted(table: Any) -> Any:
    """Return a table whose texts no spreadsheet takes for formulas."""
    pa, *_ = require_pyarrow()
    for index, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            texts = [None if text is None else cell(text)
                     for text in table.column(index).to_pylist()]
            table = table.set_column(index, field, [texts])
    return table


def _as_text(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row whose text every table holds."""
    return {name: shown(value) if isinstance(value, str) else value
            for name, value in row.items()}


def read_table(path: Path, columns: Collection[str]) -> dict[str, list[Any]]:
    """
    Return the columns of a Parquet table.

    :param columns: names of the columns that the table must have.
    :raises ResourceError: if the file cannot be read, lacks columns, or pyarrow is missing.
    """
    pa, pq, _ = require_pyarrow()
    try:
        with path.open('rb') as file, pq.ParquetFile(file) as table:
            missing = [name for name in columns if name not in table.schema_arrow.names]
            if missing:
                raise ResourceError(f'{path}: lacks the columns {", ".join(missing)}')
            found = table.read(list(columns))
    except (OSError, pa.ArrowException) as error:
        raise ResourceError(f'{path}: cannot be read as Parquet: {error}') from error
    return {name: found.column(name).to_pylist() for name in columns}


def require_pyarrow() -> tuple[Any, Any, Any]:
    """
    Return pyarrow and its modules for Parquet and CSV.

    :raises ResourceError: if it is missing. Call this before long work, not after it.
    """
    try:
        import pyarrow
        from pyarrow import csv, parquet
    except ImportError as error:
        raise ResourceError(
            'pyarrow is not installed; pip install "maven_ros[evaluation]"') from error
    return pyarrow, parquet, csv
