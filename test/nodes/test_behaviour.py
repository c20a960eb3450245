"""The example behaviour, on the embedded graph, and on real clips."""

import time
from dataclasses import replace

import pytest
from inputs import SAMPLE
from waiting import eventually

from maven_ros.acting.decisions import read_decisions
from maven_ros.affect import Affect
from maven_ros.devices.media import read_media
from maven_ros.graph.convert import event_message, state_message
from maven_ros.graph.interface import STATE
from maven_ros.graph.topics import (
    BEHAVIOUR_TOPIC,
    DISTANCE_TOPIC,
    EVENT_TOPIC,
    GAZE_TOPIC,
    LED_TOPIC,
    OUTPUT_TYPES,
    ROBOT_TYPES,
    STATE_SMOOTHED_TOPIC,
    STYLE_TOPIC,
)
from maven_ros.nodes.behaviour import Behaviour
from maven_ros.pipeline import Pipeline
from maven_ros.records import (
    NS,
    AffectEvent,
    AffectState,
    Box,
    EventKind,
    Modality,
    Status,
    VoiceAssigned,
)
from maven_ros.settings import Settings


def event(kind, region='', person='person_1'):
    nothing = Affect(0.0, 0.0)
    return AffectEvent(NS, kind, person, NS, nothing, nothing, 0.5, region)


def seen(person='person_1', affect=Affect(0.8, 0.0)):  # noqa: B008
    return AffectState(
        0, 2 * NS, Status.OK, person, affect, 0.1, 0.1, Modality.VIDEO, (1.0, 0.0, 0.0),
        VoiceAssigned.NONE, '', Box(10, 20, 30, 40), 'camera', 'made up')


class Rig:
    """A behaviour that runs, what it says, and a way to tell it things."""

    def __init__(self, graph, listen, running, **options):
        self.heard = {topic: listen(topic, msgtype) for topic, msgtype in ROBOT_TYPES.items()}
        self._graph = graph
        self._out = {topic: graph.advertise(topic, OUTPUT_TYPES[topic], STATE)
                     for topic in (EVENT_TOPIC, STATE_SMOOTHED_TOPIC)}
        self.running = running(Behaviour(graph, read_decisions(), **options))
        eventually(lambda: all(one.subscription_count() for one in self._out.values()))

    def tell(self, *told):
        for one in told:
            if isinstance(one, AffectEvent):
                self._out[EVENT_TOPIC].publish(event_message(one))
            else:
                self._out[STATE_SMOOTHED_TOPIC].publish(state_message(one, 0))

    def waits_for(self, words, *told, within_s=10.0):
        """Tell it things again and again until it says some words; return the newest of all."""
        deadline = time.monotonic() + within_s
        while words not in (self.heard[BEHAVIOUR_TOPIC].messages or [None])[-1:][0].__repr__():
            assert time.monotonic() < deadline, self.heard[BEHAVIOUR_TOPIC].messages[-3:]
            self.tell(*told)
            time.sleep(0.05)
        return {topic: heard.messages[-1] for topic, heard in self.heard.items()}


@pytest.fixture
def rig(graph, listen, running):
    return lambda **options: Rig(graph, listen, running, **options)


def test_it_looks_lights_up_speaks_and_keeps_its_distance(rig):
    one = rig()
    said = one.waits_for('nobody is there')
    assert said[GAZE_TOPIC].width == 0 and said[DISTANCE_TOPIC].data == pytest.approx(1.2)
    said = one.waits_for('looks at person_1', event(EventKind.APPEARED), seen())
    assert (said[GAZE_TOPIC].x_offset, said[GAZE_TOPIC].width) == (10, 30)
    led = said[LED_TOPIC]
    assert (led.r, led.g, led.b, led.a) == (0.0, 1.0, 0.0, 1.0)
    assert said[STYLE_TOPIC].data == 'friendly'
    said = one.waits_for('entered distressed', event(EventKind.REGION_ENTERED, 'distressed'),
                         seen())
    assert said[DISTANCE_TOPIC].data == 2.0 and said[STYLE_TOPIC].data == 'calm'
    assert said[GAZE_TOPIC].width == 0  # it looks away
    said = one.waits_for('person_1 left', event(EventKind.LEFT))
    assert said[DISTANCE_TOPIC].data == pytest.approx(1.2)


def test_it_attends_to_one_person_and_to_a_voice_only_while_nobody_is_there(rig):
    one = rig()
    one.waits_for('nobody in view speech started', event(EventKind.SPEECH_STARTED, person=''),
                  seen(''))
    one.waits_for('person_1 appeared', event(EventKind.APPEARED), seen())
    for _ in range(5):
        one.tell(event(EventKind.REGION_ENTERED, 'distressed', 'person_2'), seen('person_2'))
        time.sleep(0.05)
    assert 'person_2' not in repr(one.heard[BEHAVIOUR_TOPIC].messages)


def test_it_goes_idle_when_nothing_is_heard_and_at_its_end(rig):
    one = rig(idle_s=0.5)
    one.waits_for('looks at person_1', event(EventKind.APPEARED), seen())
    said = one.waits_for('nothing heard for 0.5 s')
    assert said[GAZE_TOPIC].width == 0 and said[STYLE_TOPIC].data == 'neutral'
    one.running.stop()
    one.heard[BEHAVIOUR_TOPIC].wait_for(len(one.heard[BEHAVIOUR_TOPIC]) + 1, 0.3)
    assert 'the behaviour ends' in one.heard[BEHAVIOUR_TOPIC].messages[-1].data


def test_it_publishes_no_more_often_than_it_may(rig):
    one = rig(rate_hz=4.0)
    one.waits_for('looks at person_1', event(EventKind.APPEARED), seen())
    before, began_s = len(one.heard[LED_TOPIC]), time.monotonic()
    while (past_s := time.monotonic() - began_s) < 1.5:
        one.tell(seen(affect=Affect(0.8 - past_s / 2, past_s / 2)))
        time.sleep(0.02)
    assert 1 <= len(one.heard[LED_TOPIC]) - before <= 7


# --- what a person would expect --------------------------------------------------------------


def acted(path, felt=None):
    """
    Return what a clip led to: seconds, the event in words, and the conduct after it.

    :param felt: tells instead of the model what somebody feels, from the time in seconds.
    """
    table = read_decisions()
    conduct, found = table.idle, []
    settings = replace(Settings(), speech=replace(Settings().speech, recogniser='none'))
    with Pipeline(settings) as pipeline:
        if felt:
            infer = pipeline.engine.infer
            pipeline.engine.infer = lambda pieces: [
                replace(one, affect=felt(piece.end_ns / NS))
                for piece, one in zip(pieces, infer(pieces), strict=True)]
        outputs = [output for record in read_media(path) for output in pipeline.feed(record)]
        outputs += [*pipeline.finish(), *pipeline.reset()]
    for one in outputs:
        if isinstance(one, AffectEvent):
            conduct = table.after(one, conduct)
            found.append((one.stamp_ns / NS, one.text, conduct))
    return found


def test_from_distress_to_laughter_it_backs_off_and_then_comes_near_again():
    distress, laughter = Affect(-0.4, 0.0), Affect(0.9, 0.4)
    check_from_distress_to_laughter(
        acted(SAMPLE, lambda time_s: distress if time_s < 6 else laughter), 6, 9)


def test_from_a_frown_to_a_laugh_it_does_so_too(shared_data):
    """The face frowns, and laughs from about 10 s on."""
    check_from_distress_to_laughter(acted(shared_data / 'clips' / 'changing_face.mp4'), 9.5, 12)


def check_from_distress_to_laughter(found, from_s, until_s):
    told = [text for _, text, _ in found]
    assert 'person_1 rose sharply' in told
    assert [text for text in told if not text.partition('person_1 ')[2].startswith(
            ('rose sharply', 'speech', 'attention'))] == [
        'person_1 appeared', 'person_1 entered distressed', 'person_1 left distressed',
        'person_1 entered excited', 'person_1 left excited', 'person_1 left']
    when = {text: (stamp_s, conduct) for stamp_s, text, conduct in found}
    backed_s, backed = when['person_1 entered distressed']
    assert backed_s < 4 and backed.distance_m == 2.0 and backed.style == 'calm'
    turned_s, _ = when['person_1 left distressed']
    assert from_s <= turned_s <= until_s
    laughs_s, lively = when['person_1 entered excited']
    assert turned_s <= laughs_s <= until_s + 1
    assert lively.style == 'lively' and lively.look and lively.distance_m == 1.0
    assert when['person_1 left'][1] == read_decisions().idle


def test_somebody_who_talks_is_looked_at_and_heard():
    found = acted(SAMPLE)
    told = [text for _, text, _ in found]
    assert told[0] == 'person_1 appeared' and told[-1] == 'person_1 left'
    assert told.count('person_1 speech started') == 1
    assert all(conduct.look for _, text, conduct in found[:-1])
    assert len([text for text in told if 'entered' in text]) <= 2  # it does not flicker
