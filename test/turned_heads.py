"""
A portrait on the relief of a head, turned in three dimensions by known angles.

The portrait is scikit-image's; the relief is an ellipsoid with nose and eye sockets before a wall.
"""

import math

import cv2
import numpy as np
import skimage.data

PORTRAIT = np.ascontiguousarray(skimage.data.astronaut()[..., ::-1])
_EYES = np.float64([[202, 105], [245.6, 103]])  # in the portrait; 63 mm apart on the head
_MM = 63 / (_EYES[1, 0] - _EYES[0, 0])
_DEPTH_MM = 100.0  # of the head, before the wall
_PIVOT = np.float64([0, 35, 0])  # in mm: the middle of the face, which stays where it is
#: A mean face, in mm from between the eyes: x to the picture's right, y down, z from the camera.
MEAN_FACE = np.float64([[-31.5, 0, 0], [31.5, 0, 0], [0, 37.5, -35], [-24.6, 69.6, -4],
                        [24.6, 69.6, -4]])


def rotation(yaw_deg, pitch_deg, roll_deg):
    """Return the matrix that turns a head by the angles of HeadPose, in the camera's axes."""
    yaw, pitch, roll = map(math.radians, (yaw_deg, pitch_deg, roll_deg))
    about_y = np.float64([[math.cos(yaw), 0, -math.sin(yaw)], [0, 1, 0],
                          [math.sin(yaw), 0, math.cos(yaw)]])
    about_x = np.float64([[1, 0, 0], [0, math.cos(pitch), -math.sin(pitch)],
                          [0, math.sin(pitch), math.cos(pitch)]])
    about_z = np.float64([[math.cos(roll), math.sin(roll), 0],
                          [-math.sin(roll), math.cos(roll), 0], [0, 0, 1]])
    return about_y @ about_x @ about_z


def seen(points_mm, turn, focal_px=600.0, distance_mm=700.0, size=480, aside_mm=0.0):
    """Return where points of a turned head are in the picture, and how far from the camera."""
    moved = (points_mm - _PIVOT) @ turn.T + [aside_mm, 0, distance_mm]
    return focal_px * moved[:, :2] / moved[:, 2:] + size / 2, moved[:, 2]


def _relief(x, y):
    """Return how far the head stands out at a place of the face, in mm."""
    inside = 1 - np.abs(x / 82)**2.4 - np.abs((y - 15) / 128)**2.4
    head = _DEPTH_MM * (np.sqrt(np.clip(inside, 0, 1)) - 1)
    ridge = np.where(y > 38, 1 - (y - 38) / 9, (y + 8) / 46).clip(0, 1)
    nose = 24 * ridge * np.exp(-(x / (6 + 7 * ridge))**2)
    sockets = sum(np.exp(-((x - eye) / 13)**2 - (y / 10)**2) for eye in (-31.5, 31.5))
    return head + nose - 7 * sockets


def turned(yaw_deg=0.0, pitch_deg=0.0, roll_deg=0.0, step_mm=0.8, size=480, **camera):
    """Return a picture of the portrait's head, turned; uint8 (size, size, 3) BGR."""
    x, y = (one.ravel() for one in np.meshgrid(
        np.arange(-230, 230, step_mm), np.arange(-180, 260, step_mm)))
    points = np.stack([x, y, -_relief(x, y)], 1)
    places, depths = seen(points, rotation(yaw_deg, pitch_deg, roll_deg), size=size, **camera)
    places = np.round(places).astype(int)
    kept = ((places >= 0) & (places < size)).all(1)
    order = np.argsort(-depths[kept])  # the nearest is written last
    columns, rows = places[kept][order].T
    source = np.full((size, size, 2), -1, np.float32)
    middle = _EYES.mean(0)
    source[rows, columns] = np.stack([x, y], 1)[kept][order] / _MM + middle
    picture = cv2.remap(PORTRAIT, source[..., 0], source[..., 1], cv2.INTER_LINEAR)
    picture[source[..., 0] < 0] = 110
    return cv2.medianBlur(picture, 3)
