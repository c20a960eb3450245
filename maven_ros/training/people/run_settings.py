"""The settings of a run: a YAML file with everything that the weights depend on, except data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from maven_ros.declarations import Checked, setting
from maven_ros.records import MODALITIES
from maven_ros.resources import resource
from maven_ros.training.compact.recipe import build
from maven_ros.training.loop import LoopSettings
from maven_ros.training.people.clip_inputs import InputSettings
from maven_ros.training.people.clips import ClipSettings
from maven_ros.yaml_files import read_yaml

#: Parts of the network that a run trains.
PARTS = ('fusion', 'context', 'head', 'readers')
#: Fields of the network's configuration that a run may change: those of the trained parts.
NETWORK = ('fusion_width', 'fusion_heads', 'context_width', 'context_layers', 'context_heads',
           'head_width', 'head', 'readers', 'dropout', 'head_dropout')


@dataclass(frozen=True)
class LossSettings(Checked):
    """
    The loss: squared error + agreement x (1 - CCC), for windows and for slots.

    The CCC is computed over the whole batch and averaged over valence and arousal.
    """

    agreement: float = setting(
        1.0, 'Weight of 1 - CCC beside the mean squared error (eq. 32).', minimum=0)
    window: float = setting(
        1.0, 'Weight of the loss of windows.', minimum=0)
    frames: float = setting(
        0.0, 'Weight of the loss of slots.', minimum=0)
    spread: float = setting(
        0.0, 'Weight of the negative log-likelihood of the windows\' errors, which trains only '
        'the standard deviations.', minimum=0)

    def contradictions(self) -> Iterator[str]:
        """Yield what cannot be together."""
        if not self.window and not self.frames:
            yield 'window, frames: both are 0; allowed: at least one above 0'


@dataclass(frozen=True)
class TuneSettings(Checked):
    """
    The number of last blocks of each encoder to train, including everything after them.

    If any number is above 0, clips are read as frames, sound and words, not as features.
    """

    video: int = setting(0, 'Of the face encoder.', minimum=0)
    audio: int = setting(0, 'Of the voice encoder.', minimum=0)
    text: int = setting(0, 'Of the text encoder.', minimum=0)

    @property
    def blocks(self) -> dict[str, int]:
        """The numbers above 0, by modality."""
        return {name: getattr(self, name) for name in MODALITIES if getattr(self, name)}


@dataclass(frozen=True)
class RunSettings(Checked):
    """The settings of a run."""

    loop: LoopSettings = setting(doc='Optimisation.')
    name: str = setting('affwild2', 'Name of the trained network.')
    seed: int = setting(1, 'Seed of all randomness.')
    model: str = setting(
        'models/compact', 'Folder of the network with the encoders; a shipped one, or a path.')
    keep: tuple[str, ...] = setting(
        (), 'Parts whose weights also come from it; the others start at random.',
        choices=PARTS)
    network: dict[str, Any] = setting(doc='Changes to its configuration.', made=dict)
    clips: ClipSettings = setting(doc='Clips.', made=ClipSettings)
    inputs: InputSettings = setting(doc='Input of the fusion.', made=InputSettings)
    loss: LossSettings = setting(doc='Loss.', made=LossSettings)
    tune: TuneSettings = setting(doc='Encoder blocks to train.', made=TuneSettings)
    smoothing_s: float = setting(
        1.0, 'Standard deviation of the centred smoothing of predictions.', above=0)
    deterministic: bool = setting(
        False, 'Use only deterministic algorithms, which are slower on GPUs.')

    def contradictions(self) -> Iterator[str]:
        """Yield what cannot be together."""
        unknown = self.network.keys() - set(NETWORK)
        if unknown:
            yield (f'network: unknown: {", ".join(sorted(unknown))}; allowed: '
                   f'{", ".join(NETWORK)}')


def read_run_settings(path: Path, model: str = '') -> RunSettings:
    """
    Read the settings of a run.

    :param path: path of the file; shipped files are found from any folder.
    :param model: overrides ``model`` of the file, unless empty.
    :raises SettingsError: if the file cannot be read; names what is missing, unknown, of another
        type or not allowed.
    """
    if not path.is_absolute() and not path.exists():
        path = resource(str(path))
    values = read_yaml(path)
    settings: RunSettings = build(RunSettings, values, str(path))
    return replace(settings, model=model) if model else settings
