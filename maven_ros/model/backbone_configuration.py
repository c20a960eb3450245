"""The entry of one transformers encoder in a network's ``config.json``."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from maven_ros.errors import SettingsError

WHISPER = 'whisper'  # its model_type in transformers
E5 = 'e5'

_LARGEST = float(np.finfo(np.float32).max)

#: The rule for a value: a check, and the allowed values in words.
Kind: TypeAlias = tuple[Callable[[Any], Any], str]


def is_number(value: Any) -> bool:
    """Return whether a value is a number that is finite in float32."""
    return type(value) in (int, float) and abs(value) <= _LARGEST


def divides(value: float) -> bool:
    """Return whether a number is above 0 in float32."""
    return bool(np.float32(value) > 0)


def _are_colours(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 3 and all(map(is_number, value))


def _are_layers(value: Any) -> bool:
    return (isinstance(value, list) and value != []
            and all(type(one) is int and one > 0 for one in value)
            and value == sorted(set(value)))


NAME: Kind = (lambda value: type(value) is str and value != '', 'a name')
_FLAG: Kind = (lambda value: type(value) is bool, 'true or false')
_ID: Kind = (lambda value: type(value) is int and value >= 0, 'an id, a whole number from 0')
_FIELDS: dict[str, Kind] = {
    'name': NAME,
    'config': (lambda value: type(value) is dict and 'model_type' in value,
               'a mapping with a model_type'),
    'preparation': (lambda value: type(value) is dict, 'a mapping'),
    'frozen': _FLAG,
    'bits': (lambda value: type(value) is int and value in (4, 8, 16), '4, 8 or 16'),
    'sha256': (lambda value: type(value) is str and re.fullmatch('([0-9a-f]{64})?', value),
               '64 hexadecimal digits in lower case, or empty'),
}
_WIDTH: Kind = (lambda value: type(value) is int and 0 < value < 1 << 16,
                'a whole number from 1 to 65535')
_SUBWORDS: dict[str, Kind] = {'first': _ID, 'last': _ID, 'pad': _ID, 'unknown': NAME}
_PREPARATION: dict[str, dict[str, Kind]] = {
    'video': {
        'mean': (_are_colours, 'three finite numbers'),
        'std': (lambda value: _are_colours(value) and all(map(divides, value)),
                'three finite numbers above 0'),
    },
    'audio': {'normalize': _FLAG},
    WHISPER: {
        'layers': (_are_layers, 'a rising list of layers, counted from 1'),
        'width': _WIDTH,
    },
    'text': _SUBWORDS,
    E5: _SUBWORDS | {
        'prefix': (lambda value: isinstance(value, list) and all(map(_ID[0], value)),
                   'a list of ids'),
        'width': _WIDTH},
    'context': {},
}


@dataclass(frozen=True)
class Backbone:
    """
    A model of transformers, with the preparation of its input.

    :param name: name on the hub, or of the folder that it came from.
    :param config: content of its ``config.json``, including ``model_type``.
    :param preparation: preparation of the input. Video: ``mean`` and ``std`` of red, green and
        blue in [0, 1]. Audio: ``normalize``, whether each waveform is normalised to mean 0 and
        variance 1; of Whisper instead ``layers`` and ``width``, as in
        :class:`maven_ros.model.whisper_voice.WhisperVoice`. Text: the ids ``first``, ``last`` and
        ``pad``, and the token ``unknown``; of E5 also ``prefix`` and ``width``, as in
        :class:`maven_ros.model.e5_text.E5Text`. Context: empty.
    :param frozen: whether the weights are fixed; a frozen model is never in training mode.
    :param bits: bits of each weight of its linear layers in the network's checkpoint, 4 or 8 with
        a scale for each 32 of them, or 16; they run as floating point.
    :param sha256: hash of the ``model.safetensors`` in the model's own folder, if that holds the
        weights; empty if the network's checkpoint holds them.
    """

    name: str
    config: dict[str, Any]
    preparation: dict[str, Any] = dataclasses.field(default_factory=dict)
    frozen: bool = True
    bits: int = 16
    sha256: str = ''

    @classmethod
    def parse(cls, part: str, values: dict[str, Any]) -> Backbone:
        """
        Build a backbone from an entry of ``config.json``, and check it.

        :param part: ``'video'``, ``'audio'``, ``'text'`` or ``'context'``.
        :raises SettingsError: names what is missing, unknown or not allowed.
        """
        values = {'bits': 16, **values}  # before there was a choice
        _check(part, values, _FIELDS)
        backbone = cls(**values)
        kind = WHISPER if part == 'audio' and backbone.is_whisper else part
        kind = E5 if part == 'text' and backbone.is_e5 else kind
        _check(f'{part}.preparation', backbone.preparation, _PREPARATION[kind])
        if backbone.sha256 and not backbone.frozen:
            raise SettingsError(f'{part}.sha256: {backbone.sha256!r} says that the weights are '
                                'in a separate folder, which is allowed for frozen encoders only; '
                                'allowed here: empty')
        return backbone

    @property
    def is_whisper(self) -> bool:
        """Whether it is the encoder of a Whisper, of which only the first layers run."""
        return bool(self.config['model_type'] == WHISPER)

    @property
    def is_e5(self) -> bool:
        """Whether it is a multilingual E5, of which only the first layers run."""
        return 'prefix' in self.preparation


def _check(where: str, values: dict[str, Any], kinds: dict[str, Kind]) -> None:
    missing, unknown = kinds.keys() - values.keys(), values.keys() - kinds.keys()
    for what, names in (('missing', missing), ('unknown', unknown)):
        if names:
            raise SettingsError(f'{where}: {what}: {", ".join(sorted(names))}')
    for name, (fits, allowed) in kinds.items():
        if not fits(values[name]):
            raise SettingsError(f'{where}.{name}: {values[name]!r} is not {allowed}')
