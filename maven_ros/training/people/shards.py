"""
Features on disk: self-describing shards in safetensors format.

The metadata of a shard hold the specification of the features and its rows of the index. So any
number of shards form a valid set, and an interrupted call continues after the last one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from maven_ros.errors import ResourceError
from maven_ros.files import parse_json, read_json, write_json, written
from maven_ros.tables import write_tables
from maven_ros.training.people.feature_spec import require_same

SPEC, INDEX = 'features.json', 'index.parquet'
COLUMNS = {'person': 'string', 'modality': 'string', 'shard': 'string', 'key': 'string',
           'rows': 'int64', 'first_stamp_ns': 'int64', 'step_ns': 'int64', 'made_of': 'string'}
_SHARD = 'features-{:05}.safetensors'

#: Columns of the index, with one row per person and modality.
IndexRow = dict[str, Any]


def read_spec(folder: Path) -> dict[str, Any]:
    """
    Read the specification of a set of features.

    :raises ResourceError: if it is missing or cannot be read.
    """
    if not (folder / SPEC).is_file():
        raise ResourceError(f'{folder}: holds no features: it has no {SPEC}, which '
                            '`maven-ros data embed` writes')
    spec: dict[str, Any] = read_json(folder / SPEC)
    return spec


def read_index(folder: Path, spec: dict[str, Any]) -> list[IndexRow]:
    """
    Return the index rows of all shards of a set.

    :raises ResourceError: if a shard cannot be read, or belongs to other encoders or windows.
    """
    rows: list[IndexRow] = []
    for path in sorted(folder.glob(_SHARD.format(0).replace('00000', '*'))):
        try:
            with safe_open(path, 'pt') as shard:
                metadata = shard.metadata() or {}
            found, own = parse_json(metadata['features']), parse_json(metadata['index'])
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise ResourceError(f'{path}: not a shard of features, or broken: {error}; remove it '
                                'and run `maven-ros data embed` again') from error
        require_same(found, spec, str(path))
        rows += own
    return rows


def made_of_rows(rows: Sequence[IndexRow]) -> dict[tuple[str, str], str]:
    """Return the digest of the source of each person's tensors; the last row counts."""
    return {(row['person'], row['modality']): row.get('made_of', '') for row in rows}


class ShardWriter:
    """
    Collect tensors, and write them shard by shard.

    :param folder: folder of the set; existing shards stay.
    :param shard_bytes: size at which a shard is written.
    :raises ResourceError: if the folder holds features of other encoders or windows.
    """

    def __init__(self, folder: Path, spec: dict[str, Any], shard_bytes: int) -> None:
        self._folder, self._spec, self._shard_bytes = folder, spec, shard_bytes
        if (folder / SPEC).exists():
            require_same(read_spec(folder), spec, f'{folder}: holds features')
        else:
            write_json(folder / SPEC, spec)
        #: Index rows of the complete shards.
        self.rows = read_index(folder, spec)
        self._tensors: dict[str, Tensor] = {}
        self._pending: list[IndexRow] = []

    def add(self, tensors: Mapping[str, Tensor], rows: Sequence[IndexRow]) -> None:
        """
        Add tensors that must be in the same shard.

        :param rows: rows of the index, without the name of the shard.
        """
        self._tensors |= {name: value.contiguous() for name, value in tensors.items()}
        self._pending += rows
        if sum(value.nbytes for value in self._tensors.values()) >= self._shard_bytes:
            self.flush()

    def flush(self) -> None:
        """
        Write the collected tensors.

        :raises CannotWrite: if the disk is full, for example; earlier shards stay.
        """
        if not self._pending:
            return
        number = 1 + max((int(row['shard'][9:14]) for row in self.rows), default=0)
        name = _SHARD.format(number)
        rows = [{**row, 'shard': name} for row in self._pending]
        metadata = {'features': json.dumps(self._spec), 'index': json.dumps(rows)}
        with written(self._folder / name) as beside:
            save_file(self._tensors, beside, metadata)
            beside.chmod(0o644)  # readable for other users
        self.rows += rows
        self._tensors, self._pending = {}, []

    def finish(self) -> None:
        """Write the rest, and the index of all shards."""
        self.flush()
        ordered = sorted(self.rows, key=lambda row: (row['person'], row['modality']))
        with written(self._folder / INDEX) as beside:
            write_tables(iter(ordered), COLUMNS, (beside,))


def half(values: Tensor, what: str) -> Tensor:
    """
    Return values in float16, on the host.

    :raises ResourceError: if a value is not finite, or too large for float16.
    """
    rounded = values.to('cpu', torch.float16)
    if not rounded.isfinite().all():
        raise ResourceError(f'{what}: an encoder gives {float(values.abs().max()):g}; allowed: '
                            'finite values up to 65504 (float16)')
    return rounded
