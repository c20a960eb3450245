import pytest
import torch

from maven_ros.errors import SettingsError
from maven_ros.records import MODALITIES
from maven_ros.rules import Grid
from maven_ros.training.compact.bank import Bank
from maven_ros.training.compact.compose import Composer, ComposeSettings

GRID = Grid(10, 0.2)
WIDTHS = {'video': 5, 'audio': 4, 'text': 3}


def bank(modality, pieces=40, mark=1.0, versions=2):
    """Pieces whose vectors begin with their target, and end with a mark."""
    random = torch.Generator().manual_seed(len(modality))
    targets = torch.rand(pieces, 2, generator=random) * 1.6 - 0.8
    slots = 1 if modality == 'video' else GRID.slots
    values = torch.zeros(pieces, versions, slots, WIDTHS[modality])
    values[..., :2] = targets[:, None, None]
    values[..., -1] = mark
    mask = torch.ones(pieces, versions, slots, dtype=torch.bool)
    if modality == 'text':
        mask[..., 6:] = False
    return Bank(values, mask, targets, torch.full((pieces, 2), 0.1), torch.ones(pieces))


def composer(**settings):
    quiet = {'alone': 0.0, 'paired': 0.0, 'disagreeing': 0.0, 'noise': 0.0, 'partly': 0.0,
             'changing': 0.0}
    return Composer(ComposeSettings(**{**quiet, **settings}), {
        name: bank(name) for name in MODALITIES}, {
        name: bank(name, mark=-1.0) for name in MODALITIES}, GRID)


def windows(count=400, seed=1, **settings):
    return composer(**settings).windows(count, torch.Generator().manual_seed(seed))


def said(composed, modality):
    """Return what the modality's vectors say, the mean over the slots that count."""
    values, mask = getattr(composed.features, modality)
    return (values[..., :2] * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


def test_the_same_seed_composes_the_same_windows():
    one, other = windows(), windows()
    assert torch.equal(one.features.video.values, other.features.video.values)
    assert torch.equal(one.targets, other.targets)
    assert not torch.equal(one.targets, windows(seed=2).targets)


def test_the_target_is_the_mean_of_what_the_pieces_say_and_the_spread_how_far_they_lie_apart():
    composed = windows(disagreeing=0.3)
    each = torch.stack([said(composed, name) for name in MODALITIES], 1)
    torch.testing.assert_close(composed.targets, each.mean(1))
    variance = each.var(1, correction=0) + 0.1 ** 2
    torch.testing.assert_close(composed.spreads, variance.sqrt())


def test_evidence_agrees_but_where_it_is_meant_not_to():
    near = windows(near=0.05).spreads.mean()
    assert near < 0.25 < windows(disagreeing=1.0).spreads.mean()


def test_noise_counts_for_nothing():
    composed = windows(noise=0.4)
    noisy = torch.stack(
        [stream.values[:, 0, -1] < 0 for stream in composed.features.streams], 1)
    assert torch.equal(composed.informative, ~noisy)
    one = composed.informative.sum(1) == 1
    for index, name in enumerate(MODALITIES):
        alone = one & composed.informative[:, index]
        assert alone.any()
        torch.testing.assert_close(composed.targets[alone], said(composed, name)[alone])


def test_where_all_is_noise_something_is_felt_all_the_same():
    composed = windows(noise=1.0)
    assert not composed.informative.any()
    assert composed.targets.isfinite().all() and composed.targets.std() > 0.1


def test_modalities_are_absent_as_often_as_asked():
    present = windows(2000, alone=0.3, paired=0.5).features.present.sum(1)
    shares = [(present == count).float().mean() for count in (1, 2, 3)]
    assert shares == pytest.approx([0.3, 0.5, 0.2], abs=0.04)
    random = torch.Generator().manual_seed(0)
    complete = composer(alone=1.0, noise=0.5).windows(50, random, MODALITIES)
    assert complete.features.present.all()


def test_partly_missing_evidence_is_never_all_missing():
    composed = windows(partly=1.0)
    assert composed.features.present.all()
    for stream, most in zip(composed.features.streams, (10, 10, 6), strict=True):
        assert 0.3 < stream.mask.float().sum(1).mean() / most < 0.8


def test_faces_may_change_and_then_both_count():
    composed = windows(changing=1.0, near=1.0)
    first = composed.features.video.values[:, 0, :2]
    assert (first - composed.features.video.values[:, -1, :2]).abs().amax() > 0.3
    torch.testing.assert_close(
        composed.targets, torch.stack([said(composed, name) for name in MODALITIES]).mean(0))


def test_taking_away_and_spoiling_leave_the_targets():
    made = composer()
    composed = made.windows(20, torch.Generator().manual_seed(0))
    spoilt = made.with_noise(composed, 'audio', torch.Generator().manual_seed(1))
    assert (spoilt.features.audio.values[..., -1] == -1).all()
    assert composed.only('text').features.present.tolist() == [[False, False, True]] * 20
    assert composed.without('text').features.present.tolist() == [[True, True, False]] * 20
    for other in (spoilt, composed.only('video'), composed.without('video')):
        assert torch.equal(other.targets, composed.targets)


@pytest.mark.parametrize(('settings', 'message'), [
    ({'noise': 1.2}, r'noise: 1\.2 is not float in \[0, 1\]'),
    ({'alone': 0.6, 'paired': 0.6}, r'alone, paired: the sum of 0\.6 and 0\.6 is more'),
    ({'near': 0.0}, r'near: 0\.0 is not float in \(0, 1\]'),
])
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(SettingsError, match=message):
        ComposeSettings(**settings)


def test_a_piece_is_drawn_as_often_as_its_weight_says():
    """Within a cell and between cells, whose counts are weights, too."""
    marked = torch.arange(4.0)[:, None, None, None].expand(-1, 1, GRID.slots, 3)
    targets = torch.tensor([[0.5, 0.5], [0.5, 0.5], [-0.5, 0.5], [-0.5, 0.5]])
    weighed = Bank(marked, torch.ones(4, 1, GRID.slots, dtype=torch.bool), targets,
                   torch.zeros(4, 2), torch.tensor([1.0, 3.0, 0.5, 3.5]))
    settings = ComposeSettings(alone=0, paired=0, disagreeing=1, noise=0, partly=0, changing=0,
                               balance=1)
    composed = Composer(settings, dict.fromkeys(MODALITIES, weighed),
                        dict.fromkeys(MODALITIES, weighed), GRID).windows(
        4000, torch.Generator().manual_seed(0))
    drawn = torch.bincount(composed.features.audio.values[:, 0, 0].long(), minlength=4) / 4000
    assert drawn.tolist() == pytest.approx([1 / 8, 3 / 8, 0.5 / 8, 3.5 / 8], abs=0.03)
