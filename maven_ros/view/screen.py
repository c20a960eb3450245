"""
Draw records into a Rerun recording, at their stamps.

Pictures are reduced in rate and size, and sound is drawn as an outline. All other records are
drawn as they come. The drawings of a person stay until the person is gone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maven_ros.affect import Z90, Affect
from maven_ros.errors import InputError
from maven_ros.records import (
    NS,
    AffectEvent,
    AffectState,
    Attention,
    AudioChunk,
    Frame,
    Samples,
    Utterance,
)
from maven_ros.view.blueprint import AFFECT, CAMERA, HEALTH, SOUND, TIME, TOLD, WORDS
from maven_ros.view.circumplex import Circumplex
from maven_ros.view.evidence_strip import EvidenceStrip
from maven_ros.view.heads import Heads
from maven_ros.view.require import require_rerun

_PICTURES_HZ = 12.5
_WIDTH_PX = 640
_JPEG_QUALITY = 80
_OUTLINE_NS = NS // 100  # the lowest and highest sample of this time are points of the outline
_SOUND_NS = NS // 5      # length of sound that is sent together
_GONE_NS = NS            # a person without a state for this long is no longer shown

_VALENCE, _AROUSAL = (90, 160, 255), (255, 130, 80)
_LATENCY, _DROPS, _QUIET = (180, 180, 180), (255, 80, 80), (120, 200, 160)


class Screen:
    """
    The drawings of a recording. It is not thread-safe: use it from one thread.

    :param recording: Rerun's ``RecordingStream``.
    """

    def __init__(self, recording: Any) -> None:
        self._rerun = require_rerun()
        self._recording = recording
        self._pictured_ns: int | None = None
        self._scale = 1.0
        self._people: dict[str, AffectState] = {}
        self._known: set[str] = set()
        self._behaviour = ''
        self._circumplex = Circumplex(recording)
        self._heads = Heads(recording)
        self._evidence = EvidenceStrip(recording)
        self._outline: list[tuple[NDArray[np.int64], Samples]] = []
        recording.log(SOUND, self._rerun.SeriesLines(
            colors=[_QUIET], widths=[1.0], names=['sound'],
            aggregation_policy=self._rerun.components.AggregationPolicy.MinMax), static=True)
        self._line(f'{HEALTH}/latency', 'latency (ms)', _LATENCY, 1.5)

    def show_picture(self, frame: Frame) -> None:
        """
        Show a camera picture, if one is due.

        :raises InputError: if it cannot be decoded.
        """
        since_ns = None if self._pictured_ns is None else frame.stamp_ns - self._pictured_ns
        if since_ns is not None and 0 <= since_ns < NS / _PICTURES_HZ:
            return
        import cv2

        pixels = frame.decode()
        self._scale = min(1.0, _WIDTH_PX / pixels.shape[1])
        if self._scale < 1.0:
            pixels = cv2.resize(pixels, None, fx=self._scale, fy=self._scale,
                                interpolation=cv2.INTER_AREA).astype(np.uint8)
        done, jpeg = cv2.imencode('.jpg', pixels, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        if not done:
            raise InputError('undecodable', f'a picture of {pixels.shape} cannot be shown as JPEG')
        self._pictured_ns = frame.stamp_ns
        self._log(frame.stamp_ns, f'{CAMERA}/picture', self._rerun.EncodedImage(
            contents=jpeg.tobytes(), media_type='image/jpeg'))

    def show_sound(self, chunk: AudioChunk) -> None:
        """Show the outline of sound; small chunks are sent together."""
        mono = chunk.samples.mean(1)
        length = max(1, chunk.sample_rate_hz * _OUTLINE_NS // NS)
        starts = np.arange(0, len(mono), length)
        if not len(starts):
            return
        low, high = np.minimum.reduceat(mono, starts), np.maximum.reduceat(mono, starts)
        times_ns = chunk.stamp_ns + starts * (NS // chunk.sample_rate_hz)
        times_ns = np.stack([times_ns, times_ns + _OUTLINE_NS // 2], 1).reshape(-1)
        self._outline.append((times_ns, np.stack([low, high], 1).reshape(-1)))
        if 0 <= chunk.end_ns - self._outline[0][0][0] < _SOUND_NS:
            return
        times_ns, outline = (np.concatenate(parts) for parts in zip(*self._outline, strict=True))
        self._outline = []
        self._recording.send_columns(
            SOUND,
            [self._rerun.TimeColumn(TIME, timestamp=times_ns.astype('datetime64[ns]'))],
            self._rerun.Scalars.columns(scalars=outline))

    def show_state(self, state: AffectState, latency_s: float) -> None:
        """Show the model's own state: its values with their intervals, evidence and latency."""
        who = state.person_id or 'nobody in view'
        for name, colour in (('valence', _VALENCE), ('arousal', _AROUSAL)):
            path = f'{AFFECT}/{self._rerun.escape_entity_path_part(who)}/{name}'
            if path not in self._known:
                faint = (*colour, 90)
                self._known.add(path)
                self._recording.log(path, self._rerun.SeriesLines(
                    colors=[faint, (*colour, 255), faint], widths=[1.0, 2.5, 1.0],
                    names=[f'{name} low', f'{name}, {who}', f'{name} high']), static=True)
            value, spread = getattr(state.affect, name), Z90 * getattr(state, f'{name}_std')
            self._log(state.window_end_ns, path, self._rerun.Scalars(
                [max(-1.0, value - spread), value, min(1.0, value + spread)]
                if math.isfinite(value) else [math.nan] * 3))
        self._log(state.window_end_ns, f'{HEALTH}/latency',
                  self._rerun.Scalars(latency_s * 1e3))
        self._evidence.show(state)

    def show_smoothed(self, state: AffectState) -> None:
        """Show a smoothed state on the circumplex and at the face."""
        now_ns = state.window_end_ns
        for person_id, seen in list(self._people.items()):
            if not 0 <= now_ns - seen.window_end_ns < _GONE_NS:
                del self._people[person_id]
                self._circumplex.forget(person_id, now_ns)
        self._people[state.person_id] = state
        self._circumplex.show(state)
        self._circumplex.show_at_faces(now_ns, list(self._people.values()), self._scale)
        self._heads.show_at_faces(now_ns, self._people.values(), self._scale)

    def show_attention(self, attention: Attention) -> None:
        """Show where a person's head is turned, with the next smoothed state."""
        self._heads.show(attention)

    def show_utterance(self, utterance: Utterance) -> None:
        """Show an utterance, if it is final."""
        if utterance.is_final and utterance.words:
            self._log(utterance.end_ns, WORDS, self._rerun.TextLog(
                utterance.text, level='INFO', color=_QUIET))

    def show_event(self, event: AffectEvent) -> None:
        """Show an event in words."""
        colour = event.after.colour if event.region else (200, 200, 200)
        self._log(event.stamp_ns, f'{TOLD}/event', self._rerun.TextLog(
            event.text, level='INFO', color=colour))

    def show_behaviour(self, stamp_ns: int, text: str, colour: tuple[int, int, int]) -> None:
        """Show a change of the robot's behaviour, in the colour of its LED."""
        if text == self._behaviour:
            return
        self._behaviour = text
        self._log(stamp_ns, f'{TOLD}/robot', self._rerun.TextLog(
            f'robot: {text}', level='INFO', color=colour))

    def show_drops(self, stamp_ns: int, drops: Mapping[str, int]) -> None:
        """Show the counts of dropped data so far, by cause."""
        for name, count in drops.items():
            path = f'{HEALTH}/drops/{self._rerun.escape_entity_path_part(name)}'
            self._line(path, name, _DROPS, 1.5)
            self._log(stamp_ns, path, self._rerun.Scalars(count))

    def show_annotation(self, stamp_ns: int, person: str, affect: Affect) -> None:
        """Show an annotation of a person, as thin pale lines beside the estimates."""
        for name, colour in (('valence', _VALENCE), ('arousal', _AROUSAL)):
            path = f'{AFFECT}/annotation/{self._rerun.escape_entity_path_part(person or "_")}' \
                   f'/{name}'
            pale = tuple((255 + part) // 2 for part in colour)
            self._line(path, f'{name}, rated{" " if person else ""}{person}', pale, 1.0)
            self._log(stamp_ns, path, self._rerun.Scalars(getattr(affect, name)))

    def _line(self, path: str, name: str, colour: tuple[int, ...], width: float) -> None:
        if path not in self._known:
            self._known.add(path)
            self._recording.log(path, self._rerun.SeriesLines(
                colors=[colour], widths=[width], names=[name]), static=True)

    def _log(self, stamp_ns: int, path: str, drawing: Any) -> None:
        self._recording.set_time(TIME, timestamp=np.datetime64(stamp_ns, 'ns'))
        self._recording.log(path, drawing)
