"""Fusion: six cross-modal pathways, refinement, and two encoders over the fused window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from maven_ros.model.backbones import BeitLayers
from maven_ros.model.configuration import MavenConfig
from maven_ros.model.encoders import Transformer
from maven_ros.model.time_grid import Aligned, hidden_keys, sinusoids
from maven_ros.records import MODALITIES, PATHWAYS

# Periods of the encoding of time: two slots at 10 frames a second to twice the longest window.
_SHORTEST_S, _LONGEST_S = 0.2, 120.0


class Features(NamedTuple):
    """
    The vectors of the three encoders on one time grid: the input of the fusion.

    :param slot_s: length of a slot in seconds.
    """

    video: Aligned
    audio: Aligned
    text: Aligned
    slot_s: float

    @property
    def streams(self) -> tuple[Aligned, Aligned, Aligned]:
        """The three modalities, in the order of ``MODALITIES``."""
        return self.video, self.audio, self.text

    @property
    def masks(self) -> dict[str, Tensor]:
        """The mask of each modality, bool (batch, slots)."""
        return dict(zip(MODALITIES, (stream.mask for stream in self.streams), strict=True))

    @property
    def present(self) -> Tensor:
        """Whether each modality has any evidence: bool (batch, 3)."""
        return torch.stack([stream.mask.any(1) for stream in self.streams], 1)

    def part(self, rows: slice) -> Features:
        """Return a slice of the batch."""
        video, audio, text = (
            Aligned(stream.values[rows], stream.mask[rows]) for stream in self.streams)
        return Features(video, audio, text, self.slot_s)

    def without(self, modality: str) -> Features:
        """Mask one modality everywhere."""
        video, audio, text = (
            stream._replace(mask=torch.zeros_like(stream.mask)) if name == modality else stream
            for name, stream in zip(MODALITIES, self.streams, strict=True))
        return Features(video, audio, text, self.slot_s)


class Attention(nn.Module):
    """Multi-head attention of a sequence X to a sequence Y, under the mask of Y (eq. 14)."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads, dropout, batch_first=True)

    def forward(self, queries: Tensor, attended: Tensor, mask: Tensor) -> Tensor:
        """
        Attend from X to Y.

        :param queries: (batch, slots, width), of X.
        :param attended: (batch, slots, width), keys and values, of Y.
        :param mask: bool (batch, slots), of Y.
        :returns: (batch, slots, width); arbitrary but finite in rows where all of Y is masked.
        """
        # The same as nn.MultiheadAttention, without its overhead, which matters here.
        inner = self.attention
        width = queries.shape[-1]
        weight, bias = inner.in_proj_weight, inner.in_proj_bias
        asked = functional.linear(queries, weight[:width], bias[:width])
        told = functional.linear(attended, weight[width:], bias[width:])
        query, key, value = (
            part.view(*part.shape[:2], inner.num_heads, -1).transpose(1, 2)
            for part in (asked, *told.chunk(2, -1)))
        weighed = functional.scaled_dot_product_attention(
            query, key, value, ~hidden_keys(mask)[:, None, None],
            inner.dropout if self.training else 0.0)
        result: Tensor = inner.out_proj(weighed.transpose(1, 2).flatten(2))
        return result

    def weights(self, queries: Tensor, attended: Tensor, mask: Tensor) -> Tensor:
        """
        Return the attention of each query to each key.

        :returns: (batch, heads, slots of X, slots of Y); rows sum to 1, or to 0 if all of Y is
            masked.
        """
        weights: Tensor = self.attention(
            queries, attended, attended, key_padding_mask=hidden_keys(mask),
            average_attn_weights=False)[1]
        return weights * mask.any(-1)[:, None, None, None]


class CrossModalFusion(nn.Module):
    """
    The fusion: projection, six pathways, refinement, concatenation (eq. 13-20).

    With X' = X + attention of X to Y (eq. 13-14), the enhanced sequence F is
    ``LayerNorm(dropout(mean(X, X' for each present Y)))``. The mean omits a missing Y, so its
    pathway is dropped and not fed with zeros. Self-attention refines F:
    ``LayerNorm(MHA(F, F, F) + F)`` (eq. 15-18).

    The paper gives no formula for the mean. This one is ours, after the authors' code, which
    divides the bare attention outputs by three. That code attends to one mean-pooled vector of
    sound and one of words, has one LayerNorm for three streams, and no refinement; this network
    attends to sequences, as in the paper.

    :param widths: widths of the vectors of video, audio and text.
    """

    def __init__(self, config: MavenConfig, widths: Sequence[int]) -> None:
        super().__init__()
        width, heads, dropout = config.fusion_width, config.fusion_heads, config.dropout
        self.project = nn.ModuleDict({
            name: nn.Linear(own, width) for name, own in zip(MODALITIES, widths, strict=True)})
        self.pathways = nn.ModuleDict({
            pathway: Attention(width, heads, dropout) for pathway in PATHWAYS})
        #: Silenced pathways, for which X' = X.
        self.silent: frozenset[str] = frozenset()
        self.enhanced_norms = nn.ModuleDict({name: nn.LayerNorm(width) for name in MODALITIES})
        self.refine = nn.ModuleDict({
            name: Attention(width, heads, dropout) for name in MODALITIES})
        self.refined_norms = nn.ModuleDict({name: nn.LayerNorm(width) for name in MODALITIES})
        self.dropout = nn.Dropout(dropout)
        self.concatenate = nn.Linear(3 * width, config.context_width)

    def forward(self, features: Features, hiding: Sequence[str] = ()) -> Aligned:
        """
        Fuse three modalities into one sequence.

        :param hiding: modalities to hide, one at a time, in further variants of the batch.
        :returns: (batch, slots, context width), masked where no modality has evidence; then the
            same number of rows for each hidden modality.
        """
        masks = features.masks
        variants = (None, *hiding)
        projected = self.projected(features)
        refined = []
        for name, mask in masks.items():
            # Columns of zero drop a hidden modality (eq. 19-20).
            shown = [hidden for hidden in variants if hidden != name]
            mask = mask.repeat(len(shown), 1)
            enhanced = self.enhance(name, projected, masks, shown)
            attended = self.refine[name](enhanced, enhanced, mask)
            own = self.refined_norms[name](attended + enhanced)
            own = torch.where(mask[..., None], own, 0)
            if len(shown) < len(variants):
                parts = list(own.chunk(len(shown)))
                parts.insert(variants.index(name), torch.zeros_like(parts[0]))
                own = torch.cat(parts)
            refined.append(own)
        anything = torch.cat([
            torch.stack([mask for name, mask in masks.items() if name != hidden]).any(0)
            for hidden in variants])
        return Aligned(self.concatenate(torch.cat(refined, -1)).float(), anything)

    def projected(self, features: Features) -> dict[str, Tensor]:
        """Project each modality to the width of the fusion."""
        # Values are masked before the projection, so that not even NaN passes a mask.
        # From here on, sums and norms are in float32; autocast reduces only matrix products.
        return {name: self.project[name](torch.where(mask[..., None], values, 0)).float()
                for name, (values, mask) in zip(MODALITIES, features.streams, strict=True)}

    def attention_maps(self, features: Features) -> dict[str, Tensor]:
        """
        Return the attention map of each pathway, for display.

        :returns: by pathway, such as ``'video_to_audio'``, (batch, heads, slots, slots): the
            attention of each slot of the first modality to each slot of the second. Rows sum to 1,
            or to 0 if the second is missing; they are arbitrary where the first is masked.
        """
        projected, masks = self.projected(features), features.masks
        pathways = cast(dict[str, Attention], self.pathways)
        return {pathway: pathways[pathway].weights(projected[x], projected[y], masks[y])
                for pathway, (x, y) in PATHWAYS.items()}

    def enhance(
        self, name: str, projected: dict[str, Tensor], masks: dict[str, Tensor],
        hiding: Sequence[str | None] = (None,),
    ) -> Tensor:
        """
        Return one modality's sequence, enhanced by attention to the others (eq. 13-14).

        The pathway between two modalities does not depend on the third.

        :param hiding: for each variant the modality to omit, if any.
        :returns: (variants x batch, slots, width).
        """
        own = projected[name]
        added, present = {}, {}
        for other in MODALITIES:
            if other != name:
                present[other] = masks[other].any(1)[:, None, None].float()
                pathway = f'{name}_to_{other}'
                attended = 0 if pathway in self.silent else self.pathways[pathway](
                    own, projected[other], masks[other])
                added[other] = present[other] * (own + attended)
        means = []
        for hidden in hiding:
            others = [other for other in added if other != hidden]
            total = sum((added[other] for other in others), own)
            means.append(total / sum((present[other] for other in others), 1.0))
        enhanced: Tensor = self.enhanced_norms[name](self.dropout(torch.cat(means)))
        return enhanced


class ContextEncoders(nn.Module):
    """
    Two sequential encoders over the fused window (eq. 25): the layers of BEiT, or ours.

    The authors' code runs the two in parallel and concatenates their outputs; this follows the
    paper. The encoders have no notion of order, so a sinusoidal encoding of each slot's time, in
    seconds from the start of the window, is added first.
    """

    def __init__(self, config: MavenConfig) -> None:
        super().__init__()
        backbone = config.backbone('context')
        self.first, self.second = (
            BeitLayers(backbone) if backbone else
            Transformer(config.context_width, config.context_heads, config.context_layers,
                        config.dropout)
            for _ in range(2))

    def forward(self, fused: Aligned, slot_s: float) -> Tensor:
        """Map (batch, slots, width) to the same shape under the mask; finite where masked."""
        values, mask = fused
        slots, width = values.shape[1:]
        times_s = (torch.arange(slots, device=values.device) + 0.5) * slot_s
        values = values + sinusoids(times_s, width, _SHORTEST_S, _LONGEST_S)
        encoded: Tensor = self.second(self.first(values, mask), mask)
        return encoded
