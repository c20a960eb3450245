"""Additions from outside, and the files that CONTRIBUTING names for each kind of addition."""

import re

import pytest
import yaml
from inputs import ROOT
from safetensors.torch import load_file

from maven_ros.cli.main import main

NUMBERS = {'Two': 2, 'Three': 3, 'Four': 4}
SECTIONS = dict(re.findall(r'^## (.+?)\n+(.+?)(?=^## |\Z)',
                           (ROOT / 'CONTRIBUTING.md').read_text(encoding='utf-8'),
                           re.MULTILINE | re.DOTALL))
CORPUS = '''
import numpy as np

from maven_ros.training.corpus import PICTURE_PX, Examples


class Smileys:
    name, modality, licence = 'smileys', 'video', 'CC0'

    def __init__(self, folder):
        self.shades = [int(line) for line in (folder / 'shades.txt').read_text().split()]

    def read(self, split):
        faces = np.zeros((8, PICTURE_PX, PICTURE_PX), np.uint8)
        faces[:, ::2] = np.array(self.shades, np.uint8)[:, None, None]
        faces[:, :, ::3] += 20
        valence = np.linspace(-0.9, 0.9, 8, dtype=np.float32)
        return Examples(faces, np.stack([valence, -valence], 1),
                        people=tuple(f'{split} {n}' for n in range(8)))
'''


@pytest.mark.parametrize(('section', 'files'), [
    ('Add a corpus', 2), ('Add a recogniser', 3), ('Add an output message', 4),
    ('Change a window rule', 2)])
def test_contributing_names_the_files_of_an_addition(section, files):
    text = SECTIONS[section]
    assert NUMBERS[text.split()[0]] == files == len(re.findall(r'^\d\. ', text, re.MULTILINE))
    named = re.findall(r'\]\(([^)]+)\)|`((?:maven_ros|test|msg|launch|tools|config)/[^`]+)`', text)
    paths = [link or path for link, path in named if 'NAME' not in link + path]
    assert paths and not [path for path in paths if not (ROOT / path).exists()]


def test_a_corpus_of_another_package_needs_only_the_recipe(tmp_path, monkeypatch):
    package = tmp_path / 'site' / 'smiling'
    package.mkdir(parents=True)
    (package / '__init__.py').write_text(CORPUS)
    monkeypatch.syspath_prepend(tmp_path / 'site')
    (tmp_path / 'data/smileys').mkdir(parents=True)
    (tmp_path / 'data/smileys/shades.txt').write_text(' '.join(map(str, range(20, 180, 20))))
    recipe = tmp_path / 'recipe.yaml'
    recipe.write_text(yaml.safe_dump({
        'seed': 1, 'corpora': [{'name': 'smiling:Smileys', 'folder': 'smileys'}],
        'faces': {'loop': {'epochs': 1, 'batch_size': 4, 'learning_rate': 0.001,
                           'precision': 'fp32'}}}))
    assert main(['train', str(recipe), '--data', str(tmp_path / 'data'),
                 '--out', str(tmp_path / 'out'), '--device', 'cpu']) == 0
    assert load_file(tmp_path / 'out/faces/encoder.safetensors')
