"""Where a face is in a picture, and how its crop for the network is cut."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from maven_ros.freezing import plain_data
from maven_ros.records import Box, Pixels, Point

#: The geometry of a crop, in shares of its side; the medians of the FER+ pictures.
EYE_DISTANCE = 0.355  # between the eyes
EYE_LINE = 0.39       # from the upper border to the eyes

Affine = NDArray[np.float64]


def turning(angle_rad: float) -> NDArray[np.float64]:
    """Return the matrix, (2, 2), that makes level what is turned by an angle, clockwise."""
    cos, sin = math.cos(angle_rad), math.sin(angle_rad)
    return np.array([[cos, sin], [-sin, cos]])


@plain_data
@dataclass(frozen=True, slots=True)
class Square:
    """
    A square in a picture, in pixels; it may reach beyond its borders.

    :param centre: x and y, measured from the picture's corner.
    :param angle_rad: by how much it is turned, clockwise as the picture is seen.
    """

    centre: Point
    side: float
    angle_rad: float = 0.0

    def enlarged(self, times: float) -> Square:
        """Return a larger one about the same centre."""
        return replace(self, side=self.side * times)

    def matrix(self, side_px: int) -> Affine:
        """Return the motion, (2, 3), from the picture into one of this square alone."""
        turn = side_px / self.side * turning(self.angle_rad)
        return np.column_stack([turn, side_px / 2 - turn @ self.centre])


@plain_data
@dataclass(frozen=True, slots=True)
class Outline:
    """
    Where a face is, in pixels of some picture; it may reach beyond its borders.

    :param centre: the middle of a box about it, x and y, measured from the picture's corner.
    :param width: of the box, along its eyes.
    :param height: of the box, across them.
    :param landmarks: the person's right eye and left eye, tip of the nose, right and left corner
        of the mouth; the eyes alone, or nothing, where the rest is unknown.
    """

    centre: Point
    width: float
    height: float
    landmarks: tuple[Point, ...] = ()

    @property
    def square(self) -> Square:
        """The part of the picture that becomes the crop; :func:`crop` says which."""
        if not self.landmarks:
            return Square(self.centre, max(self.width, self.height))
        (right_x, right_y), (left_x, left_y) = self.landmarks[:2]
        apart = math.hypot(left_x - right_x, left_y - right_y)
        side = max(apart / EYE_DISTANCE, self.height)
        down = (0.5 - EYE_LINE) * side  # from the eyes to the crop's centre
        x = (right_x + left_x) / 2 - down * math.sin(self.angle_rad)
        y = (right_y + left_y) / 2 + down * math.cos(self.angle_rad)
        return Square((x, y), side, self.angle_rad)

    @property
    def angle_rad(self) -> float:
        """Its tilt, clockwise as the picture is seen; 0 if its eyes are unknown."""
        if not self.landmarks:
            return 0.0
        (right_x, right_y), (left_x, left_y) = self.landmarks[:2]
        return math.atan2(left_y - right_y, left_x - right_x)

    def overlap(self, other: Outline) -> float:
        """Return the area that both boxes cover, as a share of the smaller one's, untilted."""
        common = 1.0
        for one, another, sizes in zip(
                self.centre, other.centre,
                ((self.width, other.width), (self.height, other.height)), strict=True):
            reach = min(*sizes, sum(sizes) / 2 - abs(one - another))
            common *= max(0.0, reach)
        return common / min(self.width * self.height, other.width * other.height)

    def moved(self, motion: Affine) -> Outline:
        """
        Return the face after a motion, or in a picture that is seen through one.

        :param motion: (2, 3), a turn with scale beside a shift.
        """
        points = np.array([self.centre, *self.landmarks]) @ motion[:, :2].T + motion[:, 2]
        scale = math.sqrt(abs(np.linalg.det(motion[:, :2])))
        centre, *landmarks = map(tuple, points.tolist())
        return Outline(centre, self.width * scale, self.height * scale, tuple(landmarks))

    def box(self, picture_width: int, picture_height: int) -> Box:
        """
        Return an upright box about it, as far as it lies inside the picture.

        :returns: sides of 0 if nothing does.
        """
        cos, sin = abs(math.cos(self.angle_rad)), abs(math.sin(self.angle_rad))
        width, height = (self.width * cos + self.height * sin,
                         self.width * sin + self.height * cos)
        x, y = self.centre
        left, right = (min(max(round(one), 0), picture_width)
                       for one in (x - width / 2, x + width / 2))
        top, bottom = (min(max(round(one), 0), picture_height)
                       for one in (y - height / 2, y + height / 2))
        return Box(left, top, right - left, bottom - top)


def crop(pixels: Pixels, face: Outline, crop_px: int) -> Pixels:
    """
    Cut a face out of a frame as the network expects it. This is the crop's whole contract.

    The crop is a square from above the brows to the chin, filled by the face from ear to ear:
    the geometry of the FER+ pictures.

    - Eyes known: turned so that they are level, their middle in the middle of its width and at
      ``EYE_LINE`` of its height, and scaled so that they are ``EYE_DISTANCE`` apart; a head turned
      aside, whose eyes come close to each other, and a long face are scaled by the height of the
      box instead.
    - Eyes unknown: upright, the square about the box's centre with its longer side. YuNet's own
      boxes are 1.03 times as high as the crops of their faces, and 0.02 off their centre.

    Beyond the frame its border pixels are repeated. Shrinking averages over areas. Tilt and size
    of a face that is followed are steadied over time (:mod:`maven_ros.senses.face_tracks`).

    :param pixels: uint8 (height, width, 3) BGR.
    :param face: in pixels of the frame.
    :param crop_px: side of the crop.
    :returns: uint8 (crop_px, crop_px, 3) BGR.
    """
    return cut(pixels, face.square, crop_px)


def cut(pixels: Pixels, square: Square, side_px: int) -> Pixels:
    """
    Return what a square of a picture shows, level.

    :param pixels: uint8 (height, width, 3).
    :returns: uint8 (side_px, side_px, 3).
    """
    import cv2

    # Bilinear sampling aliases when it shrinks: whole blocks are averaged first.
    shrink = max(1, int(square.side / side_px))
    part, corner, scale = _about(pixels, square, shrink)
    motion = square.matrix(side_px)
    motion[:, 2] += motion[:, :2] @ corner
    motion[:, :2] /= scale
    motion[:, 2] += (motion[:, :2].sum(1) - 1) / 2  # OpenCV counts from the middle of a pixel
    return np.asarray(cv2.warpAffine(
        part, motion, (side_px, side_px), flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _about(pixels: Pixels, square: Square, shrink: int) -> tuple[Pixels, Affine, Affine]:
    """
    Return the upright part of a picture about a square, reduced.

    :returns: the part; where it begins, x and y; and how it is scaled, along x and along y.
    """
    turned = abs(math.cos(square.angle_rad)) + abs(math.sin(square.angle_rad))
    reach = square.side * turned / 2 + 2 * shrink
    begin, end = [], []
    for middle, size in zip(square.centre, pixels.shape[1::-1], strict=True):
        begin.append(min(max(int(middle - reach), 0), size - 1))
        end.append(min(max(math.ceil(middle + reach), begin[-1] + 1), size))
    part, scale = reduced(pixels[begin[1]:end[1], begin[0]:end[0]], shrink)
    return part, np.array(begin, np.float64), scale


def reduced(pixels: Pixels, shrink: int) -> tuple[Pixels, Affine]:
    """
    Average a picture over whole blocks; a rest at its right and lower border is left out.

    OpenCV takes 3 to 15 times as long for blocks that are not whole.

    :param shrink: side of a block, in pixels.
    :returns: the averages; and how they are scaled, along x and along y.
    """
    import cv2

    if shrink == 1:
        return pixels, np.ones(2)
    height, width = (max(1, size // shrink) for size in pixels.shape[:2])
    blocks = pixels[:height * shrink, :width * shrink]
    scale = np.array([width / blocks.shape[1], height / blocks.shape[0]])
    return np.asarray(cv2.resize(
        blocks, (width, height), interpolation=cv2.INTER_AREA), np.uint8), scale
