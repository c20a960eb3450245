"""
The pipeline: it takes stamped frames and sound, and returns states, events and utterances.

It needs no transport, no thread and no wall clock. The node, the replay, tests and notebooks use
the same object. ::

    with Pipeline(Settings()) as pipeline:
        for record in read_media('talk.mp4'):
            for output in pipeline.feed(record):
                print(output)
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, TypeAlias, TypeVar

from maven_ros import rules
from maven_ros.acting.stage import Acting
from maven_ros.affect import UNKNOWN
from maven_ros.closing import Closing
from maven_ros.counters import Counters
from maven_ros.engine import Engine
from maven_ros.errors import InputError
from maven_ros.records import (
    AffectState,
    AudioChunk,
    Camera,
    Estimate,
    Evidence,
    Frame,
    Input,
    Modality,
    Output,
    RobotSound,
    RobotSpeaking,
    Seen,
    Status,
    Stream,
    Utterance,
    VoiceAssigned,
    Window,
    nanoseconds,
)
from maven_ros.senses.audio import AudioSense
from maven_ros.senses.face_tracker import FaceTracker
from maven_ros.senses.lens import Lens
from maven_ros.senses.speaker import ActiveSpeaker
from maven_ros.senses.speech import SpeechStream, SpeechWorker
from maven_ros.senses.transcript import Transcript
from maven_ros.senses.windows import Admission, Windows
from maven_ros.settings import Settings

_UNKNOWN = Estimate(UNKNOWN, math.nan, math.nan, (0.0, 0.0, 0.0))

#: The voice at the end of a window is that of so many blocks of 32 ms.
_LATELY_BLOCKS = 8

#: A deferred part of the work on an input; it returns the resulting outputs.
Step: TypeAlias = Callable[[], list[Output]]

_Sound = TypeVar('_Sound', AudioChunk, RobotSpeaking)


class Pipeline(Closing):
    """
    Senses, windows, engine, smoothing and events, connected.

    It is not thread-safe: use it from one thread.

    :param settings: the whole configuration.
    :param live: if True, recognition runs in its own thread and does not block the caller; if
        False, it runs as sound comes in, so that results depend on the input only.
    :param counters: count dropped data; a new object if omitted.
    :param speech: the recognition of words; opened from the settings if omitted. It is closed
        with the pipeline.
    :raises ResourceError: if a model or a package that the settings need is missing.
    :raises SettingsError: if the file of regions is not valid.
    """

    def __init__(
        self, settings: Settings, live: bool = False, counters: Counters | None = None,
        speech: SpeechStream | None = None,
    ) -> None:
        self.settings = settings
        self.counters = counters if counters is not None else Counters()
        self._acting = Acting(settings)
        self.speech: SpeechStream = speech if speech is not None else SpeechWorker(
            settings.speech, self.counters, inline=not live)
        try:
            self.engine = self._open_engine()
            self._faces = self._open_faces()
            self.engine.warm_up()
        except BaseException:  # the thread of recognition must end after any error
            self.speech.close()
            raise
        self._lens = Lens(settings.attention, self.counters)
        self._audio = AudioSense(
            settings.audio, settings.windows.length_s + rules.RING_SLACK_S, self.counters)
        self._windows = Windows(settings.windows, self._audio, self.counters)
        self._transcript = Transcript(self.counters)
        self._speaker = ActiveSpeaker(settings.speaker)
        self._live = live
        #: What the newest frame showed; whoever has taken it may set it to None.
        self.seen: Seen | None = None
        #: Whether there was a voice at the end of the newest window.
        self.voiced = False
        self._frame_ns: int | None = None  # stamp of the last frame
        self._recognised_ns = 0            # end of the sound that has been recognised
        self._now_ns = 0

    def close(self) -> None:
        """Stop recognition and release its resources."""
        self.speech.close()

    def feed(self, record: Input, now_ns: int | None = None) -> list[Output]:
        """
        Take one record and return the new outputs.

        A record that cannot be used is dropped and counted by cause.

        :param now_ns: time of a steady clock of the caller, which measures waiting; the record's
            own time if omitted, as in a replay.
        """
        return _done(self.gather(record, _time_of(record) if now_ns is None else now_ns))

    def advance(self, now_ns: int) -> list[Output]:
        """Return the outputs that are due by ``now_ns`` without a new record."""
        return _done(self._go_on(now_ns))

    def gather(self, record: Input | None, now_ns: int) -> list[Step]:
        """
        Take one record and return the remaining steps, which :meth:`feed` calls at once.

        Call the steps in order. They may be called later, so that a recogniser can run ahead; a
        step that needs its words waits for them. Call all steps before any other method.

        :param record: None without a new record.
        """
        steps = self._go_on(now_ns)
        if record is None:
            return steps
        source = ('video' if isinstance(record, Frame) else
                  'robot_audio' if isinstance(record, RobotSound) else 'audio')
        try:
            if isinstance(record, Frame):
                steps += self._take_frame(record, now_ns)
            elif isinstance(record, Camera):
                self._lens.take(record)
            elif isinstance(record, AudioChunk):
                steps += self._take_audio(record, now_ns)
            elif isinstance(record, RobotSpeaking):
                self._audio.robot_speaking(self._shifted(record))
            elif isinstance(record, RobotSound):
                self._audio.play(self._shifted(record.chunk))
            else:
                steps += self._take_utterance(record)
        except InputError as error:
            self.counters.refuse(source, error.cause, str(error))
        return steps + self._go_on(now_ns)

    def finish(self, timeout_s: float = 5.0) -> list[Output]:
        """
        End the streams: close the open utterance and every window that some stream has passed.

        All people leave, which gives events.

        :param timeout_s: time that recognition may take to catch up.
        """
        return _done(self._end(timeout_s))

    @property
    def stopped(self) -> frozenset[Stream]:
        """The streams that were live and have stopped."""
        return self._windows.stopped(self._now_ns)

    @property
    def audio_clock(self) -> str:
        """The source of the sound's time: ``stamps``, ``arrival``, or ``none`` before any."""
        return self._audio.clock

    def change(self, settings: Settings) -> None:
        """
        Change the settings.

        :raises SettingsError: for a change that needs a new pipeline.
        """
        self.settings.check_change(settings)
        self.settings = settings
        self._faces.change(settings.faces)
        self._lens.change(settings.attention)
        self._audio.change(settings.audio)
        self._speaker.change(settings.speaker)
        self._windows.change(settings.windows)
        self._acting.change(settings)

    def reset(self) -> list[Output]:
        """
        Forget all evidence, as after a jump in time. The models stay loaded.

        :returns: the events of all people leaving.
        """
        return _done(self._forget())

    def reset_baselines(self) -> None:
        """Forget the personal baselines of all people."""
        self._acting.reset_baselines()

    def rest(self) -> list[Output]:
        """
        Close the open utterance and clear the state that cannot be saved, before :meth:`freeze`.

        Faces, sound and open windows stay.
        """
        utterances = _done(self._heard(self.speech.finish(0.0)))
        self.engine.reset()
        return utterances

    def freeze(self) -> dict[str, Any]:
        """
        Return the whole state, for :meth:`thaw` in another process. Call :meth:`rest` before.

        The result is plain data and not a copy. It does not include the recogniser's state.
        """
        return {'faces': self._faces.freeze(), 'lens': self._lens.freeze(),
                'audio': self._audio.freeze(), 'windows': self._windows.freeze(),
                'speaker': self._speaker.freeze(), 'transcript': self._transcript.freeze(),
                'acting': self._acting.freeze(), 'counters': self.counters.freeze(),
                'clock': (self._frame_ns, self._recognised_ns, self._now_ns)}

    def thaw(self, state: dict[str, Any]) -> None:
        """Restore the state that :meth:`freeze` returned."""
        self._faces.thaw(state['faces'])
        self._lens.thaw(state['lens'])
        self._audio.thaw(state['audio'])
        self._windows.thaw(state['windows'])
        self._speaker.thaw(state['speaker'])
        self._transcript.thaw(state['transcript'])
        self._acting.thaw(state['acting'])
        self.counters.thaw(state['counters'])
        self._frame_ns, self._recognised_ns, self._now_ns = state['clock']
        self.engine.reset()

    # --- inside ------------------------------------------------------------------------------

    def _open_engine(self) -> Engine:
        return Engine(self.settings.model, self.settings.windows, self.settings.faces.rate_hz,
                      self.counters)

    def _open_faces(self) -> FaceTracker:
        return FaceTracker(self.settings.faces, self.engine.crop_px, self.counters)

    def _restart(self) -> list[Step]:
        """Return the outputs of the old clock's windows, then forget its evidence."""
        # A live pipeline does not wait for recognition: that would delay the new clock's windows.
        steps = self._judged(self._windows.flush()) if self._live else self._end()
        return steps + self._forget()

    def _end(self, timeout_s: float = 5.0) -> list[Step]:
        steps = self._heard(self.speech.finish(timeout_s))
        return [*steps, *self._judged(self._windows.flush()), self._everybody_leaves]

    def _forget(self) -> list[Step]:
        """Forget the evidence now, and the state of later stages in a step."""
        self._faces.reset()
        self._audio.reset()
        self._windows.reset()
        self.speech.reset()
        self._frame_ns = None
        self._recognised_ns = 0
        return [self._forget_judged]

    def _forget_judged(self) -> list[Output]:
        self._transcript.reset()
        self._speaker.reset()
        self.engine.reset()
        return self._everybody_leaves()

    def _everybody_leaves(self) -> list[Output]:
        return [*self._acting.reset()]

    def _go_on(self, now_ns: int) -> list[Step]:
        self._now_ns = now_ns
        return [*self._listen(now_ns), *self._judged(self._windows.advance(now_ns))]

    def _take_frame(self, frame: Frame, now_ns: int) -> list[Step]:
        steps: list[Step] = []
        stamp_ns = frame.stamp_ns
        verdict = self._windows.admit(Stream.VIDEO, stamp_ns, stamp_ns + 1, now_ns, frame.stamped)
        if verdict is Admission.RESTART:
            steps = self._restart()
        elif verdict is Admission.LATE:
            self.counters.refuse('video', 'late', f'frame at {stamp_ns} ns arrived after its '
                                                  'window had closed')
            self._windows.arrived(Stream.VIDEO, stamp_ns, now_ns)  # late, but not stopped
            return steps
        last_ns = self._frame_ns
        if last_ns is not None and stamp_ns <= last_ns:
            cause = 'duplicate' if stamp_ns == last_ns else 'out_of_order'
            self.counters.refuse('video', cause, f'frame at {stamp_ns} ns came after {last_ns} ns')
            return steps
        self._frame_ns = stamp_ns
        if not rules.is_looked_at(stamp_ns, last_ns, self.settings.faces.rate_hz):
            self.counters.count('video', 'thinned', normal=True)
        else:
            try:
                pixels, found = frame.decode(), frame.faces
                faces = (self._faces.update(stamp_ns, pixels) if found is None else
                         self._faces.accept(stamp_ns, pixels, found))
                faces = self._lens.place(faces, pixels.shape[1], pixels.shape[0])
                self._windows.add_faces(faces, frame.frame_id)
                self.seen = Seen(stamp_ns, frame.frame_id, pixels, faces, found is not None)
            except InputError as error:
                self.counters.refuse('video', error.cause, str(error))
        self._windows.arrived(Stream.VIDEO, stamp_ns, now_ns)
        return steps

    def _take_audio(self, chunk: AudioChunk, now_ns: int) -> list[Step]:
        steps: list[Step] = []
        chunk = self._shifted(chunk)
        verdict = self._windows.admit(
            Stream.AUDIO, chunk.stamp_ns, chunk.end_ns, now_ns, chunk.stamped)
        if verdict is Admission.RESTART:
            steps = self._restart()
        # Late sound is not evidence, but its words may still belong to open windows.
        segments = self._audio.add(chunk, self._windows.sealed_ns)
        if segments and verdict is Admission.LATE:
            self.counters.came_to_nothing('audio', 'late')
        for segment in segments:
            self.speech.put(segment)
        watermark_ns = self._audio.watermark_ns
        if watermark_ns is not None:
            self._windows.arrived(Stream.AUDIO, watermark_ns, now_ns)
        return steps + self._listen(now_ns)

    def _shifted(self, record: _Sound) -> _Sound:
        """Return a record of sound with ``audio.offset_ms`` added to its time."""
        offset_ns = nanoseconds(self.settings.audio.offset_ms / 1000.0)
        return replace(record, stamp_ns=record.stamp_ns + offset_ns)

    def _take_utterance(self, utterance: Utterance) -> list[Step]:
        """Take another recogniser's words, except those that the robot itself spoke."""
        words = tuple(word for word in utterance.words
                      if not self._audio.robot_spoke(word.start_ns, word.end_ns))
        robots = len(utterance.words) - len(words)
        if robots:
            self.counters.count('speech', 'robot_speaking', n=robots, normal=True)
        return self._heard([replace(utterance, words=words)])

    def _listen(self, now_ns: int) -> list[Step]:
        """Collect utterances. Windows wait a limited time for the recognition of their sound."""
        steps = self._heard(self.speech.poll())
        watermark_ns = self._audio.watermark_ns
        if watermark_ns is not None and self.speech.recognises:
            recognised_ns = watermark_ns - nanoseconds(self.speech.lag_s)
            if recognised_ns > self._recognised_ns:
                self._recognised_ns = recognised_ns
                self._windows.arrived(Stream.TEXT, recognised_ns, now_ns)
        return steps

    def _heard(self, utterances: Iterable[Utterance]) -> list[Step]:
        since_ns = self._windows.next_start_ns

        def write_down() -> list[Output]:
            outputs: list[Output] = []
            for utterance in utterances:  # may wait for recognition
                self._transcript.add(utterance, since_ns)
                self._count_foreign(utterance)
                outputs += [utterance, *self._acting.hear(utterance)]
            return outputs

        return [write_down] if utterances else []

    def _count_foreign(self, utterance: Utterance) -> None:
        if utterance.is_final and utterance.words and not self._gates.reads(utterance.language):
            self.counters.count(
                'text', 'language', f'words in {utterance.language!r} are no evidence; the text '
                f'encoder of {self.engine.name} knows {", ".join(self.engine.languages)}',
                n=len(utterance.words), normal=self.counters.get('text', 'language') > 0)

    @property
    def _gates(self) -> rules.Gates:
        return rules.Gates.of(self.settings, self.engine.languages)

    def _judged(self, windows: list[Window]) -> list[Step]:
        return [functools.partial(self._states, window) for window in windows]

    def _states(self, window: Window) -> list[Output]:
        words = self._transcript.words(window.start_ns, window.end_ns)
        states = self._judge(replace(window, words=words))
        self.voiced = bool(window.voiced[-_LATELY_BLOCKS:].any())
        return [*states, *self._acting.take(states, window.faces)]

    def _judge(self, window: Window) -> list[AffectState]:
        """Return a state for each person in a window, from one pass of the engine."""
        gates = self._gates
        whose = rules.voices(window, self._speaker.take(window), gates)
        pieces = [rules.evidence_of(window, person_id, voice, gates)
                  for person_id, voice in whose.items()]
        estimates = self._infer([piece for piece in pieces if piece.modalities])
        return [self._state(window, piece, whose[piece.person_id], estimates.get(piece.person_id))
                for piece in pieces]

    def _infer(self, pieces: list[Evidence]) -> dict[str, Estimate]:
        """Estimate all pieces in one pass; a piece that the engine refuses is counted."""
        try:
            return dict(zip((piece.person_id for piece in pieces), self.engine.infer(pieces),
                            strict=True))
        except InputError as error:
            if len(pieces) == 1:
                self.counters.count('windows', error.cause, str(error))
                return {}
        return {person_id: estimate for piece in pieces
                for person_id, estimate in self._infer([piece]).items()}

    def _state(
        self, window: Window, piece: Evidence, voice: VoiceAssigned, estimate: Estimate | None,
    ) -> AffectState:
        estimated = estimate or _UNKNOWN
        status = Status.STALE if window.stale else Status.OK
        return AffectState(
            window_start_ns=window.start_ns,
            window_end_ns=window.end_ns,
            status=status if estimate else Status.NO_EVIDENCE,
            person_id=piece.person_id,
            affect=estimated.affect,
            valence_std=estimated.valence_std,
            arousal_std=estimated.arousal_std,
            modalities=piece.modalities if estimate else Modality.NONE,
            influence=estimated.influence,
            voice_assigned=voice,
            transcript=' '.join(word.text for word in window.words),
            face=piece.faces[-1].box if piece.faces else None,
            frame_id=window.frame_id,
            model=self.engine.name,
            alone=estimated.alone)


def _done(steps: Iterable[Step]) -> list[Output]:
    return [output for step in steps for output in step()]


def _time_of(record: Input) -> int:
    """Return the earliest time at which a record can be known."""
    if isinstance(record, AudioChunk | Utterance):
        return record.end_ns
    return record.stamp_ns
