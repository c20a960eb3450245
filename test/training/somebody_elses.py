"""Corpora of another package, which is installed and is not ours."""

from maven_ros.training.listed import CorpusSettings

OUTSIDE = '''
"""A corpus that somebody else has: hums of three people, rated."""

import numpy as np

from maven_ros.training.corpus import Examples


class Hums:
    name, modality, licence = 'hums', 'audio', 'CC0'
    PEOPLE = {'train': ['ann', 'bob'], 'valid': ['cid'], 'test': ['dot']}

    def __init__(self, folder):
        self.level = float((folder / 'level.txt').read_text())

    def read(self, split):
        people = self.PEOPLE[split]
        hum = np.sin(np.arange(12_000) / 20).astype(np.float32) * np.float32(self.level)
        return Examples([hum] * len(people), np.full((len(people), 2), 0.5, np.float32),
                        np.full((len(people), 2), 0.2, np.float32), people=tuple(people))


class Overlapping(Hums):
    PEOPLE = {'train': ['ann'], 'valid': ['ann']}


class Loud(Hums):
    def read(self, split):
        examples = super().read(split)
        examples.targets[:] = 3
        return examples


class Smells(Hums):
    modality = 'smell'


class Nameless(Hums):
    name = None


class Silent:
    name, modality, licence = 'silent', 'audio', 'CC0'
'''


def write_outside(folder, data, monkeypatch):
    """Install the package below a folder, and write its files beside the other corpora."""
    package = folder / 'site' / 'elsewhere'
    package.mkdir(parents=True)
    (package / '__init__.py').touch()
    (package / 'corpora.py').write_text(OUTSIDE)
    monkeypatch.syspath_prepend(folder / 'site')
    (data / 'hums').mkdir(exist_ok=True)
    (data / 'hums/level.txt').write_text('0.25')


def outside(name='Hums', **values):
    return CorpusSettings(f'elsewhere.corpora:{name}', 'hums', **values)
