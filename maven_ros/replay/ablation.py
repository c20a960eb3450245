"""
Ablations: a pipeline that withholds modalities or pathways from the model.

Faces are tracked, windows close and states are made as usual, so results can be compared frame by
frame. Only the model sees less. A window with no other modality then has no evidence.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection
from dataclasses import replace

from maven_ros.counters import Counters
from maven_ros.errors import SettingsError
from maven_ros.pipeline import Pipeline
from maven_ros.records import MODALITIES, PATHWAYS, Estimate, Evidence
from maven_ros.senses.speech import SpeechStream
from maven_ros.settings import Settings


def check_ablations(names: Collection[str]) -> None:
    """
    Check the names of ablations.

    :raises SettingsError: for a name that is neither a modality nor a pathway.
    """
    allowed = (*MODALITIES, *PATHWAYS)
    for name in names:
        if name not in allowed:
            near = difflib.get_close_matches(name, allowed, 1)
            hint = f'; did you mean {near[0]}?' if near else ''
            raise SettingsError(f'without: {name!r} is no modality or pathway; allowed: '
                                f'{", ".join(allowed)}{hint}')


class AblatedPipeline(Pipeline):
    """
    A pipeline that withholds modalities or pathways from the model.

    Without a modality, the model gets windows without it. Without a pathway X_to_Y, X's attention
    to Y adds nothing: X' = X + 0 in the mean over the pathways of X.

    :param without: modalities and pathways.
    :param counters: as for :class:`Pipeline`.
    :param speech: as for :class:`Pipeline`.
    :raises SettingsError: for any other name.
    """

    def __init__(
        self, settings: Settings, without: Collection[str], counters: Counters | None = None,
        speech: SpeechStream | None = None,
    ) -> None:
        check_ablations(without)
        super().__init__(settings, False, counters, speech)
        self._without = frozenset(without)
        self.engine.silence(self._without & PATHWAYS.keys())

    def _infer(self, pieces: list[Evidence]) -> dict[str, Estimate]:
        seen = [piece for piece in (without(piece, self._without) for piece in pieces)
                if piece.modalities]
        return super()._infer(seen) if seen else {}


def without(piece: Evidence, names: Collection[str]) -> Evidence:
    """Return a copy of evidence without the named modalities."""
    if 'video' in names:
        piece = replace(piece, faces=())
    if 'audio' in names:
        piece = replace(piece, waveform=piece.waveform[:0], heard=piece.heard[:0])
    if 'text' in names:
        piece = replace(piece, words=())
    return piece
