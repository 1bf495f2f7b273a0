"""Signed distances to plane shapes, in pixels: negative inside, zero on the outline.

All take x and y, offsets from the shape's centre (float arrays that broadcast), and use only
operations that IEEE 754 rounds correctly, so that every machine gets the same bits. Where two
edges meet, the distance outside a corner is that to the nearer edge's line (a little too small);
sign and outline are exact.
"""

from itertools import pairwise

import numpy as np

HALF_ROOT3 = 0.8660254037844386


def rotate(x: np.ndarray, y: np.ndarray, rotation: tuple[float, float]):
    """Offsets (x, y) as seen from a shape turned by `rotation`, a (cosine, sine)."""
    cosine, sine = rotation
    return cosine * x + sine * y, cosine * y - sine * x


def disc(x: np.ndarray, y: np.ndarray, radius: float) -> np.ndarray:
    """Distance to a disc."""
    return np.sqrt(x * x + y * y) - radius


def ring(x: np.ndarray, y: np.ndarray, radius: float, thickness: float) -> np.ndarray:
    """Distance to a circle's line, `thickness` pixels thick."""
    return np.abs(disc(x, y, radius)) - thickness / 2


def box(x: np.ndarray, y: np.ndarray, half_width: float, half_height: float) -> np.ndarray:
    """Distance to an upright rectangle."""
    return np.maximum(np.abs(x) - half_width, np.abs(y) - half_height)


def square(x: np.ndarray, y: np.ndarray, radius: float) -> np.ndarray:
    """Distance to a square of half side 0.85 radius: nearly as large as the disc."""
    return box(x, y, 0.85 * radius, 0.85 * radius)


def triangle(x: np.ndarray, y: np.ndarray, radius: float) -> np.ndarray:
    """Distance to an equilateral triangle whose inner circle has 0.65 radius."""
    return np.maximum(HALF_ROOT3 * np.abs(x) + 0.5 * y, -y) - 0.65 * radius


def cross(x: np.ndarray, y: np.ndarray, radius: float, half_width: float) -> np.ndarray:
    """Distance to a plus sign: two bars of length 2 radius and width 2 half_width."""
    return np.minimum(box(x, y, radius, half_width), box(x, y, half_width, radius))


def star(x: np.ndarray, y: np.ndarray, radius: float) -> np.ndarray:
    """Distance to a star of six spikes: three diamonds of half axes radius and radius / 4."""
    distance = _diamond(x, y, radius)
    for sine in (HALF_ROOT3, -HALF_ROOT3):  # turned by 60 degrees both ways
        distance = np.minimum(distance, _diamond(*rotate(x, y, (0.5, sine)), radius))
    return distance


def polyline(x: np.ndarray, y: np.ndarray, points: list, thickness: float) -> np.ndarray:
    """Distance to the line through `points`, [(x, y), ...], `thickness` pixels thick."""
    nearest = None
    for (x0, y0), (x1, y1) in pairwise(points):
        across, down = x1 - x0, y1 - y0
        squared = across * across + down * down
        along = ((x - x0) * (across / squared)) + ((y - y0) * (down / squared))
        along = np.minimum(np.maximum(along, 0), 1)  # the share of the segment that is behind
        dx, dy = x - x0 - along * across, y - y0 - along * down
        distance = dx * dx + dy * dy
        nearest = distance if nearest is None else np.minimum(nearest, distance)
    return np.sqrt(nearest) - thickness / 2


def stripes(x: np.ndarray, period: float) -> np.ndarray:
    """Distance to parallel bars, one each `period` pixels of x; they cover half of the plane."""
    return period * (np.abs(x / period - np.floor(x / period) - 0.5) - 0.25)


def dots(x: np.ndarray, y: np.ndarray, period: float) -> np.ndarray:
    """Distance to discs on a square grid, `period` pixels apart; they cover half of the plane."""
    column, row = x / period, y / period
    column, row = column - np.floor(column) - 0.5, row - np.floor(row) - 0.5
    return period * (np.sqrt(column * column + row * row) - 0.39894)  # pi 0.39894^2 = 0.5


def _diamond(x: np.ndarray, y: np.ndarray, radius: float) -> np.ndarray:
    # |x| + 4 |y| = radius, divided by the length of (1, 4)
    return (np.abs(x) + 4 * np.abs(y) - radius) / 4.123105625617661
