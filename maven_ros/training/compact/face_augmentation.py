"""
What befalls a face between a camera and the network, at random, a batch at a time.

All of it works on grey pictures, float (n, 1, side, side) in [0, 1]. Linear changes of lightness
are left out where nothing is clipped or rounded: the encoder takes them away by itself.
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
    """How much, and how often, pictures are changed."""

    rotation_deg: float = setting(
        30.0, 'Most, to either side; the small ones are the most frequent.', minimum=0,
        maximum=180)
    scale: float = setting(
        0.2, 'Most, as a natural logarithm, for the size and again for the aspect (a third).',
        minimum=0)
    shift: float = fraction(0.1, 'Most, as a share of the side.')
    gamma: float = setting(0.5, 'Most, as a natural logarithm.', minimum=0)
    shade: float = fraction(
        0.5, 'Strongest gradient of light across the picture, as a share of its lightness.')
    dark: float = fraction(
        0.1, 'Share of pictures that are dimmed, down to a tenth, and rounded to bytes.')
    blurred: float = fraction(
        0.15, 'Share of pictures that are blurred, by up to 1.5 pixels of deviation.')
    shrunk: float = fraction(
        0.1, 'Share of pictures that are shrunk to 16 to 40 pixels and enlarged again.')
    noisy: float = fraction(
        0.1, 'Share of pictures with Gaussian noise, of up to 0.08 of deviation.')
    compressed: float = fraction(
        0.05, 'Share of pictures that go through JPEG, of quality 15 to 70.')
    covered: float = fraction(
        0.25, 'Share of pictures with a covered rectangle, of up to half of each side.')


def augment(
    pictures: Tensor, settings: FaceAugmentation, random: torch.Generator, side_px: int,
) -> Tensor:
    """
    Return pictures as a camera might have seen them.

    :param pictures: (n, 1, side, side) in [0, 1]; left as they are.
    :param side_px: of the pictures that come out.
    :returns: (n, 1, side_px, side_px) in [0, 1].
    """
    def some(share: float) -> Tensor:
        return torch.rand(len(pictures), generator=random) < share

    pictures = shaded(moved(pictures, settings, random, side_px), settings, random)
    steps = ((settings.covered, covered), (settings.blurred, blurred), (settings.shrunk, shrunk),
             (settings.dark, dimmed), (settings.noisy, noisy),
             (settings.compressed, compressed))
    for share, change in steps:
        chosen = some(share)
        if chosen.any():
            pictures[chosen] = change(pictures[chosen], random)
    return pictures


def moved(
    pictures: Tensor, settings: FaceAugmentation, random: torch.Generator, side_px: int,
) -> Tensor:
    """Mirror half of the pictures, and rotate, scale and shift all; borders are repeated."""
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
    Sample pictures anew.

    :param matrix: (n, 2, 3), from where a pixel goes to where it comes from; -1 and 1 are borders.
    :param side_px: of the pictures that come out.
    """
    size = [len(pictures), 1, side_px, side_px]
    grid = functional.affine_grid(matrix, size, align_corners=False)
    return functional.grid_sample(
        pictures, grid, padding_mode='border', align_corners=False)


def shaded(pictures: Tensor, settings: FaceAugmentation, random: torch.Generator) -> Tensor:
    """Light the pictures from one side, and bend their scale of lightness."""
    n, side = len(pictures), pictures.shape[-1]
    towards = 2 * math.pi * torch.rand(n, 1, 1, 1, generator=random)
    across = torch.linspace(-1, 1, side)
    ramp = towards.cos() * across + towards.sin() * across[:, None]
    strength = settings.shade * torch.rand(n, 1, 1, 1, generator=random)
    gamma = (settings.gamma * _spread(n, random))[:, None, None, None].exp()
    gain = 1 + 0.2 * _spread(n, random)[:, None, None, None]
    return (pictures.clamp(min=0) ** gamma * gain * (1 + strength * ramp / 2)).clamp(0, 1)


def covered(pictures: Tensor, random: torch.Generator) -> Tensor:
    """Put a rectangle of one shade, or of noise, over each picture."""
    n, side = len(pictures), pictures.shape[-1]
    size = (0.1 + 0.4 * torch.rand(n, 2, generator=random)) * side
    first = torch.rand(n, 2, generator=random) * side - size / 2
    places = torch.arange(side)
    rows, columns = (
        (places >= first[:, axis, None]) & (places < (first + size)[:, axis, None])
        for axis in (0, 1))
    shade = torch.rand(n, 1, 1, 1, generator=random)
    grain = torch.rand(pictures.shape, generator=random)
    rough = torch.rand(n, 1, 1, 1, generator=random) < 0.3
    inside = (rows[:, :, None] & columns[:, None, :])[:, None]
    return torch.where(inside, torch.where(rough, grain, shade), pictures)


def blurred(pictures: Tensor, random: torch.Generator) -> Tensor:
    """Blur each picture by a deviation of its own, up to 1.5 pixels."""
    return blur(pictures, 0.3 + 1.2 * torch.rand(len(pictures), generator=random))


def blur(pictures: Tensor, sigma_px: Tensor) -> Tensor:
    """
    Blur with a Gaussian.

    :param sigma_px: (n,), up to 2 pixels.
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
    """Return pictures that were seen with so few pixels a side."""
    small = functional.interpolate(pictures, (side_px, side_px), mode='area')
    return functional.interpolate(small, pictures.shape[-2:], mode='bilinear')


def dimmed(pictures: Tensor, random: torch.Generator) -> Tensor:
    """Dim each picture, down to a tenth, as a camera gives it: noisy, and in steps of a byte."""
    gain = 0.1 + 0.5 * torch.rand(len(pictures), 1, 1, 1, generator=random)
    grain = 0.006 * torch.randn(pictures.shape, generator=random)
    return ((pictures * gain + grain).clamp(0, 1) * 255).round() / 255


def noisy(pictures: Tensor, random: torch.Generator) -> Tensor:
    """Add Gaussian noise, of a deviation of up to 0.08, to each picture."""
    sigma = 0.08 * torch.rand(len(pictures), 1, 1, 1, generator=random)
    return (pictures + sigma * torch.randn(pictures.shape, generator=random)).clamp(0, 1)


def compressed(pictures: Tensor, random: torch.Generator) -> Tensor:
    """Send each picture through JPEG."""
    import cv2

    qualities = torch.randint(15, 71, (len(pictures),), generator=random).tolist()
    parts = []
    for picture, quality in zip((pictures[:, 0] * 255).to(torch.uint8).numpy(), qualities,
                                strict=True):
        _, data = cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
        parts.append(torch.from_numpy(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)))
    return torch.stack(parts)[:, None] / 255


def _spread(n: int, random: torch.Generator) -> Tensor:
    """Return (n,) even numbers in [-1, 1)."""
    return 2 * torch.rand(n, generator=random) - 1
