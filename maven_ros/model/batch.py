"""A batch of windows: the input and the output of the network."""

from __future__ import annotations

from dataclasses import dataclass, fields

from torch import Tensor

from maven_ros.errors import InputError
from maven_ros.rules import Grid


@dataclass(frozen=True)
class MavenInputs:
    """
    A batch of windows on one time grid. A modality is missing if its tensors are None.

    :func:`maven_ros.model.batch_checks.check_inputs` checks these conditions.

    :param frames: uint8, or float32 in [0, 1], (batch, slots, 3, side, side), BGR: the face in
        each slot; the side is ``crop_px`` of the configuration.
    :param frame_mask: bool (batch, slots), False without a face.
    :param waveform: float32 (batch, samples) at 16 kHz in [-1, 1], as long as the grid. Values up
        to 8 are accepted, because resampling may overshoot.
    :param heard: bool (batch, samples), False where no sound arrived.
    :param tokens: int64 (batch, tokens), ids of subwords in order, without special tokens.
    :param token_mask: bool (batch, tokens), False for padding, which is at the end.
    :param token_weights: float32 (batch, slots, tokens), weight of each subword in each slot, 0
        for padding (:func:`maven_ros.model.time_grid.word_weights`).
    """

    grid: Grid
    frames: Tensor | None = None
    frame_mask: Tensor | None = None
    waveform: Tensor | None = None
    heard: Tensor | None = None
    tokens: Tensor | None = None
    token_mask: Tensor | None = None
    token_weights: Tensor | None = None

    @property
    def batch_size(self) -> int:
        """
        The number of windows.

        :raises InputError: ``no_modality`` if all tensors are None; ``batch_size`` if it is 0, or
            the tensors disagree.
        """
        sizes = {field.name: value.shape[0] if value.ndim else 0 for field in fields(self)
                 if isinstance(value := getattr(self, field.name), Tensor)}
        if not sizes:
            raise InputError('no_modality', 'frames, waveform, tokens: all None; allowed: at '
                                            'least one of them')
        if len(set(sizes.values())) > 1 or 0 in sizes.values():
            listed = ', '.join(f'{name} {size}' for name, size in sizes.items())
            raise InputError('batch_size', f'windows in each tensor: {listed}; allowed: one '
                                           'number, at least 1')
        return next(iter(sizes.values()))


@dataclass(frozen=True)
class MavenOutput:
    """
    The estimates of the network. Without any evidence they are NaN, never 0.

    :param valence: (batch,) in [-1, 1]; a raw head is unbounded.
    :param arousal: (batch,).
    :param intensity: (batch,) in [0, sqrt 2].
    :param angle: (batch,) radians in [-pi, pi]; 0 is pleasant, pi/2 activated.
    :param valence_log_variance: (batch,) in [2 ln 0.01, 0].
    :param arousal_log_variance: (batch,) likewise.
    :param frame_valence: (batch, slots), the valence of each slot by itself.
    :param frame_arousal: (batch, slots).
    :param frame_mask: bool (batch, slots), True with any evidence.
    :param influence: (batch, 3) for video, audio and text, if requested: the relative movement of
        the point when that modality is masked. Each row sums to 1, or to 0 without evidence. An
        absent modality has 0, a modality alone has 1. If masking moves nothing, the present
        modalities have equal shares.
    :param attention: map of each pathway, such as ``'video_to_audio'``, if requested
        (:meth:`maven_ros.model.fusion.CrossModalFusion.attention_maps`).
    """

    valence: Tensor
    arousal: Tensor
    intensity: Tensor
    angle: Tensor
    valence_log_variance: Tensor
    arousal_log_variance: Tensor
    frame_valence: Tensor
    frame_arousal: Tensor
    frame_mask: Tensor
    influence: Tensor | None = None
    attention: dict[str, Tensor] | None = None

    @property
    def valence_std(self) -> Tensor:
        """Standard deviation of the valence, (batch,) in [0.01, 1]."""
        return (self.valence_log_variance / 2).exp()

    @property
    def arousal_std(self) -> Tensor:
        """Standard deviation of the arousal, (batch,) in [0.01, 1]."""
        return (self.arousal_log_variance / 2).exp()
