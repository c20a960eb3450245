"""
Incremental inference: evidence of windows in, estimates out.

Each face is encoded once, words when they change, sound once a window; what overlaps with earlier
windows is remembered (:mod:`maven_ros.model.incremental`). The fusion runs once for all people.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from maven_ros.affect import Affect
from maven_ros.diagnostics import Counters
from maven_ros.errors import ResourceError
from maven_ros.evidence_checks import check_evidence, no_evidence, window_samples
from maven_ros.records import Box, Estimate, Evidence, Face, Word, nanoseconds
from maven_ros.resources import resource
from maven_ros.settings import ModelSettings, WindowSettings

if TYPE_CHECKING:
    import torch

SHIPPED = 'models/compact'


class Engine:
    """
    A loaded model and what it remembers of recent windows. Not thread-safe: one thread uses it.

    :param settings: the checkpoint, the device, the precision, and CPU threads; those are torch's,
        and so of the whole process.
    :param windows: their length is that of every piece of evidence.
    :param frame_rate_hz: slots of the time grid a second, one face in each.
    :param counters: where words that are too many are counted; a new one when left out.
    :raises ResourceError: when the checkpoint or the device is missing or unusable.
    """

    def __init__(
        self, settings: ModelSettings, windows: WindowSettings, frame_rate_hz: float,
        counters: Counters | None = None,
    ) -> None:
        import torch

        from maven_ros.model.alignment import Grid
        from maven_ros.model.checkpoint import load
        from maven_ros.model.incremental import IncrementalEncoder

        torch.set_num_threads(settings.threads)
        device = choose_device(settings.device)
        #: Where it runs: ``cpu``, ``cuda:0`` and so on.
        self.device = str(device)
        self._bf16 = uses_bf16(settings.precision, device)
        checkpoint = load(
            Path(settings.path) if settings.path else resource(SHIPPED), settings.seed)
        #: What AffectState.model says; begins with ``untrained`` when the weights are.
        self.name = checkpoint.name
        self.trained = checkpoint.trained
        #: Side of the face crops that it takes.
        self.crop_px = checkpoint.model.config.crop_px
        self._model = checkpoint.model.to(device)
        self._length_ns = nanoseconds(windows.length_s)
        slots = max(1, round(windows.length_s * frame_rate_hz))
        self._encoder = IncrementalEncoder(
            self._model, checkpoint.tokenizer, Grid(slots, windows.length_s / slots), device,
            counters if counters is not None else Counters())

    def warm_up(self) -> None:
        """Run once on made-up evidence, so that the first real one does not wait; then forget."""
        face = Face(0, 'nobody', Box(0, 0, self.crop_px, self.crop_px),
                    np.zeros((self.crop_px, self.crop_px, 3), np.uint8))
        samples = window_samples(self._length_ns)
        self.infer([Evidence(
            0, self._length_ns, 'nobody', (face,), np.zeros(samples, np.float32),
            np.ones(samples, np.bool_), (Word('hello', 0, self._length_ns, 1.0),))])
        self.reset()

    def reset(self) -> None:
        """Forget all evidence; the model stays loaded."""
        self._encoder.reset()

    def infer(self, evidence: Sequence[Evidence]) -> list[Estimate]:
        """
        Estimate the affect that each piece of evidence speaks of, in one pass.

        :param evidence: any number of pieces, each as long as the settings' windows.
        :returns: an estimate of each, in the same order.
        :raises InputError: when a piece holds no evidence that the model can use
            (``'no_evidence'``), breaks what :class:`maven_ros.records.Evidence` promises, or is
            the second about one person and window.
        """
        import torch

        if not evidence:
            return []
        check_evidence(evidence, self._length_ns, self.crop_px)
        kind = torch.device(self.device).type
        with torch.inference_mode(), torch.autocast(kind, torch.bfloat16, self._bf16):
            output = self._model.explain(self._encoder.encode(evidence))
            # One table, for one copy from the device. A raw head may leave the square.
            rows = torch.column_stack([
                output.valence.clamp(-1, 1), output.arousal.clamp(-1, 1),
                output.valence_std, output.arousal_std, output.influence]).tolist()
        return [_estimate(piece, row) for piece, row in zip(evidence, rows, strict=True)]


def choose_device(name: str) -> torch.device:
    """
    Return the device of that name.

    :param name: ``auto`` (CUDA where present), ``cpu``, ``cuda`` or ``cuda:N``.
    :raises ResourceError: when there is no such device.
    """
    import torch

    if name == 'auto':
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    kind, _, index = name.partition(':')
    if kind not in ('cpu', 'cuda') or (':' in name and (kind == 'cpu' or not index.isdecimal())):
        raise ResourceError(f'model.device: {name!r} is not auto, cpu, cuda or cuda:N')
    present = torch.cuda.device_count() if kind == 'cuda' and torch.cuda.is_available() else 0
    if kind == 'cuda' and int(index or 0) >= present:
        raise ResourceError(f'model.device: {name!r} is asked for, and there are {present} CUDA '
                            'devices; allowed here: auto, cpu' + ', cuda' * bool(present))
    return torch.device(name)


def uses_bf16(precision: str, device: torch.device) -> bool:
    """Say whether products are in bfloat16: ``model.precision`` on that device."""
    import torch

    if precision == 'auto':
        return device.type == 'cuda' and torch.cuda.is_bf16_supported(including_emulation=False)
    return precision == 'bf16'


def _estimate(piece: Evidence, row: list[float]) -> Estimate:
    valence, arousal, valence_std, arousal_std, video, audio, text = row
    if math.isnan(valence):
        raise no_evidence(piece)
    return Estimate(Affect(valence, arousal), valence_std, arousal_std, (video, audio, text))
