"""The settings of a run: a YAML file with all that its weights depend on, beside the data."""

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

#: Of the network, that a run trains.
PARTS = ('fusion', 'context', 'head')
#: Fields of the network's configuration that a run may change: those of what it trains.
NETWORK = ('fusion_width', 'fusion_heads', 'context_width', 'context_layers', 'context_heads',
           'head_width', 'head', 'dropout', 'head_dropout')


@dataclass(frozen=True)
class LossSettings(Checked):
    """
    What is minimised: of windows, and of slots, squared error + agreement x (1 - CCC).

    The CCC is that of the whole batch, the mean of valence's and arousal's.
    """

    agreement: float = setting(
        1.0, 'Weight of 1 - CCC beside the mean squared error (eq. 32).', minimum=0)
    window: float = setting(
        1.0, 'Weight of the windows\' estimates.', minimum=0)
    frames: float = setting(
        0.0, 'Weight of the slots\' own estimates.', minimum=0)
    spread: float = setting(
        0.0, 'Weight of the likelihood of the windows\' errors under the head\'s standard '
        'deviations, which trains those alone.', minimum=0)

    def contradictions(self) -> Iterator[str]:
        """Yield what cannot be together."""
        if not self.window and not self.frames:
            yield 'window, frames: both are 0; allowed: one above 0'


@dataclass(frozen=True)
class TuneSettings(Checked):
    """
    How many of an encoder's last blocks are trained, too; what follows them is, with them.

    Where any is, clips are read as frames, sound and words, not as features.
    """

    video: int = setting(0, 'Of the face encoder.', minimum=0)
    audio: int = setting(0, 'Of the voice encoder.', minimum=0)
    text: int = setting(0, 'Of the text encoder.', minimum=0)

    @property
    def blocks(self) -> dict[str, int]:
        """How many of each modality's, where there are any."""
        return {name: getattr(self, name) for name in MODALITIES if getattr(self, name)}


@dataclass(frozen=True)
class RunSettings(Checked):
    """A run."""

    loop: LoopSettings = setting(doc='Optimisation.')
    name: str = setting('affwild2', 'Of the network that comes out.')
    seed: int = setting(1, 'Of all that is random.')
    model: str = setting(
        'models/compact', 'Folder of the network that the encoders are taken from; one that '
        'ships, or a path.')
    keep: tuple[str, ...] = setting(
        (), 'Parts whose weights are taken from it, too; the others begin at random.',
        choices=PARTS)
    network: dict[str, Any] = setting(doc='Changes to its configuration.', made=dict)
    clips: ClipSettings = setting(doc='Which windows are clips.', made=ClipSettings)
    inputs: InputSettings = setting(doc='What the fusion is given.', made=InputSettings)
    loss: LossSettings = setting(doc='What is minimised.', made=LossSettings)
    tune: TuneSettings = setting(doc='Which encoders are trained.', made=TuneSettings)
    smoothing_s: float = setting(
        1.0, 'Standard deviation of the centred smoothing of predictions.', above=0)
    deterministic: bool = setting(
        False, 'Use only what gives the same bits every time, which is slower on GPUs.')

    def contradictions(self) -> Iterator[str]:
        """Yield what cannot be together."""
        unknown = self.network.keys() - set(NETWORK)
        if unknown:
            yield (f'network: unknown: {", ".join(sorted(unknown))}; allowed: '
                   f'{", ".join(NETWORK)}')


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
