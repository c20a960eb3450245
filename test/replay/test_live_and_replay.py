"""The same clip through live DDS at real time and through a replay gives the same windows."""

import subprocess
import sys
import threading
import time

import pytest

from maven_ros.devices.player import Player
from maven_ros.graph.bag.bag_graph import BagGraph
from maven_ros.graph.dds.dds_graph import DdsGraph
from maven_ros.graph.interface import STATE
from maven_ros.graph.messages import from_cdr
from maven_ros.graph.topics import hear_affect
from maven_ros.nodes.recorder import Recorder
from maven_ros.records import NS
from maven_ros.replay.from_media import START_NS
from maven_ros.replay.replay import ReplayOptions, replay
from maven_ros.replay.state_table import read_states
from maven_ros.resources import resource
from maven_ros.settings import Settings

PLAYED_S = 6.0
LOSSES = ('late', 'full', 'lost', 'gap', 'out_of_order', 'closed_without', 'slept', 'jump')


def play_live(bag_path):
    """Return the states of a node while a clip is played to it, and what it has dropped."""
    states, dropped = [], {}

    def diagnostic(received):
        status = from_cdr(received.cdr, received.msgtype).status[0]
        dropped.update({one.key: one.value for one in status.values
                        if any(name in one.key for name in LOSSES) and '(' not in one.key})

    node = subprocess.Popen([sys.executable, '-m', 'maven_ros', 'run', '--log-level', 'error',
                             '--speech.recogniser', 'none'])
    stop = threading.Event()
    try:
        with DdsGraph() as graph, BagGraph(bag_path, 'w') as bag:
            heard, _ = hear_affect(graph, lambda state, _: states.append(state), print)
            graph.subscribe('/diagnostics', 'diagnostic_msgs/msg/DiagnosticArray', STATE,
                            diagnostic)
            while not heard.publisher_count():
                time.sleep(0.05)
                assert node.poll() is None
            recorder = threading.Thread(target=Recorder(
                graph, bag, ['/camera/image_raw', '/audio']).run, args=(stop,))
            recorder.start()
            ended = threading.Event()
            player = Player(graph, resource('media/sample.mp4'), subscribers=2, width=320)
            threading.Timer(PLAYED_S, ended.set).start()
            player.run(ended)
            time.sleep(1.2)  # the last windows, and the last diagnostics
            stop.set()
            recorder.join()
    finally:
        stop.set()
        node.terminate()
        node.wait(10)
    return states, dropped


def test_live_and_replayed_windows_are_the_same(tmp_path):
    live, dropped = play_live(tmp_path / 'bag')
    if dropped:
        pytest.skip(f'this machine was too busy to take all in live: {dropped}')
    settings = Settings().with_values({'speech.recogniser': 'none'})
    summary = replay(tmp_path / 'bag', settings, tmp_path / 'out', ReplayOptions())
    replayed = read_states(tmp_path / 'out' / 'states.parquet')
    ends_ns = summary.start_ns, summary.end_ns - NS  # at its end, live waits and stops
    both = [[one for one in states if ends_ns[0] <= one.window_end_ns <= ends_ns[1]]
            for states in (live, replayed)]
    assert len(both[0]) >= 15
    for one, other in zip(*both, strict=True):
        assert (one.window_end_ns, one.person_id, one.modalities, one.status) == (
            other.window_end_ns, other.person_id, other.modalities, other.status)
        assert vector(one) == pytest.approx(vector(other), abs=1e-3, nan_ok=True)
    assert any(one.modalities == 3 for one in replayed)
    assert summary.start_ns > START_NS  # live time, not a made bag's


def vector(state):
    return [state.affect.valence, state.affect.arousal, state.valence_std, state.arousal_std,
            *state.influence]
