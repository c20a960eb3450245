"""The plan for one video of Aff-Wild2, and the options of the preparation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from maven_ros.declarations import Checked, setting
from maven_ros.devices.media import Media, probe
from maven_ros.errors import ResourceError
from maven_ros.files import read_json
from maven_ros.records import NS
from maven_ros.settings import Settings
from maven_ros.text import shown
from maven_ros.training.affwild2.annotated import MISMATCHES
from maven_ros.training.affwild2.layout import Layout, Subject

_PARTS = 'parts'


@dataclass(frozen=True)
class PrepareOptions(Checked):
    """The options of the preparation; tracking, sound and recognition are as in the node."""

    settings: Settings
    crop_px: int = setting(112, 'Side of the crops, in pixels; 112 in the paper.',
                           minimum=16, maximum=1024)
    mismatch: str = setting(
        'cut', 'What to do if a person has different numbers of lines and frames: cut (line i '
        'belongs to frame i, and the rest is dropped) or exclude.', choices=MISMATCHES)

    @property
    def what_counts(self) -> dict[str, Any]:
        """Everything that the files depend on, as JSON values."""
        return {'faces': asdict(self.settings.faces), 'audio': asdict(self.settings.audio),
                'speech': asdict(self.settings.speech), 'crop_px': self.crop_px,
                'mismatch': self.mismatch}


@dataclass(frozen=True)
class VideoPlan:
    """
    The plan for one video.

    :param media: None if the video cannot be read; ``fault`` has the reason.
    :param inputs: everything that its part depends on, to detect changes.
    """

    name: str
    path: Path
    subjects: tuple[Subject, ...]
    crops: Mapping[str, Path]
    transcript: Path | None
    media: Media | None
    fault: str
    inputs: Mapping[str, Any]

    @property
    def duration_s(self) -> float:
        """Duration that the file declares, in seconds; 0 if it declares none."""
        return self.media.duration_ns / NS if self.media else 0.0

    @property
    def is_to_be_recognised(self) -> bool:
        """Whether the video has sound but no transcript."""
        return self.media is not None and self.media.has_audio and self.transcript is None

    def is_done(self, out: Path) -> bool:
        """Tell whether an earlier call made the same part; unreadable videos are tried again."""
        path = part_path(out, self.name, '.json')
        part = read_json(path) if path.exists() else None
        return bool(part and part['whole'] and part['inputs'] == self.inputs)

    @classmethod
    def of(cls, layout: Layout, name: str, options: PrepareOptions) -> VideoPlan:
        """Make the plan for a video from its files."""
        path, subjects = layout.videos[name], layout.subjects[name]
        crops = {one.person: layout.crops[one.person] for one in subjects
                 if one.person in layout.crops}
        transcript = layout.transcripts.get(name)
        media, fault = None, ''
        try:
            media = probe(path)
        except ResourceError as error:
            fault = str(error)
        files = [path, *(one.annotation for one in subjects), *crops.values(),
                 *([transcript] if transcript else [])]
        inputs = {'files': [[shown(one.resolve()), one.stat().st_size, one.stat().st_mtime_ns]
                            for one in files], 'options': options.what_counts,
                  'frames': 'lost ones keep their places'}  # before, labels moved up to them
        return cls(name, path, subjects, crops, transcript, media, fault, inputs)


def part_path(out: Path, name: str, suffix: str) -> Path:
    """Return the path of a video's part: its rows, or the inputs that they depend on."""
    return out / _PARTS / f'{name}{suffix}'
