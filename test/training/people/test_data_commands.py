"""The three commands that make data ready, by their own words."""

import pytest
from tiny_encoders import save_checkpoint

from maven_ros.cli.main import main
from maven_ros.training.people.features import FeatureSet


def test_generate_prepare_and_embed_follow_on_each_other(tmp_path, capsys, monkeypatch):
    model = save_checkpoint(tmp_path / 'models')
    monkeypatch.chdir(tmp_path)
    assert main(['data', 'generate', 'aff-wild2', '--out', 'set', '--videos', '3',
                 '--seconds', '2']) == 0
    said = capsys.readouterr().out.split()
    assert said[0] == 'maven-ros' and said[-2:] == ['--out', 'DIR']
    assert main([*said[1:-1], 'prepared', '--speech.recogniser', 'none']) == 0
    shown = capsys.readouterr()
    assert 'train: 2 people, 100 frames, ' in shown.out
    assert 'excluded: 0 people; prepared/report.md says why' in shown.out
    embed = ['data', 'embed', '--data', 'prepared', '--model', model, '--out', 'features',
             '--device', 'cpu']
    assert main([*embed, '--length', '1', '--hop', '0.25']) == 0
    shown = capsys.readouterr().out
    assert shown.startswith('this will take up to ') and shown.endswith('features\n')
    features = FeatureSet(tmp_path / 'features')
    assert (features.length_ns, features.hop_ns) == (1_000_000_000, 250_000_000)
    assert features.windows('2-25-144x144') == 8
    for more, message in (
            (['--length', '1', '--hop', '0.5'], 'holds features: hop_s is 0.25; allowed: 0.5'),
            (['--length', '1', '--hop', '2'], 'hop_s: 2.0 is longer than length_s, 1.0'),
            (['--data', 'set'], 'set: is not a prepared set: it has no prepared.json')):
        assert main([*embed, *more]) == 1
        assert message in capsys.readouterr().err


def test_another_layout_is_named(tmp_path, capsys):
    assert main(['data', 'prepare', 'aff-wild2', '--videos', str(tmp_path), '--annotations',
                 str(tmp_path), '--out', str(tmp_path / 'out')]) == 1
    assert 'expected folders such as batch1 and batch2' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(['data', 'prepare', 'other', '--out', 'x'])
    assert "invalid choice: 'other' (choose from" in capsys.readouterr().err
