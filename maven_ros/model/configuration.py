"""The configuration of a MAVEN network, as stored in ``config.json``."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from transformers import PretrainedConfig

from maven_ros.errors import SettingsError
from maven_ros.languages import is_tag
from maven_ros.model.backbone_configuration import NAME, Backbone, Kind, divides, is_number
from maven_ros.records import SAMPLE_RATE_HZ

HEADS = ('polar', 'raw')
MOST_LAYERS = 256  # in one stack; a layer takes memory and time even before it has weights
UNKNOWN_TOKEN = '<unk>'  # of our tokenizer; replaces a word without letters or digits


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 < value < 1 << 31


_KINDS: dict[str, Kind] = {
    'str': NAME,
    'bool': (lambda value: type(value) is bool, 'true or false'),
    'int': (_is_size, 'a whole number above 0, below 2**31'),
    'float': (is_number, 'a finite number'),
    'tuple[int, ...]': (
        lambda value: type(value) is tuple and value != () and all(map(_is_size, value)),
        'a list of whole numbers above 0, below 2**31'),
    'tuple[str, ...]': (
        lambda value: type(value) is tuple and value != () and all(
            isinstance(one, str) and is_tag(one) for one in value),
        'a list of IETF language tags'),
    'int | None': (
        lambda value: value is None or _is_size(value),
        'a whole number above 0, below 2**31, or null'),
    'dict[str, Any] | None': (
        lambda value: value is None or type(value) is dict, 'an encoder or null'),
}
# Fields that transformers passes in addition to its own and ours.
_FOREIGN = {'model_type', 'name_or_path', '_name_or_path', 'torch_dtype', 'num_labels',
            'attn_implementation', 'experts_implementation', 'output_attentions'}


class MavenConfig(PretrainedConfig):
    """
    Every size of the network, as a transformers configuration. The defaults are those
    of ``compact``, except for its encoders of voice and text, and its readers.

    Each of ``video``, ``audio``, ``text`` and ``context`` is a :class:`Backbone`, as a mapping, or
    None. None selects our compact part, with the sizes given here; a backbone ignores those sizes.

    :param name: name of the checkpoint.
    :param trained: whether the weights are trained; else the full name begins with ``untrained``.
    :param video: image backbone for face crops.
    :param audio: speech backbone.
    :param text: language backbone.
    :param context: BEiT backbone, whose layers form each of the two encoders over the fused
        window.
    :param crop_px: side of the face crops, in pixels.
    :param face_channels: channels of the convolutional stages; the last is the width of a face's
        vector.
    :param face_blocks: residual blocks in each stage except the first, which is one convolution.
    :param mel_bands: bands of the log-mel spectrogram.
    :param mel_low_hz: lower edge of the lowest band.
    :param mel_high_hz: upper edge of the highest band.
    :param log_mel_mean: mean of the natural log of the mel power, which is subtracted.
    :param log_mel_std: its standard deviation, by which the result is divided.
    :param voice_width: width of a vector of sound.
    :param voice_channels: channels of the voice encoder's stem, and of its residual blocks.
    :param languages: IETF tags of the languages that the text encoder knows.
    :param vocabulary: number of subwords of the text encoder.
    :param max_tokens: largest number of subwords in a window; the most recent words are kept.
    :param text_width: width of a subword's vector.
    :param text_layers: transformer layers of the text encoder.
    :param text_heads: attention heads in each of them.
    :param fusion_width: width to which each modality is projected.
    :param fusion_heads: attention heads of the six pathways and of the refinement.
    :param context_width: width of the two sequential encoders over the fused window (eq. 25).
    :param context_layers: transformer layers in each of the two.
    :param context_heads: attention heads in each layer.
    :param head_width: hidden widths of the head; a single number means one layer.
    :param head: ``'polar'`` (direction and bounded intensity) or ``'raw'`` (as published).
    :param readers: number of points of each modality's reader (:mod:`maven_ros.model.readers`);
        None is the network as published, which has none.
    :param dropout: dropout in [0, 1) in training, everywhere except in the head.
    :param head_dropout: dropout in [0, 1) in training, in the head.
    :raises SettingsError: names the field, its value and the allowed values.
    """

    model_type = 'maven'

    name: str = 'compact'
    trained: bool = False
    video: dict[str, Any] | None = None
    audio: dict[str, Any] | None = None
    text: dict[str, Any] | None = None
    context: dict[str, Any] | None = None
    crop_px: int = 48
    face_channels: tuple[int, ...] = (16, 48, 96, 160)
    face_blocks: int = 2
    mel_bands: int = 64
    mel_low_hz: float = 50.0
    mel_high_hz: float = 8000.0
    log_mel_mean: float = -3.0
    log_mel_std: float = 4.0
    voice_width: int = 96
    voice_channels: tuple[int, ...] = (16, 24, 48, 72)
    languages: tuple[str, ...] = ('en',)
    vocabulary: int = 30522
    max_tokens: int = 256
    text_width: int = 96
    text_layers: int = 2
    text_heads: int = 2
    fusion_width: int = 96
    fusion_heads: int = 2
    context_width: int = 128
    context_layers: int = 1
    context_heads: int = 2
    head_width: tuple[int, ...] = (64,)
    head: str = 'polar'
    readers: int | None = None
    dropout: float = 0.1
    head_dropout: float = 0.2

    def __post_init__(self, **kwargs: Any) -> None:
        unknown = kwargs.keys() - _FOREIGN
        if unknown:
            raise SettingsError(f'unknown: {", ".join(sorted(unknown))}')
        super().__post_init__(**kwargs)
        if _is_size(self.head_width):
            self.head_width = (self.head_width,)  # type: ignore[assignment]
        for field in _own_fields():
            if isinstance(getattr(self, field.name), list):  # JSON has no tuples
                setattr(self, field.name, tuple(getattr(self, field.name)))
            value, (fits, allowed) = getattr(self, field.name), _KINDS[str(field.type)]
            if not fits(value):
                raise SettingsError(f'{field.name}: {value!r} is not {allowed}')
        for fault in self._faults():
            raise SettingsError(fault)

    def _faults(self) -> Iterator[str]:
        if self.head not in HEADS:
            yield f'head: {self.head!r} is not {" or ".join(map(repr, HEADS))}'
        for name in ('face_blocks', 'text_layers', 'context_layers'):
            if getattr(self, name) > MOST_LAYERS:
                yield f'{name}: {getattr(self, name)} is too many; allowed: 1 to {MOST_LAYERS}'
        for name in ('dropout', 'head_dropout'):
            if not 0 <= getattr(self, name) < 1:
                yield f'{name}: {getattr(self, name)} is not in [0, 1)'
        if not 0 <= self.mel_low_hz < self.mel_high_hz <= SAMPLE_RATE_HZ / 2:
            yield (f'mel_low_hz, mel_high_hz: {self.mel_low_hz}, {self.mel_high_hz} do not rise '
                   f'inside [0, {SAMPLE_RATE_HZ / 2:g}]')
        if not divides(self.log_mel_std):
            yield f'log_mel_std: {self.log_mel_std} is not positive'
        for part in ('text', 'fusion', 'context'):
            width, heads = getattr(self, f'{part}_width'), getattr(self, f'{part}_heads')
            if (part == 'fusion' or self.backbone(part) is None) and (width % heads or width % 2):
                yield f'{part}_width: {width} is not even, or not a multiple of its {heads} heads'
        context = self.backbone('context')
        if context and context.config.get('hidden_size') != self.context_width:
            yield (f'context_width: {self.context_width} is not the hidden_size of '
                   f"{context.name}, {context.config.get('hidden_size')}")
        for modality in ('video', 'audio'):
            self.backbone(modality)  # checks the entry
        text = self.backbone('text')
        ids = text.preparation if text else {}
        for name in ids.keys() & {'first', 'last', 'pad'}:
            if ids[name] >= self.vocabulary:
                yield (f'text.preparation.{name}: {ids[name]} is not an id of the vocabulary; '
                       f'allowed: 0 to {self.vocabulary - 1}')
        if any(channels % 8 for channels in self.face_channels):
            yield f'face_channels: {self.face_channels} are not all multiples of 8'
        if len(self.voice_channels) < 2:
            yield (f'voice_channels: {self.voice_channels}; allowed: two or more, which reduce '
                   'the spectrogram to 25 vectors a second')

    def backbone(self, part: str) -> Backbone | None:
        """
        Return the backbone of a part; None for our compact part.

        :param part: ``'video'``, ``'audio'``, ``'text'`` or ``'context'``.
        """
        values = getattr(self, part)
        return None if values is None else Backbone.parse(part, values)

    @property
    def unknown_token(self) -> str:
        """The token for a word that the tokenizer does not know."""
        text = self.backbone('text')
        return text.preparation['unknown'] if text else UNKNOWN_TOKEN

    def own(self) -> dict[str, Any]:
        """Return the fields of this class, without those of transformers."""
        return {field.name: getattr(self, field.name) for field in _own_fields()}

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> Any:
        """
        Build a configuration from the content of ``config.json``, which must hold every size.

        :param kwargs: as in transformers.
        :raises SettingsError: if it is for another model, a field is missing or unknown, or a
            value is not allowed.
        """
        kind = config_dict.get('model_type')
        if kind != cls.model_type:
            raise SettingsError(f'model_type: {kind!r} is not {cls.model_type!r}')
        config_dict = {'languages': ['en'], **config_dict}  # before there was a choice
        missing = {field.name for field in _own_fields() if field.default is not None}
        missing -= config_dict.keys()
        if missing:
            raise SettingsError(f'missing: {", ".join(sorted(missing))}')
        return super().from_dict(dict(config_dict), **kwargs)

    @classmethod
    def compact(cls) -> MavenConfig:
        """Return the compact network, on the first layers of Whisper base and of E5 small."""
        from maven_ros.model.presets import E5_LANGUAGES, e5_text, whisper_voice

        pieces = 219_699  # that lower-cased text can hold, of 250,002
        return cls(audio=whisper_voice(), text=e5_text(10, pieces), vocabulary=pieces,
                   languages=E5_LANGUAGES, readers=8)

    @classmethod
    def compact_small(cls) -> MavenConfig:
        """Return the small network: our own voice encoder, and a short E5 of English alone."""
        from maven_ros.model.presets import e5_text

        pieces = 12_000
        return cls(name='compact-small', text=e5_text(6, pieces), vocabulary=pieces, readers=8,
                   voice_width=80, voice_channels=(16, 24, 48, 64))

    @classmethod
    def base(cls) -> MavenConfig:
        """
        Return the published network: Swin-B, HuBERT base, RoBERTa base, two BEiT-base encoders.

        The fusion width of 512 with 2 heads, and the head's widths 512 and 256, follow the
        authors' code.
        """
        from maven_ros.model.presets import base_backbones

        return cls(
            name='base', **base_backbones(), crop_px=224, vocabulary=50265,
            fusion_width=512, fusion_heads=2, context_width=768, head_width=(512, 256))


def _own_fields() -> list[dataclasses.Field[Any]]:
    foreign = {field.name for field in dataclasses.fields(PretrainedConfig)}
    return [field for field in dataclasses.fields(MavenConfig) if field.name not in foreign]
