"""A subscription of ROS's that asks for something else is not deaf meanwhile; without ROS here."""

import types

import pytest

from maven_ros.counters import Counters
from maven_ros.graph.interface import Reliability
from maven_ros.graph.ros.ros_subscription import RosSubscription

RELIABLE, BEST_EFFORT = Reliability.RELIABLE, Reliability.BEST_EFFORT


class Graph:
    """What a subscription uses of its graph."""

    def __init__(self):
        self.node, self.counters, self.destroyed = self, Counters(), []

    def destroy_subscription(self, one):
        self.destroyed.append(one.asked)

    def forget(self, one):
        self.destroyed.append('forgotten')

    def now_ns(self):
        return 5


@pytest.fixture
def made():
    return []


@pytest.fixture
def graph():
    return Graph()


@pytest.fixture
def got():
    return []


@pytest.fixture
def subscription(graph, made, got):
    def create(asked, deliver):
        made.append(types.SimpleNamespace(asked=asked, deliver=deliver))
        return made[-1]

    return RosSubscription(graph, '/x', 'std_msgs/msg/Bool', True, create,
                           lambda received: got.append(received.cdr))


def test_it_is_made_anew_when_something_else_is_offered(subscription, made):
    for asked in (RELIABLE, RELIABLE, BEST_EFFORT, BEST_EFFORT, RELIABLE):
        subscription.follow(asked)
        assert subscription.reliability is asked
    assert [one.asked for one in made] == [RELIABLE, BEST_EFFORT, RELIABLE]


def test_the_old_one_is_heard_until_the_new_one_is(subscription, graph, made, got):
    subscription.follow(BEST_EFFORT)
    subscription.follow(RELIABLE)
    old, new = made
    old.deliver(b'1')
    subscription.follow(RELIABLE)
    assert graph.destroyed == []
    new.deliver(b'2')
    old.deliver(b'2')  # the same again
    subscription.follow(RELIABLE)
    assert graph.destroyed == [BEST_EFFORT]
    new.deliver(b'3')
    assert got == [b'1', b'2', b'3']


def test_closed_it_is_silent_and_makes_nothing(subscription, graph, made, got):
    subscription.follow(BEST_EFFORT)
    subscription.follow(RELIABLE)
    subscription.close()
    assert graph.destroyed == [BEST_EFFORT, RELIABLE, 'forgotten']
    subscription.follow(BEST_EFFORT)
    made[0].deliver(b'1')
    assert (len(made), got) == (2, [])


def test_a_callback_that_fails_is_counted(graph):
    def fail(received):
        raise RuntimeError('broken')

    calls = []
    subscription = RosSubscription(
        graph, '/x', 'std_msgs/msg/Bool', False, lambda _, deliver: calls.append(deliver), fail)
    subscription.follow(RELIABLE)
    calls[0](b'1')
    assert graph.counters.get('/x', 'callback_error') == 1
