import numpy as np
import pytest
import torch

from maven_ros.training.compact.labels import Labels, accuracy
from maven_ros.training.corpus import Examples

EMOTIONS = ('happy', 'sad')
POINTS = torch.tensor([[0.8, 0.5], [-0.6, -0.3]])
# Somebody named the first; the second was rated.
BOTH = Examples(('a', 'b'), np.array([[0.1, 0.1], [0.4, -0.4]], np.float32), emotions=('sad',),
                shares=np.array([[1], [0]], np.float32))


def test_points_are_those_of_the_emotions_or_the_ratings():
    labels = Labels.of(BOTH, EMOTIONS)
    assert labels.shares.tolist() == [[0, 1], [0, 0]]
    torch.testing.assert_close(labels.points(POINTS), torch.tensor([[-0.6, -0.3], [0.4, -0.4]]))


def test_smoothing_leaves_ratings_alone():
    labels = Labels.of(BOTH, EMOTIONS, 0.2)
    torch.testing.assert_close(labels.shares, torch.tensor([[0.1, 0.9], [0, 0]]))
    assert labels.points(POINTS)[1].tolist() == pytest.approx([0.4, -0.4])


def test_a_blend_of_both_lies_between_their_points():
    labels = Labels.of(BOTH, EMOTIONS)
    blended = Labels(labels.mixed.mean(0, keepdim=True))
    torch.testing.assert_close(blended.points(POINTS), torch.tensor([[-0.1, -0.35]]))


def test_accuracy_is_of_what_was_named():
    logits = torch.tensor([[0.0, 1.0], [1.0, 0.0], [1.0, 0.0]])
    shares = np.array([[0, 1], [0, 0], [0.5, 0.5]], np.float32)  # the first of two maxima
    assert accuracy(logits, shares) == 1.0
    assert accuracy(-logits, shares) == 0.0
    assert np.isnan(accuracy(logits[1:2], shares[1:2]))
