"""Find models: shipped ones beside the code, fetched ones in the user's folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from maven_ros.errors import ResourceError, SettingsError
from maven_ros.files import read_object, readable
from maven_ros.resources import models_folder, resource
from maven_ros.store.lock import Lock
from maven_ros.store.manifest import ManifestEntry
from maven_ros.yaml_files import parse_yaml

CARD, CONFIG = 'README.md', 'config.json'
WEIGHTS = ('.safetensors', '.onnx', '.mdl', '.bin')  # suffixes of files with weights


@dataclass(frozen=True, slots=True)
class Model:
    """
    A model, on this machine or only in the manifest.

    :param folder: its folder; None if it is not on this machine.
    :param lock: the lock of a fetched model.
    :param entry: the manifest's entry.
    :param fault: why the lock cannot be read; empty if it can.
    """

    name: str
    folder: Path | None
    lock: Lock | None = None
    entry: ManifestEntry | None = None
    fault: str = ''

    @property
    def kind(self) -> str:
        """The kind of model, such as ``'text encoder'``."""
        return self.entry.kind if self.entry else 'affect model'

    @property
    def size(self) -> str:
        """The size on disk, or of the download, in words."""
        if self.folder:
            return readable(sum(path.stat().st_size for path in self.folder.rglob('*')
                                if path.is_file()))
        return self.entry.size if self.entry else '?'

    @property
    def licence(self) -> str:
        """
        SPDX identifier of the weights' licence, from the lock, the manifest or the card.

        Several terms, for which there is no identifier, are the card's ``license_name``.
        """
        if known := self.lock or self.entry:
            return known.licence
        stated = str(self.card[0].get('license', 'not stated'))
        return str(self.card[0].get('license_name', stated)) if stated == 'other' else stated

    @property
    def state(self) -> str:
        """``'trained'``, ``'untrained'``, ``'not fetched'``, or ``'damaged'``."""
        if self.fault:
            return 'damaged'
        if self.folder is None:
            return 'not fetched'
        weights = any(path.suffix in WEIGHTS
                      for path in self.folder.rglob('*'))
        return 'trained' if weights and self._says_trained() else 'untrained'

    def _says_trained(self) -> bool:
        """Tell whether a checkpoint is trained; other projects' models count as trained."""
        path = self.folder / CONFIG if self.folder else None
        if path is None or not path.is_file():
            return True
        try:
            values = read_object(path)
        except ResourceError:  # verify and info name the fault
            return True
        return values.get('model_type') != 'maven' or values.get('trained') is True

    @property
    def card(self) -> tuple[Mapping[str, object], str]:
        """The model card: its front matter and its text."""
        path = self.folder / CARD if self.folder else None
        if path is None or not path.is_file():
            return {}, ''
        text = path.read_text('utf-8', 'replace')
        if not text.startswith('---\n') or '\n---\n' not in text:
            return {}, text
        front, _, text = text.removeprefix('---\n').partition('\n---\n')
        try:
            values = parse_yaml(front, str(path))
        except SettingsError:  # another project's card: only its text is used
            values = None
        return values if isinstance(values, dict) else {}, text


def known_models(manifest: Mapping[str, ManifestEntry]) -> list[Model]:
    """Return the shipped models, followed by the manifest's."""
    shipped = sorted(path.parent for path in resource('models').glob(f'*/{CONFIG}'))
    return ([Model(folder.name, folder) for folder in shipped]
            + [_at(models_folder() / name, entry) for name, entry in manifest.items()])


def find_model(text: str, manifest: Mapping[str, ManifestEntry]) -> Model:
    """
    Return the model with a name or a path.

    :raises ResourceError: if there is none; names the known models.
    """
    models = known_models(manifest)
    for model in models:
        if model.name == text:
            return model
    folder = Path(text).resolve()
    if not text or not folder.is_dir():
        names = ', '.join(model.name for model in models)
        raise ResourceError(f'{text}: neither a folder nor a model; models: {names}')
    lock = Lock.read(folder)
    if lock is None and not (folder / CONFIG).is_file():
        raise ResourceError(f'{text}: holds neither a {CONFIG} nor a lock of maven-ros')
    return Model(folder.name, folder, lock, manifest.get(lock.name) if lock else None)


def _at(folder: Path, entry: ManifestEntry) -> Model:
    """Return a model of the manifest; only a folder with a lock counts as fetched."""
    try:
        lock = Lock.read(folder) if folder.is_dir() else None
    except ResourceError as error:  # the other models can still be listed
        return Model(entry.name, folder, None, entry, str(error))
    return Model(entry.name, folder if lock else None, lock, entry)
