"""The service ``affect/get_affect``: how one person, or everybody, was in the last seconds."""

from __future__ import annotations

import threading
from typing import Any

from maven_ros.acting.memory import History, Memory, Recalled
from maven_ros.errors import InputError
from maven_ros.graph.convert import mood_message
from maven_ros.graph.interface import Graph, Service
from maven_ros.graph.messages import new, time_message
from maven_ros.graph.topics import GET_AFFECT, GET_AFFECT_SERVICE
from maven_ros.records import Output
from maven_ros.settings import Settings

_HISTORY = 'maven_ros/msg/AffectHistory'


class Recall:
    """
    A memory of a pipeline's outputs, and the service that asks it.

    :raises SettingsError: if the file of regions is not valid.
    """

    def __init__(self, settings: Settings) -> None:
        self._memory = Memory(settings)
        self._lock = threading.Lock()

    def open(self, graph: Graph) -> Service:
        """
        Serve until the returned service is closed.

        :raises GraphError: if the service cannot be opened.
        """
        return graph.serve(GET_AFFECT_SERVICE, GET_AFFECT, self.answer)

    def take(self, output: Output, message: Any) -> None:
        """Remember an output with its message."""
        with self._lock:
            self._memory.take(output, message)

    def change(self, settings: Settings) -> None:
        """Apply new times."""
        with self._lock:
            self._memory.change(settings)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._memory.clear()

    def answer(self, request: Any) -> Any:
        """Return the response to a request of the service."""
        try:
            with self._lock:
                recalled = self._memory.recall(request.person_id, request.seconds)
        except InputError as error:
            return new(f'{GET_AFFECT}_Response', success=False, message=str(error))
        return response(recalled)


def response(recalled: Recalled) -> Any:
    """Build a response of ``maven_ros/srv/GetAffect``; events and turns must be messages."""
    return new(
        f'{GET_AFFECT}_Response', success=True, stamp=time_message(recalled.stamp_ns),
        people=[history_message(one) for one in recalled.people],
        undecided=[*recalled.undecided])


def history_message(history: History) -> Any:
    """Build a ``maven_ros/AffectHistory``; events and turns must be messages."""
    return new(
        _HISTORY, person_id=history.person_id, present=history.present,
        start=time_message(history.start_ns), end=time_message(history.end_ns),
        evidence_s=history.evidence_s, valence=history.affect.valence,
        arousal=history.affect.arousal, valence_std=history.valence_std,
        arousal_std=history.arousal_std, confidence=history.confidence,
        valence_trend=history.trend[0], arousal_trend=history.trend[1],
        valence_trend_std=history.trend_std[0], arousal_trend_std=history.trend_std[1],
        regions=[*history.regions], shares=[*history.regions.values()],
        mood=[mood_message(history.mood)] if history.mood else [],
        events=[*history.events], turns=[*history.turns])
