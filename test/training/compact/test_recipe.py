import itertools
from dataclasses import dataclass, field
from threading import Event

import pytest
import tiny_whisper
import torch
import yaml
from safetensors.torch import load_file
from somebody_elses import write_outside
from tiny_corpora import write

from maven_ros.cli.main import main
from maven_ros.errors import ResourceError, SettingsError
from maven_ros.model.configuration import MavenConfig
from maven_ros.training.compact.face_stage import FaceStageSettings
from maven_ros.training.compact.recipe import STAGES, build, read_recipe, train


@dataclass(frozen=True)
class Inner:
    share: float = 0.5

    def __post_init__(self):
        if not 0 <= self.share <= 1:
            raise SettingsError(f'share: {self.share!r} is not in [0, 1]')


@dataclass(frozen=True)
class Outer:
    count: int
    sides: tuple[int, ...] = (1,)
    ends: tuple[float, float] = (0.0, 1.0)
    inner: Inner = field(default_factory=Inner)
    name: str = ''


def test_yaml_becomes_dataclasses():
    made = build(Outer, {'count': 2, 'sides': [3, 4], 'ends': [1, 2.5], 'inner': {'share': 1}},
                 'here')
    assert made == Outer(2, (3, 4), (1.0, 2.5), Inner(1.0))
    assert type(made.inner.share) is float


@pytest.mark.parametrize(('values', 'message'), [
    ({}, 'here: missing: count'),
    ({'count': 1, 'colour': 2}, 'here: unknown: colour'),
    ({'count': 1.5}, 'here.count: 1.5 is not int'),
    ({'count': True}, 'here.count: True is not int'),
    ({'count': 1, 'sides': [1, 'a']}, r"here.sides\[1\]: 'a' is not int"),
    ({'count': 1, 'ends': [1, 2, 3]}, r'here.ends: \[1, 2, 3\] is not tuple'),
    ({'count': 1, 'inner': 3}, 'here.inner: 3 is not a mapping'),
    ({'count': 1, 'inner': {'share': 2}}, r'here.inner: share: 2.0 is not in \[0, 1\]'),
    ({'count': 1, 'name': 3}, 'here.name: 3 is not str'),
])
def test_what_cannot_be_is_named(values, message):
    with pytest.raises(SettingsError, match=message):
        build(Outer, values, 'here')


def test_the_shipped_ones_have_every_stage():
    compact, small = read_recipe('compact'), read_recipe('compact-small')
    assert compact.stages.keys() == STAGES.keys() - {'student', 'taken_faces'}
    assert small.stages.keys() == STAGES.keys() - {'voice', 'faces'}
    assert isinstance(compact.stages['faces'], FaceStageSettings)
    assert (compact.network, small.network) == ('compact', 'compact-small')


@pytest.mark.parametrize(('text', 'message'), [
    ('- 1', 'is not a mapping with a whole number as seed'),
    ('seed: x', 'is not a mapping with a whole number as seed'),
    ('{seed: 1, smell: {}}', 'unknown: smell; allowed: network, seed, corpora, faces'),
    ('{network: large, seed: 1}', "mine.yaml: network: 'large' is not compact or compact-small"),
    ('{network: compact, seed: 1, faces: {}}',
     'mine.yaml: corpora: None; allowed: a list of name and folder'),
    ('{network: compact, seed: 1, corpora: [{name: ferplus}]}',
     r'mine.yaml: corpora\[0\]: missing: folder'),
    ('{network: compact, seed: 1, corpora: [{name: ferplus, folder: x, weight: 0}]}',
     r'corpora\[0\]: weight: 0.0 is not float above 0'),
    ('{network: compact, seed: 1, corpora: [{name: ferplus, folder: x}], faces: {}}',
     'mine.yaml: faces: missing: loop'),
])
def test_a_bad_recipe_is_refused_by_name(tmp_path, text, message):
    (tmp_path / 'mine.yaml').write_text(text)
    with pytest.raises(SettingsError, match=message):
        read_recipe(str(tmp_path / 'mine.yaml'))


def test_a_recipe_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r'none.yaml: cannot be read'):
        read_recipe(str(tmp_path / 'none.yaml'))
    (tmp_path / 'bad.yaml').write_text('{')
    with pytest.raises(SettingsError, match=r'bad.yaml, line 1, .* no readable YAML'):
        read_recipe(str(tmp_path / 'bad.yaml'))
    with pytest.raises(ResourceError, match=r'huge: no such recipe; allowed: .* such as compact'):
        read_recipe('huge')


def test_an_unknown_stage_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="stages: 'eyes' is not one of faces, voice"):
        train(read_recipe('compact'), tmp_path, tmp_path, ['eyes'], torch.device('cpu'), Event())


def test_a_corpus_of_another_package_is_learnt_from_when_a_recipe_lists_it(
        tmp_path, monkeypatch):
    """Its module and the recipe are all that it takes."""
    data = write(tmp_path / 'data')
    write_outside(tmp_path, data, monkeypatch)
    small = MavenConfig(audio=tiny_whisper.voice())
    monkeypatch.setattr(MavenConfig, 'compact', lambda: small)
    whisper = str(tiny_whisper.write_whisper(tmp_path / 'whisper'))
    ours = {'name': 'ravdess', 'folder': 'speech/ravdess'}
    theirs = {'name': 'elsewhere.corpora:Hums', 'folder': 'hums', 'weight': 4}
    loop = {'epochs': 1, 'batch_size': 4, 'learning_rate': 0.001, 'precision': 'fp32'}
    heard = {}
    for name, listed in (('ours', [ours]), ('both', [ours, theirs]), ('theirs', [theirs])):
        path = tmp_path / f'{name}.yaml'
        path.write_text(yaml.safe_dump({
            'network': 'compact', 'seed': 1, 'corpora': listed,
            'voice': {'loop': loop, 'whisper': whisper, 'versions': 2}}))
        assert main(['train', str(path), '--data', str(data), '--out', str(tmp_path / name),
                     '--device', 'cpu']) == 0
        heard[name] = load_file(tmp_path / name / 'voice/encoder.safetensors')
    weights = [torch.cat([value.flatten() for value in one.values()]) for one in heard.values()]
    assert not any(torch.equal(one, other) for one, other in itertools.combinations(weights, 2))


def test_the_command_trains_a_stage(tmp_path, capsys):
    loop = {'epochs': 1, 'batch_size': 8, 'learning_rate': 0.001}
    (tmp_path / 'mine.yaml').write_text(yaml.safe_dump(
        {'network': 'compact', 'seed': 1, 'corpora': [{'name': 'ferplus', 'folder': 'faces'}],
         'faces': {'loop': loop, 'sides_px': [16]}}))
    data = write(tmp_path / 'data')
    arguments = ['train', str(tmp_path / 'mine.yaml'), '--data', str(data),
                 '--out', str(tmp_path / 'out'), '--stages', 'faces', '--device', 'cpu']
    assert main(arguments) == 0
    assert (tmp_path / 'out' / 'faces' / 'encoder.safetensors').is_file()
    assert str(tmp_path / 'out') in capsys.readouterr().out
    assert main([*arguments, '--stages', 'voice']) == 1
    assert "stages: 'voice' is not one of faces" in capsys.readouterr().err
