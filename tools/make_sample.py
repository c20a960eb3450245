#!/usr/bin/env python3
"""
Make media/sample.mp4: a portrait in gentle motion that speaks the lines of media/sample.txt.

The picture is scikit-image's astronaut (NASA, public domain), and the voice is espeak-ng's. Both
are free to use. Everything is computed from constants, so the same versions of the tools give the
same bytes.

    python tools/make_sample.py [OUTPUT.mp4]
"""

from __future__ import annotations

import io
import math
import subprocess
import sys
import wave
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
import skimage.data

MEDIA = Path(__file__).resolve().parent.parent / 'media'

FRAME_RATE_HZ = 25
SIDE_PX = 384

# A combination of espeak-ng's voices and speeds that recognisers understand.
VOICE = 'en-us+f3'
SPEED_WORDS_PER_MIN = 130
# espeak-ng speaks near full scale with digital silence. These are the level of a person at one
# metre from the microphone and the hiss of a quiet room. Without them a recogniser's running
# cepstral mean starts far off.
LEVEL = 0.25
HISS_STD = 8.0      # of int16
LEAD_S = 1.0
PAUSE_S = 1.2       # long enough for any endpointer to end the utterance

# The view of the camera in pixels of the portrait: around the face, and inside the picture even at
# the extremes of the motion.
CENTRE_PX = (224.0, 165.0)
VIEW_PX = 270.0

# Amplitude and period of each movement. The periods have no small common multiple, so no pose
# repeats.
PAN_PX, PAN_PERIOD_S = 12.0, 7.3
RISE_PX, RISE_PERIOD_S = 5.0, 4.9
TILT_DEG, TILT_PERIOD_S = 3.5, 6.1
ZOOM, ZOOM_PERIOD_S = 0.05, 11.0

Sound = npt.NDArray[np.int16]
Picture = npt.NDArray[np.uint8]


def speak(sentence: str) -> tuple[Sound, int]:
    """Return a sentence as mono samples, without the silence around it, and their rate in Hz."""
    said = subprocess.run(
        ['espeak-ng', '-v', VOICE, '-s', str(SPEED_WORDS_PER_MIN), '--stdout', sentence],
        check=True, capture_output=True).stdout
    with wave.open(io.BytesIO(said)) as file:
        rate_hz = file.getframerate()
        # A WAV from a pipe has a wrong length in its header: read to the end.
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    heard = np.flatnonzero(np.abs(samples.astype(np.int32)) > 50)
    return samples[heard[0]:heard[-1] + 1], rate_hz


def speech(sentences: list[str]) -> tuple[Sound, int]:
    """Return all sentences in sequence, with a pause after each."""
    parts: list[Sound] = []
    for sentence in sentences:
        samples, rate_hz = speak(sentence)
        silence_s = PAUSE_S if parts else LEAD_S
        parts += [np.zeros(round(silence_s * rate_hz), np.int16), samples]
    parts.append(np.zeros(round(PAUSE_S * rate_hz), np.int16))
    said = np.concatenate(parts) * LEVEL
    hiss = np.random.default_rng(seed=0).normal(0.0, HISS_STD, len(said))
    return np.rint(said + hiss).astype(np.int16), rate_hz


def pose(time_s: float) -> npt.NDArray[np.float64]:
    """Return the 2x3 affine matrix from the portrait to the picture at a time."""
    def swing(period_s: float) -> float:
        return math.sin(math.tau * time_s / period_s)

    scale = SIDE_PX / VIEW_PX * (1 + ZOOM * swing(ZOOM_PERIOD_S))
    centre = (CENTRE_PX[0] + PAN_PX * swing(PAN_PERIOD_S),
              CENTRE_PX[1] + RISE_PX * swing(RISE_PERIOD_S))
    matrix = cv2.getRotationMatrix2D(centre, TILT_DEG * swing(TILT_PERIOD_S), scale)
    offset = np.zeros((2, 3))
    offset[:, 2] = SIDE_PX / 2 - np.array(centre)
    return np.asarray(matrix + offset, np.float64)


def picture(portrait: Picture, time_s: float) -> Picture:
    """Return the RGB picture at a time, moved by fractions of a pixel."""
    moved = cv2.warpAffine(portrait, pose(time_s), (SIDE_PX, SIDE_PX), flags=cv2.INTER_CUBIC,
                           borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.uint8)


def encode_video(container: Any, duration_s: float) -> list[Any]:
    """Return the H.264 packets of the moving portrait."""
    stream = container.add_stream('libx264', rate=FRAME_RATE_HZ, options={
        'crf': '25', 'preset': 'slow', 'threads': '1', 'flags': '+bitexact'})
    stream.width = stream.height = SIDE_PX
    stream.pix_fmt = 'yuv420p'
    portrait = np.ascontiguousarray(skimage.data.astronaut())  # type: ignore[no-untyped-call]
    packets: list[Any] = []
    for index in range(math.ceil(duration_s * FRAME_RATE_HZ)):
        frame = av.VideoFrame.from_ndarray(picture(portrait, index / FRAME_RATE_HZ), 'rgb24')
        frame.pts, frame.time_base = index, Fraction(1, FRAME_RATE_HZ)
        packets += stream.encode(frame)
    packets += stream.encode(None)
    return packets


def encode_audio(container: Any, samples: Sound, rate_hz: int) -> list[Any]:
    """Return the AAC packets of mono samples."""
    stream = container.add_stream('aac', rate=rate_hz, layout='mono', bit_rate=64_000,
                                  options={'flags': '+bitexact'})
    frame = av.AudioFrame.from_ndarray(samples[np.newaxis], format='s16', layout='mono')
    frame.sample_rate, frame.pts = rate_hz, 0
    # The encoder takes planar floats: PyAV's resampler converts, and cuts the frames to its size.
    resampler = av.AudioResampler('fltp', 'mono', rate_hz, frame_size=1024)
    pieces = [*resampler.resample(frame), *resampler.resample(None)]
    return [packet for piece in [*pieces, None] for packet in stream.encode(piece)]


def make_sample(path: Path, sentences: list[str]) -> None:
    """
    Write the clip.

    :param path: an MP4 file; it is overwritten.
    :param sentences: sentences to speak, in order.
    """
    samples, rate_hz = speech(sentences)
    options = {'fflags': '+bitexact', 'movflags': '+faststart'}
    with av.open(str(path), 'w', format='mp4', container_options=options) as container:
        packets = encode_video(container, len(samples) / rate_hz)
        packets += encode_audio(container, samples, rate_hz)
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            container.mux(packet)


if __name__ == '__main__':
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else MEDIA / 'sample.mp4'
    make_sample(output, (MEDIA / 'sample.txt').read_text(encoding='utf-8').splitlines())
    print(f'{output}: {output.stat().st_size / 1000:.0f} kB')
