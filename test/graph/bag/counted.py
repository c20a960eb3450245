"""Bags of counts: a message holds its number, and arrived so many ns after 1000."""

from maven_ros.graph.bag.bag_graph import BagGraph
from maven_ros.graph.interface import STATE
from maven_ros.graph.messages import new, to_cdr

COUNT = 'std_msgs/msg/UInt32'


def count(i):
    return to_cdr(new(COUNT, data=i), COUNT)


def record(path, numbers=range(3), storage='mcap', silent=''):
    """
    Write a bag with counts on ``/x``.

    :param silent: topic without messages.
    """
    with BagGraph(path, 'w', storage) as graph:
        publisher = graph.advertise('/x', COUNT, STATE)
        if silent:
            graph.advertise(silent, COUNT, STATE)
        for i in numbers:
            publisher.publish_cdr(count(i), 1000 + i)
    return path
