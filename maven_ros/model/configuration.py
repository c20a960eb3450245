"""The shape of a MAVEN network, as its ``config.json`` has it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from maven_ros.errors import SettingsError
from maven_ros.records import SAMPLE_RATE_HZ

HEADS = ('polar', 'raw')
UNKNOWN_TOKEN = '<unk>'  # of every tokenizer; stands for a word without any letter or digit
_MODEL_TYPE = 'maven'


def _is_size(value: Any) -> bool:
    return type(value) is int and value > 0


_KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    'str': (lambda value: type(value) is str and value != '', 'a name'),
    'int': (_is_size, 'a whole number above 0'),
    'float': (lambda value: type(value) in (int, float) and math.isfinite(value),
              'a finite number'),
    'tuple[int, ...]': (
        lambda value: type(value) is tuple and value != () and all(map(_is_size, value)),
        'a row of whole numbers above 0'),
}


@dataclass(frozen=True)
class MavenConfig:
    """
    Every size of the network; the defaults are ``compact``, about 2 M parameters.

    :param name: what the checkpoint is called.
    :param crop_px: side of the face crops.
    :param face_channels: of the convolutional stages; the last is the width of a face's vector.
    :param mel_bands: of the log-mel spectrogram.
    :param mel_low_hz: lower edge of the lowest band.
    :param mel_high_hz: upper edge of the highest band.
    :param log_mel_mean: subtracted from the natural log of the mel power.
    :param log_mel_std: divides it then.
    :param voice_width: of a vector of sound.
    :param voice_blocks: residual blocks of the sound encoder.
    :param vocabulary: subwords that the text encoder knows.
    :param max_tokens: most subwords in a window; the most recent words are kept.
    :param text_width: of a subword's vector.
    :param text_layers: transformer layers of the text encoder.
    :param text_heads: attention heads in each.
    :param fusion_width: that each modality is projected to.
    :param fusion_heads: attention heads of the six pathways and of the refinement.
    :param context_width: of the two encoders in sequence over the fused window (eq. 25).
    :param context_layers: transformer layers in each of the two.
    :param context_heads: attention heads in each layer.
    :param head_width: hidden width of the head.
    :param head: ``'polar'`` (direction and bounded intensity) or ``'raw'`` (as published).
    :param dropout: in [0, 1), while training, everywhere but in the head.
    :param head_dropout: in [0, 1), while training, in the head.
    :raises SettingsError: names what cannot be, its value and what is allowed.
    """

    name: str = 'compact'
    crop_px: int = 48
    face_channels: tuple[int, ...] = (32, 64, 96, 128)
    mel_bands: int = 64
    mel_low_hz: float = 50.0
    mel_high_hz: float = 8000.0
    log_mel_mean: float = -3.0
    log_mel_std: float = 4.0
    voice_width: int = 96
    voice_blocks: int = 3
    vocabulary: int = 4000
    max_tokens: int = 256
    text_width: int = 96
    text_layers: int = 2
    text_heads: int = 2
    fusion_width: int = 96
    fusion_heads: int = 2
    context_width: int = 128
    context_layers: int = 1
    context_heads: int = 2
    head_width: int = 64
    head: str = 'polar'
    dropout: float = 0.1
    head_dropout: float = 0.2

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        for field in dataclasses.fields(self):
            value, (fits, allowed) = getattr(self, field.name), _KINDS[str(field.type)]
            if not fits(value):
                raise SettingsError(f'{field.name}: {value!r} is not {allowed}')
        for fault in self._faults():
            raise SettingsError(fault)

    def _faults(self) -> Iterator[str]:
        if self.head not in HEADS:
            yield f'head: {self.head!r} is not {" or ".join(map(repr, HEADS))}'
        for name in ('dropout', 'head_dropout'):
            if not 0 <= getattr(self, name) < 1:
                yield f'{name}: {getattr(self, name)} is not in [0, 1)'
        if not 0 <= self.mel_low_hz < self.mel_high_hz <= SAMPLE_RATE_HZ / 2:
            yield (f'mel_low_hz, mel_high_hz: {self.mel_low_hz}, {self.mel_high_hz} do not rise '
                   f'inside [0, {SAMPLE_RATE_HZ / 2:g}]')
        if not self.log_mel_std > 0:
            yield f'log_mel_std: {self.log_mel_std} is not positive'
        for part in ('text', 'fusion', 'context'):
            width, heads = getattr(self, f'{part}_width'), getattr(self, f'{part}_heads')
            if width % heads or width % 2:
                yield f'{part}_width: {width} is not even, or no multiple of its {heads} heads'
        if any(channels % 8 for channels in self.face_channels):
            yield f'face_channels: {self.face_channels} are not all multiples of 8'

    def to_dict(self) -> dict[str, Any]:
        """Return what ``config.json`` holds."""
        return {'model_type': _MODEL_TYPE, **dataclasses.asdict(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> MavenConfig:
        """
        Build one from what ``config.json`` holds.

        :raises SettingsError: for another kind of model, a field missing or unknown, a bad value.
        """
        fields = dict(values)
        kind = fields.pop('model_type', None)
        if kind != _MODEL_TYPE:
            raise SettingsError(f'model_type: {kind!r} is not {_MODEL_TYPE!r}')
        known = {field.name for field in dataclasses.fields(cls)}
        missing, unknown = known - fields.keys(), fields.keys() - known
        for what, names in (('missing', missing), ('unknown', unknown)):
            if names:
                raise SettingsError(f'{what}: {", ".join(sorted(names))}')
        if isinstance(fields['face_channels'], list):
            fields['face_channels'] = tuple(fields['face_channels'])
        return cls(**fields)
