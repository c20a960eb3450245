"""Read the pictures of a bag: their stamps, for annotations, and their pixels, for reports."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maven_ros.errors import InputError, ResourceError
from maven_ros.graph.bag.bag_graph import BagGraph
from maven_ros.graph.interface import Received
from maven_ros.intake.input_reader import InputReader
from maven_ros.records import NS, Frame, Pixels
from maven_ros.settings import AudioSettings

#: Largest difference between a picture's arrival and its stamp; negative if clocks differ.
_DELAY_NS = 5 * NS


def picture_stamps(bag: Path, image_topic: str) -> NDArray[np.int64]:
    """
    Return the stamps of all pictures of a bag; for a broken bag, those before the break.

    :param image_topic: full name of the replayed topic; empty for a bag without pictures.
    :returns: int64 (pictures,), ascending.
    :raises InputError: if a message is not a picture, because later pictures could then not be
        counted, or if stamps repeat or go back, because a time would mean several pictures.
    :raises ResourceError: if the bag cannot be opened.
    """
    reader = InputReader(AudioSettings())
    stamps: list[int] = []
    with BagGraph(bag) as graph:
        for received in _whole(graph.read([image_topic])) if image_topic else ():
            try:
                record = reader.read(received)
            except InputError as error:
                raise InputError(error.cause, f'{bag.name}: picture {len(stamps) + 1} cannot be '
                                              f'counted: {error}') from error
            if isinstance(record, Frame):
                stamps.append(record.stamp_ns)
    for number, (before, after) in enumerate(itertools.pairwise(stamps), 2):
        if after <= before:
            raise InputError('stamps_go_back', f'{bag.name}: picture {number} has the stamp '
                             f'{after} ns and the one before {before} ns; allowed: later ones')
    return np.array(stamps, np.int64)


def pictures_at(
    bag: Path, times_ns: Sequence[int], image_topic: str,
) -> list[tuple[int, Pixels] | None]:
    """
    Return the newest picture at each of the given times, with its stamp.

    :param times_ns: ascending times.
    :param image_topic: as for :func:`picture_stamps`.
    :returns: None for times without a readable picture in the second before.
    :raises ResourceError: if the bag cannot be opened.
    """
    reader = InputReader(AudioSettings())
    found: list[Frame | None] = [None] * len(times_ns)
    with BagGraph(bag) as graph:
        span = times_ns[0] - NS - _DELAY_NS, times_ns[-1] + _DELAY_NS
        for received in _whole(graph.read([image_topic], *span)) if image_topic else ():
            try:
                record = reader.read(received)
            except InputError:
                continue  # the replay counts it
            if isinstance(record, Frame):
                for index, time_ns in enumerate(times_ns):
                    before = found[index]
                    if time_ns - NS < record.stamp_ns <= time_ns and (
                            before is None or before.stamp_ns < record.stamp_ns):
                        found[index] = record
    return [_decoded(frame) for frame in found]


def _whole(messages: Iterator[Received]) -> Iterator[Received]:
    """Yield messages up to a break of the bag, which the replay reports."""
    with contextlib.suppress(ResourceError):
        yield from messages


def _decoded(frame: Frame | None) -> tuple[int, Pixels] | None:
    try:
        return (frame.stamp_ns, frame.decode()) if frame else None
    except InputError:
        return None
