"""What one video of Aff-Wild2 is made of, and how a set is prepared."""

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
from maven_ros.training.affwild2.annotated import MISMATCHES
from maven_ros.training.affwild2.layout import Layout, Subject

_PARTS = 'parts'


@dataclass(frozen=True)
class PrepareOptions(Checked):
    """How a set is prepared; tracking, sound and recognition are as the node has them."""

    settings: Settings
    crop_px: int = setting(112, 'Side of the crops that are cut; the paper\'s are 112.',
                           minimum=16, maximum=1024)
    mismatch: str = setting(
        'cut', 'What becomes of a person whose lines and frames are not as many: cut (line i is '
        'of frame i, the rest of the longer is left out) or exclude.', choices=MISMATCHES)

    @property
    def what_counts(self) -> dict[str, Any]:
        """All that the files depend on, as JSON has it."""
        return {'faces': asdict(self.settings.faces), 'audio': asdict(self.settings.audio),
                'speech': asdict(self.settings.speech), 'crop_px': self.crop_px,
                'mismatch': self.mismatch}


@dataclass(frozen=True)
class VideoPlan:
    """
    What one video is made of.

    :param media: None where it cannot be read; the ``fault`` says why.
    :param inputs: all that its part depends on; they tell whether it is still the same.
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
        """As the file declares it; 0 where it does not."""
        return self.media.duration_ns / NS if self.media else 0.0

    @property
    def is_to_be_recognised(self) -> bool:
        """Whether there is sound without a transcript."""
        return self.media is not None and self.media.has_audio and self.transcript is None

    def is_done(self, out: Path) -> bool:
        """Tell whether an earlier call did the same; a video that could not be read is not."""
        path = part_path(out, self.name, '.json')
        part = read_json(path) if path.exists() else None
        return bool(part and part['whole'] and part['inputs'] == self.inputs)

    @classmethod
    def of(cls, layout: Layout, name: str, options: PrepareOptions) -> VideoPlan:
        """Look at a video and at all that is said of it."""
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
        inputs = {'files': [[str(one.resolve()), one.stat().st_size, one.stat().st_mtime_ns]
                            for one in files], 'options': options.what_counts}
        return cls(name, path, subjects, crops, transcript, media, fault, inputs)


def part_path(out: Path, name: str, suffix: str) -> Path:
    """Return where a video's part lies: its rows, or what they depend on."""
    return out / _PARTS / f'{name}{suffix}'
