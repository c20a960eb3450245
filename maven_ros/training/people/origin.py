"""Where recorded people come from, and the terms of their data, which weights inherit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from maven_ros.errors import ResourceError
from maven_ros.files import read_object, write_json

#: A file beside the annotations of a set that is not Aff-Wild2; ``data generate`` writes it.
ORIGIN = 'origin.json'


@dataclass(frozen=True)
class Origin:
    """
    The origin of a data set.

    :param name: name of the data, such as ``'Aff-Wild2'``.
    :param terms: terms of the data; empty if there are none.
    :param generated: whether nobody was recorded: scores then say nothing about people.
    """

    name: str
    terms: str
    generated: bool

    def write(self, folder: Path) -> None:
        """Write it beside the annotations."""
        write_json(folder / ORIGIN, asdict(self))


AFFWILD2 = Origin(
    'Aff-Wild2', 'non-commercial research, under the agreement with its authors', False)


def find_origin(annotations: Path) -> Origin:
    """
    Return the origin of annotations: what is written beside them, or Aff-Wild2.

    :param annotations: the folder with the splits, or with the folder of them.
    :raises ResourceError: if the file is damaged.
    """
    for folder in (annotations, annotations.parent):
        if (folder / ORIGIN).is_file():
            return _origin(read_object(folder / ORIGIN), folder / ORIGIN)
    return AFFWILD2


def origin_of(summary: Mapping[str, Any], path: Path) -> Origin:
    """
    Return the origin of a prepared set.

    :param summary: content of its ``prepared.json``; older ones do not name their origin.
    :param path: path of that file, for messages.
    """
    return _origin(summary['origin'], path) if 'origin' in summary else AFFWILD2


def _origin(values: Any, path: Path) -> Origin:
    try:
        return Origin(str(values['name']), str(values['terms']), bool(values['generated']))
    except (LookupError, TypeError) as error:
        raise ResourceError(f'{path}: does not say where the data come from: {error}') from error
