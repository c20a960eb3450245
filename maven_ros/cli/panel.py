"""Show the newest states in the terminal, as a panel or as plain lines."""

from __future__ import annotations

import math
import threading
from types import TracebackType
from typing import Any

from maven_ros.records import NS, AffectState, Modality, Status, Utterance, VoiceAssigned
from maven_ros.text import printable, printable_lines

_BAR = 21          # characters of a bar from -1 to 1
_LINE_EVERY_S = 1  # without a terminal: one line per second of message time
_GONE_NS = NS      # a person without a state for this long is no longer shown
#: Words for a voice that is not evidence about the person.
_ELSEWHERE = {
    VoiceAssigned.OTHER: "another's voice", VoiceAssigned.UNDECIDED: 'an undecided voice'}


class LiveView:
    """
    Show states as they come. It is thread-safe, for the transport's thread.

    On a terminal it draws a panel. Otherwise (a pipe, a log) it prints a line per second and one
    for each utterance.

    :param title: name of the source.
    """

    def __init__(self, title: str) -> None:
        from rich.console import Console
        from rich.live import Live

        self._title = printable(title)
        self._console = Console(markup=False)
        self._live: Any = None
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False, transient=False)
        self._lock = threading.Lock()
        self._people: dict[str, tuple[AffectState, float]] = {}
        self._utterances: list[Utterance] = []
        self._behaviour = ''
        self._said_s = -math.inf
        self._states = 0

    def __enter__(self) -> LiveView:
        """Begin to draw."""
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop drawing; the last panel stays."""
        if self._live:
            self.refresh()
            self._live.stop()

    def say(self, text: str) -> None:
        """Print text outside the panel."""
        self._console.print(printable_lines(text), style='dim', soft_wrap=True)

    def show_state(self, state: AffectState, latency_s: float) -> None:
        """Show a state, with the time from its window's end to its publication."""
        with self._lock:
            self._states += 1
            self._people[state.person_id] = (state, latency_s)
            self._people = {
                person_id: shown for person_id, shown in self._people.items()
                if state.window_end_ns - shown[0].window_end_ns < _GONE_NS}
            end_s = state.window_end_ns / NS
            if not self._live and not 0 <= end_s - self._said_s < _LINE_EVERY_S:
                self._said_s = end_s
                self._console.print(_line(state, latency_s), highlight=False, soft_wrap=True)

    def show_utterance(self, utterance: Utterance) -> None:
        """Show an utterance, partial or final."""
        with self._lock:
            if self._utterances and self._utterances[-1].start_ns == utterance.start_ns:
                self._utterances.pop()
            self._utterances = [*self._utterances[-2:], utterance]
            if not self._live and utterance.is_final and utterance.text:
                self._console.print(f'   heard: {printable(utterance.text)}', highlight=False,
                                    soft_wrap=True)

    def show_behaviour(self, text: str) -> None:
        """Show the robot's behaviour, given in words."""
        text = printable(text)
        with self._lock:
            if text != self._behaviour and not self._live:
                self._console.print(f'   robot: {text}', highlight=False, soft_wrap=True)
            self._behaviour = text

    def refresh(self) -> None:
        """Draw the panel again, on a terminal."""
        if self._live:
            with self._lock:
                panel = self._panel()
            self._live.update(panel, refresh=True)

    def _panel(self) -> Any:
        from rich.console import Group
        from rich.panel import Panel
        from rich.text import Text

        blocks, model = [], ''
        for _, (state, latency_s) in sorted(self._people.items()):
            model = printable(state.model)
            blocks.append(Text(_block(state, latency_s)))
        words = [Text(f'  {printable(one.text)}', style='' if one.is_final else 'italic dim')
                 for one in self._utterances if one.text]
        if self._behaviour:
            words.append(Text(f'  robot: {self._behaviour}', style='cyan'))
        style = 'red' if model.startswith('untrained') else 'green'
        return Panel(
            Group(*blocks, *words), title=Text(f'maven_ros: {self._title}'),
            subtitle=f'{self._states} states by {model or "(none yet)"}', border_style=style)


def _block(state: AffectState, latency_s: float) -> str:
    """Format a state as three lines for a terminal of 80 columns."""
    affect = state.affect
    head = f'{printable(state.person_id) or "nobody in view"}: '
    if state.status is Status.NO_EVIDENCE:
        return f'{head}no evidence; {latency_s * 1000:.0f} ms\n'
    return (f'{head}from {_evidence(state)}; {latency_s * 1000:.0f} ms\n'
            f'  valence {_bar(affect.valence)}   arousal {_bar(affect.arousal)}\n'
            f'  intensity {affect.intensity:.2f}, angle {math.degrees(affect.angle):+.0f}° '
            f'({affect.octant}), sure {state.confidence:.0%}\n')


def _bar(value: float) -> str:
    """Draw a value in [-1, 1] as a mark on a scale, with the number."""
    cells = ['─'] * _BAR
    cells[_BAR // 2] = '┼'
    cells[round((min(1.0, max(-1.0, value)) + 1) / 2 * (_BAR - 1))] = '●'
    return f'{"".join(cells)} {value:+.2f}'


def _evidence(state: AffectState) -> str:
    """Name the evidence with the influence of each part."""
    names = (('face', Modality.VIDEO), ('voice', Modality.AUDIO), ('words', Modality.TEXT))
    parts = [name if math.isnan(share) else f'{name} {share:.0%}' for (name, modality), share
             in zip(names, state.influence, strict=True) if state.modalities & modality]
    if not state.modalities & Modality.AUDIO and state.voice_assigned in _ELSEWHERE:
        parts.append(f'not from {_ELSEWHERE[state.voice_assigned]}')
    if state.status is Status.STALE:
        parts.append('STALE')
    return ', '.join(parts) or 'none'


def _line(state: AffectState, latency_s: float) -> str:
    """Format a state as one line."""
    affect = state.affect
    who = printable(state.person_id) or 'nobody in view'
    if state.status is Status.NO_EVIDENCE:
        return f'{who}: no evidence ({latency_s * 1000:.0f} ms)'
    return (f'{who}: valence {affect.valence:+.2f}, arousal {affect.arousal:+.2f}, '
            f'intensity {affect.intensity:.2f}, angle {math.degrees(affect.angle):+.0f}° '
            f'({affect.octant}), sure {state.confidence:.0%}, from {_evidence(state)}; '
            f'{latency_s * 1000:.0f} ms')
