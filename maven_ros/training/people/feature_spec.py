"""
What a set of features is of: which encoders, and which windows.

Faces are encoded one by one. Sound and words are encoded window by window, as the engine does it
live: a speech model attends over all of a window, and a word's vector depends on the other words
in it. So a set of features is of one length and one hop.

Windows lie on the file's clock, where :mod:`maven_ros.rules` has them: window 0 is the first that
ends after 0, and the first ones begin before the file does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any

from tokenizers import Tokenizer

from maven_ros import rules
from maven_ros.declarations import Checked, fraction, setting
from maven_ros.errors import ResourceError
from maven_ros.model.maven import ENCODERS, MavenModel
from maven_ros.records import MODALITIES, nanoseconds
from maven_ros.settings import AudioSettings, Settings, SpeakerSettings
from maven_ros.training.compact.bank import fingerprint

FORMAT = 2
# Fields of the configuration that change what an encoder of ours says, beside its weights.
_COUNTS = {'video': ('crop_px',), 'text': ('languages', 'max_tokens', 'unknown_token'), 'audio': (
    'mel_bands', 'mel_low_hz', 'mel_high_hz', 'log_mel_mean', 'log_mel_std')}


@dataclass(frozen=True)
class Windowing(Checked):
    """Windows, and what evidence passes on its way into them, as the node has it."""

    length_s: float = setting(doc='Of a window.', minimum=0.2, maximum=60)
    hop_s: float = setting(doc='From one window to the next.', minimum=0.02, maximum=60)
    rate_hz: float = setting(
        doc='Faces a second that the network sees, one in each slot of its grid.', above=0)
    offset_ms: float = setting(doc='Added to the time of all sound.')
    voice_mode: int = setting(
        doc='Strictness of the voice activity detector.', minimum=0, maximum=3)
    min_voiced_s: float = setting(doc='Windows with less voice have no sound.', minimum=0)
    confidence_gate: float = fraction(MISSING, 'Words less sure are no evidence.')
    speaker: SpeakerSettings = setting(
        doc='Whose voice it is, of several people in view.', made=SpeakerSettings)

    def contradictions(self) -> Iterator[str]:
        """Yield what cannot be together."""
        if self.hop_s > self.length_s:
            yield f'hop_s: {self.hop_s} is longer than length_s, {self.length_s}'

    @classmethod
    def of(cls, settings: Settings, hop_s: float) -> Windowing:
        """Return those of a node's settings, but for the hop."""
        return cls(settings.windows.length_s, hop_s, settings.faces.rate_hz,
                   settings.audio.offset_ms, settings.audio.voice_mode,
                   settings.audio.min_voiced_s, settings.speech.confidence_gate,
                   settings.speaker)

    @classmethod
    def read(cls, spec: Mapping[str, Any]) -> Windowing:
        """Return those that :func:`describe` has written down."""
        values = {one.name: spec[one.name] for one in fields(cls)}
        return cls(**{**values, 'speaker': SpeakerSettings(**values['speaker'])})

    @property
    def audio(self) -> AudioSettings:
        """The node's settings of sound."""
        return AudioSettings(offset_ms=self.offset_ms, voice_mode=self.voice_mode,
                             min_voiced_s=self.min_voiced_s)

    def gates(self, languages: Collection[str]) -> rules.Gates:
        """Return what evidence has to pass, where the text encoder knows some languages."""
        return rules.Gates(self.min_voiced_s, self.confidence_gate, languages)

    @property
    def length_ns(self) -> int:
        """Length of a window."""
        return nanoseconds(self.length_s)

    @property
    def hop_ns(self) -> int:
        """From one window to the next."""
        return nanoseconds(self.hop_s)

    @property
    def offset_ns(self) -> int:
        """Added to the time of all sound."""
        return nanoseconds(self.offset_ms / 1000.0)

    @property
    def samples(self) -> int:
        """Of sound in a window."""
        return rules.window_samples(self.length_ns)

    @property
    def grid(self) -> rules.Grid:
        """The grid of a window, as the engine has it."""
        return rules.time_grid(self.length_s, self.rate_hz)

    def count(self, duration_s: float) -> int:
        """Return how many windows there are: every frame is in the last hop of one."""
        first_ns = rules.end_after(0, self.hop_ns)
        last_ns = rules.end_after(max(0, nanoseconds(duration_s) - 1), self.hop_ns)
        return (last_ns - first_ns) // self.hop_ns + 1

    def end_ns(self, window: int) -> int:
        """Return when a window ends."""
        return rules.end_after(0, self.hop_ns) + window * self.hop_ns

    def start_ns(self, window: int) -> int:
        """Return when a window begins."""
        return rules.start_of(self.end_ns(window), self.length_ns)


def describe(model: MavenModel, tokenizer: Tokenizer, windowing: Windowing) -> dict[str, Any]:
    """Return ``features.json``: format, windows and encoders, by name and hash."""
    encoders = {}
    for modality in MODALITIES:
        encoder, backbone = getattr(model, ENCODERS[modality]), model.config.backbone(modality)
        what: dict[str, Any] = {name: getattr(model.config, name) for name in _COUNTS[modality]}
        if backbone:
            what['preparation'] = backbone.preparation
        if modality == 'text':
            what['tokenizer'] = tokenizer.to_str()
        encoders[modality] = {
            'name': (backbone.name if backbone else model.config.name).replace('/', '--'),
            'hash': fingerprint(encoder, **what), 'dim': encoder.width}
    voice = model.voice_encoder
    encoders['audio'] |= {'first_s': voice.first_s, 'step_s': voice.step_s,
                          'rate_hz': 1 / voice.step_s}
    return {'format': FORMAT, **asdict(windowing), 'encoders': encoders}


def require_same(found: dict[str, Any], wanted: dict[str, Any], where: str) -> None:
    """
    Refuse features of other encoders, or of other windows.

    :param where: what the message begins with.
    :raises ResourceError: names what differs.
    """
    for modality in MODALITIES:
        own, other = (one['encoders'][modality] for one in (found, wanted))
        # The name is for people: a network trained on them has a name of its own.
        if {**own, 'name': ''} != {**other, 'name': ''}:
            raise ResourceError(
                f'{where}: of the {modality} encoder {own["name"]}-{own["hash"]}; allowed: '
                f'{other["name"]}-{other["hash"]}')
    for name, value in wanted.items():
        if name != 'encoders' and found.get(name) != value:
            raise ResourceError(f'{where}: {name} is {found.get(name)!r}; allowed: {value!r}')


def key_of(spec: dict[str, Any], owner: str, modality: str) -> str:
    """Return the name of a tensor: the encoder with its hash, and whom or what it is of."""
    encoder = spec['encoders'][modality]
    return f'{encoder["name"]}-{encoder["hash"]}/{owner}/{modality}'


def windows_key(person: str) -> str:
    """Return what follows a tensor's name in that of a person's windows: what each has of it."""
    return f'.windows/{person}'
