"""The topics of a detector of ROS4HRI are listened to while it runs."""

import pytest

from maven_ros.counters import Counters
from maven_ros.graph.interface import STATE
from maven_ros.intake.face_pairing import IDS_LIST, LANDMARKS, REGION
from maven_ros.intake.face_topics import FaceTopics, part_topics


@pytest.fixture
def topics(graph):
    with FaceTopics(graph, Counters(), lambda received: None) as topics:
        yield topics


@pytest.fixture
def lists(graph, topics):
    publisher = graph.advertise('humans/faces/tracked', IDS_LIST, STATE)
    topics.look()
    return publisher


def test_those_who_are_listed_are_followed_and_nobody_else(graph, topics, lists):
    for person_id in ('abcde', 'fghij'):
        topics.follow((person_id,))
        assert set(topics._people) == {person_id}
        assert [one.topic for one in topics._people[person_id]] == [
            f'/humans/faces/{person_id}/{part}' for part in ('roi', 'landmarks')]


def test_lists_are_heard_while_somebody_publishes_them(graph, topics, lists):
    assert topics._lists is not None
    topics.follow(('abcde',))
    lists.close()
    topics.look()
    assert topics._lists is None and not topics._people
    topics.follow(('abcde',))  # the newest list, whose detector is gone
    assert not topics._people


def test_nobody_is_heard_who_is_not_wanted(graph):
    graph.advertise('humans/faces/tracked', IDS_LIST, STATE)
    topics = FaceTopics(graph, Counters(), lambda received: None, wanted=False)
    topics.look()
    assert topics._lists is None


def test_the_topics_of_faces_are_told_by_their_names_and_types():
    known = {'/r2/humans/faces/tracked': IDS_LIST, '/r2/humans/faces/a/roi': REGION,
             '/r2/humans/faces/a/landmarks': LANDMARKS, '/r2/humans/faces/b/roi': LANDMARKS,
             '/r2/humans/faces/b/cropped': 'sensor_msgs/msg/Image',
             '/humans/faces/c/roi': REGION, '/r2/humans/faces/a/b/roi': REGION}
    assert part_topics('/r2/humans/faces/tracked', known) == [
        '/r2/humans/faces/a/roi', '/r2/humans/faces/a/landmarks']
