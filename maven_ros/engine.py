"""
Incremental inference: evidence of windows in, estimates out.

Each face is encoded once, words when they change, sound once a window; what overlaps with earlier
windows is remembered (:mod:`maven_ros.model.incremental`). Each network runs once for all people
of all streams.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from maven_ros.affect import Affect
from maven_ros.diagnostics import Counters
from maven_ros.evidence_checks import check_evidence, no_evidence, window_samples
from maven_ros.records import Box, Estimate, Evidence, Face, Word, nanoseconds
from maven_ros.resources import resource
from maven_ros.settings import ModelSettings, WindowSettings

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from maven_ros.model.fusion import Features
    from maven_ros.model.incremental import Memory, Row

SHIPPED = 'models/compact'


class Engine:
    """
    A loaded model and what it remembers of recent windows. Not thread-safe: one thread uses it.

    One engine serves any number of streams, each with a memory of its own. ::

        memories = [Memory() for _ in cameras]
        estimates = engine.infer_streams(list(zip(memories, evidence)))

    :param settings: the checkpoint, the device, the precision, and CPU threads; those are torch's,
        and so of the whole process.
    :param windows: their length is that of every piece of evidence.
    :param frame_rate_hz: slots of the time grid a second, one face in each.
    :param counters: where words that are too many, and steps back for want of memory, are counted;
        a new one when left out.
    :raises ResourceError: when the checkpoint or the device is missing or unusable.
    """

    def __init__(
        self, settings: ModelSettings, windows: WindowSettings, frame_rate_hz: float,
        counters: Counters | None = None,
    ) -> None:
        import torch

        from maven_ros.model.alignment import Grid
        from maven_ros.model.checkpoint import load
        from maven_ros.model.devices import choose_device
        from maven_ros.model.incremental import Memory

        torch.set_num_threads(settings.threads)
        device = choose_device(settings.device)
        checkpoint = load(
            Path(settings.path) if settings.path else resource(SHIPPED), settings.seed)
        #: What AffectState.model says; begins with ``untrained`` when the weights are.
        self.name = checkpoint.name
        self.trained = checkpoint.trained
        #: Side of the face crops that it takes.
        self.crop_px = checkpoint.model.config.crop_px
        self._model = checkpoint.model
        self._tokenizer = checkpoint.tokenizer
        self._precision, self._compiled = settings.precision, settings.compile
        self._influence = settings.influence
        self._length_ns = nanoseconds(windows.length_s)
        slots = max(1, round(windows.length_s * frame_rate_hz))
        self._grid = Grid(slots, windows.length_s / slots)
        self._counters = counters if counters is not None else Counters()
        self._memory = Memory()
        self._move(device)

    def _move(self, device: torch.device) -> None:
        """Bring the model to a device; what was remembered on another counts no more."""
        import torch

        from maven_ros.model.devices import Batches, choose_dtype, compile_parts, hold_weights
        from maven_ros.model.incremental import IncrementalEncoder

        #: Where it runs: ``cpu``, ``cuda:0`` and so on.
        self.device = str(device)
        self._dtype = choose_dtype(self._precision, device)
        self._model.to(device, torch.float32)
        for part in ('face_encoder', 'voice_encoder', 'text_encoder', 'fusion', 'context'):
            hold_weights(getattr(self._model, part), self._dtype)  # the head stays exact
        if self._compiled:
            compile_parts(getattr(self._model, part) for part in (
                'face_encoder', 'voice_encoder', 'fusion', 'context', 'head'))
        self._batches = Batches(self._counters)
        self._encoder = IncrementalEncoder(
            self._model, self._tokenizer, self._grid, device, self._counters, self._batches)

    def warm_up(self) -> None:
        """
        Run on made-up evidence, so that the first real one does not wait; then forget.

        Once for one person, and once for several, each modality alone among them.

        :raises ResourceError: when the network is to be compiled and cannot be.
        """
        from maven_ros.model.devices import compiling

        with compiling() if self._compiled else nullcontext():
            for people in (1, 4):
                self.infer(_made_up(people, self._length_ns, self.crop_px))
                self.reset()

    def reset(self) -> None:
        """Forget all evidence that :meth:`infer` was given; the model stays loaded."""
        self._memory.reset()

    def infer(self, evidence: Sequence[Evidence]) -> list[Estimate]:
        """
        Estimate the affect that each piece of evidence speaks of, in one pass.

        :param evidence: any number of pieces of one stream, each as long as the settings' windows.
        :returns: an estimate of each, in the same order.
        :raises InputError: when a piece holds no evidence that the model can use
            (``'no_evidence'``), breaks what :class:`maven_ros.records.Evidence` promises, or is
            the second about one person and window.
        """
        return self.infer_streams([(self._memory, evidence)])[0]

    def infer_streams(
        self, streams: Sequence[tuple[Memory, Sequence[Evidence]]],
    ) -> list[list[Estimate]]:
        """
        Estimate for several streams (cameras, robots, bags) in one pass.

        :param streams: the memory of each, and pieces of evidence as for :meth:`infer`.
        :returns: for each stream an estimate of each piece, in the same order.
        :raises InputError: as :meth:`infer`; one piece refuses them all.
        """
        for _, pieces in streams:  # two streams may well have people of one id
            check_evidence(pieces, self._length_ns, self.crop_px)
        rows = [(memory, piece) for memory, pieces in streams for piece in pieces]
        numbers = iter(self._run(rows) if rows else ())
        return [[_estimate(piece, next(numbers)) for piece in pieces] for _, pieces in streams]

    def _run(self, rows: Sequence[Row]) -> list[list[float]]:
        """
        Encode and fuse; return the numbers of an estimate for each row.

        :raises torch.OutOfMemoryError: when one row alone does not fit into the processor's
            memory; a GPU that is too small is given up for good.
        """
        import torch

        try:
            return self._attempt(rows)
        except torch.OutOfMemoryError as error:
            if self.device == 'cpu':
                raise
            detail = f'no batch fits into the memory of {self.device}, the model runs on the ' \
                     f'processor from now on: {error}'
        self._counters.count('engine', 'moved_to_cpu', detail.partition('\n')[0])
        self._move(torch.device('cpu'))
        return self._attempt(rows)

    def _attempt(self, rows: Sequence[Row]) -> list[list[float]]:
        import torch

        kind = self.device.partition(':')[0]
        with torch.inference_mode(), \
                torch.autocast(kind, self._dtype, self._dtype != torch.float32):
            features = self._encoder.encode(rows)
            table, = self._batches.run(
                'windows', len(rows), lambda part: (self._numbers(features.part(part)),))
            numbers: list[list[float]] = table.tolist()  # nothing before waits for the device
        return numbers

    def _numbers(self, features: Features) -> Tensor:
        import torch

        output = self._model.explain(features) if self._influence else self._model.fuse(features)
        influence = output.influence
        if influence is None:  # not asked for, and so not known
            influence = output.valence.new_full((len(output.valence), 3), math.nan)
        # One table, for one copy from the device. A raw head may leave the square.
        return torch.column_stack([
            output.valence.clamp(-1, 1), output.arousal.clamp(-1, 1),
            output.valence_std, output.arousal_std, influence])


def _made_up(people: int, length_ns: int, crop_px: int) -> list[Evidence]:
    """Return evidence of nobody: all of it about the first, then each modality alone."""
    samples = window_samples(length_ns)
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
    valence, arousal, valence_std, arousal_std, video, audio, text = row
    if math.isnan(valence):
        raise no_evidence(piece)
    return Estimate(Affect(valence, arousal), valence_std, arousal_std, (video, audio, text))
