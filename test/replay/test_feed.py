"""A bag's messages reach the pipeline as in the node, however slow the recogniser is."""

import itertools
import threading
import time

import pytest

from maven_ros.counters import Counters
from maven_ros.graph.bag.bag_graph import BagGraph
from maven_ros.intake.intake import Intake
from maven_ros.pipeline import Pipeline
from maven_ros.records import NS, AffectState, Utterance
from maven_ros.replay import feed as feeding
from maven_ros.replay.feed import Feed
from maven_ros.replay.from_media import START_NS
from maven_ros.senses.speech import open_recogniser
from maven_ros.senses.speech.ahead import AheadRecogniser
from maven_ros.settings import Settings

SETTINGS = Settings()


@pytest.fixture(scope='module')
def messages(sample):
    """Five seconds of a clip, in which somebody speaks."""
    with BagGraph(sample) as graph:
        return [one for one in graph.read(graph.topics())
                if one.received_ns < START_NS + 5 * NS]


@pytest.fixture(scope='module')
def at_once(messages, whisper_base):
    """What a pipeline says that recognises as the sound comes in, and when."""
    known = []
    with Pipeline(SETTINGS) as pipeline:
        intake = Intake(SETTINGS.audio, Counters())
        for received in messages:
            for tick_ns in range(intake.now_ns + NS // 20, received.received_ns, NS // 20) \
                    if intake.now_ns else ():
                known += [(tick_ns, one) for one in pipeline.advance(tick_ns)]
            for record in intake.take(received):
                known += [(intake.now_ns, one) for one in pipeline.feed(record, intake.now_ns)]
        return known + [(intake.now_ns, one) for one in pipeline.finish()]


class Halting:
    """A recogniser that now and then takes its time."""

    def __init__(self, recogniser):
        self._recogniser = recogniser
        self._calls = itertools.count()

    def __getattr__(self, name):
        return getattr(self._recogniser, name)

    def accept(self, *sound):
        if next(self._calls) % 40 == 20:
            time.sleep(0.3)
        return self._recogniser.accept(*sound)


@pytest.mark.parametrize('slow', [False, True])
def test_what_is_known_and_when_does_not_depend_on_the_recognisers_speed(
        messages, at_once, slow):
    recogniser = open_recogniser(SETTINGS.speech, Counters())
    with AheadRecogniser(Halting(recogniser) if slow else recogniser) as speech, \
            Pipeline(SETTINGS, speech=speech) as pipeline:
        feed = Feed(pipeline, speech, 60 * NS)
        known = [one for received in messages for one in feed.take(received)] + feed.finish()
    said = [(at.known_ns, one) for at in known for one in at.outputs]
    assert repr(said) == repr(at_once)
    assert sum(isinstance(one, Utterance) for _, one in said) >= 3
    assert all(at.took_s > 0 for at in known[:-1])


class Stuck:
    """A recogniser that says nothing before it is let."""

    name, speaking, learnt = 'stuck', False, None

    def __init__(self):
        self.lets = threading.Event()

    def accept(self, segment):
        assert self.lets.wait(20)
        return []

    def finish(self):
        return []

    def close(self):
        """Nothing is held."""


def test_recognition_is_waited_for_when_it_is_too_far_behind(messages, monkeypatch):
    monkeypatch.setattr(feeding, 'AHEAD_NS', NS)
    stuck = Stuck()
    with AheadRecogniser(stuck) as speech, Pipeline(SETTINGS, speech=speech) as pipeline:
        feed = Feed(pipeline, speech, 60 * NS)
        early = [one for one in messages if one.received_ns < START_NS + NS]
        assert not any(at.outputs for received in early for at in feed.take(received))
        threading.Timer(0.1, stuck.lets.set).start()
        for received in messages[len(early):]:
            known = feed.take(received)
            if any(isinstance(one, AffectState) for at in known for one in at.outputs):
                break
        assert stuck.lets.is_set()
