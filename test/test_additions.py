"""Additions from outside, and the files that CONTRIBUTING names for each kind of addition."""

import re
import sys

import numpy as np
import pytest
import yaml
from inputs import ROOT, SAMPLE
from listening import chunks_of
from safetensors.torch import load_file

from maven_ros.cli.main import main
from maven_ros.counters import Counters
from maven_ros.errors import SettingsError
from maven_ros.graph.bag.bag_graph import BagGraph
from maven_ros.graph.topics import hear_affect
from maven_ros.records import Modality
from maven_ros.replay.from_media import bags_from_media
from maven_ros.senses.audio import AudioSense
from maven_ros.senses.speech import SpeechWorker
from maven_ros.settings import AudioSettings, Settings, SpeechSettings

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

RECOGNISER = '''
from maven_ros.records import Utterance, Word
from maven_ros.senses.speech.sound_run import SoundListener, SoundRun


class Counting(SoundListener):
    name, learnt = 'counting', None

    def __init__(self, settings, counters):
        super().__init__()
        self.counters = counters
        self.reset()

    @property
    def speaking(self):
        return self.blocks > 0

    def finish(self):
        return []

    def reset(self):
        self._run, self.heard, self.blocks = SoundRun(), 0, 0

    def close(self):
        self.counters.count(self.name, 'closed')

    def _listen(self, block, voice, hurry):
        start_ns, self.heard = self._run.at_ns(self.heard), self.heard + len(block)
        self.blocks = (self.blocks + 1) % 31  # about a second
        if self.blocks:
            return []
        word = Word('one', start_ns, self._run.at_ns(self.heard), 0.9)
        return [Utterance(word.start_ns, word.end_ns, (word,), True, self.name)]
'''


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Install a package of one module, from its name and text."""
    def install(name, text):
        package = tmp_path / 'site' / name
        package.mkdir(parents=True)
        (package / '__init__.py').write_text(text)
        monkeypatch.syspath_prepend(tmp_path / 'site')

    yield install
    for name in ('smiling', 'counting', 'broken'):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(('section', 'files'), [
    ('Add a corpus', 2), ('Add a recogniser', 3), ('Add an output message', 4),
    ('Change a window rule', 2)])
def test_contributing_names_the_files_of_an_addition(section, files):
    text = SECTIONS[section]
    assert NUMBERS[text.split()[0]] == files == len(re.findall(r'^\d\. ', text, re.MULTILINE))
    named = re.findall(r'\]\(([^)]+)\)|`((?:maven_ros|test|msg|launch|tools|config)/[^`]+)`', text)
    paths = [link or path for link, path in named if 'NAME' not in link + path]
    assert paths and not [path for path in paths if not (ROOT / path).exists()]


def test_a_corpus_of_another_package_needs_only_the_recipe(tmp_path, installed):
    installed('smiling', CORPUS)
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


def test_a_recogniser_of_another_package_needs_only_the_setting(tmp_path, installed):
    installed('counting', RECOGNISER)
    bag, = bags_from_media([SAMPLE], tmp_path / 'bags', width=160)
    assert main(['replay', str(bag.path), '--out', str(tmp_path / 'out'), '--duration', '4',
                 '--speech.recogniser', 'counting:Counting']) == 0
    states, utterances = [], []
    with BagGraph(tmp_path / 'out/bag') as heard:
        hear_affect(heard, lambda state, latency_s: states.append(state), utterances.append)
        heard.play()
    assert [(one.recogniser, one.text) for one in utterances] == [('counting', 'one')] * 3
    assert any(state.modalities & Modality.TEXT for state in states)


def test_a_recogniser_of_another_package_runs_live(installed):
    installed('counting', RECOGNISER)
    counters = Counters()
    with SpeechWorker(SpeechSettings(recogniser='counting:Counting'), counters) as worker:
        sense = AudioSense(AudioSettings(), 10.0, counters)
        for chunk in chunks_of(np.zeros(48_000, np.float32), 10**18, 512):
            for segment in sense.add(chunk):
                worker.put(segment)
        found = worker.finish(10)
    assert [one.text for one in found] == ['one'] * 3
    assert counters.get('counting', 'closed') == 1 and not counters.get('speech', 'failed')


@pytest.mark.parametrize(('name', 'message'), [
    ('nowhere_at_all:Counting', "nowhere_at_all:Counting: No module named 'nowhere_at_all'"),
    ('counting:Cunning', 'counting:Cunning: counting has no such class'),
    ('counting:SoundRun', 'counting:SoundRun: has no method accept'),
])
def test_what_is_no_recogniser_is_named(installed, name, message):
    installed('counting', RECOGNISER)
    with pytest.raises(SettingsError, match=f'^speech.recogniser: {message}'):
        SpeechWorker(SpeechSettings(recogniser=name), Counters())


@pytest.mark.parametrize('name', ['wisper', 'a b:C', ':C', 'a:', '..a:C', 'a:b:c', 'a:b.c'])
def test_what_names_neither_a_recogniser_nor_a_class_is_refused_at_once(name):
    with pytest.raises(SettingsError, match=(
            r"^speech.recogniser: '.*' is not 'whisper' or 'vosk' or 'none' or "
            'package.module:Name')):
        Settings().with_values({'speech.recogniser': name})
