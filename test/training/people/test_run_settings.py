import re
from pathlib import Path

import pytest
import yaml

from maven_ros.errors import SettingsError
from maven_ros.resources import resource
from maven_ros.training.people.run_settings import read_run_settings

LOOP = {'epochs': 1, 'batch_size': 2, 'learning_rate': 0.1}


def test_the_shipped_ones_can_be_read():
    ours = read_run_settings(resource('config/train/affwild2.yaml'))
    assert ours.inputs.live and ours.loop.patience and ours.loss.agreement == 1
    # arXiv 2503.12623, section 3.8, and the authors' code.
    paper = read_run_settings(resource('config/train/paper.yaml'), 'somewhere')
    assert (paper.loop.learning_rate, paper.loop.weight_decay) == (1e-4, 1e-2)
    assert (paper.loop.epochs, paper.loop.batch_size, paper.loop.clip_norm) == (200, 16, 1.0)
    assert paper.loss.agreement == 0.1 and paper.loop.schedule == 'plateau'
    assert paper.model == 'somewhere'


@pytest.mark.parametrize(('values', 'message'), [
    ({'colour': 1}, 'run.yaml: unknown: colour'),
    ({'loop': {**LOOP, 'colour': 1}}, 'run.yaml.loop: unknown: colour'),
    ({'keep': ['face_encoder']}, r"keep: \('face_encoder',\) is not some of 'fusion', 'cont"),
    ({'network': {'crop_px': 5}}, 'network: unknown: crop_px; allowed: fusion_width'),
    ({'tune': {'video': -1}}, 'run.yaml.tune: video: -1 is not int of at least 0'),
    ({'loss': {'window': 0}}, 'window, frames: both are 0; allowed: at least one above 0'),
    ({'loss': {'agreement': -1}}, 'agreement: -1.0 is not float of at least 0'),
    ({'smoothing_s': 0}, 'smoothing_s: 0.0 is not float above 0'),
    ({'loop': {**LOOP, 'patience': 3}}, "select: ''; allowed: a figure, as pat"),
])
def test_what_cannot_be_is_named(tmp_path, values, message):
    path = tmp_path / 'run.yaml'
    path.write_text(yaml.safe_dump({'loop': LOOP, **values}))
    with pytest.raises(SettingsError, match=message):
        read_run_settings(path)


def test_a_file_that_is_none_is_named():
    with pytest.raises(SettingsError, match=r'/nowhere.yaml: cannot be read'):
        read_run_settings(Path('/nowhere.yaml'))


def test_every_setting_of_the_paper_says_whose_it_is():
    lines = resource('config/train/paper.yaml').read_text('utf-8').splitlines()
    own = [line for line in lines if re.match(r'  \w+: |keep: ', line)]
    assert len(own) == 20
    for line in own:
        assert re.search(r'# (paper|code|ours)\b', line), line
