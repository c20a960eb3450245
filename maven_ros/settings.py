"""
Every parameter once: name, type, unit, range, default and effect.

Command-line flags and the names in ROS parameter files are generated from these classes; a
parameter's full name is ``section.field``, such as ``windows.hop_s``. ``Settings.check`` looks at
the whole configuration before anything is opened.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from maven_ros.declarations import Checked, Parameter, declared, setting
from maven_ros.errors import SettingsError
from maven_ros.languages import AUTO, is_tag


@dataclass(frozen=True)
class FaceSettings:
    """Finding and following faces."""

    rate_hz: float = setting(
        10.0, 'Frames a second that are looked at; the rest are thinned by stamp, undecoded.',
        minimum=0.5, maximum=60.0)
    yunet_model: str = setting(
        '', 'ONNX file of another YuNet face detector; empty for the one that the package ships.',
        path='file')
    detect_hz: float = setting(
        4.0, 'Searches of the whole frame a second, for faces that are not known; every other one '
        'is for tilted heads. Who is known is looked for in every frame.',
        minimum=0.1, maximum=60.0, live=True)
    min_size: float = setting(
        0.05, 'Smallest face that is looked for, from the brows to the chin, as a share of the '
        'smaller side of the frame. At 640x480 and a field of view of 60 degrees 0.05 is 24 '
        'pixels, or about 4 m; half of it costs up to four times as much.',
        minimum=0.02, maximum=1.0)
    max_people: int = setting(
        8, 'At most so many faces, the largest.', minimum=1, maximum=64, live=True)
    confirm_s: float = setting(
        0.3, 'A new face is reported once it has been seen for so long.',
        minimum=0.0, maximum=5.0, live=True)
    forget_s: float = setting(
        2.0, 'A face that is lost for longer gets a new id.', minimum=0.1, maximum=60.0, live=True)
    ros4hri: bool = setting(
        True, 'While a detector of ROS4HRI (REP-155) publishes humans/faces/tracked, take ids and '
        'places of faces from it, and detect none.')


@dataclass(frozen=True)
class AudioSettings:
    """Sound, before it becomes evidence."""

    offset_ms: float = setting(
        0.0, 'Added to the time of all sound, where audio and video clocks differ.',
        minimum=-5000.0, maximum=5000.0, live=True)
    channel: int = setting(
        0, 'The channel that is listened to, from 1 on, such as the processed one of an array; 0 '
        'for the mean of all that are not silent.', minimum=0, maximum=255, live=True)
    gap_tolerance_ms: float = setting(
        60.0, 'Stamps that leave the sample clock by more are a gap or an overlap.',
        minimum=5.0, maximum=1000.0, live=True)
    voice_threshold: float = setting(
        0.5, 'Sound whose probability of speech reaches this is a voice (Silero, each 32 ms).',
        minimum=0.05, maximum=0.95, live=True)
    voice_hangover_s: float = setting(
        0.1, 'A voice goes on for so long after the last sound that reached the threshold.',
        minimum=0.0, maximum=2.0, live=True)
    min_voiced_s: float = setting(
        0.35, 'A window with less voice than this has no AUDIO evidence.',
        minimum=0.01, maximum=10.0, live=True)
    robot_tail_s: float = setting(
        0.3, 'Sound stays ignored so long after the robot stopped speaking.',
        minimum=0.0, maximum=5.0, live=True)
    info_wait_s: float = setting(
        6.0, 'AudioData messages wait so long for the AudioInfo that says what their bytes are, '
        'which drivers send at most 5 s apart.', minimum=0.0, maximum=60.0)
    raw_rate_hz: int = setting(
        16000, 'Sample rate of AudioData messages where no AudioInfo tells.',
        minimum=1000, maximum=768000)
    raw_channels: int = setting(
        1, 'Channels of AudioData messages where no AudioInfo tells.', minimum=1, maximum=255)
    raw_format: str = setting(
        'S16LE', 'Sample format of AudioData messages where no AudioInfo tells.',
        choices=('S16LE', 'S16BE', 'S32LE', 'S32BE', 'F32LE', 'F32BE', 'S8', 'U8'))


@dataclass(frozen=True)
class SpeechSettings:
    """Recognising words, on the device."""

    recogniser: str = setting(
        'whisper', 'Recogniser: whisper (a hundred languages; its weights are fetched once), '
        'vosk (needs speech.vosk_model) or none.', choices=('whisper', 'vosk', 'none'))
    language: str = setting(
        'auto', 'Language spoken, as IETF tag such as en or pt-BR; auto: whisper finds out, and '
        'vosk speaks its model\'s.')
    whisper_model: str = setting(
        '', 'Folder of a Whisper model in CTranslate2\'s form; empty for the one that maven-ros '
        'models fetch whisper-base brings.', path='folder')
    vosk_model: str = setting('', 'Folder of a Vosk model.', path='folder')
    confidence_gate: float = setting(
        0.5, 'Words less sure than this are shown in the transcript but are no TEXT evidence.',
        minimum=0.0, maximum=1.0, live=True)
    partial_s: float = setting(
        0.3, 'Seconds of speech between partial results; whisper\'s become rarer as an utterance '
        'grows.', minimum=0.05, maximum=10.0)
    pause_s: float = setting(
        0.5, 'Silence that ends an utterance; vosk has its own.', minimum=0.2, maximum=5.0)
    threads: int = setting(2, 'CPU threads for whisper.', minimum=1, maximum=256)
    max_lag_s: float = setting(
        3.0, 'Recognition that falls behind leaves out partial results; further than this, it '
        'skips sound. Both are counted.',
        minimum=0.5, maximum=600.0)


@dataclass(frozen=True)
class SpeakerSettings:
    """Whose voice it is, where several faces are in view."""

    memory_s: float = setting(
        2.0, 'Time over which mouths are compared; the voice passes on after about half of it.',
        minimum=0.5, maximum=10.0, live=True)
    min_motion: float = setting(
        0.06, 'A mouth that moves less does not speak; in standard deviations of the face\'s '
        'grey, from one frame to another 0.1 s later.',
        minimum=0.0, maximum=1.0, live=True)
    margin: float = setting(
        1.5, 'Whoever speaks moves the mouth at least so many times as much as everybody else.',
        minimum=1.0, maximum=10.0, live=True)
    contrast: float = setting(
        1.2, 'And so many times as much as in silence, where there was one.',
        minimum=0.0, maximum=10.0, live=True)
    dwell_s: float = setting(
        0.4, 'And has done so in all windows of so long; until then the voice is nobody\'s.',
        minimum=0.0, maximum=10.0, live=True)


@dataclass(frozen=True)
class WindowSettings:
    """Putting evidence on one clock."""

    length_s: float = setting(2.0, 'Length of a window.', minimum=0.2, maximum=60.0)
    hop_s: float = setting(
        0.2, 'Time from one window to the next.', minimum=0.02, maximum=10.0, live=True)
    max_wait_s: float = setting(
        0.25, 'A window waits so long for a stream that is behind, then closes without it.',
        minimum=0.0, maximum=10.0, live=True)
    stale_after_s: float = setting(
        1.0, 'A stream that gives nothing for so long has stopped (status STALE); longer than '
             'the chunks that sound comes in.',
        minimum=0.1, maximum=60.0, live=True)
    jump_back_s: float = setting(
        0.5, 'A stamp further back than this in its own stream starts over (a bag that loops).',
        minimum=0.05, maximum=60.0, live=True)
    jump_ahead_s: float = setting(
        10.0, 'A stamp further ahead than this starts over (a clock that was set).',
        minimum=1.0, maximum=3600.0, live=True)


@dataclass(frozen=True)
class TimeSettings:
    """The time of messages."""

    unstamped: str = setting(
        'arrival', 'Pictures and sound whose driver sets no stamp (0): arrival takes the time at '
        'which they come in for it, refuse drops them, counted.', choices=('arrival', 'refuse'))


@dataclass(frozen=True)
class ModelSettings:
    """The network."""

    path: str = setting(
        '', 'Folder of a checkpoint; empty for the one that the package ships.', path='folder')
    seed: int = setting(
        0, 'Seed of the weights of an untrained model.', minimum=0, maximum=2**31 - 1)
    device: str = setting('auto', 'auto (CUDA where present), cpu, cuda or cuda:N.')
    precision: str = setting(
        'auto', 'Of the large products: fp32, bf16 (faster on processors that have it, and less '
        'exact), or auto: on CUDA bf16 where it has it, else fp16; on processors fp32.',
        choices=('auto', 'fp32', 'bf16'))
    compile: bool = setting(
        False, 'Compile the network at start, which takes minutes, for faster hops; needs a C++ '
        'compiler.')
    influence: bool = setting(
        True, 'Say how much each modality counted; costs three more passes of the fusion, and is '
        'NaN without.')
    threads: int = setting(1, 'CPU threads for inference.', minimum=1, maximum=256)


@dataclass(frozen=True)
class SmoothingSettings:
    """Smoothing states over time, each person by themselves."""

    process_noise: float = setting(
        0.04, 'Variance that valence and arousal gain in a second, 1/s; its root is how far a '
        'person is thought to move in a second. Less smooths more, and lags more.',
        minimum=0.0001, maximum=10.0, live=True)
    gap_s: float = setting(
        2.0, 'After so long without evidence smoothing starts anew, and the region is left.',
        minimum=0.1, maximum=60.0, live=True)


@dataclass(frozen=True)
class EventSettings:
    """Events made of smoothed states."""

    regions: str = setting(
        '', 'YAML file of the named regions of the circumplex; empty for the shipped '
        'config/regions.yaml.', path='file')
    margin: float = setting(
        0.1, 'A region is left only this far outside it, along the radius or the arc.',
        minimum=0.0, maximum=1.0, live=True)
    margin_std: float = setting(
        1.5, 'And only so many standard deviations of the smoothed state outside it.',
        minimum=0.0, maximum=5.0, live=True)
    dwell_s: float = setting(
        0.6, 'Regions and speech must have changed for so long before it is told.',
        minimum=0.0, maximum=60.0, live=True)
    sharp_change: float = setting(
        0.4, 'Change of intensity that is told as a rise or fall.', minimum=0.05, maximum=1.4,
        live=True)
    sharp_std: float = setting(
        2.0, 'If it is so many standard deviations of the difference of two smoothed states.',
        minimum=0.0, maximum=5.0, live=True)
    sharp_s: float = setting(
        2.0, 'Time within which it has to change by that much.', minimum=0.1, maximum=60.0,
        live=True)
    leave_s: float = setting(
        1.0, 'A person left when no window has had their face for so long; it then has been out '
        'of view for windows.length_s more.', minimum=0.0, maximum=60.0, live=True)


@dataclass(frozen=True)
class BaselineSettings:
    """The personal offset of a face at rest."""

    enabled: bool = setting(
        False, 'Subtract from smoothed states where a person rests; raw ones stay as they are.',
        live=True)
    settle_s: float = setting(
        300.0, 'Time constant with which the offset follows the person.',
        minimum=10.0, maximum=86400.0, live=True)
    limit: float = setting(
        0.3, 'Largest offset either way, of valence and of arousal.', minimum=0.0, maximum=1.0,
        live=True)


@dataclass(frozen=True)
class InputSettings:
    """What the robot has."""

    camera: bool = setting(True, 'Whether there is a camera; false waits for none.')
    microphone: bool = setting(True, 'Whether there is a microphone; false waits for none.')


@dataclass(frozen=True)
class OutputSettings:
    """What the node publishes besides states and utterances."""

    ros4hri: bool = setting(
        True, 'Publish hri_msgs/Expression for each face and hri_msgs/LiveSpeech, as ROS4HRI '
        '(REP-155) has them, where hri_msgs is installed.')


@dataclass(frozen=True)
class Settings(Checked):
    """The whole configuration."""

    faces: FaceSettings = field(default_factory=FaceSettings)
    audio: AudioSettings = field(default_factory=AudioSettings)
    speech: SpeechSettings = field(default_factory=SpeechSettings)
    speaker: SpeakerSettings = field(default_factory=SpeakerSettings)
    windows: WindowSettings = field(default_factory=WindowSettings)
    time: TimeSettings = field(default_factory=TimeSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    smoothing: SmoothingSettings = field(default_factory=SmoothingSettings)
    events: EventSettings = field(default_factory=EventSettings)
    baseline: BaselineSettings = field(default_factory=BaselineSettings)
    inputs: InputSettings = field(default_factory=InputSettings)
    outputs: OutputSettings = field(default_factory=OutputSettings)

    def declared(self) -> Iterator[Parameter]:
        """Yield every parameter by its full name."""
        return parameters(self)

    def contradictions(self) -> Iterator[str]:
        """Yield what cannot be of parameters that are allowed each by itself."""
        if not (self.inputs.camera or self.inputs.microphone):
            yield ('inputs.camera: False, and inputs.microphone is False, too; allowed: at least '
                   'one of them')
        if self.windows.hop_s > self.windows.length_s:
            yield (f'windows.hop_s: {self.windows.hop_s} is longer than '
                   f'windows.length_s, {self.windows.length_s}')
        if not re.fullmatch(r'auto|cpu|cuda(:\d+)?', self.model.device):
            yield f"model.device: {self.model.device!r} is not 'auto', 'cpu', 'cuda' or 'cuda:N'"
        if self.audio.min_voiced_s > self.windows.length_s:
            yield (f'audio.min_voiced_s: {self.audio.min_voiced_s} is longer than '
                   f'windows.length_s, {self.windows.length_s}')
        if self.speech.language != AUTO and not is_tag(self.speech.language):
            yield (f"speech.language: {self.speech.language!r} is not 'auto' or an IETF language "
                   "tag, such as 'en' or 'pt-BR'")
        if self.speech.recogniser == 'vosk' and not self.speech.vosk_model:
            yield "speech.vosk_model: '' names no folder, and speech.recogniser is 'vosk'"

    def unused_inputs(self) -> frozenset[str]:
        """Return the roles of the topics that the robot does not have."""
        return frozenset(role for role, has in (
            ('image', self.inputs.camera), ('audio', self.inputs.microphone)) if not has)

    def with_values(self, values: Mapping[str, Any]) -> Settings:
        """
        Return a copy with some parameters changed.

        :param values: full name to value; text is converted to the parameter's type.
        :raises SettingsError: for an unknown name (the nearest is suggested) or a bad value.
        """
        known = {parameter.name: parameter for parameter in parameters(self)}
        changed: dict[str, dict[str, Any]] = {}
        for name, value in values.items():
            if name not in known:
                raise unknown_parameter(name, known)
            section, _, key = name.partition('.')
            changed.setdefault(section, {})[key] = known[name].parse(value)
        return dataclasses.replace(self, **{
            section: dataclasses.replace(getattr(self, section), **fields)
            for section, fields in changed.items()
        })

    def check_change(self, changed: Settings) -> None:
        """
        Check that nothing is changed that cannot be while the node is configured.

        :raises SettingsError: names each parameter that is fixed then.
        """
        faults = [f'{one.name}: {one.value!r} is fixed while the node is configured; allowed: '
                  'to clean it up, change this, and configure it again'
                  for one, other in zip(parameters(self), parameters(changed), strict=True)
                  if one.value != other.value and not one.live]
        if faults:
            raise SettingsError('; '.join(faults))

    def with_absolute_paths(self) -> Settings:
        """Return a copy whose paths mean the same wherever it is read."""
        return self.with_values({one.name: str(Path(one.value).resolve())
                                 for one in parameters(self) if one.path and one.value})


#: Parameters that earlier versions had, and what to do without them.
GONE = {
    'audio.voice_mode': 'use audio.voice_threshold',
    'faces.detector': 'YuNet, which ships, is the only detector; faces.yunet_model names another '
                      'file of it',
    'faces.scan_hz': 'use faces.detect_hz',
    'faces.detect_width_px': 'use faces.min_size',
}


def unknown_parameter(name: str, known: Collection[str]) -> SettingsError:
    """Return the error that says what became of it, or which of the known names is nearest."""
    if name in GONE:
        return SettingsError(f'{name}: is gone; {GONE[name]}')
    near = difflib.get_close_matches(name, known, 1)
    hint = f'did you mean {near[0]}?' if near else f'allowed: {", ".join(known)}'
    return SettingsError(f'{name}: no such parameter; {hint}')


_NODE = 'affect_node'
_ROS_OWN = ('use_sim_time', 'qos_overrides')


def load_values(path: str | Path) -> dict[str, Any]:
    """
    Read a ROS parameter file (``affect_node: {ros__parameters: {windows: {hop_s: 0.1}}}``).

    Sections of other nodes, and what ROS itself declares on every node, are left out.

    :param path: a YAML file; a plain mapping of parameters is understood, too.
    :returns: full name to value, for :meth:`Settings.with_values`.
    :raises SettingsError: when it cannot be read or is no mapping.
    """
    from maven_ros.yaml_files import read_yaml

    content = read_yaml(path)
    if not isinstance(content, dict):
        raise SettingsError(f'{path}: holds {type(content).__name__}; allowed: a mapping')
    sections = {name: node['ros__parameters'] for name, node in content.items()
                if isinstance(node, dict) and isinstance(node.get('ros__parameters'), dict)}
    values: dict[str, Any] = {}
    for name, tree in sections.items() if sections else [(_NODE, content)]:
        if name.rpartition('/')[2] in ('**', '*', _NODE):  # a file may hold other nodes', too
            values.update(_flatten(tree, ''))
    return {name: value for name, value in values.items() if not name.startswith(_ROS_OWN)}


def _flatten(tree: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flatten(value, f'{prefix}{key}.')
        else:
            yield f'{prefix}{key}', value


def parameters(settings: Settings) -> Iterator[Parameter]:
    """Yield every parameter of ``settings`` with its full name, in order of declaration."""
    for section in dataclasses.fields(settings):
        yield from declared(getattr(settings, section.name), f'{section.name}.')
