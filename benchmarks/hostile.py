"""
Feeds messages that claim or hold too much to what takes messages in, each in a process of its own.

Prints what became of each, the seconds that it took until its states were known, and by how much
the process grew at most. One message must cost neither 100 MB nor a second.
"""

from __future__ import annotations

import multiprocessing
import resource
import struct
import time
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

from maven_ros.counters import Counters
from maven_ros.graph.convert import LIVE_SPEECH
from maven_ros.graph.images import COMPRESSED_IMAGE, IMAGE
from maven_ros.graph.interface import Received
from maven_ros.graph.messages import new, to_cdr
from maven_ros.graph.sound import AUDIO_CHUNK, audio_message
from maven_ros.intake.face_pairing import IDS_LIST
from maven_ros.intake.intake import Intake
from maven_ros.pipeline import Pipeline
from maven_ros.records import NS, AudioChunk
from maven_ros.settings import Settings

T0 = 1_700_000_000 * NS
HEADER = {'stamp': {'sec': T0 // NS + 3}}


def _chunk(kind: bytes, content: bytes, claims: int | None = None) -> bytes:
    length = len(content) if claims is None else claims
    return (struct.pack('>I4s', length, kind) + content
            + struct.pack('>I', zlib.crc32(kind + content)))


def _png(width: int, height: int, before: bytes = b'') -> Any:
    header = struct.pack('>IIBBBBB', width, height, 8, 0, 0, 0, 0)
    lines = zlib.compress(bytes((width + 1) * height), 9)
    data = (b'\x89PNG\r\n\x1a\n' + _chunk(b'IHDR', header) + before + _chunk(b'IDAT', lines)
            + _chunk(b'IEND', b''))
    return new(COMPRESSED_IMAGE, header=HEADER, format='png', data=data)


def _raw(width: int, height: int, **fields: Any) -> Any:
    return new(IMAGE, **{'header': HEADER, 'width': width, 'height': height, 'encoding': 'mono8',
                         'step': width, 'data': np.zeros(width * height, np.uint8), **fields})


def _sound(rate_hz: int, size: int) -> Any:
    return new(AUDIO_CHUNK, header=HEADER, sample_rate=rate_hz, channels=1, encoding='S16LE',
               data=np.ones(size, np.uint8))


HOSTILE: dict[str, tuple[str, Callable[[], Any]]] = {
    'png whose chunk claims 2^31-1': (
        COMPRESSED_IMAGE, lambda: _png(64, 48, _chunk(b'tEXt', b'x' * 500, 2**31 - 1))),
    'png of 30000x30000': (COMPRESSED_IMAGE, lambda: _png(30000, 30000)),
    'png of 4096x4096, which passes': (COMPRESSED_IMAGE, lambda: _png(4096, 4096)),
    'mono8 of 96x100000': (IMAGE, lambda: _raw(96, 100_000)),
    'mono8 of 320x8192, which passes': (IMAGE, lambda: _raw(320, 8192)),
    '10 MB of sound at 1000 Hz': (AUDIO_CHUNK, lambda: _sound(1000, 10_000_000)),
    '10 s of sound at 1000 Hz, which passes': (AUDIO_CHUNK, lambda: _sound(1000, 20_000)),
    'LiveSpeech of 200 kB': (
        LIVE_SPEECH, lambda: new(LIVE_SPEECH, header=HEADER, final='a ' * 100_000)),
    '5,000 ids in a list': (
        IDS_LIST, lambda: new(IDS_LIST, header=HEADER, ids=[f'id{n}' for n in range(5000)])),
    'name of an encoding of 2 MB': (IMAGE, lambda: _raw(8, 8, encoding='x' * 2_000_000)),
    'frame_id of 5 MB': (
        IMAGE, lambda: _raw(8, 8, header={**HEADER, 'frame_id': 'x' * 5_000_000})),
}


def measure(name: str) -> str:
    """Feed one message, between others that are in order, and say what it cost."""
    msgtype, make = HOSTILE[name]
    settings, counters = Settings().with_values({'speech.recogniser': 'none'}), Counters()
    with Pipeline(settings, counters=counters) as pipeline:
        intake = Intake(settings.audio, counters, settings.time)

        def take(topic: str, kind: str, cdr: bytes, now_ns: int) -> None:
            for record in intake.take(Received(topic, kind, cdr, now_ns)):
                pipeline.feed(record, now_ns)

        def quiet(tenths: range) -> None:
            for tenth in tenths:
                chunk = AudioChunk(T0 + tenth * NS // 10, np.zeros((1600, 1), np.float32), 16000)
                take('/audio', AUDIO_CHUNK, to_cdr(audio_message(chunk), AUDIO_CHUNK),
                     chunk.end_ns)

        quiet(range(30))
        cdr = to_cdr(make(), msgtype)
        before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began_s = time.perf_counter()
        take('/it', msgtype, cdr, T0 + 3 * NS)
        quiet(range(30, 40))
        took_s = time.perf_counter() - began_s
        grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb) / 1024
    found = ', '.join(one.partition('.')[2] for one in counters.snapshot()
                      if one.startswith(('/it.', 'video.'))) or 'taken'
    return f'{name:40} {found:18} {took_s:6.2f} s  +{grown_mb:.0f} MB'


def main() -> None:
    for name in HOSTILE:
        with multiprocessing.get_context('spawn').Pool(1) as pool:
            print(pool.apply(measure, (name,)), flush=True)


if __name__ == '__main__':
    main()
