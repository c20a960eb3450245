import pytest
import torch

from maven_ros.errors import SettingsError
from maven_ros.model.fusion import Features
from maven_ros.model.time_grid import Aligned
from maven_ros.training.people.clip_inputs import InputSettings, deny


def features():
    """Two clips of three slots: the second has no sound, and words in one slot."""
    torch.manual_seed(0)
    mask = torch.ones(2, 3, dtype=torch.bool)
    heard, spoken = mask.clone(), mask.clone()
    heard[1], spoken[1] = False, torch.tensor([False, True, False])
    return Features(*(Aligned(torch.randn(2, 3, width), own) for width, own in (
        (4, mask), (5, heard), (6, spoken))), 0.1)


def test_everything_is_given_by_default():
    whole = features()
    given = deny(whole, InputSettings())
    for own, other in zip(given.streams, whole.streams, strict=True):
        assert torch.equal(own.values, other.values) and torch.equal(own.mask, other.mask)
    assert InputSettings().live


def test_one_modality_may_stand_alone():
    given = deny(features(), InputSettings(modalities=('audio',)))
    assert given.present.tolist() == [[False, True, False], [False, False, False]]


def test_pooled_sound_and_words_are_one_vector_each():
    whole = features()
    given = deny(whole, InputSettings(pooled=True))
    assert torch.equal(given.video.values, whole.video.values)
    assert torch.allclose(given.audio.values[0], whole.audio.values[0].mean(0).expand(3, -1))
    assert torch.allclose(given.text.values[1], whole.text.values[1, 1].expand(3, -1))
    assert given.text.mask.all() and not given.audio.mask[1].any()


def test_unmasked_is_zeros_for_what_is_missing():
    given = deny(features(), InputSettings(masked=False))
    assert all(own.mask.all() for own in given.streams)
    assert not given.audio.values[1].any() and not given.text.values[1, 0].any()


def test_dropout_always_leaves_something():
    every = torch.ones(2, 3, dtype=torch.bool)
    assert torch.equal(deny(features(), InputSettings(), every).present, features().present)
    dropped = torch.tensor([[True, False, False], [True, True, False]])
    given = deny(features(), InputSettings(), dropped)
    assert given.present.tolist() == [[False, True, True], [False, False, True]]
    alone = deny(features(), InputSettings(modalities=('video', 'audio')), dropped)
    assert alone.present.tolist() == [[False, True, False], [True, False, False]]


@pytest.mark.parametrize(('values', 'message'), [
    ({'modalities': ('face',)}, r"modalities: \('face',\) is not some of 'video', 'audio'"),
    ({'modalities': ()}, r'modalities: \[\]; allowed'),
    ({'modalities': ('video', 'video')}, 'each once'),
    ({'dropout': 1.0}, r'dropout: 1.0 is not float in \[0, 1\)'),
])
def test_settings_that_cannot_be_are_refused(values, message):
    with pytest.raises(SettingsError, match=message):
        InputSettings(**values)


@pytest.mark.parametrize('values', [{'modalities': ('video',)}, {'pooled': True},
                                    {'masked': False}])
def test_less_is_not_what_the_node_gives(values):
    assert not InputSettings(**values).live
