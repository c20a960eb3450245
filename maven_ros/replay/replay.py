"""
Replay a bag through the pipeline in the bag's own time, with the same states every time.

The folder of a replay holds:

- ``bag/``: a rosbag2 with all outputs of the pipeline, such as ``/affect/state``. Each message
  has the bag's time at which it became known. A state's ``latency`` is the time from its window's
  end to then: the time spent waiting for streams. The bag's clock does not include computing.
- ``states.parquet``, ``states.csv``: the raw states (:mod:`maven_ros.tables`).
- ``timing.csv``: ``window_end_ns`` and the measured ``inference_ms``; it differs between replays.
- ``summary.json``: a :class:`maven_ros.replay.summary.Summary`. It is written last.
- ``unfinished/``: the state of an interrupted replay, until the replay is complete.

About every half minute, while nobody speaks, the replay saves its whole state and continues from
the saved state. An interrupted replay continues from there in exactly the same way.
"""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from maven_ros.counters import Counters
from maven_ros.errors import GraphError, ResourceError, SettingsError
from maven_ros.files import owner_only
from maven_ros.freezing import decode, encode
from maven_ros.graph.bag.bag_graph import STORAGES, BagGraph
from maven_ros.graph.interface import Received
from maven_ros.graph.messages import to_cdr
from maven_ros.graph.topics import OUTPUT_TYPES, output_message
from maven_ros.pipeline import Pipeline
from maven_ros.records import NS, AffectState, nanoseconds
from maven_ros.replay.excerpt import Excerpt
from maven_ros.replay.feed import Feed, Known
from maven_ros.replay.journal import (
    Journal,
    JournalEntry,
    ReplayCheckpoint,
    read_checkpoint,
)
from maven_ros.replay.results import (
    KINDS,
    TIMING,
    check_out,
    remove,
    write_results,
)
from maven_ros.replay.sources import Sources, find_sources, sound_info
from maven_ros.replay.summary import Summary, differences, identify, values, versions
from maven_ros.senses.speech import SpeechStream
from maven_ros.senses.speech.ahead import AheadRecogniser
from maven_ros.settings import Settings

_SHOW_S = 0.2
#: Called from time to time with the seconds of the bag that are done, and their total.
Progress = Callable[[float, float], None]


@dataclass(frozen=True)
class ReplayOptions:
    """
    The options of a replay.

    :param sources: topics; topics that are not named are found.
    :param start_s: seconds of the bag that are left out at its beginning.
    :param duration_s: seconds that are replayed; 0 for all.
    :param rate: seconds of the bag per second; 0 for as fast as possible.
    :param storage: storage of the written bag, mcap or sqlite3.
    :param without: modalities and pathways that are withheld from the model.
    :param rest_s: seconds of the bag between saved states; a state is saved when nobody speaks.
        Parts that cannot be saved start again there, which may change the states a little.
    """

    sources: Sources = field(default_factory=Sources)
    start_s: float = 0.0
    duration_s: float = 0.0
    rate: float = 0.0
    storage: str = 'mcap'
    without: tuple[str, ...] = ()
    rest_s: float = 30.0

    def __post_init__(self) -> None:
        for name in ('start_s', 'duration_s', 'rate', 'rest_s'):
            if not 0 <= getattr(self, name) < 1e9:
                raise SettingsError(f'{name}: {getattr(self, name)!r}; allowed: [0, 1e9)')
        if self.storage not in STORAGES:
            raise SettingsError(f'storage: {self.storage!r}; allowed: {", ".join(STORAGES)}')


def default_out(bag: Path) -> Path:
    """Return the default folder of a bag's replay, beside the bag."""
    bag = bag.resolve()  # '.' has no name
    return bag.with_name(f'{bag.stem if bag.is_file() else bag.name}_affect')


@owner_only()
def replay(
    bag: Path, settings: Settings, out: Path | None = None,
    options: ReplayOptions | None = None, stop: threading.Event | None = None,
    progress: Progress | None = None,
) -> Summary | None:
    """
    Replay a bag, or continue an interrupted replay from its last saved state.

    :param bag: folder of a rosbag2, or one of its files.
    :param out: folder of the replay; :func:`default_out` if omitted.
    :param stop: interrupts the replay when set; its saved state is kept.
    :returns: None if it was interrupted: call again to continue.
    :raises GraphError: for topics that are missing, of another type or ambiguous, or if
        nothing was recorded in the requested time.
    :raises ResourceError: if the bag cannot be read, a model is missing, or the folder holds a
        finished replay, an unfinished replay of something else, or files that are not a replay's.
    """
    bag, out = bag.resolve(), out or default_out(bag)
    check_out(out, bag)
    options = options or ReplayOptions()
    with _Replay(bag, settings.with_absolute_paths(), out, options) as work:
        return work.run(stop or threading.Event(), progress)


class _Replay(ExitStack):
    """A running replay. It owns the bag, the pipeline, the recogniser and the journal."""

    def __init__(
        self, bag: Path, settings: Settings, out: Path, options: ReplayOptions,
    ) -> None:
        super().__init__()
        self._options, self._settings, self._out = options, settings, out
        self._folder = out / 'unfinished'
        self._graph = self.enter_context(BagGraph(bag))
        try:
            self._open(bag)
        except BaseException:  # also after a signal, no file or process must stay open
            self.close()
            raise

    def _open(self, bag: Path) -> None:
        options, settings = self._options, self._settings
        sources = self._sources = find_sources(
            self._graph, options.sources, settings.faces.ros4hri, settings.unused_inputs())
        first_ns, last_ns = self._graph.span_ns
        self._start_ns = first_ns + nanoseconds(options.start_s)
        self._end_ns = last_ns if not options.duration_s else min(
            last_ns, self._start_ns + nanoseconds(options.duration_s))
        self._counters = Counters()
        speech = self.enter_context(AheadRecogniser.open(settings.speech, self._counters))
        self._pipeline = self.enter_context(self._open_pipeline(speech))
        part = Excerpt(bag, sources, self._start_ns, self._end_ns,
                       rest_every_ns=nanoseconds(options.rest_s))
        self._feed = Feed(
            self._pipeline, speech, part.rest_every_ns, sources.robot_audio)
        self._feed.describe(sound_info(self._graph, sources, self._start_ns))
        self._about = identify(part, settings, options.without, self._pipeline.engine)
        found = self._resume()
        if found is not None:
            part = replace(part, start_ns=found.received_ns, skip=found.skip)
        self._messages = part.read(self._graph)

    def _open_pipeline(self, speech: SpeechStream) -> Pipeline:
        if not self._options.without:
            return Pipeline(self._settings, False, self._counters, speech)
        from maven_ros.replay.ablation import AblatedPipeline

        return AblatedPipeline(self._settings, self._options.without, self._counters, speech)

    def _resume(self) -> ReplayCheckpoint | None:
        """Open and lock the journal; restore the state of an interrupted replay."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ResourceError(f'{self._folder}: cannot be made: {error.strerror}') from error
        self._journal = self.enter_context(Journal(self._folder / 'journal'))
        check_out(self._out, self._graph.path)  # another replay may have ended there meanwhile
        found = read_checkpoint(self._folder / 'checkpoint')
        if found is not None and (differing := differences(found.identity, self._about)):
            raise ResourceError(f'{self._folder}: was begun differently ({differing}); '
                                'remove it, or choose another folder')
        self._journal.cut(found.journal_bytes if found else 0)
        self._received_ns, self._skip, self._taken = (
            (found.received_ns, found.skip, found.messages) if found else (0, 0, 0))
        self._wall_s = found.wall_s if found else 0.0
        self._resumed = found is not None
        if found is not None:
            try:
                self._feed.thaw(decode(found.state))
            except LookupError as error:  # the saved state has other fields than this version's
                raise ResourceError(
                    f'{self._folder}: was begun by another version of maven_ros, which differs in '
                    f'{error}; remove it, or choose another folder') from error
        return found

    def run(self, stop: threading.Event, progress: Progress | None) -> Summary | None:
        """Replay until the end; return None if ``stop`` is set before."""
        began_s = shown_s = time.monotonic()
        began_ns, broken = max(self._start_ns, self._received_ns), ''
        total_s = (self._end_ns - self._start_ns) / NS
        while True:
            try:
                received = next(self._messages, None)
            except ResourceError as error:  # the rest of the bag cannot be read
                broken = str(error)
                self._counters.count('bag', 'broken', broken)
                received = None
            now_s = time.monotonic()
            if received is None:
                break
            if stop.is_set() or not self._keep_time(
                    received.received_ns - began_ns, now_s - began_s, stop):
                return None
            if progress and now_s - shown_s >= _SHOW_S:
                shown_s = now_s
                progress((received.received_ns - self._start_ns) / NS, total_s)
            self._take(received, self._wall_s + now_s - began_s)
        if progress and self._taken and not broken:
            progress(total_s, total_s)
        return self._finish(broken, self._wall_s + time.monotonic() - began_s)

    def _keep_time(self, bag_ns: int, past_s: float, stop: threading.Event) -> bool:
        if not self._options.rate:
            return True
        return not stop.wait(max(0.0, bag_ns / NS / self._options.rate - past_s))

    def _take(self, received: Received, wall_s: float) -> None:
        self._write(self._feed.take(received))
        again = received.received_ns == self._received_ns
        self._received_ns, self._skip = received.received_ns, self._skip + 1 if again else 1
        self._taken += 1
        if self._feed.rests:
            self._rest(wall_s)

    def _write(self, known: list[Known]) -> None:
        for outputs, known_ns, took_s in known:
            for output in outputs:
                try:
                    topic, message = output_message(output, known_ns)
                    content = to_cdr(message, OUTPUT_TYPES[topic])
                except GraphError as error:  # a stamp beyond the range of messages
                    self._counters.count('output', 'unpublishable', str(error))
                else:
                    self._journal.append(JournalEntry(KINDS[topic], known_ns, content))
            ends_ns = [one.window_end_ns for one in outputs if isinstance(one, AffectState)]
            if ends_ns and took_s:
                self._journal.append(JournalEntry(
                    TIMING, known_ns, struct.pack('<qd', ends_ns[-1], took_s * 1e3)))

    def _rest(self, wall_s: float) -> None:
        """Save the whole state, and continue from the saved state."""
        self._write(self._feed.rest())
        state = encode(self._feed.freeze())
        self._feed.thaw(decode(state))
        ReplayCheckpoint(
            self._about, self._journal.secure(), self._received_ns, self._skip, self._taken,
            wall_s, state,
        ).write(self._folder / 'checkpoint')

    def _finish(self, broken: str, wall_s: float) -> Summary:
        if not self._taken:
            raise GraphError(f'{self._graph.path}: nothing was recorded in [{self._start_ns}, '
                             f'{self._end_ns}) ns{f"; {broken}" if broken else ""}')
        self._write(self._feed.finish())
        self._journal.secure()
        found = write_results(self._out, self._folder, self._graph.path, self._options.storage)
        engine = self._pipeline.engine
        summary = Summary(
            bag=self._about['bag'], identity=self._about,
            topics={role: topic for role, topic in asdict(self._sources).items() if topic},
            start_ns=self._start_ns, end_ns=self._received_ns, messages=self._taken,
            windows=found.windows, states=found.states, utterances=found.utterances,
            events=found.events,
            people=sorted(found.people), audio_clock=self._pipeline.audio_clock,
            drops=self._counters.snapshot(), details=self._counters.details(),
            stamps=self._feed.stamps, broken=broken, model=engine.name, trained=engine.trained,
            device=engine.device, without=list(self._options.without),
            settings=values(self._settings), versions=versions(), wall_s=round(wall_s, 3),
            inference_ms=found.inference_ms, resumed=self._resumed)
        summary.write(self._out / 'summary.json')
        remove(self._folder)
        return summary
