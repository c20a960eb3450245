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
    The three encoders' vectors on one time grid: what the fusion takes.

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
        """Which modality has anything: bool (batch, 3)."""
        return torch.stack([stream.mask.any(1) for stream in self.streams], 1)

    def part(self, rows: slice) -> Features:
        """Take some rows of the batch."""
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
    """Multi-head attention of one sequence to another, under the other's mask (eq. 14)."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads, dropout, batch_first=True)

    def forward(self, queries: Tensor, attended: Tensor, mask: Tensor) -> Tensor:
        """
        Attend.

        :param queries: (batch, slots, width), of X.
        :param attended: (batch, slots, width), keys and values, of Y.
        :param mask: bool (batch, slots), of Y.
        :returns: (batch, slots, width); meaningless but finite for rows without any of Y.
        """
        # What nn.MultiheadAttention computes, without its overhead: sequences are short.
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
        Say how much each query attends to each key.

        :returns: (batch, heads, slots of X, slots of Y); rows sum to 1, or to 0 where there is
            nothing of Y.
        """
        weights: Tensor = self.attention(
            queries, attended, attended, key_padding_mask=hidden_keys(mask),
            average_attn_weights=False)[1]
        return weights * mask.any(-1)[:, None, None, None]


class CrossModalFusion(nn.Module):
    """
    Projection, six pathways, refinement, concatenation (eq. 13-20).

    With X' = X + attention of X to Y (eq. 13-14), the enhanced sequence is
    ``LayerNorm(dropout(mean(X, X' to each present Y)))``. A missing Y is left out of the mean, so
    its pathways are dropped, not fed with zeros. It is refined by self-attention,
    ``LayerNorm(MHA(F, F, F) + F)`` (eq. 15-18).

    The mean is ours, after the authors' code, which divides the bare attention outputs by three;
    the paper gives no formula. Their code attends to one mean-pooled vector of sound and of words,
    with one LayerNorm for three streams and no refinement; here, as in the paper, to sequences.

    :param widths: of the vectors of video, audio and text.
    """

    def __init__(self, config: MavenConfig, widths: Sequence[int]) -> None:
        super().__init__()
        width, heads, dropout = config.fusion_width, config.fusion_heads, config.dropout
        self.project = nn.ModuleDict({
            name: nn.Linear(own, width) for name, own in zip(MODALITIES, widths, strict=True)})
        self.pathways = nn.ModuleDict({
            pathway: Attention(width, heads, dropout) for pathway in PATHWAYS})
        #: Pathways that add nothing: X' = X in the mean of what X attended to.
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

        :param hiding: modalities to hide, one at a time, for what the fusion would be without it.
        :returns: (batch, slots, context width), masked where no modality has anything; then as
            many rows again for each that is hidden.
        """
        masks = features.masks
        variants = (None, *hiding)
        projected = self.projected(features)
        refined = []
        for name, mask in masks.items():
            # Where a modality is hidden its columns are zero, which drops it (eq. 19-20).
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
        """Bring each modality to the width of the fusion."""
        # Masked before the projection, so that not even NaN gets past a mask.
        # In full precision, as all that is summed and normed from here on: products alone are
        # reduced by autocast.
        return {name: self.project[name](torch.where(mask[..., None], values, 0)).float()
                for name, (values, mask) in zip(MODALITIES, features.streams, strict=True)}

    def attention_maps(self, features: Features) -> dict[str, Tensor]:
        """
        Say what each pathway looks at; for people to see, beside :meth:`forward`.

        :returns: for each pathway, such as ``'video_to_audio'``, (batch, heads, slots, slots):
            for each slot of the first how much it attends to each of the second. Rows sum to 1, or
            to 0 where the second is missing; where the first is masked they mean nothing.
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
        Return one modality's sequence, enhanced by those that it attends to (eq. 13-14).

        A pathway between two modalities is the same whether or not the third is hidden.

        :param hiding: for each variant the modality to leave out, if any.
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
    Two encoders in sequence over the fused window (eq. 25): BEiT's layers, or ours.

    The authors' code runs them side by side and concatenates; this follows the paper. They would
    know no order in time: a sinusoidal encoding of each slot's time, in seconds from the window's
    beginning, is added first.
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
        """Map (batch, slots, width) to the same, under the mask; finite where masked."""
        values, mask = fused
        slots, width = values.shape[1:]
        times_s = (torch.arange(slots, device=values.device) + 0.5) * slot_s
        values = values + sinusoids(times_s, width, _SHORTEST_S, _LONGEST_S)
        encoded: Tensor = self.second(self.first(values, mask), mask)
        return encoded
