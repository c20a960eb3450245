#!/usr/bin/env python3
"""
React to events on the embedded graph, without ROS.

It prints what a robot could do when somebody appears, leaves, or becomes tense. ::

    maven-ros demo                       # or: maven-ros run, with a camera and a microphone
    python examples/react_to_events.py   # in the same ROS_DOMAIN_ID
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from maven_ros.graph.convert import AFFECT_EVENT, event_record
from maven_ros.graph.dds.dds_graph import DdsGraph
from maven_ros.graph.interface import STATE
from maven_ros.graph.messages import from_cdr
from maven_ros.graph.topics import EVENT_TOPIC
from maven_ros.interrupts import Interrupts
from maven_ros.records import AffectEvent, EventKind

#: What to do, by the kind of an event and, for regions, their name.
REACTIONS = {
    (EventKind.APPEARED, ''): 'greet {person}',
    (EventKind.LEFT, ''): 'say goodbye to {person}',
    (EventKind.REGION_ENTERED, 'distressed'): 'give {person} more room, and speak calmly',
    (EventKind.REGION_LEFT, 'distressed'): 'come back to {person}',
    (EventKind.REGION_ENTERED, 'excited'): 'share the joy of {person}',
}
SURE = 0.4  # least confidence on which the robot acts


def reaction(event: AffectEvent) -> str:
    """Return what to do; empty for nothing."""
    if event.kind is EventKind.REGION_ENTERED and not event.confidence >= SURE:
        return ''
    text = REACTIONS.get((event.kind, event.region), '')
    return text.format(person=event.person_id or 'somebody out of view')


def run(stop: threading.Event, do: Callable[[str], None] = print) -> None:
    """React until ``stop`` is set."""
    events: queue.Queue[AffectEvent] = queue.Queue()
    with DdsGraph(node_name='react_to_events') as graph:
        # Callbacks only keep what arrives: they run on the thread that takes messages.
        graph.subscribe(EVENT_TOPIC, AFFECT_EVENT, STATE, lambda received: events.put(
            event_record(from_cdr(received.cdr, received.msgtype))))
        while not stop.is_set():
            try:
                event = events.get(timeout=0.1)
            except queue.Empty:
                continue
            if text := reaction(event):
                do(f'{text}, because {event.text}')


if __name__ == '__main__':
    run(Interrupts.on_signals())
