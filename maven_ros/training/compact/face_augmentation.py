"""
Random augmentation of faces, in batches: pose, light, blur, noise, compression and occlusion.

All functions take grey pictures, float (n, 1, side, side) in [0, 1]. There is no linear change of
lightness without clipping or rounding, because the encoder normalises it away.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from maven_ros.declarations import Checked, fraction, setting


@dataclass(frozen=True)
class FaceAugmentation(Checked):
    """The settings of the augmentation."""

    rotation_deg: float = setting(
        30.0, 'Largest rotation, to either side; small rotations are more frequent.', minimum=0,
        maximum=180)
    scale: float = setting(
        0.2, 'Largest log of the change in size; a third of it for the aspect ratio.',
        minimum=0)
    shift: float = fraction(0.1, 'Largest shift, as a share of the side.')
    gamma: float = setting(0.5, 'Largest log of the gamma exponent.', minimum=0)
    shade: float = fraction(
        0.5, 'Largest gradient of light across the picture, as a share of its lightness.')
    dark: float = fraction(
        0.1, 'Share of pictures that are dimmed, down to a tenth, and rounded to bytes.')
    blurred: float = fraction(
        0.15, 'Share of pictures that are blurred, with a sigma of up to 1.5 pixels.')
    shrunk: float = fraction(
        0.1, 'Share of pictures that are shrunk to 16 to 40 pixels and enlarged again.')
    noisy: float = fraction(
        0.1, 'Share of pictures with Gaussian noise, with a sigma of up to 0.08.')
    compressed: float = fraction(
        0.05, 'Share of pictures with JPEG compression, of quality 15 to 70.')
    covered: float = fraction(
        0.25, 'Share of pictures with an occluded rectangle, up to half of each side.')
    no_mouth: float = fraction(
        0.1, 'Share of faces whose mouth is hidden, as by a mask or a hand.')
    no_eyes: float = fraction(
        0.05, 'Share of faces whose eyes are hidden, as by sunglasses.')


def augment(
    pictures: Tensor, settings: FaceAugmentation, random: torch.Generator, side_px: int,
) -> Tensor:
    """
    Augment pictures.

    :param pictures: (n, 1, side, side) in [0, 1]; they are not modified.
    :param side_px: side of the result.
    :returns: (n, 1, side_px, side_px) in [0, 1].
    """
    def some(share: float) -> Tensor:
        return torch.rand(len(pictures), generator=random) < share

    pictures = hidden(pictures, settings, random)
    pictures = shaded(moved(pictures, settings, random, side_px), settings, random)
    steps = ((settings.covered, covered), (settings.blurred, blurred), (settings.shrunk, shrunk),
             (settings.dark, dimmed), (settings.noisy, noisy),
             (settings.compressed, compressed))
    for share, change in steps:
        chosen = some(share)
        if chosen.any():
            pictures[chosen] = change(pictures[chosen], random)
    return pictures


def hidden(
    pictures: Tensor, settings: FaceAugmentation, random: torch.Generator,
) -> Tensor:
    """
    Hide the mouth of some faces and the eyes of others, before they move.

    The mouth is hidden from 0.5 to 0.68 of the height down to the chin or beyond it, the eyes from
    above the brows, or from just above the eyes, down to 0.46 to 0.6.
    """
    n, side = len(pictures), pictures.shape[-1]
    kind = torch.rand(n, generator=random)
    no_mouth = kind < settings.no_mouth
    no_eyes = ~no_mouth & (kind < settings.no_mouth + settings.no_eyes)
    chosen = no_mouth | no_eyes
    if not chosen.any():
        return pictures
    edges = torch.rand(n, 4, generator=random)
    top = torch.where(no_mouth, 0.5 + 0.18 * edges[:, 0], 0.32 * edges[:, 0])
    bottom = torch.where(no_mouth, 0.88 + 0.2 * edges[:, 1], 0.46 + 0.14 * edges[:, 1])
    inside = _between(0.2 * edges[:, 2] - 0.1, 0.9 + 0.2 * edges[:, 3], side)[:, None, None, :]
    inside = inside & _between(top, bottom, side)[:, None, :, None] & chosen[:, None, None, None]
    return torch.where(inside, _fillings(pictures, random), pictures)


def _between(first: Tensor, last: Tensor, side: int) -> Tensor:
    """Return bool (n, side): the pixels between two shares of the side, each (n,)."""
    places = (torch.arange(side) + 0.5) / side
    return (places >= first[:, None]) & (places < last[:, None])


def _fillings(pictures: Tensor, random: torch.Generator) -> Tensor:
    """Return what hides a part: a shade, grain, the face's own mean, or another picture."""
    n = len(pictures)
    kind = torch.randint(5, (n, 1, 1, 1), generator=random)
    shade = torch.rand(n, 1, 1, 1, generator=random)
    grain = torch.rand(pictures.shape, generator=random)
    own = pictures.mean((1, 2, 3), keepdim=True)
    others = pictures[torch.randperm(n, generator=random)].flip(2)  # the mouth is at the brows
    return torch.where(kind < 2, shade, torch.where(
        kind == 2, grain, torch.where(kind == 3, own, others)))


def moved(
    pictures: Tensor, settings: FaceAugmentation, random: torch.Generator, side_px: int,
) -> Tensor:
    """Mirror half of the pictures; rotate, scale and shift all. Border pixels are repeated."""
    n = len(pictures)
    angle = math.radians(settings.rotation_deg) * (_spread(n, random) + _spread(n, random)) / 2
    size = (settings.scale * _spread(n, random)).exp()
    aspect = (settings.scale / 3 * _spread(n, random)).exp()
    mirror = torch.where(torch.rand(n, generator=random) < 0.5, -1.0, 1.0)
    cos, sin = angle.cos() * size, angle.sin() * size
    matrix = torch.stack([
        torch.stack([mirror * cos * aspect, -sin * aspect,
                     2 * settings.shift * _spread(n, random)], -1),
        torch.stack([mirror * sin / aspect, cos / aspect,
                     2 * settings.shift * _spread(n, random)], -1)], 1)
    return resampled(pictures, matrix, side_px)


def resampled(pictures: Tensor, matrix: Tensor, side_px: int) -> Tensor:
    """
    Resample pictures.

    :param matrix: (n, 2, 3), from target to source coordinates; the borders are at -1 and 1.
    :param side_px: side of the result.
    """
    size = [len(pictures), 1, side_px, side_px]
    grid = functional.affine_grid(matrix, size, align_corners=False)
    return functional.grid_sample(
        pictures, grid, padding_mode='border', align_corners=False)


def shaded(pictures: Tensor, settings: FaceAugmentation, random: torch.Generator) -> Tensor:
    """Apply a gradient of light and a gamma curve."""
    n, side = len(pictures), pictures.shape[-1]
    towards = 2 * math.pi * torch.rand(n, 1, 1, 1, generator=random)
    across = torch.linspace(-1, 1, side)
    ramp = towards.cos() * across + towards.sin() * across[:, None]
    strength = settings.shade * torch.rand(n, 1, 1, 1, generator=random)
    gamma = (settings.gamma * _spread(n, random))[:, None, None, None].exp()
    gain = 1 + 0.2 * _spread(n, random)[:, None, None, None]
    return (pictures.clamp(min=0) ** gamma * gain * (1 + strength * ramp / 2)).clamp(0, 1)


def covered(pictures: Tensor, random: torch.Generator) -> Tensor:
    """Cover a rectangle of each picture with one shade, or with noise."""
    n, side = len(pictures), pictures.shape[-1]
    size = 0.1 + 0.4 * torch.rand(n, 2, generator=random)
    first = torch.rand(n, 2, generator=random) - size / 2
    rows, columns = (_between(first[:, axis], (first + size)[:, axis], side) for axis in (0, 1))
    shade = torch.rand(n, 1, 1, 1, generator=random)
    grain = torch.rand(pictures.shape, generator=random)
    rough = torch.rand(n, 1, 1, 1, generator=random) < 0.3
    inside = (rows[:, :, None] & columns[:, None, :])[:, None]
    return torch.where(inside, torch.where(rough, grain, shade), pictures)


def blurred(pictures: Tensor, random: torch.Generator) -> Tensor:
    """Blur each picture with its own sigma, up to 1.5 pixels."""
    return blur(pictures, 0.3 + 1.2 * torch.rand(len(pictures), generator=random))


def blur(pictures: Tensor, sigma_px: Tensor) -> Tensor:
    """
    Apply a Gaussian blur.

    :param sigma_px: (n,), standard deviation, up to 2 pixels.
    """
    taps = torch.arange(-4, 5)
    kernel = torch.exp(-taps.square() / (2 * sigma_px[:, None] ** 2))
    kernel /= kernel.sum(1, keepdim=True)
    n, _, side, _ = pictures.shape
    padded = functional.pad(pictures, (4, 4, 4, 4), mode='replicate').view(1, n, side + 8, -1)
    rows = functional.conv2d(padded, kernel[:, None, None, :], groups=n)
    return functional.conv2d(rows, kernel[:, None, :, None], groups=n).view(pictures.shape)


def shrunk(pictures: Tensor, random: torch.Generator) -> Tensor:
    """Shrink the pictures to one size, 16 to 40 pixels of 48, and enlarge them again."""
    side = pictures.shape[-1]
    share = (16 + 24 * float(torch.rand(1, generator=random))) / 48
    return enlarged(pictures, max(1, round(side * share)))


def enlarged(pictures: Tensor, side_px: int) -> Tensor:
    """Return pictures shrunk to ``side_px`` pixels a side and enlarged again."""
    small = functional.interpolate(pictures, (side_px, side_px), mode='area')
    return functional.interpolate(small, pictures.shape[-2:], mode='bilinear')


def dimmed(pictures: Tensor, random: torch.Generator) -> Tensor:
    """Dim each picture, down to a tenth, with noise, and round it to bytes as a camera does."""
    gain = 0.1 + 0.5 * torch.rand(len(pictures), 1, 1, 1, generator=random)
    grain = 0.006 * torch.randn(pictures.shape, generator=random)
    return ((pictures * gain + grain).clamp(0, 1) * 255).round() / 255


def noisy(pictures: Tensor, random: torch.Generator) -> Tensor:
    """Add Gaussian noise to each picture, with a sigma of up to 0.08."""
    sigma = 0.08 * torch.rand(len(pictures), 1, 1, 1, generator=random)
    return (pictures + sigma * torch.randn(pictures.shape, generator=random)).clamp(0, 1)


def compressed(pictures: Tensor, random: torch.Generator) -> Tensor:
    """Compress each picture with JPEG."""
    import cv2

    qualities = torch.randint(15, 71, (len(pictures),), generator=random).tolist()
    parts = []
    for picture, quality in zip((pictures[:, 0] * 255).to(torch.uint8).numpy(), qualities,
                                strict=True):
        _, data = cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
        parts.append(torch.from_numpy(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)))
    return torch.stack(parts)[:, None] / 255


def _spread(n: int, random: torch.Generator) -> Tensor:
    """Return (n,) uniform random numbers in [-1, 1)."""
    return 2 * torch.rand(n, generator=random) - 1
