"""
The specification of a set of features: its encoders and its windows.

Faces are encoded one by one. Sound and words are encoded window by window, as in the engine: a
speech model attends over the whole window, and the vector of a word depends on the other words in
it. So a set of features has one length and one hop.

Windows are on the clock of the file, by the rules of :mod:`maven_ros.rules`: window 0 is the first
that ends after 0, and the first windows begin before the file does.
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

FORMAT = 4  # 3 heard voices late, and in melodies
# Fields of the configuration that change the output of a compact encoder, besides its weights.
_COUNTS = {'video': ('crop_px',), 'text': ('languages', 'max_tokens', 'unknown_token'), 'audio': (
    'mel_bands', 'mel_low_hz', 'mel_high_hz', 'log_mel_mean', 'log_mel_std')}


@dataclass(frozen=True)
class Windowing(Checked):
    """The settings of windows and of the evidence in them, the same as in the node."""

    length_s: float = setting(doc='Of a window.', minimum=0.2, maximum=60)
    hop_s: float = setting(doc='Hop between windows.', minimum=0.02, maximum=60)
    rate_hz: float = setting(
        doc='Faces per second, one in each slot of the grid.', above=0)
    offset_ms: float = setting(doc='Offset added to the time of all sound.')
    voice_threshold: float = fraction(MISSING, 'Least probability of a voice.')
    voice_lead_s: float = setting(
        doc='Duration for which there was a voice before such a probability.', minimum=0)
    voice_hangover_s: float = setting(
        doc='Duration for which a voice goes on after such a probability.', minimum=0)
    min_voiced_s: float = setting(doc='Least voice for sound to count.', minimum=0)
    confidence_gate: float = fraction(MISSING, 'Words count only with at least this confidence.')
    speaker: SpeakerSettings = setting(
        doc='Assignment of the voice to one of several people in view.', made=SpeakerSettings)

    def contradictions(self) -> Iterator[str]:
        """Yield a message for each combination that is not allowed."""
        if self.hop_s > self.length_s:
            yield f'hop_s: {self.hop_s} is longer than length_s, {self.length_s}'

    @classmethod
    def of(cls, settings: Settings, hop_s: float) -> Windowing:
        """Return the settings of a node, with another hop."""
        return cls(settings.windows.length_s, hop_s, settings.faces.rate_hz,
                   settings.audio.offset_ms, settings.audio.voice_threshold,
                   settings.audio.voice_lead_s, settings.audio.voice_hangover_s,
                   settings.audio.min_voiced_s, settings.speech.confidence_gate,
                   settings.speaker)

    @classmethod
    def read(cls, spec: Mapping[str, Any]) -> Windowing:
        """Return the settings in a specification that :func:`describe` wrote."""
        values = {one.name: spec[one.name] for one in fields(cls)}
        return cls(**{**values, 'speaker': SpeakerSettings(**values['speaker'])})

    @property
    def audio(self) -> AudioSettings:
        """The audio settings, as in the node."""
        return AudioSettings(
            offset_ms=self.offset_ms, voice_threshold=self.voice_threshold,
            voice_lead_s=self.voice_lead_s, voice_hangover_s=self.voice_hangover_s,
            min_voiced_s=self.min_voiced_s)

    def gates(self, languages: Collection[str]) -> rules.Gates:
        """Return the thresholds of evidence for a text encoder of some languages."""
        return rules.Gates(self.min_voiced_s, self.confidence_gate, languages)

    @property
    def length_ns(self) -> int:
        """Length of a window, in nanoseconds."""
        return nanoseconds(self.length_s)

    @property
    def hop_ns(self) -> int:
        """Hop between windows, in nanoseconds."""
        return nanoseconds(self.hop_s)

    @property
    def offset_ns(self) -> int:
        """Offset added to the time of all sound, in nanoseconds."""
        return nanoseconds(self.offset_ms / 1000.0)

    @property
    def samples(self) -> int:
        """Number of audio samples in a window."""
        return rules.window_samples(self.length_ns)

    @property
    def grid(self) -> rules.Grid:
        """The grid of a window, as in the engine."""
        return rules.time_grid(self.length_s, self.rate_hz)

    def count(self, duration_s: float) -> int:
        """Return the number of windows; every frame is in the last hop of one of them."""
        first_ns = rules.end_after(0, self.hop_ns)
        last_ns = rules.end_after(max(0, nanoseconds(duration_s) - 1), self.hop_ns)
        return (last_ns - first_ns) // self.hop_ns + 1

    def end_ns(self, window: int) -> int:
        """Return the end of a window, in nanoseconds."""
        return rules.end_after(0, self.hop_ns) + window * self.hop_ns

    def start_ns(self, window: int) -> int:
        """Return the start of a window, in nanoseconds."""
        return rules.start_of(self.end_ns(window), self.length_ns)


def describe(model: MavenModel, tokenizer: Tokenizer, windowing: Windowing) -> dict[str, Any]:
    """Return the content of ``features.json``: format, windows, and encoders with their hashes."""
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
    Refuse features of other encoders or windows.

    :param where: prefix of the message.
    :raises ResourceError: names the difference.
    """
    for modality in MODALITIES:
        own, other = (one['encoders'][modality] for one in (found, wanted))
        # Names may differ: a network trained on the features has its own name.
        if {**own, 'name': ''} != {**other, 'name': ''}:
            raise ResourceError(
                f'{where}: of the {modality} encoder {own["name"]}-{own["hash"]}; allowed: '
                f'{other["name"]}-{other["hash"]}')
    for name, value in wanted.items():
        if name != 'encoders' and found.get(name) != value:
            raise ResourceError(f'{where}: {name} is {found.get(name)!r}; allowed: {value!r}')


def key_of(spec: dict[str, Any], owner: str, modality: str) -> str:
    """Return the name of a tensor: encoder with hash, owner (person or video) and modality."""
    encoder = spec['encoders'][modality]
    return f'{encoder["name"]}-{encoder["hash"]}/{owner}/{modality}'


def windows_key(person: str) -> str:
    """Return the suffix of the tensor that maps a person's windows to rows."""
    return f'.windows/{person}'
