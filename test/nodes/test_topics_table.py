"""The tables of docs/ros2.md say what the node opens: names, types, quality of service."""


from waiting import eventually

from maven_ros.cli.reference import TOPICS
from maven_ros.graph.interface import STATE
from maven_ros.nodes.affect_node import AffectNode
from maven_ros.settings import Settings


class Watched:
    """A graph that keeps what is opened on it."""

    def __init__(self, graph):
        self._graph = graph
        self.opened = {}

    def __getattr__(self, name):
        return getattr(self._graph, name)

    def advertise(self, topic, msgtype, qos):
        self.opened[self.resolve(topic)] = 'out', msgtype, qos
        return self._graph.advertise(topic, msgtype, qos)

    def subscribe(self, topic, msgtype, qos, callback):
        self.opened[self.resolve(topic)] = 'in', msgtype, qos
        return self._graph.subscribe(topic, msgtype, qos, callback)


def test_whatever_the_node_opens_stands_in_the_tables(graph, running):
    table = {graph.resolve(one.name): one for one in TOPICS
             if '<' not in one.name}  # as many as there are people
    inputs = {topic for topic, one in table.items() if one.direction == 'in'}
    for topic in inputs:
        graph.advertise(topic, table[topic].types[0], STATE)
    watched = Watched(graph)
    running(AffectNode(watched, Settings().with_values({'speech.recogniser': 'none'})))
    eventually(lambda: inputs <= set(watched.opened), what=lambda: inputs - set(watched.opened))
    opened = {topic: what for topic, what in watched.opened.items()
              if topic in table or not topic.startswith('/humans/')}
    assert inputs | {'/affect/state', '/affect/utterance', '/diagnostics'} <= set(opened)
    for topic, (direction, msgtype, qos) in opened.items():
        assert (direction, qos) == (table[topic].direction, table[topic].qos), topic
        assert msgtype in table[topic].types, topic
