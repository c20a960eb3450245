"""Shared by all tests: a DDS domain of their own, and the data that lies beside the checkout."""

from __future__ import annotations

import importlib.util
import random
from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parents[2] / 'shared' / 'data'


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs ROS 2 where there is none."""
    if importlib.util.find_spec('rclpy') is None:
        for item in items:
            if item.get_closest_marker('ros'):
                item.add_marker(pytest.mark.skip(reason='skipped: no rclpy'))


@pytest.fixture(autouse=True)
def _own_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every test, and the processes it starts, off the network and apart from the others."""
    monkeypatch.setenv('ROS_DOMAIN_ID', str(random.randint(1, 100)))
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    for name in ('ROS_LOCALHOST_ONLY', 'ROS_STATIC_PEERS', 'CYCLONEDDS_URI'):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope='session')
def shared_data() -> Path:
    """Folder of the shared data; skips where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip('no shared data')
    return SHARED_DATA
