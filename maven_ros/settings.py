"""
All parameters of the affect node, with type, unit, range, default and effect.

Command-line flags, ROS parameters and documents are generated from these classes. A parameter's
full name is ``section.field``, such as ``windows.hop_s``. ``Settings.check`` checks the whole
configuration before anything is opened.
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
    """Detection and tracking of faces."""

    rate_hz: float = setting(
        10.0, 'Frames per second that are used; others are skipped by their stamps, undecoded.',
        minimum=0.5, maximum=60.0)
    yunet_model: str = setting(
        '', 'ONNX file of another YuNet face detector; empty for the shipped one.',
        path='file')
    detect_hz: float = setting(
        4.0, 'Searches of the whole frame per second, for new faces; every other search is for '
        'tilted heads. Known faces are followed in every frame.',
        minimum=0.1, maximum=60.0, live=True)
    min_size: float = setting(
        0.05, 'Smallest face that is found, from brows to chin, as a share of the shorter side of '
        'the frame, or of a quarter of the longer side, whichever is more. In a frame of 640x480 '
        'with a field of view of 60 degrees, 0.05 is 24 pixels, or a face about 4 m away. Half of '
        'this value costs up to four times the CPU time.',
        minimum=0.02, maximum=1.0)
    max_people: int = setting(
        8, 'Largest number of faces; the largest faces are kept.', minimum=1, maximum=64,
        live=True)
    confirm_s: float = setting(
        0.3, 'Time for which a new face must be seen before it is reported.',
        minimum=0.0, maximum=5.0, live=True)
    forget_s: float = setting(
        2.0, 'Time after which a lost face gets a new id.', minimum=0.1, maximum=60.0, live=True)
    ros4hri: bool = setting(
        True, 'Take ids and positions of faces from a ROS4HRI (REP-155) face detector while it '
        'publishes humans/faces/tracked, and detect none.')


@dataclass(frozen=True)
class AudioSettings:
    """Sound and voice activity."""

    offset_ms: float = setting(
        0.0, 'Offset that is added to the time of all sound, if audio and video clocks differ.',
        minimum=-5000.0, maximum=5000.0, live=True)
    channel: int = setting(
        0, 'Channel that is used, from 1, such as the processed channel of an array; 0 for the '
        'mean of all channels that are not silent.', minimum=0, maximum=255, live=True)
    gap_tolerance_ms: float = setting(
        60.0, 'Stamps that differ from the sample clock by more than this mean a gap or an '
        'overlap.',
        minimum=5.0, maximum=1000.0, live=True)
    voice_threshold: float = setting(
        0.4, 'Probability of speech (by Silero, per 32 ms) from which sound counts as voice.',
        minimum=0.05, maximum=0.95, live=True)
    voice_lead_s: float = setting(
        0.16, 'Time for which sound counts as voice before it reaches the threshold: Silero hears '
        'late that somebody begins to speak.',
        minimum=0.0, maximum=0.5, live=True)
    voice_hangover_s: float = setting(
        0.03, 'Time for which a voice continues after the last sound above the threshold.',
        minimum=0.0, maximum=2.0, live=True)
    min_voiced_s: float = setting(
        0.45, 'Least voice in a window with AUDIO evidence.',
        minimum=0.01, maximum=10.0, live=True)
    robot_tail_s: float = setting(
        0.3, 'Time for which sound is still ignored after the robot has stopped speaking.',
        minimum=0.0, maximum=5.0, live=True)
    info_wait_s: float = setting(
        6.0, 'Time for which AudioData messages wait for the AudioInfo that describes their '
        'format; drivers send it at least every 5 s.', minimum=0.0, maximum=60.0)
    raw_rate_hz: int = setting(
        16000, 'Sample rate of AudioData messages without an AudioInfo.',
        minimum=1000, maximum=768000)
    raw_channels: int = setting(
        1, 'Channels of AudioData messages without an AudioInfo.', minimum=1, maximum=255)
    raw_format: str = setting(
        'S16LE', 'Sample format of AudioData messages without an AudioInfo.',
        choices=('S16LE', 'S16BE', 'S32LE', 'S32BE', 'F32LE', 'F32BE', 'S8', 'U8'))


@dataclass(frozen=True)
class SpeechSettings:
    """Recognition of words, on the device."""

    recogniser: str = setting(
        'whisper', 'Recogniser: whisper (a hundred languages; maven-ros models fetch whisper-base '
        'fetches its weights), vosk (needs speech.vosk_model), none, or a class of another '
        'package.', choices=('whisper', 'vosk', 'none'), outside=True)
    language: str = setting(
        'auto', 'Spoken language, as an IETF tag such as en or pt-BR; auto: whisper detects it, '
        'vosk uses the language of its model.')
    whisper_model: str = setting(
        '', 'Folder of a Whisper model in CTranslate2\'s format; empty for the one that maven-ros '
        'models fetch whisper-base fetches.', path='folder')
    vosk_model: str = setting('', 'Folder of a Vosk model.', path='folder')
    confidence_gate: float = setting(
        0.5, 'Least confidence of words that are TEXT evidence; the transcript shows all words.',
        minimum=0.0, maximum=1.0, live=True)
    partial_s: float = setting(
        0.15, 'Speech between partial results; whisper gives them less often as an utterance '
        'grows.', minimum=0.05, maximum=10.0)
    pause_s: float = setting(
        0.5, 'Silence that ends an utterance; vosk uses its own value.', minimum=0.2, maximum=5.0)
    threads: int = setting(2, 'CPU threads for whisper.', minimum=1, maximum=256)
    max_lag_s: float = setting(
        3.0, 'Lag from which recognition skips sound. Below it, recognition that falls behind '
        'leaves out partial results. Both are counted.',
        minimum=0.5, maximum=600.0)


@dataclass(frozen=True)
class SpeakerSettings:
    """Assignment of the voice to one of several faces."""

    memory_s: float = setting(
        2.0, 'Time over which mouths are compared; the voice moves to another person after about '
        'half of it.',
        minimum=0.5, maximum=10.0, live=True)
    min_motion: float = setting(
        0.06, 'Least motion of a speaking mouth, in standard deviations of the face\'s grey '
        'values, between frames 0.1 s apart.',
        minimum=0.0, maximum=1.0, live=True)
    margin: float = setting(
        1.5, 'Least ratio of the speaker\'s mouth motion to that of everybody else.',
        minimum=1.0, maximum=10.0, live=True)
    contrast: float = setting(
        1.2, 'Least ratio of the speaker\'s mouth motion to the same person\'s in silence, if '
        'there was silence.',
        minimum=0.0, maximum=10.0, live=True)
    dwell_s: float = setting(
        0.4, 'Time for which all windows must agree on the speaker; until then the voice is '
        'nobody\'s.',
        minimum=0.0, maximum=10.0, live=True)


@dataclass(frozen=True)
class WindowSettings:
    """Windows of evidence on one clock."""

    length_s: float = setting(2.0, 'Length of a window.', minimum=0.2, maximum=60.0)
    hop_s: float = setting(
        0.2, 'Time from one window to the next.', minimum=0.02, maximum=10.0, live=True)
    max_wait_s: float = setting(
        0.25, 'Time for which a window waits for a late stream before it closes without it.',
        minimum=0.0, maximum=10.0, live=True)
    stale_after_s: float = setting(
        1.0, 'Time without data after which a stream has stopped (status STALE); must be longer '
             'than the chunks of sound.',
        minimum=0.1, maximum=60.0, live=True)
    jump_back_s: float = setting(
        0.5, 'Backward jump of a stream\'s stamps from which all streams start again (a bag in a '
        'loop).',
        minimum=0.05, maximum=60.0, live=True)
    jump_ahead_s: float = setting(
        10.0, 'Forward jump of stamps from which all streams start again (a clock that was set).',
        minimum=1.0, maximum=3600.0, live=True)


@dataclass(frozen=True)
class TimeSettings:
    """The time of messages."""

    unstamped: str = setting(
        'arrival', 'Treatment of pictures and sound without a stamp (0): arrival uses the time of '
        'arrival, refuse drops and counts them.', choices=('arrival', 'refuse'))


@dataclass(frozen=True)
class ModelSettings:
    """The network."""

    path: str = setting(
        '', 'Folder of a checkpoint, or a shipped one, such as compact-small; empty for compact.',
        path='network')
    seed: int = setting(
        0, 'Seed of the weights of an untrained model.', minimum=0, maximum=2**31 - 1)
    device: str = setting('auto', 'auto (CUDA if present), cpu, cuda or cuda:N.')
    precision: str = setting(
        'auto', 'Precision of matrix products: fp32, bf16 (less exact, but faster on processors '
        'that support it), or auto: on CUDA bf16 if supported, else fp16; on processors fp32.',
        choices=('auto', 'fp32', 'bf16'))
    compile: bool = setting(
        False, 'Compile the network at the start, for faster inference; takes minutes and needs a '
        'C++ compiler.')
    influence: bool = setting(
        True, 'Compute the influence of each modality, with three more passes of the fusion; if '
        'false, it is NaN.')
    threads: int = setting(1, 'CPU threads for inference.', minimum=1, maximum=256)


@dataclass(frozen=True)
class SmoothingSettings:
    """Smoothing of each person's states over time."""

    process_noise: float = setting(
        0.04, 'Variance that valence and arousal gain per second (1/s); its root is the expected '
        'change of a person in a second. Smaller values smooth more and lag more.',
        minimum=0.0001, maximum=10.0, live=True)
    gap_s: float = setting(
        2.0, 'Time without evidence after which smoothing starts again and the region is left.',
        minimum=0.1, maximum=60.0, live=True)


@dataclass(frozen=True)
class EventSettings:
    """Events from smoothed states."""

    regions: str = setting(
        '', 'YAML file of the named regions of the circumplex; empty for the shipped '
        'config/regions.yaml.', path='file')
    margin: float = setting(
        0.1, 'Distance outside a region from which it is left, along the radius or the arc.',
        minimum=0.0, maximum=1.0, live=True)
    margin_std: float = setting(
        1.5, 'Also the least distance for leaving a region, in standard deviations of the '
        'smoothed state.',
        minimum=0.0, maximum=5.0, live=True)
    dwell_s: float = setting(
        0.6, 'Time for which a change of region or speech must last before its event.',
        minimum=0.0, maximum=60.0, live=True)
    sharp_change: float = setting(
        0.4, 'Least change of intensity for the events ROSE and FELL.', minimum=0.05, maximum=1.4,
        live=True)
    sharp_std: float = setting(
        2.0, 'Also the least change for ROSE and FELL, in standard deviations of the difference '
        'of two smoothed states.', minimum=0.0, maximum=5.0, live=True)
    sharp_s: float = setting(
        2.0, 'Time within which intensity must change by that much.', minimum=0.1, maximum=60.0,
        live=True)
    leave_s: float = setting(
        1.0, 'Time without a window that holds a person\'s face after which the person has left; '
        'the face has then been out of view for windows.length_s longer.', minimum=0.0,
        maximum=60.0, live=True)


@dataclass(frozen=True)
class AttentionSettings:
    """Attention to the robot, from how heads are turned."""

    angle_deg: float = setting(
        25.0, 'Largest angle between the nose and the line to the camera, in degrees, of somebody '
        'who faces the camera.', minimum=1.0, maximum=90.0, live=True)
    margin_deg: float = setting(
        10.0, 'Degrees beyond that angle from which somebody does no longer face it.',
        minimum=0.0, maximum=90.0, live=True)
    dwell_s: float = setting(
        0.6, 'Time for which somebody must face the camera to attend, or must not to attend no '
        'more.', minimum=0.0, maximum=60.0, live=True)
    turn_deg: float = setting(
        10.0, 'Expected turn of a head in a second, in degrees. Smaller values smooth more and '
        'lag more.', minimum=1.0, maximum=360.0, live=True)
    field_of_view_deg: float = setting(
        60.0, 'Horizontal field of view of a camera without a CameraInfo of its calibration, in '
        'degrees.', minimum=10.0, maximum=170.0, live=True)


@dataclass(frozen=True)
class BaselineSettings:
    """The personal baseline: the offset of a person at rest."""

    enabled: bool = setting(
        False, 'Subtract the personal baseline from smoothed states; raw states do not change.',
        live=True)
    settle_s: float = setting(
        300.0, 'Time constant with which the baseline follows the person.',
        minimum=10.0, maximum=86400.0, live=True)
    limit: float = setting(
        0.3, 'Largest absolute baseline of valence and of arousal.', minimum=0.0, maximum=1.0,
        live=True)


@dataclass(frozen=True)
class MoodSettings:
    """Moods: slow states of people and of the group."""

    settle_s: float = setting(
        90.0, 'Time constant with which a mood follows a lasting change.',
        minimum=10.0, maximum=3600.0, live=True)
    passing_s: float = setting(
        10.0, 'Time constant of feelings that pass, which are no mood.',
        minimum=1.0, maximum=600.0, live=True)
    passing_std: float = setting(
        0.25, 'Standard deviation of feelings that pass, on each axis.',
        minimum=0.01, maximum=1.0, live=True)
    period_s: float = setting(
        1.0, 'Time between messages on affect/mood.', minimum=0.1, maximum=600.0, live=True)


@dataclass(frozen=True)
class MemorySettings:
    """What the service get_affect remembers; nothing of it is written to a disk."""

    keep_s: float = setting(
        600.0, 'Time for which states, events and turns are remembered.',
        minimum=10.0, maximum=3600.0, live=True)
    forget_s: float = setting(
        300.0, 'Time after which people who left are forgotten, with their moods.',
        minimum=0.0, maximum=3600.0, live=True)


@dataclass(frozen=True)
class SummarySettings:
    """Sentences about people, for a language model."""

    templates: str = setting(
        '', 'YAML file of the sentences, to add a language; empty for the shipped English ones, '
        'config/summary/en.yaml.', path='file')
    gate: float = setting(
        0.4, 'Least confidence of what is said about feelings.',
        minimum=0.0, maximum=1.0, live=True)
    period_s: float = setting(
        3.0, 'Least time between two summaries of a person.',
        minimum=0.0, maximum=600.0, live=True)


@dataclass(frozen=True)
class InputSettings:
    """The robot's devices."""

    camera: bool = setting(True, 'Whether the robot has a camera; if false, nothing waits for it.')
    microphone: bool = setting(
        True, 'Whether the robot has a microphone; if false, nothing waits for it.')


@dataclass(frozen=True)
class OutputSettings:
    """Optional outputs of the node."""

    ros4hri: bool = setting(
        True, 'Publish faces, expressions, the voice, whose it is, and engagement on the topics '
        'of ROS4HRI (REP-155), if hri_msgs is installed.')


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
    attention: AttentionSettings = field(default_factory=AttentionSettings)
    baseline: BaselineSettings = field(default_factory=BaselineSettings)
    mood: MoodSettings = field(default_factory=MoodSettings)
    memory: MemorySettings = field(default_factory=MemorySettings)
    summary: SummarySettings = field(default_factory=SummarySettings)
    inputs: InputSettings = field(default_factory=InputSettings)
    outputs: OutputSettings = field(default_factory=OutputSettings)

    def declared(self) -> Iterator[Parameter]:
        """Yield every parameter with its full name."""
        return parameters(self)

    def contradictions(self) -> Iterator[str]:
        """Yield a message for each combination of values that is not allowed."""
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
        """Return the roles of the topics for which the robot has no device."""
        return frozenset(role for role, has in (
            ('image', self.inputs.camera), ('audio', self.inputs.microphone)) if not has)

    def with_values(self, values: Mapping[str, Any]) -> Settings:
        """
        Return a copy with some parameters changed.

        :param values: full name to value; text is converted to the parameter's type.
        :raises SettingsError: for an unknown name (the nearest is suggested) or a wrong value.
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
        Check that a change affects live parameters only.

        :raises SettingsError: names each changed parameter that is fixed while the node is
            configured.
        """
        faults = [f'{one.name}: {one.value!r} is fixed while the node is configured; allowed: '
                  'to clean it up, change this, and configure it again'
                  for one, other in zip(parameters(self), parameters(changed), strict=True)
                  if one.value != other.value and not one.live]
        if faults:
            raise SettingsError('; '.join(faults))

    def with_absolute_paths(self) -> Settings:
        """Return a copy in which all paths are absolute."""
        return self.with_values({one.name: str(one.found.resolve())
                                 for one in parameters(self) if one.path and one.value})


#: Parameters of earlier versions, and what to use instead.
GONE = {
    'audio.voice_mode': 'use audio.voice_threshold',
    'faces.detector': 'YuNet is the only detector; faces.yunet_model names another YuNet file',
    'faces.scan_hz': 'use faces.detect_hz',
    'faces.detect_width_px': 'use faces.min_size',
}


def unknown_parameter(name: str, known: Collection[str]) -> SettingsError:
    """Return an error that names the replacement of an old name, or the nearest known name."""
    if name in GONE:
        return SettingsError(f'{name}: no longer exists; {GONE[name]}')
    near = difflib.get_close_matches(name, known, 1)
    hint = f'did you mean {near[0]}?' if near else f'allowed: {", ".join(known)}'
    return SettingsError(f'{name}: no such parameter; {hint}')


_NODE = 'affect_node'
_ROS_OWN = ('use_sim_time', 'qos_overrides')


def load_values(path: str | Path) -> dict[str, Any]:
    """
    Read a ROS parameter file (``affect_node: {ros__parameters: {windows: {hop_s: 0.1}}}``).

    Sections of other nodes and ROS's own parameters are left out.

    :param path: a YAML file; it may also hold a plain mapping of parameters.
    :returns: full name to value, for :meth:`Settings.with_values`.
    :raises SettingsError: if the file cannot be read or holds no mapping.
    """
    from maven_ros.yaml_files import read_yaml

    content = read_yaml(path)
    if not isinstance(content, dict):
        raise SettingsError(f'{path}: holds {type(content).__name__}; allowed: a mapping')
    sections = {name: node['ros__parameters'] for name, node in content.items()
                if isinstance(node, dict) and isinstance(node.get('ros__parameters'), dict)}
    values: dict[str, Any] = {}
    for name, tree in sections.items() if sections else [(_NODE, content)]:
        if name.rpartition('/')[2] in ('**', '*', _NODE):  # not the sections of other nodes
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
