"""
The rules that make one or two sentences of an observation.

- Below the confidence gate nothing is said about feelings.
- What somebody looks like is the region; outside all regions, the axis that is farther from 0 in
  standard deviations, if that is at least ``_CLEAR``.
- Parts *agree* if what each says alone is within ``_NEAR`` of the others, and on the same side of
  neutral. One *contrasts* if it is clearly on the other side of neutral than the point.
- A change and words are told if they are known. The second sentence is the first that applies of:
  a contrast, a stream that has stopped, attention, a mood of another tone over minutes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path

from maven_ros.affect import UNKNOWN, Affect
from maven_ros.records import MODALITIES, NS, EventKind, Modality
from maven_ros.summary.observation import Observation
from maven_ros.summary.templates import read_templates

_HIGH, _MIDDLE = 0.75, 0.55  # confidences
_CLEAR = 1.6                 # standard deviations
_NEAR = 0.5                  # distance on the circumplex, whose radius is 1
_SIDE = 0.15                 # least distance from neutral of what is on one side
_MOOD_S, _MINUTES_NS = 40.0, 120 * NS  # least evidence and time of a mood over minutes
_LONGEST = 120               # characters of words that are quoted
_CHANGES = {EventKind.REGION_ENTERED: 'became', EventKind.ROSE: 'rose', EventKind.FELL: 'fell'}


class Sentences:
    """
    Say in words what is known about a person.

    :param texts: templates by name, from :func:`maven_ros.summary.templates.read_templates`.
    :param numbers: words for the numbers from 0 on; higher ones are written in digits.
    :param gate: least confidence of what is said about feelings, in [0, 1].
    """

    def __init__(self, texts: Mapping[str, str], numbers: tuple[str, ...], gate: float) -> None:
        self._texts, self._numbers = texts, numbers
        self.gate = gate

    def about(self, seen: Observation) -> str:
        """Return one or two sentences; an empty text if there is nothing to say."""
        if seen.left:
            return self._say('left', who=self._who(seen))
        if not seen.confidence >= self.gate or not seen.modalities:
            return self._say('only_words', who=self._who(seen), words=_quoted(seen.words)
                             ) if seen.words else ''
        way = 'seen' if seen.modalities & Modality.VIDEO else 'heard'
        first = self._say(
            f'state.{way}', who=self._who(seen), manner=self._manner(seen),
            sure=self._sure(seen.confidence), basis=self._basis(seen),
            change=self._change(seen),
            saying=self._say('saying', words=_quoted(seen.words)) if seen.words else '')
        return ' '.join([first, *[*self._more(seen)][:1]])

    # --- inside ------------------------------------------------------------------------------

    def _say(self, name: str, **fields: str) -> str:
        return self._texts[name].format(**fields)

    def _who(self, seen: Observation) -> str:
        name = 'unseen' if not seen.person_id else 'several' if seen.people > 1 else 'one'
        return self._say(f'who.{name}', person_id=seen.person_id)

    def _manner(self, seen: Observation) -> str:
        if seen.region:
            known = self._texts.get(f'regions.{seen.region}')
            return known or self._say('other_region', region=seen.region)
        valence = seen.affect.valence / max(seen.valence_std, 1e-3)
        arousal = seen.affect.arousal / max(seen.arousal_std, 1e-3)
        if max(abs(valence), abs(arousal)) < _CLEAR:
            return self._say('between.unclear')
        if abs(valence) >= abs(arousal):
            return self._say('between.positive' if valence > 0 else 'between.negative')
        return self._say('between.active' if arousal > 0 else 'between.calm')

    def _sure(self, confidence: float) -> str:
        return self._say('sure.high' if confidence >= _HIGH else
                         'sure.middle' if confidence >= _MIDDLE else 'sure.low')

    def _basis(self, seen: Observation) -> str:
        names = _present(seen)
        parts = [self._say(f'parts.{name}') for name in names]
        if len(parts) == 1:
            return self._say('basis.alone', part=parts[0])
        alone = [getattr(seen.alone, name) or UNKNOWN for name in names]
        agree = all(_agree(one, other) for one, other in combinations([*alone, seen.affect], 2))
        joined = self._say('and').join([', '.join(parts[:-1]), parts[-1]])
        return self._say('basis.agree' if agree else 'basis.together', parts=joined)

    def _change(self, seen: Observation) -> str:
        if seen.change not in _CHANGES:
            return ''
        return self._say(f'change.{_CHANGES[seen.change]}', ago=self._ago(seen.since_s))

    def _ago(self, since_s: float) -> str:
        count = round(since_s)
        if count < 2:
            return self._say('ago.now')
        if count < 60:
            return self._say('ago.seconds', count=self._number(count))
        minutes = round(count / 60)
        return (self._say('ago.minute') if minutes < 2 else
                self._say('ago.minutes', count=self._number(minutes)))

    def _number(self, count: int) -> str:
        return self._numbers[count] if count < len(self._numbers) else str(count)

    def _more(self, seen: Observation) -> Iterator[str]:
        """Yield further sentences, the most telling first."""
        side = _side(seen.affect)
        names = _present(seen)
        for name in names if len(names) > 1 else ():
            other = _side(getattr(seen.alone, name) or UNKNOWN)
            if side and other == -side:
                yield self._say(f'contrast.{name}', tone=self._tone(other))
        if seen.stale:
            yield self._say('stale')
        if seen.attending is not None:
            yield self._say('attending' if seen.attending else 'not_attending',
                            who=self._who(seen))
        mood = seen.mood
        if mood is not None and mood.confidence >= self.gate:
            slow, std = _side(mood.affect), math.hypot(mood.valence_std, seen.valence_std)
            apart = abs(mood.affect.valence - seen.affect.valence)
            lasts = mood.evidence_s >= _MOOD_S and mood.stamp_ns - mood.since_ns >= _MINUTES_NS
            if lasts and slow and slow != side and apart >= _CLEAR * std:
                yield self._say('mood', tone=self._tone(slow))

    def _tone(self, side: int) -> str:
        return self._say('tone.positive' if side > 0 else 'tone.negative')


def read_sentences(path: str | Path = '', gate: float = 0.4) -> Sentences:
    """
    Read the sentences of a language.

    :param path: a YAML file; the shipped ``config/summary/en.yaml`` if empty.
    :param gate: least confidence of what is said about feelings, in [0, 1].
    :raises SettingsError: names the file, the text, the fault and the allowed values.
    """
    return Sentences(*read_templates(path), gate)


def _present(seen: Observation) -> list[str]:
    return [name for name in MODALITIES if seen.modalities & Modality[name.upper()]]


def _side(point: Affect) -> int:
    """Return 1 for clearly pleasant, -1 for clearly unpleasant, else 0; also if unknown."""
    return int(point.valence > _SIDE) - int(point.valence < -_SIDE)


def _agree(one: Affect, other: Affect) -> bool:
    apart = math.hypot(one.valence - other.valence, one.arousal - other.arousal)
    return apart <= _NEAR and _side(one) * _side(other) >= 0


def _quoted(words: str) -> str:
    """Return words on one line, without quotation marks that would end theirs, and not endless."""
    words = ' '.join(words.replace('"', '').split()).strip("' ").rstrip('.,;:')
    return words if len(words) <= _LONGEST else f'{words[:_LONGEST].rstrip()}...'
