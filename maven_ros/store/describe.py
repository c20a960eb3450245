"""Describe models in text: a table of all, or details of one."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

from maven_ros.errors import ResourceError
from maven_ros.files import read_object, sha256_of
from maven_ros.store.manifest import ManifestEntry
from maven_ros.store.shelf import CONFIG, WEIGHTS, Model

_CARD_LINES = 12


def table(models: Sequence[Model]) -> str:
    """Return a table with name, kind, size, licence, state and folder of each model."""
    rows = [('NAME', 'KIND', 'SIZE', 'LICENCE', 'STATE', 'WHERE')]
    for model in models:
        rows.append((model.name, model.kind, model.size, model.licence, model.state,
                     str(model.folder or '-')))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return '\n'.join('  '.join(
        cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows)


def terms(entry: ManifestEntry) -> str:
    """Return the terms of a model, to be read before it is fetched."""
    return (f'{entry.name}: {entry.kind}, {entry.size}, from {entry.hub or entry.url}\n'
            f'    for      {entry.purpose}\n'
            f'    licence  {entry.licence}: {entry.licence_means}'
            + (f'\n    notice   {entry.notice}' if entry.notice else ''))


def describe(model: Model) -> str:
    """
    Describe a model.

    :raises ResourceError: if a file of it is damaged.
    """
    lines = [f'{model.name}: {model.kind}, {model.state}', f'licence: {model.licence}']
    if model.entry:
        lines[-1] += f' ({model.entry.licence_means})'
        if model.entry.notice:
            lines.append(f'notice: {model.entry.notice}')
        lines.append(f'for: {model.entry.purpose}')
        lines.append(f'from: {model.entry.hub or model.entry.url}')
    if model.lock and model.lock.commit:
        lines.append(f'commit: {model.lock.commit}')
    if model.folder is None:
        return '\n'.join([*lines, f'to fetch it: maven-ros models fetch {model.name}'])
    lines += [f'where: {model.folder}', f'size: {model.size}']
    if model.entry and model.entry.use:
        lines.append(f'use: maven-ros run {model.entry.use.format(folder=model.folder)}')
    elif model.entry and model.entry.kind.endswith('encoder'):
        lines.append('use: as part of a network, with MavenModel.from_encoders: docs/model.md')
    lines += _weights(model.folder)
    lines += _configuration(model.folder / CONFIG)
    card = [line for line in model.card[1].splitlines() if line.strip()][:_CARD_LINES]
    return '\n'.join([*lines, 'card:', *(f'    {line}' for line in card)] if card else lines)


def _weights(folder: Path) -> list[str]:
    """Return the number of parameters, if stored, and the hash of each weights file."""
    found = sorted(folder.rglob('*.safetensors'))
    lines = [f'parameters: {sum(map(_parameters, found)) / 1e6:.2f} M'] if found else []
    for path in sorted(path for path in folder.rglob('*') if path.suffix in WEIGHTS):
        lines.append(f'sha256 of {path.relative_to(folder).as_posix()}: {sha256_of(path)}')
    return lines or ['parameters: none stored; the weights are drawn from a seed']


def _parameters(path: Path) -> int:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework='numpy') as file:
            return sum(math.prod(file.get_slice(name).get_shape())
                       for name in file.keys())  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ResourceError(f'{path}: not a safetensors file: {error}') from error


def _configuration(path: Path) -> list[str]:
    if not path.is_file():
        return []
    return ['configuration:', *(f'    {name}: {_short(value)}'
                                for name, value in read_object(path).items())]


def _short(value: object) -> str:
    """Format a value; of an encoder only its identity, of a large table only its size."""
    if isinstance(value, dict) and {'name', 'config', 'frozen', 'sha256'} <= value.keys():
        kind = value['config'].get('model_type') if isinstance(value['config'], dict) else None
        return (f"{value['name']} ({kind}), {'frozen' if value['frozen'] else 'trained'}, "
                + (f"sha256 {value['sha256']}, in its own folder" if value['sha256']
                   else 'stored here'))
    if isinstance(value, dict | list) and len(value) > 16:
        return f'{len(value)} values'
    return json.dumps(value)
