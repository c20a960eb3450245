"""
Recognition of a bag's speech in a process of its own, ahead of the rest of the replay.

That process takes the same messages through the same pipeline, but looks at no face and judges
nothing: what it hears, and when, is what the replay itself would hear. It tells, message by
message, what came of each call to the recogniser. So recognition and the rest share two cores,
and yet a window has exactly the words that were known when it closed.
"""

from __future__ import annotations

import itertools
import logging
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast

from maven_ros.closing import Closing
from maven_ros.counters import Counters
from maven_ros.engine import Engine
from maven_ros.errors import MavenError, ResourceError
from maven_ros.freezing import decode, encode
from maven_ros.graph.bag.bag_graph import BagGraph
from maven_ros.graph.interface import Received
from maven_ros.pipeline import Pipeline
from maven_ros.records import NS, Face, Output, Samples, Utterance, Window
from maven_ros.replay.feed import Feed
from maven_ros.replay.sources import Sources
from maven_ros.senses.face_tracker import FaceTracker
from maven_ros.senses.speech import open_recogniser
from maven_ros.senses.speech.host import ProcessHost
from maven_ros.senses.speech.worker import InlineRecogniser
from maven_ros.settings import Settings


@dataclass(frozen=True, slots=True)
class Excerpt:
    """
    What part of a bag is replayed.

    :param start_ns: only what arrived from then on; None from the beginning.
    :param end_ns: only what arrived before; None to the end.
    :param skip: so many of the first messages were taken already.
    :param rest_every_ns: after so long, once nobody speaks, all comes to rest.
    """

    bag: Path
    sources: Sources
    start_ns: int | None = None
    end_ns: int | None = None
    skip: int = 0
    rest_every_ns: int = 30 * NS

    def read(self, graph: BagGraph) -> Iterator[Received]:
        """Yield its messages; errors are those of :meth:`BagGraph.read`."""
        messages = graph.read(self.sources.topics, self.start_ns, self.end_ns)
        return itertools.islice(messages, self.skip, None)


@dataclass(frozen=True, slots=True)
class _Call:
    """A call to the recogniser, and what came of it."""

    name: str
    start_ns: int
    samples: int
    utterances: list[Utterance]


@dataclass(frozen=True, slots=True)
class _Heard:
    """The calls that one message led to; with ``rests``, those of coming to rest after it."""

    calls: list[_Call]
    rests: bool = False
    voice: Any = None


class Foreheard:
    """A recogniser that was asked before: gives the answers that it was given."""

    lag_s = 0.0

    def __init__(self) -> None:
        self.calls: deque[_Call] = deque()
        self._found: list[Utterance] = []

    def put(self, samples: Samples, start_ns: int) -> None:
        """Take sound."""
        self._found += self._answer('put', start_ns, len(samples))

    def poll(self) -> list[Utterance]:
        """Return what was recognised since."""
        found, self._found = self._found, []
        return found

    def reset(self) -> None:
        """Forget all sound."""
        self._answer('reset')
        self._found.clear()

    def finish(self, timeout_s: float) -> list[Utterance]:
        """Close what is being said."""
        self._found += self._answer('finish')
        return self.poll()

    def close(self) -> None:
        """Nothing is held."""

    def _answer(self, name: str, start_ns: int = 0, samples: int = 0) -> list[Utterance]:
        call = self.calls.popleft() if self.calls else None
        if call is None or (call.name, call.start_ns, call.samples) != (name, start_ns, samples):
            raise ResourceError(
                f'replay: recognition ran ahead with {call}, and {name} of {samples} samples at '
                f'{start_ns} ns came; allowed: the same in both')
        return call.utterances


class Ahead(Closing):
    """
    Recognition of a part of a bag, running ahead.

    :param speech: is given what was heard.
    :param state: what to go on from, as :func:`encode` wrote a feed's; None at the beginning.
    :param voice: what the recogniser had learnt by then.
    :raises ResourceError: when the recogniser cannot be opened.
    """

    def __init__(
        self, part: Excerpt, settings: Settings, speech: Foreheard, state: bytes | None,
        voice: Any,
    ) -> None:
        self._speech = speech
        #: What the recogniser had learnt of the voice when it last came to rest.
        self.voice = voice
        self._host = ProcessHost(__name__)
        self._host.connection.send((part, settings, state, voice))
        try:
            self._receive()
        except MavenError:
            self.close()
            raise

    def hear(self) -> bool:
        """
        Wait for what recognition made of the next message, or of the end.

        :returns: whether all comes to rest after it.
        :raises ResourceError: when the process is gone.
        """
        heard = self._receive()
        self._speech.calls.extend(heard.calls)
        if heard.rests:
            self.voice = heard.voice
        return bool(heard.rests)

    def close(self) -> None:
        """End it within a second."""
        self._host.close()

    def _receive(self) -> Any:
        try:
            heard = self._host.connection.recv()
        except (EOFError, OSError) as error:
            raise ResourceError(
                f'speech.recogniser: ended in the middle ({self._host.close()})') from error
        if isinstance(heard, MavenError):
            raise heard
        return heard


class _Teller(InlineRecogniser):
    """A recogniser that notes what it was asked and what came of it."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(open_recogniser(settings.speech))
        self._calls: list[_Call] = []

    def put(self, samples: Samples, start_ns: int) -> None:
        super().put(samples, start_ns)
        self._calls.append(_Call('put', start_ns, len(samples), self.poll()))

    def reset(self) -> None:
        super().reset()
        self._calls.append(_Call('reset', 0, 0, []))

    def finish(self, timeout_s: float) -> list[Utterance]:
        self._calls.append(_Call('finish', 0, 0, super().finish(timeout_s)))
        return []

    def told(self) -> list[_Call]:
        calls, self._calls = self._calls, []
        return calls


class _Listener(Pipeline):
    """A pipeline without eyes and judgement; its clocks and its ears are those of any other."""

    def _open_engine(self) -> Engine:
        return cast(Engine, _Nothing())

    def _open_faces(self) -> FaceTracker:
        return cast(FaceTracker, _Nothing())

    def _states(self, windows: list[Window]) -> list[Output]:
        return []


class _Nothing:
    """Stands where a listener has no engine and no faces."""

    def warm_up(self) -> None:
        """Do nothing."""

    def reset(self) -> None:
        """Forget nothing."""

    def update(self, stamp_ns: int, pixels: Any) -> tuple[Face, ...]:
        return ()

    def freeze(self) -> dict[str, Any]:
        return {}

    def thaw(self, state: dict[str, Any]) -> None:
        """Take in nothing."""


def main() -> None:
    """Recognise for whoever holds the other end of the socket that the first argument names."""
    logging.disable()  # what is dropped is counted, and told, by the replay itself
    with Connection(int(sys.argv[1])) as connection:
        try:
            for heard in _listen(*connection.recv()):
                connection.send(heard)
        except MavenError as error:
            connection.send(error)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return  # the replay is over


def _listen(
    part: Excerpt, settings: Settings, state: bytes | None, voice: Any,
) -> Iterator[_Heard | None]:
    teller = _Teller(settings)
    with BagGraph(part.bag) as graph, _Listener(settings, False, Counters(), teller) as pipeline:
        feed = Feed(pipeline, part.rest_every_ns, decode=False)
        if state is not None:
            feed.thaw(decode(state))
            teller.voice = voice
        yield None  # ready
        try:
            for received in part.read(graph):
                feed.take(received)
                rests = feed.rest_due and not teller.speaking
                if rests:
                    feed.rest()
                    teller.voice = teller.voice
                    feed.thaw(decode(encode(feed.freeze())))
                yield _Heard(teller.told(), rests, teller.voice if rests else None)
        except ResourceError:
            pass  # a damaged bag: the replay meets it at the same place
        feed.finish()
        yield _Heard(teller.told())
