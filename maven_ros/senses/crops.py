"""Where a face is in a picture, and how its crop for the network is cut."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maven_ros.freezing import plain_data
from maven_ros.records import Box, Pixels

EYE_DISTANCE = 0.355  # between the eyes, as a share of the crop's side
EYE_LINE = 0.39  # their height, as a share of the crop's side from its top

Matrix = NDArray[np.float64]
Point = tuple[float, float]


@plain_data
@dataclass(frozen=True, slots=True)
class Outline:
    """
    Where a face is, in pixels of some picture; it may reach beyond its borders.

    :param x: left border.
    :param y: upper border.
    :param eyes: the eye on the picture's left and the one on its right, where they are known.
    """

    x: float
    y: float
    width: float
    height: float
    eyes: tuple[Point, Point] | None = None

    @property
    def centre(self) -> Point:
        """The middle of the box."""
        return self.x + self.width / 2, self.y + self.height / 2

    @property
    def size(self) -> float:
        """The longer side of the box."""
        return max(self.width, self.height)

    def intersection(self, other: Outline) -> float:
        """Return the area that both boxes cover."""
        width = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)
        height = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)
        return max(0.0, width) * max(0.0, height)

    def scaled(self, x: float, y: float) -> Outline:
        """Return the same face in a picture that is ``x`` times as wide and ``y`` as high."""
        eyes = None
        if self.eyes:
            (left_x, left_y), (right_x, right_y) = self.eyes
            eyes = (left_x * x, left_y * y), (right_x * x, right_y * y)
        return Outline(self.x * x, self.y * y, self.width * x, self.height * y, eyes)

    def moved(self, similarity: Matrix) -> Outline:
        """
        Return the face after a motion; the box stays upright.

        :param similarity: (2, 3), rotation with scale beside a shift.
        """
        def move(point: Point) -> Point:
            x, y = similarity @ (*point, 1.0)
            return float(x), float(y)

        scale = math.hypot(similarity[0, 0], similarity[1, 0])
        width, height = self.width * scale, self.height * scale
        x, y = move(self.centre)
        eyes = (move(self.eyes[0]), move(self.eyes[1])) if self.eyes else None
        return Outline(x - width / 2, y - height / 2, width, height, eyes)

    def box(self, picture_width: int, picture_height: int) -> Box:
        """Return what of the box lies inside the picture; its sides are 0 if nothing does."""
        left, right = (min(max(round(x), 0), picture_width) for x in (self.x, self.x + self.width))
        top, bottom = (
            min(max(round(y), 0), picture_height) for y in (self.y, self.y + self.height))
        return Box(left, top, right - left, bottom - top)


def crop(pixels: Pixels, face: Outline, crop_px: int) -> Pixels:
    """
    Cut a face out of a frame as the network expects it. This is the crop's whole contract.

    The crop is a square from above the brows (the eyes lie at ``EYE_LINE`` of its side) to the
    chin, filled by the face from ear to ear: the geometry of the FER+ pictures, whose medians
    ``EYE_DISTANCE`` and ``EYE_LINE`` are (1,313 of its faces, landmarks by YuNet).

    - Eyes known: rotated so that they are level, their middle at (0.5, EYE_LINE), scaled so that
      they are EYE_DISTANCE apart; a head turned aside, whose eyes come close to each other, is
      scaled by the height of its box instead.
    - Eyes unknown (Haar): the square about the box's centre with its longer side, upright. In the
      same FER+ pictures Haar's box has the eyes at 0.39 of its height and 0.364 of it apart.

    Beyond the frame its border pixels are repeated. Shrinking averages over areas.

    :param pixels: uint8 (height, width, 3) BGR.
    :param face: in pixels of the frame.
    :param crop_px: side of the crop.
    :returns: uint8 (crop_px, crop_px, 3) BGR.
    """
    import cv2

    side, angle_rad, centre = _square(face)
    # Bilinear sampling aliases when it shrinks: sample finer, then average whole blocks.
    blocks = max(1, round(side / crop_px))
    scale = crop_px * blocks / side
    cos, sin = scale * math.cos(angle_rad), scale * math.sin(angle_rad)
    middle = crop_px * blocks / 2 - 0.5
    to_crop = np.array([
        [cos, sin, middle - cos * centre[0] - sin * centre[1]],
        [-sin, cos, middle + sin * centre[0] - cos * centre[1]],
    ])
    fine = cv2.warpAffine(
        pixels, to_crop, (crop_px * blocks, crop_px * blocks), flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(
        cv2.resize(fine, (crop_px, crop_px), interpolation=cv2.INTER_AREA), np.uint8)


def _square(face: Outline) -> tuple[float, float, Point]:
    """Return side, angle in radians (clockwise is positive) and centre of a face's crop."""
    if face.eyes is None:
        x, y = face.centre
        return face.size, 0.0, (x - 0.5, y - 0.5)
    (left_x, left_y), (right_x, right_y) = face.eyes
    angle_rad = math.atan2(right_y - left_y, right_x - left_x)
    apart = math.hypot(right_x - left_x, right_y - left_y)
    side = max(apart / EYE_DISTANCE, face.height)
    down = (0.5 - EYE_LINE) * side  # from the eyes to the crop's centre
    centre = ((left_x + right_x) / 2 - down * math.sin(angle_rad),
              (left_y + right_y) / 2 + down * math.cos(angle_rad))
    return side, angle_rad, centre
