"""Describe how the messages of the last seconds were used, for ``/diagnostics``."""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from maven_ros.counters import Counters
from maven_ros.graph.convert import Diagnosis
from maven_ros.intake.inputs import Inputs
from maven_ros.intake.intake import Intake
from maven_ros.intake.stamp_watch import SeenStamps, stamp_fault
from maven_ros.records import Stream

OK, WARN, ERROR = 0, 1, 2
#: Number of looks, one per second, that a fault is judged by.
LOOKS_BACK = 5
#: Share of refused messages from which they are a fault; smaller shares are only counted.
_SHARE = 0.05
#: A fault that returns within this time is not logged again.
_SAID_S = 60.0

#: Causes that a transport counts for a topic.
_TRANSPORT = ('lost', 'incompatible_qos')
_STREAMS = {'image': Stream.VIDEO, 'audio': Stream.AUDIO}
#: Counts that are faults by themselves, by sense.
_SENSES = {
    'speech': (('speech', 'stopped'), ('speech', 'failed'), ('speech', 'skipped')),
    'text': (('text', 'language'),),
    'windows': (('windows', 'jump_back'), ('windows', 'jump_ahead')),
}

_Causes = Counter[tuple[str, str]]

_log = logging.getLogger('maven_ros.affect')


class Fault(NamedTuple):
    """
    A fault in words.

    :param kind: stays the same while numbers in the text change.
    :param logged: whether the log has it already.
    """

    level: int
    kind: str
    text: str
    logged: bool = False


@dataclass(frozen=True)
class _Look:
    """All counts at one time."""

    counts: Mapping[tuple[str, str], int]
    refused: Mapping[tuple[str, str], int]
    taken: Mapping[str, int]
    flat: Mapping[str, int]
    stamps: Mapping[str, SeenStamps]
    states: int


def diagnosis(
    name: str, faults: Sequence[Fault], otherwise: str, values: Mapping[str, str],
) -> Diagnosis:
    """Return a status of the worst level, with all faults in words; ``otherwise`` if none."""
    return Diagnosis(name, max((one.level for one in faults), default=OK),
                     '; '.join(one.text for one in faults) or otherwise, values)


def grown(
    counters: Counters, before: Mapping[tuple[str, str], int],
    now: Mapping[tuple[str, str], int], source: str, cause: str,
) -> Fault | None:
    """Return a fault if a count that is a fault by itself has grown."""
    times = now.get((source, cause), 0) - before.get((source, cause), 0)
    if not times:
        return None
    detail = counters.detail(source, cause)
    return Fault(WARN, f'{source} {cause}', f'{source} {_words(cause)}, {times} times'
                                            f'{f": {detail}" if detail else ""}')


class Health:
    """
    Read all counts once a second, and describe the faults of each input and sense.

    :param name: name of the node, in front of the names of its inputs and senses.
    """

    def __init__(self, name: str, counters: Counters, intake: Intake, inputs: Inputs) -> None:
        self._name = name
        self._counters, self._intake, self._inputs = counters, intake, inputs
        self._looks: deque[_Look] = deque(maxlen=LOOKS_BACK + 1)
        self._said_s: dict[str, float] = {}
        self._look(0)

    def look(
        self, faults: Sequence[Fault], states: int, stopped: frozenset[Stream],
        arrivals: Mapping[str, float],
    ) -> tuple[list[Fault], list[Diagnosis]]:
        """
        Read the counts again.

        :param faults: faults that are known already.
        :param states: number of states published so far.
        :param stopped: streams that have stopped.
        :param arrivals: messages per second, by topic.
        :returns: all faults, and a status for each input and sense.
        """
        self._look(states)
        faults = [*faults]
        found: list[Diagnosis] = []
        for role, topic in self._inputs.devices().items():
            causes = self._causes(role, topic)
            own = [*self._input_faults(role, topic, causes, _STREAMS[role] in stopped)]
            came = f'{arrivals.get(topic, 0.0):.1f}'
            found.append(self._diagnosis(topic, own, 'ok' if float(came) else 'waiting', {
                'rate (Hz)': came, **_refusals(causes)}))
            faults += own
        for topic in sorted({topic for topic, _ in self._looks[-1].refused}
                            & self._looks[-1].taken.keys() - set(self._inputs.devices().values())):
            causes = self._causes('', topic)
            own = self._refused('', topic, causes)
            found.append(self._diagnosis(topic, own, 'ok', _refusals(causes)))
            faults += own
        for sense, kinds in _SENSES.items():
            own = [*filter(None, (self._grown(*kind) for kind in kinds))]
            found.append(self._diagnosis(sense, own, 'ok', {}))
            faults += own
        faults += self._no_states()
        self._say(faults)
        return faults, found

    # --- inside ------------------------------------------------------------------------------

    def _look(self, states: int) -> None:
        self._looks.append(_Look(
            self._counters.counts(), self._counters.refused(), dict(self._intake.taken),
            dict(self._intake.flat), self._intake.stamps.seen, states))

    def _diagnosis(
        self, what: str, faults: list[Fault], otherwise: str, values: Mapping[str, str],
    ) -> Diagnosis:
        return diagnosis(f'{self._name}: {what}', faults, otherwise, values)

    def _input_faults(
        self, role: str, topic: str, causes: _Causes, stopped: bool,
    ) -> list[Fault]:
        """Return the faults of a camera or a microphone."""
        faults = []
        missed = self._inputs.missed(role)
        if missed:
            faults.append(Fault(WARN, f'{role} missed', missed))
        faults += self._refused(role, topic, causes)
        faults += filter(None, (self._grown(topic, cause) for cause in _TRANSPORT))
        stamps = self._looks[-1].stamps.get(topic)
        if stamps is not None:
            stamps = stamps.since(self._looks[0].stamps.get(topic))
            wrong = stamp_fault(topic, stamps)
            if wrong and stamps.unset and self._intake.stands_in:
                wrong += '; the time of arrival stands in (time.unstamped)'
            if wrong:
                faults.append(Fault(WARN, f'{role} stamps', wrong))
        if stopped and not faults:
            faults.append(Fault(WARN, f'{role} stopped',
                                f'{_STREAMS[role].value} has stopped: nothing from {topic}'))
        taken = self._since(lambda look: look.taken.get(topic, 0))
        if taken and len(self._looks) > LOOKS_BACK \
                and self._since(lambda look: look.flat.get(topic, 0)) == taken:
            faults.append(Fault(WARN, f'{role} flat', f'the samples of {topic} do not change: '
                                'the microphone is muted, or not connected'))
        if role == 'audio' and self._intake.sound.held:
            faults.append(Fault(WARN, 'audio form', f'{self._intake.sound.held} messages of '
                                f'{topic} wait for the AudioInfo that says what they hold'))
        publishers = self._inputs.publishers(role)
        if publishers > 1:
            faults.append(Fault(WARN, f'{role} publishers', f'{publishers} publishers on {topic}'))
        return faults

    def _refused(self, role: str, topic: str, causes: _Causes) -> list[Fault]:
        """
        Return a fault if many messages of a topic were refused, with the causes.

        :param role: role of a camera or a microphone; empty for other topics.
        """
        refused = sum(causes.values())
        considered = self._since(lambda look: (
            look.taken.get(topic, 0) + look.refused.get((role, 'overflow'), 0)
            + look.refused.get((role, 'no_clock'), 0)
            - (look.counts.get(('video', 'thinned'), 0) if role == 'image' else 0)))
        considered = max(considered, refused)
        if not refused or refused < _SHARE * considered:
            return []
        every = refused == considered
        (source, cause), most = causes.most_common(1)[0]
        why = _words(cause) if most == refused else ', '.join(
            f'{n} {_words(cause)}' for (_, cause), n in causes.most_common())
        detail = self._counters.detail(source, cause)
        number = f'all {refused}' if every else f'{refused} of {considered}'
        text = f'{number} messages of {topic} refused: {why}'
        return [Fault(ERROR if every else WARN, f'{topic} refused',
                      f'{text} ({detail})' if detail else text)]

    def _causes(self, role: str, topic: str) -> _Causes:
        """Return how many messages of a topic were refused, by source and cause."""
        sources = {topic} | ({role, _STREAMS[role].value} if role else set())
        before, now = self._looks[0].refused, self._looks[-1].refused
        return +Counter({kind: n - before.get(kind, 0) for kind, n in now.items()
                         if kind[0] in sources})

    def _grown(self, source: str, cause: str) -> Fault | None:
        return grown(self._counters, self._looks[0].counts, self._looks[-1].counts, source, cause)

    def _no_states(self) -> list[Fault]:
        """Return a fault if messages can be read but no window closes."""
        readable = sum(seen.since(self._looks[0].stamps.get(topic)).count
                       for topic, seen in self._looks[-1].stamps.items())
        if len(self._looks) <= LOOKS_BACK or not readable \
                or self._since(lambda look: look.states):
            return []
        return [Fault(ERROR, 'no states', f'no window has closed for {LOOKS_BACK} s, though '
                                          'messages come')]

    def _since(self, count: Callable[[_Look], int]) -> int:
        return count(self._looks[-1]) - count(self._looks[0])

    def _say(self, faults: list[Fault]) -> None:
        """Log each fault once while it lasts."""
        now_s = time.monotonic()
        self._said_s = {kind: said_s for kind, said_s in self._said_s.items()
                        if now_s - said_s < _SAID_S}
        for fault in faults:
            if fault.kind not in self._said_s and not fault.logged:
                _log.warning('%s', fault.text)
            self._said_s[fault.kind] = now_s


def _refusals(causes: _Causes) -> dict[str, str]:
    return {f'refused: {_words(cause)}': str(n) for (_, cause), n in causes.items()}


def _words(cause: str) -> str:
    return cause.replace('_', ' ')
