"""A domain of DDS, on this machine alone, that no other test and no other program shares."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from uuid import uuid4

import pytest

#: Another for each wire: a process has one configuration of each number, and a tag is part of it.
_domains = itertools.cycle(random.sample(range(1, 101), 100))


def new_wire(tagged: bool = True) -> dict[str, str]:
    """
    Return a wire that nobody is on, as environment variables.

    :param tagged: false for nodes of rclpy, which have no tag: only the number keeps them apart.
    """
    return {'ROS_DOMAIN_ID': str(next(_domains)), 'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
            'MAVEN_ROS_DISCOVERY_TAG': uuid4().hex if tagged else ''}


@contextmanager
def on_wire(wire: Mapping[str, str]) -> Iterator[None]:
    """
    Let graphs that are opened meanwhile, here and in processes started meanwhile, be on a wire.

    Each test is on one of its own already (conftest.py); what several share needs one, too.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name, value in wire.items():
            patch.setenv(name, value)
        for name in ('ROS_LOCALHOST_ONLY', 'ROS_STATIC_PEERS', 'CYCLONEDDS_URI'):
            patch.delenv(name, raising=False)
        yield
