"""Tables in Parquet and CSV files; the same rows always give the same bytes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any

from maven_ros.errors import ResourceError
from maven_ros.text import cell

_ROWS = 4096  # rows per row group, and rows held in memory


def write_tables(
    rows: Iterator[dict[str, Any]], columns: Mapping[str, str], paths: tuple[Path, ...],
) -> None:
    """
    Write one table into several files; the suffix of each decides between Parquet and CSV.

    :param rows: consumed a few thousand at a time.
    :param columns: Arrow type by column name.
    :raises ResourceError: if a file cannot be written, or pyarrow is missing.
    """
    pa, pq, csv = require_pyarrow()
    schema = pa.schema([(name, getattr(pa, kind)()) for name, kind in columns.items()])
    try:
        with ExitStack() as stack:
            writers = [
                stack.enter_context(
                    pq.ParquetWriter(path, schema) if '.parquet' in path.suffixes
                    else csv.CSVWriter(path, schema))
                for path in paths]
            while some := list(islice(rows, _ROWS)):
                table = pa.Table.from_pylist(some, schema)
                for writer in writers:
                    csv_rows = isinstance(writer, csv.CSVWriter)
                    writer.write_table(_quoted(table) if csv_rows else table)
    except OSError as error:
        raise ResourceError(f'{paths[0].parent}: a table cannot be written: {error}') from error


def _quoted(table: Any) -> Any:
    """Return a table whose texts no spreadsheet takes for formulas."""
    pa, *_ = require_pyarrow()
    for index, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            texts = [None if text is None else cell(text)
                     for text in table.column(index).to_pylist()]
            table = table.set_column(index, field, [texts])
    return table


def read_table(path: Path, columns: Collection[str]) -> dict[str, list[Any]]:
    """
    Return the columns of a Parquet table.

    :param columns: names of the columns that the table must have.
    :raises ResourceError: if the file cannot be read, lacks columns, or pyarrow is missing.
    """
    pa, pq, _ = require_pyarrow()
    try:
        with pq.ParquetFile(path) as file:
            missing = [name for name in columns if name not in file.schema_arrow.names]
            if missing:
                raise ResourceError(f'{path}: lacks the columns {", ".join(missing)}')
            table = file.read(list(columns))
    except (OSError, pa.ArrowException) as error:
        raise ResourceError(f'{path}: cannot be read as Parquet: {error}') from error
    return {name: table.column(name).to_pylist() for name in columns}


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
