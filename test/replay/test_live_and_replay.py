"""What a node took live, replayed from a bag, gives the same states to the last bit."""

import threading
import time

from inputs import SAMPLE
from ros4hri_detector import Detector
from waiting import eventually

from maven_ros.devices.player import Player
from maven_ros.graph.bag.bag_graph import BagGraph
from maven_ros.graph.convert import state_record
from maven_ros.graph.dds.dds_graph import DdsGraph
from maven_ros.graph.interface import STATE, Qos, Reliability
from maven_ros.graph.messages import from_cdr
from maven_ros.graph.topics import STATE_TOPIC
from maven_ros.intake.input_reader import InputReader
from maven_ros.intake.intake import Intake
from maven_ros.nodes.affect_node import AffectNode
from maven_ros.records import NS, Frame, Modality
from maven_ros.replay.replay import ReplayOptions, replay
from maven_ros.replay.state_table import read_states
from maven_ros.settings import AudioSettings, Settings

ENOUGH = 12  # states of each person
STATES = 'maven_ros/msg/AffectState'
#: What is heard of a live recogniser by the time a window closes is a matter of speed.
QUIET = Settings().with_values({'speech.recogniser': 'none'})
ALL = Qos(Reliability.RELIABLE, 1000)


class Recording(Intake):
    """The node's intake; writes what it takes into a bag, in that order, when it took it."""

    bag = None

    def take(self, received, clock_ns=0):
        records = super().take(received, clock_ns)
        self._written_ns = max(self.now_ns, getattr(self, '_written_ns', 0) + 1)
        topic = self.bag.advertise(received.topic, received.msgtype, STATE)
        topic.publish_cdr(received.cdr, self._written_ns)
        return records


def count(states, person_id):
    return sum(one.person_id == person_id for one in states)


def play_live(path, monkeypatch):
    """
    Play a clip to a node, which writes what it takes into a bag; return its states.

    After a while a detector appears, whose faces it takes from then on.
    """
    states = []
    with DdsGraph() as graph, DdsGraph() as own, BagGraph(path, 'w') as bag:
        monkeypatch.setattr(Recording, 'bag', bag)
        monkeypatch.setattr('maven_ros.nodes.affect_node.Intake', Recording)
        heard = graph.subscribe(STATE_TOPIC, STATES, ALL, lambda received: states.append(
            state_record(from_cdr(received.cdr, received.msgtype))))
        node, stop = AffectNode(own, QUIET), threading.Event()
        player = Player(graph, SAMPLE, subscribers=1, width=320)
        threads = [threading.Thread(target=one.run, args=(stop,)) for one in (node, player)]
        try:
            threads[0].start()
            eventually(heard.publisher_count, what='no node')
            threads[1].start()
            eventually(lambda: count(states, 'person_1') >= ENOUGH, what=states)
            Detector(graph, every=2)
            eventually(lambda: count(states, 'abcde') >= ENOUGH, what=states)
        finally:
            stop.set()
            for one in threads:
                one.join()
        eventually(lambda: len(states) == node.states_published, what='states are lost on the way')
    return states


def passed_ns(bag):
    """Return the time that both pictures and sound have passed in a bag."""
    reader, ends_ns = InputReader(AudioSettings()), {}
    with BagGraph(bag) as graph:
        topics = [topic for topic in graph.topics() if 'humans' not in topic]
        for received in graph.read(topics):
            record = reader.read(received)
            ends_ns[received.topic] = record.stamp_ns if isinstance(record, Frame) \
                else record.end_ns
    assert len(ends_ns) == 2
    return min(ends_ns.values())


def test_a_node_and_the_replay_of_what_it_took_say_the_same(tmp_path, monkeypatch):
    live = play_live(tmp_path / 'bag', monkeypatch)
    summary = replay(tmp_path / 'bag', QUIET, tmp_path / 'out', ReplayOptions())
    replayed = read_states(tmp_path / 'out' / 'states.parquet')
    until_ns = passed_ns(tmp_path / 'bag')  # later windows end with the bag there, by waits here
    both = [[one for one in states if one.window_end_ns <= until_ns]
            for states in (live, replayed)]
    assert len(both[0]) >= ENOUGH  # on a busy machine the last ones end by waits
    for one, other in zip(*both, strict=True):
        assert repr(one) == repr(other)
    assert any(one.modalities == Modality.VIDEO | Modality.AUDIO for one in replayed)
    assert summary.people == ['abcde', 'person_1']
    assert time.time_ns() - summary.end_ns < 600 * NS  # live time, not a made bag's
