"""Shared by the tests of replays."""

import pytest
from inputs import SAMPLE

from maven_ros.replay.from_media import bags_from_media


@pytest.fixture(scope='session')
def sample(tmp_path_factory):
    """The shipped clip as a bag."""
    folder = tmp_path_factory.mktemp('sample')
    return bags_from_media([SAMPLE], folder, width=320)[0].path
