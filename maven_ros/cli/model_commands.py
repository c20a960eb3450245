"""``maven-ros models fetch | list | verify | info``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from maven_ros.errors import ResourceError, SettingsError
from maven_ros.resources import models_folder
from maven_ros.store.describe import describe, table, terms
from maven_ros.store.fetch import Fetcher
from maven_ros.store.manifest import ManifestEntry, read_manifest
from maven_ros.store.shelf import find_model, known_models
from maven_ros.text import printable, printable_lines

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID


def fetch(names: Sequence[str], agreed: bool, base_url: str | None) -> None:
    """
    Show the licences, ask for agreement, and fetch models.

    :param agreed: whether to skip the question.
    :param base_url: a mirror of all servers.
    :raises ResourceError: if a name is unknown, the user does not agree, or a download fails.
    """
    from rich.console import Console

    console = Console(soft_wrap=True, markup=False, highlight=False, emoji=False)
    entries = _entries(names)
    for entry in entries:
        console.print(printable_lines(terms(entry)))
    with _interruptible():
        if not agreed:
            _ask(entries)
        for entry in entries:
            folder = _fetch(entry, base_url, console)
            if entry.use:
                console.print(printable_lines(
                    f'use it: maven-ros run {entry.use.format(folder=folder)}'))


def list_models() -> str:
    """Return the table of all models."""
    return table(known_models(read_manifest()))


def verify(name: str) -> tuple[bool, str]:
    """
    Check every file of a fetched model. Load any other model, which checks its tensors.

    :param name: name or path of the model.
    :returns: whether it passed, and the findings as text.
    :raises ResourceError: if there is nothing to check, or the model does not load.
    """
    model = find_model(name, read_manifest())
    if model.fault:
        return False, f'{model.name}: {model.fault}'
    if model.folder is None:
        raise ResourceError(f'{name}: not fetched; maven-ros models fetch {name}')
    if model.lock is None:
        from maven_ros.model.checkpoint import load

        return True, f'{model.name}: loads, as {load(model.folder).name}'
    faults = model.lock.faults(model.folder, model.entry)
    if faults:
        return False, '\n'.join(f'{model.name}: {fault}' for fault in faults)
    unchecked = [one.path for one in model.lock.sources if one.checked == 'nothing']
    note = f'; fetched without a known hash: {", ".join(unchecked)}' if unchecked else ''
    return True, f'{model.name}: {len(model.lock.files)} files are unchanged{note}'


def info(name: str) -> str:
    """
    Describe a model.

    :param name: name or path of the model.
    """
    return describe(find_model(name, read_manifest()))


def _entries(names: Sequence[str]) -> list[ManifestEntry]:
    manifest = read_manifest()
    for name in names:
        if name not in manifest:
            raise ResourceError(f'{name}: not in the manifest; it has {", ".join(manifest)}')
    return [manifest[name] for name in dict.fromkeys(names)]


def _ask(entries: Sequence[ManifestEntry]) -> None:
    if not sys.stdin.isatty():
        raise SettingsError('--yes: is needed to agree to the licences without a terminal')
    what = 'this model under its licence' if len(entries) == 1 else 'these under their licences'
    if input(f'Fetch {what} into {models_folder()}? [y/N] ').strip().lower() not in ('y', 'yes'):
        raise ResourceError('not agreed: nothing was fetched')


def _fetch(entry: ManifestEntry, base_url: str | None, console: Console) -> Path:
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (TextColumn('{task.description}', markup=False), BarColumn(), DownloadColumn(),
               TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True,
                  disable=not console.is_terminal) as bars:
        tasks: dict[str, TaskID] = {}

        def progress(path: str, done: int, total: int | None) -> None:
            if path not in tasks:
                tasks[path] = bars.add_task(printable(path), total=total)
            bars.update(tasks[path], completed=done, total=total)

        def tell(text: str) -> None:
            console.print(printable_lines(text))

        fetcher = Fetcher(models_folder(), base_url, say=tell, progress=progress)
        return fetcher.fetch(entry)


@contextmanager
def _interruptible() -> Iterator[None]:
    """
    Say that a signal ended the fetch.

    It does so at once, as :class:`maven_ros.interrupts.Interrupts` does with all that do not watch
    it: a prompt or a silent server cannot.
    """
    try:
        yield
    except SystemExit as stopped:
        raise ResourceError('stopped; the next fetch continues the download') from stopped
