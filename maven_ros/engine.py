"""
Incremental inference: it takes the evidence of windows and returns estimates.

Each face is encoded once, words are encoded when they change, and sound is encoded once per
window. Vectors that later windows need again are kept (:mod:`maven_ros.model.incremental`). Each
network runs once per call, for all people of all streams together.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from maven_ros import rules
from maven_ros.affect import Affect
from maven_ros.counters import Counters
from maven_ros.errors import ResourceError
from maven_ros.evidence_checks import check_evidence, no_evidence, not_finite
from maven_ros.records import Alone, Box, Estimate, Evidence, Face, Word, nanoseconds
from maven_ros.resources import network_folder, resource
from maven_ros.settings import ModelSettings, WindowSettings

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from maven_ros.model.checkpoint import Checkpoint
    from maven_ros.model.fusion import Features
    from maven_ros.model.incremental import Memory, Row

SHIPPED = 'models/compact'


class Engine:
    """
    A loaded model and its memory of recent windows. It is not thread-safe: use it from one thread.

    One engine serves any number of streams. Each stream has its own memory. ::

        memories = [Memory() for _ in cameras]
        estimates = engine.infer_streams(list(zip(memories, evidence)))

    :param settings: checkpoint, device, precision and CPU threads. The number of threads is
        torch's, so it holds for the whole process.
    :param windows: give the length of every piece of evidence.
    :param frame_rate_hz: slots of the time grid per second; each slot holds one face.
    :param counters: count words beyond the model's limit, and fallbacks after a lack of memory;
        a new object if omitted.
    :raises ResourceError: if the checkpoint or the device is missing or unusable.
    """

    def __init__(
        self, settings: ModelSettings, windows: WindowSettings, frame_rate_hz: float,
        counters: Counters | None = None,
    ) -> None:
        import torch

        from maven_ros.model.compute import choose_device
        from maven_ros.model.incremental import Memory

        torch.set_num_threads(settings.threads)
        device = choose_device(settings.device)
        checkpoint = _read(settings)
        #: The value of AffectState.model; it begins with ``untrained`` if the weights are.
        self.name = checkpoint.name
        self.trained = checkpoint.trained
        #: IETF tags of the languages that its text encoder knows.
        self.languages = checkpoint.model.config.languages
        #: Side of the face crops, in pixels.
        self.crop_px = checkpoint.model.config.crop_px
        self._settings, self._compiled = settings, settings.compile
        self._length_ns = nanoseconds(windows.length_s)
        self._grid = rules.time_grid(windows.length_s, frame_rate_hz)
        self._counters = counters if counters is not None else Counters()
        self._memory = Memory()
        self._silent: frozenset[str] = frozenset()
        try:
            self._place(checkpoint, device)
        except RuntimeError as error:
            self._give_up(error)

    def _place(self, checkpoint: Checkpoint, device: torch.device) -> None:
        """Move a freshly read model to a device; the memories of the old model become invalid."""
        import torch

        from maven_ros.model.compute import (
            Batches,
            choose_dtype,
            compile_parts,
            hold_weights,
            pack_weights,
            packs,
        )
        from maven_ros.model.incremental import IncrementalEncoder

        #: The device in use: ``cpu``, ``cuda:0`` and so on.
        self.device = str(device)
        self._dtype = choose_dtype(self._settings.precision, device)
        self._model = checkpoint.model.to(
            device, torch.float32, memory_format=torch.channels_last)  # as images are
        parts = [getattr(self._model, part) for part in (
            'face_encoder', 'voice_encoder', 'text_encoder', 'fusion', 'context')]
        for part in parts:  # the head stays in float32
            hold_weights(part, self._dtype)
        if not self._compiled and packs(device, self._dtype):
            for part in parts:
                pack_weights(part)
        if self._compiled:
            compile_parts(getattr(self._model, part) for part in (
                'face_encoder', 'voice_encoder', 'fusion', 'context', 'head'))
        self._model.fusion.silent = self._silent
        self._batches = Batches(self._counters)
        self._encoder = IncrementalEncoder(
            self._model, checkpoint.tokenizer, self._grid, device, self._counters, self._batches)

    def _give_up(self, error: RuntimeError) -> None:
        """
        Move to the CPU permanently if a GPU ran out of memory.

        The weights are read again, because those on the GPU may be rounded or compiled.

        :raises RuntimeError: the same error, if it has another cause.
        :raises ResourceError: if the checkpoint has changed since the start.
        """
        import torch

        from maven_ros.model.compute import first_line, is_out_of_memory

        if self.device == 'cpu' or not is_out_of_memory(error):
            raise error
        self._counters.count(
            'engine', 'moved_to_cpu', f'no batch fits into the memory of {self.device}, the model '
            f'runs on the processor from now on: {first_line(error)}')
        checkpoint = _read(self._settings)
        if checkpoint.name != self.name:
            raise ResourceError(f'model.path: {self._settings.path!r} has become '
                                f'{checkpoint.name!r}; allowed: {self.name!r}, as at the start')
        self._compiled = False
        self._place(checkpoint, torch.device('cpu'))

    def silence(self, pathways: Collection[str]) -> None:
        """
        Silence these pathways of the network from now on, and enable all others.

        :param pathways: some of ``PATHWAYS``.
        """
        self._silent = frozenset(pathways)
        self._model.fusion.silent = self._silent

    def adopt_thread(self) -> None:
        """Set the number of CPU threads for the calling thread: torch keeps it per thread."""
        import torch

        torch.set_num_threads(self._settings.threads)

    def warm_up(self) -> None:
        """
        Run on made-up evidence, so that the first real window is not slow; then forget it.

        It runs once for one person and once for several, including people with a single modality.

        :raises ResourceError: if the network should be compiled and cannot be.
        """
        from maven_ros.model.compute import compiling

        with compiling() if self._compiled else nullcontext():
            for people in (1, 4):
                self.infer(_made_up(people, self._length_ns, self.crop_px))
                self.reset()

    def reset(self) -> None:
        """Forget all evidence that :meth:`infer` received; the model stays loaded."""
        self._memory.reset()

    def infer(self, evidence: Sequence[Evidence]) -> list[Estimate]:
        """
        Estimate the affect in each piece of evidence, in one pass.

        :param evidence: pieces of evidence of one stream, each as long as the settings' windows.
        :returns: one estimate per piece, in the same order.
        :raises InputError: if a piece holds no evidence that the model can use
            (``'no_evidence'``), violates :class:`maven_ros.records.Evidence`, or is the second
            piece for the same person and window.
        """
        return self.infer_streams([(self._memory, evidence)])[0]

    def infer_streams(
        self, streams: Sequence[tuple[Memory, Sequence[Evidence]]],
    ) -> list[list[Estimate]]:
        """
        Estimate for several streams (cameras, robots, bags) in one pass.

        :param streams: for each stream its memory and its pieces of evidence, as in :meth:`infer`.
        :returns: for each stream one estimate per piece, in the same order.
        :raises InputError: as :meth:`infer`; one bad piece rejects the whole call.
        """
        windows: dict[Memory, list[Evidence]] = {}
        for memory, pieces in streams:
            windows.setdefault(memory, []).extend(pieces)
        for pieces in windows.values():  # person ids are unique only within a stream
            check_evidence(pieces, self._length_ns, self.crop_px)
        rows = [(memory, piece) for memory, pieces in streams for piece in pieces]
        numbers = iter(self._run(rows) if rows else ())
        return [[_estimate(piece, next(numbers)) for piece in pieces] for _, pieces in streams]

    def _run(self, rows: Sequence[Row]) -> list[list[float]]:
        """
        Encode and fuse; return the values of the estimate for each row.

        :raises RuntimeError: if a single row does not fit into the CPU's memory. If it does not
            fit into a GPU's, the engine moves to the CPU permanently.
        """
        try:
            return self._attempt(rows)
        except RuntimeError as error:
            self._give_up(error)
        return self._attempt(rows)

    def _attempt(self, rows: Sequence[Row]) -> list[list[float]]:
        import torch

        self._encoder.forget(rows)
        kind = self.device.partition(':')[0]
        with torch.inference_mode(), \
                torch.autocast(kind, self._dtype, self._dtype != torch.float32):
            # A batch that does not fit as a whole is split into fewer rows.
            table, = self._batches.run(
                'pieces of evidence', len(rows), lambda part: (self._table(rows[part]),))
            numbers: list[list[float]] = table.tolist()  # the only call that waits for the device
        return numbers

    def _table(self, rows: Sequence[Row]) -> Tensor:
        features = self._encoder.encode(rows)
        table, = self._batches.run(
            'windows', len(rows), lambda part: (self._numbers(features.part(part)),))
        return table

    def _numbers(self, features: Features) -> Tensor:
        import torch

        output = (self._model.explain if self._settings.influence else self._model.fuse)(features)
        influence = output.influence
        if influence is None:  # it was not requested
            influence = output.valence.new_full((len(output.valence), 3), math.nan)
        # One table means one copy from the device. A raw head may leave the square.
        return torch.column_stack([
            output.valence.clamp(-1, 1), output.arousal.clamp(-1, 1),
            output.valence_std, output.arousal_std, influence, features.present.any(1),
            self._model.readers.alone(features).flatten(1)])


def _read(settings: ModelSettings) -> Checkpoint:
    from maven_ros.model.checkpoint import load

    return load(network_folder(settings.path) if settings.path else resource(SHIPPED),
                settings.seed)


def _made_up(people: int, length_ns: int, crop_px: int) -> list[Evidence]:
    """Return made-up evidence: one person with all modalities, then one with each alone."""
    samples = rules.window_samples(length_ns)
    sound = {'waveform': np.zeros(samples, np.float32), 'heard': np.ones(samples, np.bool_)}
    words = {'words': (Word('hello', 0, length_ns, 1.0),)}
    crop = np.zeros((crop_px, crop_px, 3), np.uint8)

    def face(name: str) -> dict[str, Any]:
        return {'faces': (Face(0, name, Box(0, 0, crop_px, crop_px), crop),)}

    parts: list[dict[str, Any]] = [
        {**face('0'), **sound, **words}, face('1'), sound, words]
    return [Evidence(0, length_ns, str(index), **part)
            for index, part in enumerate(parts[:people])]


def _estimate(piece: Evidence, row: list[float]) -> Estimate:
    valence, arousal, valence_std, arousal_std, video, audio, text, present, *alone = row
    if not present:
        raise no_evidence(piece)
    if not all(map(math.isfinite, row[:4])):
        raise not_finite(piece)
    return Estimate(Affect(valence, arousal), valence_std, arousal_std, (video, audio, text),
                    Alone(*(Affect(*point) if math.isfinite(point[0]) else None
                            for point in zip(alone[::2], alone[1::2], strict=True))))
