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
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from maven_ros.affect import Affect
from maven_ros.diagnostics import Counters
from maven_ros.errors import InputError
from maven_ros.records import (
    NS,
    SAMPLE_RATE_HZ,
    Box,
    Estimate,
    Evidence,
    Face,
    Word,
    nanoseconds,
)
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

        face = Face(0, 'nobody', Box(0, 0, self.crop_px, self.crop_px),
                    np.zeros((self.crop_px, self.crop_px, 3), np.uint8))
        samples = _samples(self._length_ns)
        whole = Evidence(
            0, self._length_ns, 'nobody', (face,), np.zeros(samples, np.float32),
            np.ones(samples, np.bool_), (Word('hello', 0, self._length_ns, 1.0),))
        seen, heard, read = (replace(Evidence(0, self._length_ns), **{
            name: getattr(whole, name) for name in names})
            for names in (('faces',), ('waveform', 'heard'), ('words',)))
        with compiling() if self._compiled else nullcontext():
            for several in ([whole], [whole, seen, heard, read]):
                self.infer(several)
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
            (``'no_evidence'``), or breaks what :class:`maven_ros.records.Evidence` promises.
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
        rows = [(memory, piece) for memory, pieces in streams for piece in pieces]
        for _, piece in rows:
            self._check(piece)
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

        output = self._model.explain(features)
        assert output.influence is not None  # explain's purpose
        # One table, for one copy from the device. A raw head may leave the square.
        return torch.column_stack([
            output.valence.clamp(-1, 1), output.arousal.clamp(-1, 1),
            output.valence_std, output.arousal_std, output.influence])

    def _check(self, piece: Evidence) -> None:
        def refuse(cause: str, found: str, allowed: str) -> InputError:
            return InputError(cause, f'evidence about {piece.person_id!r} in [{piece.start_ns}, '
                                     f'{piece.end_ns}) ns: {found}; allowed: {allowed}')

        if piece.end_ns - piece.start_ns != self._length_ns:
            raise refuse('window_length', f'it is {piece.end_ns - piece.start_ns} ns long',
                         f'{self._length_ns}')
        if not piece.modalities:
            raise _no_evidence(piece)
        shape = (self.crop_px, self.crop_px, 3)
        for face in piece.faces:
            if not piece.start_ns <= face.stamp_ns < piece.end_ns:
                raise refuse('face_outside', f'a face at {face.stamp_ns} ns', 'inside')
            if face.crop.shape != shape or face.crop.dtype != np.uint8:
                raise refuse('crop_shape', f'a crop is {face.crop.dtype} {face.crop.shape}',
                             f'uint8 {shape}')
        for word in piece.words:
            if not piece.start_ns <= word.start_ns <= word.end_ns <= piece.end_ns:
                raise refuse('word_outside', f'{word.text!r} is spoken in [{word.start_ns}, '
                                             f'{word.end_ns}) ns', 'inside')
        samples = _samples(self._length_ns)
        if len(piece.waveform) not in (0, samples) or len(piece.heard) != len(piece.waveform):
            raise refuse('waveform_length', f'{len(piece.waveform)} samples and '
                         f'{len(piece.heard)} of their mask', f'0 or {samples} of both')
        if not np.isfinite(piece.waveform).all():
            raise refuse('not_finite', 'samples hold NaN or infinity', 'finite values')


def _samples(length_ns: int) -> int:
    return round(length_ns * SAMPLE_RATE_HZ / NS)


def _no_evidence(piece: Evidence) -> InputError:
    return InputError('no_evidence', f'evidence about {piece.person_id!r} in [{piece.start_ns}, '
                                     f'{piece.end_ns}) ns: none that the model can use; allowed: '
                                     'a face, a word or 25 ms of sound, at least')


def _estimate(piece: Evidence, row: list[float]) -> Estimate:
    valence, arousal, valence_std, arousal_std, video, audio, text = row
    if math.isnan(valence):
        raise _no_evidence(piece)
    return Estimate(Affect(valence, arousal), valence_std, arousal_std, (video, audio, text))
