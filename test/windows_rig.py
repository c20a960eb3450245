"""The node's pipeline, fed by hand, and the windows that it closes."""

import numpy as np
from listening import Listening

from maven_ros.records import NS, AudioChunk, Box, Face, Frame, Utterance, Word
from maven_ros.settings import Settings

T0 = 1_700_000_000 * NS
MS = 1_000_000
HOP = 200 * MS
CROP = np.zeros((1, 1, 3), np.uint8)
SETTINGS = Settings().with_values({'faces.rate_hz': 60.0})


class Rig:
    """
    The node's pipeline, fed by hand; what it is asked returns the windows that close.

    :param values: of parameters, those of windows by their short names.
    """

    def __init__(self, speech=None, **values):
        self.pipeline = Listening(SETTINGS.with_values({
            'speech.recogniser': 'none', 'audio.min_voiced_s': 0.05,
            **{name if '.' in name else f'windows.{name}': value
               for name, value in values.items()}}), self, speech=speech)
        self.now_ns = T0

    def get(self, stamp_ns, default):
        """Return the face in every frame: what stands where the tracker does asks for it."""
        return (Face(stamp_ns, 'person_1', Box(0, 0, 1, 1), CROP),)

    def closed(self, call, *arguments):
        before = len(self.pipeline.windows)
        call(*arguments)
        return self.pipeline.windows[before:]

    def feed(self, record, now_ns=None):
        self.now_ns = self.now_ns if now_ns is None else now_ns
        return self.closed(self.pipeline.feed, record, self.now_ns)

    def advance(self, ms):
        self.now_ns = T0 + round(ms * MS)
        return self.closed(self.pipeline.advance, self.now_ns)

    def finish(self):
        return self.closed(self.pipeline.finish)

    def frame(self, ms, now_ms=None):
        """Feed a frame with a face in it."""
        return self.feed(Frame.of(T0 + round(ms * MS), CROP),
                         T0 + round((ms if now_ms is None else now_ms) * MS))

    def sound(self, ms, now_ms=None, length_ms=40, stamped=True):
        """Feed a chunk that *starts* at ``ms`` and whose samples say their own time, in 100 s."""
        ramp = (ms / 1000 + np.arange(16 * length_ms, dtype=np.float64) / 16000) / 100
        chunk = AudioChunk(T0 + round(ms * MS), ramp.astype(np.float32)[:, None], 16000,
                           stamped=stamped)
        return self.feed(chunk, T0 + round((ms + length_ms if now_ms is None else now_ms) * MS))

    def words(self, *spans_ms, final=True):
        """Feed what another recogniser has understood."""
        spoken = tuple(Word(f'w{start}', T0 + round(start * MS), T0 + round(end * MS), 0.9)
                       for start, end in spans_ms)
        return self.feed(Utterance(
            spoken[0].start_ns, spoken[-1].end_ns, spoken, final, 'test'))

    def count(self, name):
        return self.pipeline.counters.snapshot().get(name, 0)

    @property
    def restarts(self):
        return self.count('windows.jump_back') + self.count('windows.jump_ahead')


def ends(closed):
    return [(window.end_ns - T0) // MS for window in closed]
