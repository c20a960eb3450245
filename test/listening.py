"""The pipeline with eyes that are told what they see; it keeps what it gives to the engine."""

import numpy as np

from maven_ros.pipeline import Pipeline
from maven_ros.records import NS, SAMPLE_RATE_HZ, AudioChunk, Frame


class GivenFaces:
    """Stands where the tracker does: faces by the stamp of their frame."""

    def __init__(self, faces):
        self.faces = faces

    def update(self, stamp_ns, pixels):
        return tuple(self.faces.get(stamp_ns, ()))

    def reset(self):
        """Forget nothing."""

    def change(self, settings):
        """See as before."""

    def freeze(self):
        return {}


class NoEngine:
    """Stands where the engine does: says nothing of any evidence."""

    name, crop_px, languages = 'none', 48, ('en',)

    def warm_up(self):
        """Do nothing."""

    def reset(self):
        """Forget nothing."""

    def infer(self, pieces):
        return [None] * len(pieces)


class Listening(Pipeline):
    """
    The node's pipeline; ``windows`` and ``pieces`` are what it gave to the engine.

    :param faces: by the stamp of their frame.
    :param judges: whether there is an engine.
    """

    def __init__(self, settings, faces, judges=False, speech=None):
        self.given, self.judges = GivenFaces(faces), judges
        self.windows, self.pieces = [], []
        super().__init__(settings, speech=speech)

    def _open_engine(self):
        return super()._open_engine() if self.judges else NoEngine()

    def _open_faces(self):
        return self.given

    def _judge(self, window):
        self.windows.append(window)
        return super()._judge(window)

    def _infer(self, pieces):
        self.pieces += pieces
        return super()._infer(pieces)


def chunks_of(samples, start_ns, size=512, rate_hz=SAMPLE_RATE_HZ):
    """Return sound, of one channel or (samples, channels), in chunks, as a device gives it."""
    samples = samples if samples.ndim > 1 else samples[:, None]
    return [AudioChunk(start_ns + first * NS // rate_hz, samples[first:first + size], rate_hz)
            for first in range(0, len(samples), size)]


def blank_frames(stamps_ns):
    return [Frame.of(int(stamp_ns), np.zeros((9, 9, 3), np.uint8)) for stamp_ns in stamps_ns]


def feed(pipeline, records):
    """Feed records in the order in which they could be known, to the end; return what came."""
    ordered = sorted(records, key=lambda one: getattr(one, 'end_ns', one.stamp_ns))
    return [one for record in ordered for one in pipeline.feed(record)] + pipeline.finish()
