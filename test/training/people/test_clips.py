import numpy as np
import pytest

from maven_ros.errors import SettingsError
from maven_ros.records import NS
from maven_ros.rules import Grid
from maven_ros.training.people.clips import ClipSettings, label

NAN = float('nan')
# Five frames a second for two seconds; the third is unlabelled.
STAMPS = np.arange(10) * NS // 5
VALUES = np.stack([np.arange(10) / 10, -np.arange(10) / 10], 1).astype(np.float32)
VALUES[2] = NAN


def test_slots_and_windows_have_the_means_of_their_labelled_frames():
    labels = label(STAMPS, VALUES, np.array([0, NS]), Grid(4, 0.5))
    # [0, 0.5) has frames 0, 1 and 2, the last of them unlabelled; [0.5, 1) has 3 and 4.
    assert labels.slots[0, :, 0].tolist() == pytest.approx([0.05, 0.35, 0.6, 0.85])
    assert labels.slots[0, :, 1].tolist() == pytest.approx([-0.05, -0.35, -0.6, -0.85])
    assert labels.points[0].tolist() == pytest.approx([43 / 90, -43 / 90])
    # The second window begins at 1 s and ends after the last frame.
    assert labels.slots[1, :, 0].tolist() == pytest.approx([0.6, 0.85, NAN, NAN], nan_ok=True)
    assert labels.points[1, 0].item() == pytest.approx(0.7)


def test_a_target_may_be_the_end_of_a_window_alone():
    labels = label(STAMPS, VALUES, np.array([0, NS]), Grid(4, 0.5), target_s=0.5)
    assert labels.points[0, 0].item() == pytest.approx(0.85)
    assert np.isnan(labels.points[1].numpy()).all()


def test_a_window_before_the_first_frame_is_not_labelled():
    labels = label(STAMPS, VALUES, np.array([-2 * NS]), Grid(4, 0.5))
    assert np.isnan(labels.points.numpy()).all() and np.isnan(labels.slots.numpy()).all()


@pytest.mark.parametrize(('values', 'message'), [
    ({'length_s': 0.0}, 'length_s: 0.0 is not float above 0'),
    ({'stride': 0}, 'stride: 0 is not int of at least 1'),
    ({'target_s': 3.0}, 'target_s: 3.0 is longer than length_s, 2.0'),
])
def test_settings_that_cannot_be_are_refused(values, message):
    with pytest.raises(SettingsError, match=message):
        ClipSettings(**values)
