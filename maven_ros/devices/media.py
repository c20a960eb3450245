"""
Reads video and sound files as records on one clock, in another process.

A file from anywhere may crash FFmpeg, or let it run for ever. So it is opened and decoded by
:mod:`maven_ros.devices.decoding` in a child process, whose end or silence is an error like others.
"""

from __future__ import annotations

import functools
from collections.abc import Generator, Iterable
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from maven_ros.closing import Closing
from maven_ros.counters import Counters
from maven_ros.devices.decoder_process import DecoderProcess
from maven_ros.devices.decoding import LOST, Media, Record, available_ns
from maven_ros.errors import InputError, SettingsError
from maven_ros.records import AudioChunk, Frame, Pixels

__all__ = ['LOST', 'Media', 'MediaReader', 'Record', 'available_ns', 'probe', 'read_media',
           'read_sounds']


def probe(
    path: str | PathLike[str], *, video_stream: int = 0, audio_stream: int = 0,
) -> Media:
    """
    Look at what a file holds.

    :param video_stream: number of the video stream to play, from 1; 0 for the file's own choice.
    :param audio_stream: number of the audio stream, likewise.
    :raises ResourceError: when it is missing, no media file, or without video and sound; when
        FFmpeg dies or hangs on it.
    :raises SettingsError: for a stream that is not there.
    """
    with DecoderProcess() as decoder:
        decoder.ask(Path(path), Counters(), {
            'only_look': True, 'video_stream': video_stream, 'audio_stream': audio_stream})
        return Media.of(Path(path), decoder.receive()[1])


def read_media(
    path: str | PathLike[str], *, start_ns: int = 0, **how: Any,
) -> Generator[Record, None, None]:
    """
    Read a file's records; its arguments and errors are those of :class:`MediaReader`.

    :param start_ns: time of the file's start.
    :returns: an iterator; its ``close`` closes the file.
    """
    return MediaReader(path, **how).records(start_ns)


def read_sounds(
    paths: Iterable[str | PathLike[str]], counters: Counters,
) -> Generator[list[AudioChunk], None, None]:
    """
    Read the sound of many short files, each whole, in one process.

    :param counters: as for :class:`MediaReader`, whose errors it has.
    """
    with DecoderProcess() as decoder:
        for path in paths:
            decoder.ask(Path(path), counters, {
                'loop': 1, 'video': False, 'audio': True, 'video_stream': 0, 'audio_stream': 0,
                'keep_lost': False})
            decoder.receive()  # what the file holds
            chunks = []
            while (message := decoder.receive())[0] != 'end':
                chunks.append(_chunk(message, 0))
            yield chunks


class MediaReader(Closing):
    """
    A file that is read, in the order in which live devices would give its frames and sound.

    A frame comes at its stamp; a chunk of about 32 ms, at the file's own rate and channels, comes
    once its last sample is past. What is broken or damaged is skipped and counted. The file is
    checked at once; it is read while records are taken.

    :param loop: how often to read it; 0 for ever. The clock goes on from lap to lap, each as long
        as the longer of the streams read.
    :param video: whether frames are wanted.
    :param audio: whether sound is wanted.
    :param counters: takes what is skipped, under ``'media'``.
    :param video_stream: as :func:`probe`; so ``audio_stream``.
    :param keep_lost: pictures that are broken or damaged, and counted as such, are frames all the
        same, whose ``decode`` raises an InputError of ``LOST``: nobody's place is another's.
    :raises ResourceError: for a missing or unusable file, one without what is wanted, or (while
        reading) one of which nothing can be decoded, or on which FFmpeg dies or hangs.
    :raises SettingsError: for a negative ``loop``.
    """

    def __init__(
        self, path: str | PathLike[str], *, loop: int = 1, video: bool = True, audio: bool = True,
        counters: Counters | None = None, video_stream: int = 0, audio_stream: int = 0,
        keep_lost: bool = False,
    ) -> None:
        if loop < 0:
            raise SettingsError(f'loop: {loop} is not an integer of at least 0 (0: for ever)')
        self._decoder = DecoderProcess()
        try:
            self._decoder.ask(Path(path), counters or Counters(), {
                'loop': loop, 'video': video, 'audio': audio, 'video_stream': video_stream,
                'audio_stream': audio_stream, 'keep_lost': keep_lost})
            #: What the file holds.
            self.media = Media.of(Path(path), self._decoder.receive()[1])
        except BaseException:  # whatever it is, Ctrl-C too, no process stays behind
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._decoder.close()

    def records(self, start_ns: int = 0) -> Generator[Record, None, None]:
        """Yield the records and close the file, once; the file's start is at ``start_ns``."""
        with self:
            while (message := self._decoder.receive())[0] != 'end':
                yield _record(message, start_ns)


def _record(message: Any, start_ns: int) -> Record:
    if message[0] == 'sound':
        return _chunk(message, start_ns)
    _, stamp_ns, seen = message
    return Frame(start_ns + stamp_ns, functools.partial(_pixels, seen))


def _chunk(message: Any, start_ns: int) -> AudioChunk:
    _, stamp_ns, samples, rate_hz, sequence = message
    return AudioChunk(start_ns + stamp_ns, samples, rate_hz, sequence)


def _pixels(seen: Any) -> Pixels:
    if isinstance(seen, np.ndarray):
        return seen
    raise InputError(*seen)
