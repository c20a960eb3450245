"""The settings of a run: a YAML file with all that its weights depend on, beside the data."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from maven_ros.errors import SettingsError
from maven_ros.records import MODALITIES
from maven_ros.resources import resource
from maven_ros.training.compact.recipe import build
from maven_ros.training.loop import LoopSettings
from maven_ros.training.people.clip_inputs import InputSettings
from maven_ros.training.people.clips import ClipSettings
from maven_ros.yaml_files import read_yaml

#: Of the network, that a run trains.
PARTS = ('fusion', 'context', 'head')
#: Fields of the network's configuration that a run may change: those of what it trains.
NETWORK = ('fusion_width', 'fusion_heads', 'context_width', 'context_layers', 'context_heads',
           'head_width', 'head', 'dropout', 'head_dropout')


@dataclass(frozen=True)
class LossSettings:
    """
    What is minimised: of windows, and of slots, squared error + agreement x (1 - CCC).

    The CCC is that of the whole batch, the mean of valence's and arousal's.

    :param agreement: weight of 1 - CCC beside the mean squared error (eq. 32).
    :param window: weight of the windows' estimates.
    :param frames: weight of the slots' own estimates.
    :param spread: weight of the likelihood of the windows' errors under the head's standard
        deviations, which trains those alone.
    :raises SettingsError: names what cannot be.
    """

    agreement: float = 1.0
    window: float = 1.0
    frames: float = 0.0
    spread: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        for name, value in vars(self).items():
            if not 0 <= value < float('inf'):
                raise SettingsError(f'{name}: {value!r} is not in [0, inf)')
        if not self.window and not self.frames:
            raise SettingsError('window, frames: both are 0; allowed: one above 0')


@dataclass(frozen=True)
class TuneSettings:
    """
    How many of an encoder's last blocks are trained, too; what follows them is, with them.

    Where any is, clips are read as frames, sound and words, not as features.
    """

    video: int = 0
    audio: int = 0
    text: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        for name, value in vars(self).items():
            if value < 0:
                raise SettingsError(f'{name}: {value!r} is below 0')

    @property
    def blocks(self) -> dict[str, int]:
        """How many of each modality's, where there are any."""
        return {name: getattr(self, name) for name in MODALITIES if getattr(self, name)}


@dataclass(frozen=True)
class RunSettings:
    """
    A run.

    :param name: of the network that comes out.
    :param seed: of all that is random.
    :param model: folder of the network that the encoders are taken from; one that ships, or a
        path.
    :param keep: parts whose weights are taken from it, too; the others begin at random.
    :param network: changes to its configuration.
    :param smoothing_s: standard deviation of the centred smoothing of predictions.
    :param deterministic: use only what gives the same bits every time, which is slower on GPUs.
    :raises SettingsError: names what cannot be, its value and what is allowed.
    """

    loop: LoopSettings
    name: str = 'affwild2'
    seed: int = 1
    model: str = 'models/compact'
    keep: tuple[str, ...] = ()
    network: dict[str, Any] = field(default_factory=dict)
    clips: ClipSettings = field(default_factory=ClipSettings)
    inputs: InputSettings = field(default_factory=InputSettings)
    loss: LossSettings = field(default_factory=LossSettings)
    tune: TuneSettings = field(default_factory=TuneSettings)
    smoothing_s: float = 1.0
    deterministic: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        for name, given, allowed in (('keep', self.keep, PARTS),
                                     ('network', self.network, NETWORK)):
            unknown = set(given) - set(allowed)
            if unknown:
                raise SettingsError(f'{name}: unknown: {", ".join(sorted(unknown))}; allowed: '
                                    f'{", ".join(allowed)}')
        if not self.smoothing_s > 0:
            raise SettingsError(f'smoothing_s: {self.smoothing_s!r} is not above 0')


def read_run_settings(path: Path, model: str = '') -> RunSettings:
    """
    Read the settings of a run.

    :param path: of the file; one that ships is found from any folder.
    :param model: instead of the file's, if any.
    :raises SettingsError: when the file cannot be read; names what is missing, unknown, of another
        type or refused.
    """
    if not path.is_absolute() and not path.exists():
        path = resource(str(path))
    values = read_yaml(path)
    settings: RunSettings = build(RunSettings, values, str(path))
    return replace(settings, model=model) if model else settings
