import json

import pytest

from maven_ros.errors import SettingsError
from maven_ros.model.configuration import MavenConfig


def test_survives_json():
    config = MavenConfig(name='other', face_channels=(8, 16), head='raw')
    assert MavenConfig.from_dict(json.loads(config.to_json_string())).own() == config.own()


@pytest.mark.parametrize(('values', 'message'), [
    ({'head': 'round'}, r"head: 'round' is not 'polar' or 'raw'"),
    ({'crop_px': 0}, 'crop_px: 0 is not a whole number above 0'),
    ({'crop_px': True}, 'crop_px: True is not a whole number'),
    ({'text_layers': 1.5}, r'text_layers: 1\.5 is not a whole number'),
    ({'dropout': 1.0}, r'dropout: 1\.0 is not in \[0, 1\)'),
    ({'head_dropout': float('nan')}, 'head_dropout: nan is not a finite number'),
    ({'mel_high_hz': 9000.0}, r'50\.0, 9000\.0 do not rise inside \[0, 8000\]'),
    ({'log_mel_std': 0.0}, r'log_mel_std: 0\.0 is not positive'),
    ({'fusion_heads': 5}, 'fusion_width: 96 is not even, or no multiple of its 5 heads'),
    ({'face_channels': ()}, r'face_channels: \(\) is not a row'),
    ({'face_channels': (8, 12)}, 'are not all multiples of 8'),
    ({'name': ''}, "name: '' is not a name"),
])
def test_refuses_what_cannot_be(values, message):
    with pytest.raises(SettingsError, match=message):
        MavenConfig(**values)


@pytest.mark.parametrize(('change', 'message'), [
    ({'model_type': 'bert'}, "model_type: 'bert' is not 'maven'"),
    ({'depth': 3}, 'unknown: depth'),
    ({'crop_px': None}, 'crop_px: None is not'),
])
def test_refuses_another_config_json(change, message):
    with pytest.raises(SettingsError, match=message):
        MavenConfig.from_dict({**MavenConfig().to_dict(), **change})


def test_names_what_is_missing():
    values = MavenConfig().to_dict()
    del values['head'], values['crop_px']
    with pytest.raises(SettingsError, match='missing: crop_px, head'):
        MavenConfig.from_dict(values)
