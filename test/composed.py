"""Moving pictures of several people, composed of clips of one each."""

import itertools

import cv2
import numpy as np

from maven_ros.devices.media import read_media
from maven_ros.records import NS, AudioChunk, Frame

FRAME_NS = NS // 10


def portrait(path, side=240, box=None, from_s=0.0):
    """
    Return the pictures of a clip, ten a second, as squares.

    :param box: (x, y, size) of the square in the clip's pixels; the middle when left out.
    """
    pictures = []
    for frame in read_media(path, audio=False):
        due_ns = round(from_s * NS) + len(pictures) * FRAME_NS
        if frame.stamp_ns >= due_ns:
            pixels = frame.decode()
            height, width = pixels.shape[:2]
            x, y, size = box or ((width - min(height, width)) // 2, 0, min(height, width))
            pictures.append(cv2.resize(pixels[y:y + size, x:x + size], (side, side),
                                       interpolation=cv2.INTER_AREA))
    return pictures


def to_and_fro(pictures):
    """Go on for ever, without a cut."""
    return itertools.cycle([*pictures, *pictures[-2:0:-1]])


def still(pictures):
    """Return a photograph that is moved about a little, as a head is."""
    for index in itertools.count():
        shift = np.float32([[1, 0, 2 * np.sin(index / 5)], [0, 1, np.cos(index / 7)]])
        yield cv2.warpAffine(pictures[0], shift, pictures[0].shape[1::-1],
                             borderMode=cv2.BORDER_REPLICATE)


def records(start_ns, seconds, tiles, sound=()):
    """
    Yield pictures side by side and sound, as live devices would give them.

    :param tiles: an iterable of pictures for each person, from left to right.
    :param sound: chunks with stamps from 0 on.
    """
    sound = iter([*sound])
    chunk = next(sound, None)
    for index, pictures in zip(range(round(seconds * 10)), zip(*tiles, strict=False),
                               strict=False):
        stamp_ns = index * FRAME_NS
        while chunk is not None and chunk.end_ns <= stamp_ns:
            yield AudioChunk(start_ns + chunk.stamp_ns, chunk.samples, chunk.sample_rate_hz)
            chunk = next(sound, None)
        yield Frame.of(start_ns + stamp_ns, np.hstack(pictures))


def sound_of(path, after_s=0.0):
    """Return the chunks of a clip's sound, later by so much."""
    return [AudioChunk(one.stamp_ns + round(after_s * NS), one.samples, one.sample_rate_hz)
            for one in read_media(path, video=False)]
