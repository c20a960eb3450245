"""Moving pictures of several people, composed of clips of one each, or of one portrait."""

import itertools

import cv2
import numpy as np
import skimage.data

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


def acted(opening, seconds, side=240, look=lambda picture: picture, begins_s=0.0):
    """
    Return ten pictures a second of scikit-image's portrait, whose jaw drops and head sways.

    She is the woman of the shipped clip; the portrait by NASA is in the public domain.

    :param opening: function of the time in seconds: how far the mouth opens, 1.0 for widely.
    :param look: what makes another person of her, of and to a picture.
    :param begins_s: of the sway, for two who do not sway alike.
    """
    still = np.ascontiguousarray(skimage.data.astronaut()[:320, 62:382, ::-1])
    y, x = np.mgrid[:320, :320].astype(np.float32)
    jaw = np.clip((y - 147) / 4, 0, 1) * np.exp(-((y - 147) / 45)**2 - ((x - 160) / 24)**2)
    pictures = []
    for index in range(round(seconds * 10)):
        drop = np.float32(12 * opening(index / 10))  # in pixels
        face = cv2.remap(still, x, y - drop * jaw, cv2.INTER_LINEAR)
        inside = drop / 2 - np.hypot((x - 160) * drop / 26, y - 147 - drop / 2) + 0.5
        inside = inside.clip(0, 1)[..., None] * min(1, drop / 4)
        face = (face * (1 - inside) + inside * np.float32([25, 20, 60])).astype(np.uint8)
        sway = begins_s + index / 10
        view = cv2.getRotationMatrix2D((160, 160), 2 * np.sin(sway), side / 270)
        view[:, 2] += side / 2 - 160 + np.float64([3 * np.cos(1.3 * sway), np.sin(1.7 * sway)])
        pictures.append(look(cv2.warpAffine(face, view, (side, side), flags=cv2.INTER_AREA,
                                            borderMode=cv2.BORDER_REPLICATE)))
    return pictures


def loudness(chunks):
    """Return a function of the time in seconds: how loud sound is then, 1.0 where loudest."""
    levels = np.array([np.sqrt(np.square(one.samples).mean()) for one in chunks])
    times_s = np.array([(one.stamp_ns + one.end_ns) / 2 / NS for one in chunks])
    return lambda time_s: float(np.interp(time_s, times_s, levels / levels.max()))


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
