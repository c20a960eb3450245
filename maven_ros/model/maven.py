"""
MAVEN: Multi-modal Attention for Valence-Arousal Emotion Network (arXiv 2503.12623).

Where the paper and its authors' code part, this follows the paper: attention is over sequences,
not over one pooled key; the two encoders over the fused window stand in sequence; what is padded
or missing is masked everywhere. The default head predicts a direction and a bounded intensity.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

from maven_ros.model.alignment import Aligned, Grid, interpolate, weigh
from maven_ros.model.configuration import MavenConfig
from maven_ros.model.encoders import (
    VOICE_FIRST_S,
    VOICE_STEP_S,
    FaceEncoder,
    TextEncoder,
    VoiceEncoder,
)
from maven_ros.model.fusion import MODALITIES, ContextEncoders, CrossModalFusion, Features
from maven_ros.model.head import AffectHead


@dataclass(frozen=True)
class MavenInputs:
    """
    A batch of windows on one time grid; a modality whose tensors are None is missing throughout.

    :param frames: float (batch, slots, 1, side, side), grey in [0, 1]: a face in its slot.
    :param frame_mask: bool (batch, slots), False where no face was seen.
    :param waveform: float (batch, samples) at 16 kHz in [-1, 1].
    :param heard: bool (batch, samples), False where no sound arrived.
    :param tokens: int64 (batch, tokens), ids of subwords in order of time.
    :param token_mask: bool (batch, tokens), False where padded.
    :param token_weights: float (batch, slots, tokens), how much each subword counts in each slot,
        0 where padded (:func:`maven_ros.model.alignment.word_weights`).
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
        """How many windows."""
        sizes = {len(value) for field in fields(self)
                 if isinstance(value := getattr(self, field.name), Tensor)}
        if len(sizes) != 1:
            raise ValueError(f'tensors of one batch size are needed, not of {sorted(sizes)}')
        return sizes.pop()


@dataclass(frozen=True)
class MavenOutput:
    """
    What the network believes; NaN where it had no evidence at all, never a made-up zero.

    :param valence: (batch,) in [-1, 1], as are all; a raw head is unbounded.
    :param arousal: (batch,).
    :param intensity: (batch,) in [0, sqrt 2].
    :param angle: (batch,) radians in [-pi, pi]; 0 is pleasant, pi/2 activated.
    :param valence_log_variance: (batch,) in [2 ln 0.01, 0].
    :param arousal_log_variance: (batch,) likewise.
    :param frame_valence: (batch, slots), the same of each slot by itself.
    :param frame_arousal: (batch, slots).
    :param frame_mask: bool (batch, slots), True where there was any evidence.
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


class MavenModel(nn.Module):
    """Encoders, fusion, context and head; encoding and fusing can be called apart."""

    def __init__(self, config: MavenConfig) -> None:
        super().__init__()
        self.config = config
        self.face_encoder = FaceEncoder(config)
        self.voice_encoder = VoiceEncoder(config)
        self.text_encoder = TextEncoder(config)
        self.fusion = CrossModalFusion(config)
        self.context = ContextEncoders(config)
        self.head = AffectHead(config)

    @classmethod
    def untrained(cls, config: MavenConfig, seed: int) -> MavenModel:
        """Build a network with weights from a seed; torch's global random state is left alone."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return cls(config)

    def forward(self, inputs: MavenInputs) -> MavenOutput:
        """Encode and fuse a batch of windows."""
        return self.fuse(self.encode(inputs))

    # --- encoding ------------------------------------------------------------------------

    def encode(self, inputs: MavenInputs) -> Features:
        """Run each encoder and bring what it says to the time grid (eq. 12)."""
        return Features(
            self._encode_video(inputs), self._encode_audio(inputs), self._encode_text(inputs),
            inputs.grid.slot_s)

    def _encode_video(self, inputs: MavenInputs) -> Aligned:
        if inputs.frames is None or inputs.frame_mask is None:
            return self._missing(inputs, self.face_encoder.width)
        seen = self.face_encoder(inputs.frames[inputs.frame_mask])
        values = seen.new_zeros(*inputs.frame_mask.shape, self.face_encoder.width)
        return Aligned(values.index_put((inputs.frame_mask,), seen), inputs.frame_mask)

    def _encode_audio(self, inputs: MavenInputs) -> Aligned:
        if inputs.waveform is None or inputs.heard is None:
            return self._missing(inputs, self.voice_encoder.width)
        values, mask = self.voice_encoder(inputs.waveform, inputs.heard)
        return self.align_voice(values, mask, inputs.grid)

    def _encode_text(self, inputs: MavenInputs) -> Aligned:
        if inputs.tokens is None or inputs.token_mask is None or inputs.token_weights is None:
            return self._missing(inputs, self.text_encoder.width)
        return weigh(self.text_encoder(inputs.tokens, inputs.token_mask), inputs.token_weights)

    def _missing(self, inputs: MavenInputs, width: int) -> Aligned:
        shape = (inputs.batch_size, inputs.grid.slots)
        device = next(self.parameters()).device
        return Aligned(torch.zeros(*shape, width, device=device),
                       torch.zeros(*shape, dtype=torch.bool, device=device))

    @staticmethod
    def align_voice(values: Tensor, mask: Tensor, grid: Grid) -> Aligned:
        """Interpolate what the voice encoder returns to the time grid."""
        return interpolate(values, mask, VOICE_FIRST_S, VOICE_STEP_S, grid)

    # --- fusing --------------------------------------------------------------------------

    def fuse(self, features: Features) -> MavenOutput:
        """
        Turn encoded windows into points: pathways, refinement, context, head (eq. 13-31).

        :param features: widths as the encoders give them, all on the same slots.
        """
        fused = self.fusion(features)
        mask = fused.mask
        encoded = torch.where(mask[..., None], self.context(fused, features.slot_s), 0)
        seen = mask.sum(1)
        mean = encoded.sum(1) / seen.clamp(min=1)[:, None]
        point, frames = self.head(mean), self.head(encoded)
        known = seen > 0
        return MavenOutput(
            valence=torch.where(known, point.valence, torch.nan),
            arousal=torch.where(known, point.arousal, torch.nan),
            intensity=torch.where(known, point.intensity, torch.nan),
            angle=torch.where(known, point.angle, torch.nan),
            valence_log_variance=torch.where(known, point.valence_log_variance, torch.nan),
            arousal_log_variance=torch.where(known, point.arousal_log_variance, torch.nan),
            frame_valence=torch.where(mask, frames.valence, torch.nan),
            frame_arousal=torch.where(mask, frames.arousal, torch.nan),
            frame_mask=mask)

    @torch.no_grad()
    def explain(self, features: Features) -> tuple[MavenOutput, Tensor]:
        """
        Fuse, and say how much each modality counted: how far the point moves when it is masked.

        One fusion of four times the batch: as it is, and without each modality.

        :returns: the output, and influences (batch, 3) of video, audio and text. Each row sums to
            1, or to 0 where there is no evidence. What is absent has 0, what stands alone 1; where
            masking moves nothing, all that is present shares equally.
        """
        variants = [features, *(features.without(name) for name in MODALITIES)]
        output = self.fuse(Features.stack(variants))
        batch = len(output.valence) // len(variants)
        points = torch.stack([output.valence, output.arousal], -1).view(len(variants), batch, 2)
        present = features.present
        distance = (points[1:] - points[0]).norm(dim=-1).T
        # Without its only modality a window has no point: the distance is NaN, and unneeded.
        distance = torch.where(present & (present.sum(1, keepdim=True) > 1), distance, 0)
        moved = distance.sum(1, keepdim=True)
        shares = torch.where(moved > 0, distance, present.float())
        influence = shares / shares.sum(1, keepdim=True).clamp(min=torch.finfo(moved.dtype).tiny)
        whole = (getattr(output, field.name)[:batch] for field in fields(output))
        return MavenOutput(*whole), influence
