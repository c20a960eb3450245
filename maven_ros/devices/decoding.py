"""
Decodes video and sound files (anything that FFmpeg reads) as records on one clock.

The file's own timestamps are that clock: 0 is the start of whichever stream starts first, so a
stream that starts late starts late here too; a clock that begins anew inside a file goes on. Each
stream is decoded from a container of its own, so a badly interleaved file costs no memory.
"""

from __future__ import annotations

import functools
import heapq
import itertools
import logging
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from maven_ros.counters import Counters
from maven_ros.devices.clocks import Part, jumps_ahead, shifts
from maven_ros.devices.lost_pictures import LostPictures
from maven_ros.devices.showing import Kind, choice, choose, shown_pixels
from maven_ros.devices.unbroken_sound import SoundRun, samples_of
from maven_ros.errors import InputError, ResourceError
from maven_ros.records import NS, AudioChunk, Frame, Pixels, check_rate
from maven_ros.resources import is_there

if TYPE_CHECKING:
    import av

Record: TypeAlias = Frame | AudioChunk

LOST = 'damaged'  # why a picture that keeps its place cannot be decoded
EARLY_END_NS = 500_000_000  # FFmpeg stops at a broken structure without a word

_ALLOWED = 'allowed is what FFmpeg reads, such as MP4, MKV, WebM, MP3 or WAV'
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Media:
    """
    What a file holds: the video and the audio stream that are played.

    :param duration_ns: as the file declares it; 0 when it does not.
    :param width: pixels as stored, before any turning or stretching; 0 without video.
    :param frame_rate: frames a second in the mean; 0 when unknown or without video.
    :param sample_rate_hz: 0 without audio.
    :param origin_s: the file's own time of its start, which is 0 for all that is read from it.
    :param streams: where the two are among all streams of the file.
    :param choices: which were chosen of several, in words.
    """

    path: Path
    duration_ns: int
    has_video: bool
    has_audio: bool
    width: int
    height: int
    frame_rate: float
    sample_rate_hz: int
    channels: int
    origin_s: Fraction
    streams: dict[Kind, int]
    choices: tuple[str, ...]

    def plain(self) -> dict[str, Any]:
        """Return all but the path as plain data."""
        return {**asdict(self), 'origin_s': self.origin_s.as_integer_ratio(), 'path': None}

    @classmethod
    def of(cls, path: Path, plain: Mapping[str, Any]) -> Media:
        """Make it of what :meth:`plain` returned."""
        return cls(**{**plain, 'origin_s': Fraction(*plain['origin_s']), 'path': path})


def look(path: Path, video_stream: int, audio_stream: int) -> Media:
    """
    Look at what a file holds.

    :param video_stream: number of the video stream to play, from 1; 0 for the file's own choice.
    :param audio_stream: number of the audio stream, likewise.
    :raises ResourceError: when it is missing, no media file, or without video and sound.
    :raises SettingsError: for a stream that is not there.
    """
    if not is_there(path, file=True):
        state = 'is no file' if is_there(path) else 'no such file'
        raise ResourceError(f'{path}: {state}; {_ALLOWED}')
    with _open(path) as container:
        wanted: dict[Kind, int] = {'video': video_stream, 'audio': audio_stream}
        found = {kind: choose(getattr(container.streams, kind), number, f'{path}: {kind}')
                 for kind, number in wanted.items()}
        video, audio = found['video'], found['audio']
        if not video and not audio:
            raise ResourceError(
                f'{path}: has neither video nor sound ({len(container.streams)} streams of '
                f'other kinds); {_ALLOWED}')
        rate = (video.average_rate or video.guessed_rate) if video else None
        return Media(
            path=path, duration_ns=(container.duration or 0) * 1000,
            has_video=bool(video), has_audio=bool(audio),
            width=video.codec_context.width if video else 0,
            height=video.codec_context.height if video else 0,
            frame_rate=float(rate or 0),
            sample_rate_hz=audio.codec_context.sample_rate if audio else 0,
            channels=audio.codec_context.channels if audio else 0,
            origin_s=min(
                (stream.start_time * stream.time_base for stream in (video, audio)
                 if stream and stream.start_time is not None and stream.time_base),
                default=Fraction(0)),
            streams={kind: stream.index for kind, stream in found.items() if stream},
            choices=tuple(filter(None, (
                choice(getattr(container.streams, kind), stream, f'{path}: {kind}',
                       f'--{kind}-stream')
                for kind, stream in found.items() if stream and not wanted[kind]))))


def decoded(
    media: Media, *, loop: int, video: bool, audio: bool, counters: Counters, keep_lost: bool,
) -> Generator[Record, None, None]:
    """
    Yield a file's records; :class:`maven_ros.devices.media.MediaReader` tells the parameters.

    A frame is converted to BGR only when it is looked at.

    :raises ResourceError: for a file without what is wanted, or (while reading) one of which
        nothing can be decoded.
    """
    video, audio = video and media.has_video, audio and media.has_audio
    if not video and not audio:
        held = 'no video' if media.has_audio else 'no sound'
        raise ResourceError(f'{media.path}: has {held}, and nothing else was asked for')
    for chosen in media.choices:
        _log.info('%s', chosen)
    return _Reader(media, video, audio, counters, keep_lost).laps(loop)


def available_ns(record: Record) -> int:
    """When a device would have given the record: a frame at its stamp, a chunk at its end."""
    return record.end_ns if isinstance(record, AudioChunk) else record.stamp_ns


class _Reader:
    """Reads the wanted streams of one file, lap after lap."""

    def __init__(
        self, media: Media, video: bool, audio: bool, counters: Counters, keep_lost: bool,
    ) -> None:
        self._media = media
        self._video = video
        self._audio = audio
        self._counters = counters
        self._keep_lost = keep_lost
        self._sequence = itertools.count()
        self._shifts: dict[int, list[Fraction]] = {}

    def laps(self, loop: int) -> Generator[Record, None, None]:
        frame_ns = round(NS / self._media.frame_rate) if self._media.frame_rate else 0
        start_ns = 0
        for _ in range(loop) if loop else itertools.count():
            end_ns = start_ns
            with closing(self._frames(start_ns)) as frames, \
                    closing(self._chunks(start_ns)) as chunks:
                streams: list[Iterator[Record]] = [frames, chunks]
                for record in heapq.merge(*streams, key=available_ns):
                    yield record
                    length_ns = frame_ns if isinstance(record, Frame) else 0
                    end_ns = max(end_ns, available_ns(record) + length_ns)
            self._check_length(end_ns - start_ns)
            if end_ns == start_ns:
                raise ResourceError(
                    f'{self._media.path}: no picture or sound with a time could be decoded; '
                    f'{_ALLOWED}')
            start_ns = end_ns

    def _frames(self, start_ns: int) -> Generator[Frame, None, None]:
        if self._video:
            for offset_ns, frame, stream in self._decoded('video'):
                yield Frame(start_ns + offset_ns, functools.partial(
                    _pixels, frame, stream.sample_aspect_ratio, self._media.path))

    def _chunks(self, start_ns: int) -> Generator[AudioChunk, None, None]:
        if not self._audio:
            return
        run: SoundRun | None = None
        for offset_ns, frame, _ in self._decoded('audio'):
            try:
                check_rate(frame.sample_rate)
                samples = samples_of(frame)
            except InputError as error:
                self._skip(error.cause, str(error))
                continue
            stamp_ns = start_ns + offset_ns
            if run and not run.continues(stamp_ns, frame.sample_rate, samples.shape[1]):
                yield from run.cut(self._sequence, last=True)
                run = None
            run = run or SoundRun(stamp_ns, frame.sample_rate, samples.shape[1])
            run.add(samples)
            yield from run.cut(self._sequence)
        if run:
            yield from run.cut(self._sequence, last=True)

    def _decoded(self, kind: Kind) -> Iterator[tuple[int, Any, Any]]:
        """
        Yield the time from the file's start in ns, a decoded frame, and its stream.

        A picture that was lost is None, where those are to keep their places.
        """
        import av

        with _open(self._media.path) as container:
            stream = container.streams[self._media.streams[kind]]
            packets, part = container.demux(stream), Part(jumps_ahead(container))
            lost = LostPictures.of(container, stream) if kind == 'video' else None
            while True:
                try:
                    packet = next(packets, None)
                    if packet is not None:
                        self._shift(packet, part)
                        if lost:
                            lost.send(packet)
                    decoded = packet.decode() if packet else ()
                except av.FFmpegError as error:
                    # A packet's error leaves the demuxer as it was; after one of its own it ends.
                    self._skip('broken_packet', f'{kind} packet: {error.strerror}')
                    if lost:
                        lost.damaged = True
                    continue
                for frame in decoded:
                    if frame.is_corrupt:  # patched up by the decoder
                        self._skip('damaged', f'{kind} frame at {float(frame.time or 0):.3f} s')
                    elif frame.pts is None or frame.time_base is None:
                        self._skip('no_time', f'{kind} frame without a timestamp')
                    if frame.pts is None or frame.time_base is None:
                        continue
                    if lost:
                        lost.damaged |= frame.is_corrupt
                        yield from self._lost(lost, frame.pts, stream)
                    if not frame.is_corrupt or (kind == 'video' and self._keep_lost):
                        yield (self._offset_ns(frame.pts, frame.time_base),
                               None if frame.is_corrupt else frame, stream)
                if packet is None:
                    if lost:
                        yield from self._lost(lost, None, stream)
                    return

    def _lost(
        self, lost: LostPictures, pts: int | None, stream: Any,
    ) -> Iterator[tuple[int, None, Any]]:
        """Count what was lost before a time, or keep its places."""
        for time in lost.before(pts):
            offset_ns = self._offset_ns(time, stream.time_base)
            if not lost.damaged:  # else it was counted for what the decoder said of it
                self._skip('lost', f'video picture at {offset_ns / NS:.3f} s: nothing is decoded')
            if self._keep_lost:
                yield offset_ns, None, stream

    def _offset_ns(self, pts: int, time_base: Fraction) -> int:
        return round((pts * time_base - self._media.origin_s) * NS)

    def _shift(self, packet: Any, part: Part) -> None:
        """Lay a packet after the part of the file before its own, where the clock begins anew."""
        if part.take(packet) and not self._shifts:
            with _open(self._media.path) as container:
                self._shifts = shifts(
                    self._media.path, container, self._media.streams.values())
        if part.number and packet.time_base:
            ticks = round(self._shifts[packet.stream.index][part.number] / packet.time_base)
            packet.pts = None if packet.pts is None else packet.pts + ticks
            packet.dts = None if packet.dts is None else packet.dts + ticks

    def _check_length(self, length_ns: int) -> None:
        whole = (self._video, self._audio) == (self._media.has_video, self._media.has_audio)
        # Where the clock begins anew, what is declared is not the length.
        if whole and not self._shifts and length_ns + EARLY_END_NS < self._media.duration_ns:
            self._counters.count(
                'media', 'ended_early', f'{self._media.path}: ended after {length_ns / NS:.1f} s '
                f'of the {self._media.duration_ns / NS:.1f} s that it declares')

    def _skip(self, cause: str, detail: str) -> None:
        self._counters.count('media', cause, f'{self._media.path}: {detail}; skipped')


def _open(path: Path) -> av.container.InputContainer:
    try:
        import av
    except ImportError as error:
        raise ResourceError(
            f'{path}: reading media files needs PyAV; pip install "maven_ros[media]"') from error
    try:
        # With its protocol in front, a name that holds a colon is not taken for a URL.
        return av.open(f'file:{path}', metadata_errors='replace')
    except av.FFmpegError as error:
        raise ResourceError(
            f'{path}: cannot be read as a media file ({error.strerror}); {_ALLOWED}') from error


def _pixels(frame: av.VideoFrame | None, aspect: Fraction | None, path: Path) -> Pixels:
    """Convert to BGR, as the file declares that it is shown."""
    import av

    if frame is None:
        raise InputError(LOST, f'{path}: a picture is damaged')
    try:
        return shown_pixels(frame, aspect)
    except (av.FFmpegError, ValueError) as error:
        raise InputError(
            'undecodable',
            f'a video frame of format {frame.format.name} cannot be made bgr24: {error}'
        ) from error
