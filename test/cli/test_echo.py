"""Showing messages as text."""

import math
import threading

import numpy as np
import pytest

from maven_ros.affect import Affect
from maven_ros.cli.echo import echo, lines
from maven_ros.errors import GraphError
from maven_ros.graph.convert import event_message, image_message, utterance_message
from maven_ros.graph.interface import STATE
from maven_ros.graph.messages import new
from maven_ros.records import NS, AffectEvent, EventKind, Utterance, Word


def test_nested_messages_lists_and_long_arrays_are_readable():
    words = (Word('good', NS, 2 * NS, 0.5), Word('day', 2 * NS, 3 * NS, 0.25))
    text = '\n'.join(lines(utterance_message(Utterance(NS, 3 * NS, words, True, 'test'))))
    assert 'start:\n  sec: 1\n  nanosec: 0' in text
    assert "words:\n- text: 'good'\n  start:\n    sec: 1" in text
    assert 'is_final: True' in text and 'confidence: 0.375' in text
    picture = image_message(0, np.zeros((10, 10, 3), np.uint8))
    assert 'data: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ... 300 in all]' in lines(picture)


def test_text_in_arrays_does_nothing_on_a_terminal():
    ids = new('hri_msgs/msg/IdsList', ids=['\x1b]0;title\x07', 'a\nb', 'née'])
    assert list(lines(ids))[-1] == r"ids: ['\x1b]0;title\x07', 'a\nb', 'née']"


def test_constants_are_not_shown():
    text = '\n'.join(lines(new('maven_ros/msg/AffectState')))
    assert 'NO_EVIDENCE' not in text and "person_id: ''" in text


def test_an_event_says_its_kind_by_number_and_what_is_unknown():
    nowhere = Affect(math.nan, math.nan)
    event = AffectEvent(2 * NS, EventKind.LEFT, 'person_1', NS, Affect(0.5, 0.25), nowhere, 0.5)
    text = '\n'.join(lines(event_message(event)))
    assert "person_id: 'person_1'\nkind: 5\nregion: ''" in text
    assert 'from_valence: 0.5\nfrom_arousal: 0.25\nto_valence: nan' in text


def test_messages_are_shown_as_they_come(graph):
    shown, stop = [], threading.Event()
    flags = graph.advertise('/flag', 'std_msgs/msg/Bool', STATE)
    thread = threading.Thread(target=echo, args=(graph, 'flag', stop, shown.append, 1))
    thread.start()
    try:
        for _ in range(50):
            flags.publish(new('std_msgs/msg/Bool', data=True))
            if stop.wait(0.1) or not thread.is_alive():
                break
    finally:
        stop.set()
        thread.join()
    assert shown == ['data: True\n---']


def test_a_topic_that_does_not_appear_is_an_error_that_names_what_is_there(graph):
    graph.advertise('/flag', 'std_msgs/msg/Bool', STATE)
    with pytest.raises(GraphError, match=r'/flog: no such topic here; topics: .*/flag'):
        echo(graph, '/flog', threading.Event(), print, wait_s=0.3)
