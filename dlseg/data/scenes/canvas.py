"""What a scene is painted with: random numbers, and a canvas that knows where is room.

The numbers are the same on every machine and under every version of NumPy. NumPy promises the
stream of raw words of PCG64 for good, but not what `Generator.normal` or `Generator.integers` make
of it; and `log` and `exp` differ in the last bit between math libraries. So everything here is
built from raw words by operations that IEEE 754 rounds correctly.
"""

from dataclasses import dataclass

import numpy as np

GAP = 0.3  # a thing's colour differs from all of the background by this, in a channel at least
SPREAD = 0.15  # the background stays this near its base colour, in each channel
TRIES = 60  # places tried before a thing is left out
# The sum of four bytes drawn evenly has this mean and variance, and nearly a normal's shape.
_MEAN, _DEVIATION = 4 * 127.5, (4 * (256**2 - 1) / 12) ** 0.5
_STEP = 1.25  # factor between two neighbouring rungs of `Draws.scale`


class Draws:
    """A stream of random numbers, fixed by its key.

    key: integers in [0, 2**32); another key gives another stream.
    """

    def __init__(self, *key: int):
        self._bits = np.random.PCG64(np.random.SeedSequence(key))

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """A number in [low, high), with 53 random bits."""
        return low + (high - low) * ((int(self._bits.random_raw()) >> 11) * 2.0**-53)

    def integer(self, low: int, high: int) -> int:
        """An integer in low .. high, both ends included."""
        return low + int(self._bits.random_raw()) % (high - low + 1)

    def scale(self, low: float, high: float) -> float:
        """A size in [low, high), about as often in each octave (log-uniform, without logarithms).

        A ladder of sizes, each 1.25 times the one before: a random rung, then evenly to the next.
        """
        rungs = [low]
        while rungs[-1] * _STEP < high:
            rungs.append(rungs[-1] * _STEP)
        rung = self.integer(0, len(rungs) - 1)
        return self.uniform(rungs[rung], min(high, rungs[rung] * _STEP))

    def rotation(self) -> tuple[float, float]:
        """(cosine, sine) of an angle between -90 and 90 degrees, exact to rounding, no `cos`."""
        t = self.uniform(-1, 1)
        return (1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)

    def bytes(self, *shape: int) -> np.ndarray:
        """Even random bytes, uint8 of the given shape."""
        count = int(np.prod(shape))
        words = self._bits.random_raw(-(-count // 8))
        return words.astype("<u8").view(np.uint8)[:count].reshape(shape)

    def noise(self, *shape: int) -> np.ndarray:
        """Nearly normal noise, float32 of the given shape, mean 0, deviation 1, within 3.5."""
        quarters = self.bytes(4, *shape).astype(np.float32)
        total = quarters[0] + quarters[1] + quarters[2] + quarters[3]  # whole numbers: exact
        return (total - _MEAN) / _DEVIATION


@dataclass(frozen=True)
class Thing:
    """One painted object.

    label: its class. x, y: its centre in pixels, from the left and upper edge. radius: pixels.
    lamp_distance: from an unlit lamp's centre to the lit one's, in pixels; 0 for all else.
    """

    label: int
    x: float
    y: float
    radius: float
    lamp_distance: float = 0.0


class Canvas:
    """A square picture of `size` pixels; its background is painted from `draws` at once.

    planes: float32 (3, S, S), colours in [0, 1]. label: uint8 (S, S). owner: uint16 (S, S), the
    number of the thing, from 1, or 0. low, high: bounds of the background, one per channel.
    """

    def __init__(self, size: int, draws: Draws):
        base = [draws.uniform(0.25, 0.75) for _ in range(3)]
        self.size = size
        self.low = [value - SPREAD for value in base]
        self.high = [value + SPREAD for value in base]
        self.planes = _background(size, base, draws)
        self.label = np.zeros((size, size), np.uint8)
        self.owner = np.zeros((size, size), np.uint16)
        self.things: list[Thing] = []
        self._taken: list[tuple[float, float, float]] = []

    def window(self, x: float, y: float, reach: float):
        """The part of the picture within `reach` pixels of (x, y).

        Returns: (rows, columns) slices, and the offsets of its pixels' centres from (x, y),
        float32 of shapes (1, width) and (height, 1).
        """
        slices, offsets = [], []
        for centre in (y, x):
            first = max(0, int(centre - reach) - 1)
            last = min(self.size, max(0, int(centre + reach) + 2))
            slices.append(slice(first, last))
            offsets.append(np.arange(first, last).astype(np.float32) + (0.5 - centre))
        return tuple(slices), offsets[1][None, :], offsets[0][:, None]

    def paint(self, window: tuple, distance: np.ndarray, colour) -> None:
        """Cover the pixels of `window` by a colour, as far as their distance says (anti-aliased).

        colour: three numbers, or planes (3, height, width).
        """
        cover = np.minimum(np.maximum(0.5 - distance, 0), 1)  # (height, width)
        for plane, value in zip(self.planes, colour, strict=True):
            part = plane[window]
            part += cover * (value - part)

    def claim(self, window: tuple, distance: np.ndarray, thing: Thing) -> None:
        """Give the pixels of `window` with a negative distance to `thing`."""
        self.things.append(thing)
        inside = distance < 0
        self.label[window][inside] = thing.label
        self.owner[window][inside] = len(self.things)

    def find_room(self, draws: Draws, radius: float, margin: float):
        """A random place for a disc of `radius` that meets no earlier one, `margin` off the edge.

        Returns: (x, y), now taken, or None where none of 60 tries succeeded.
        """
        for _ in range(TRIES):
            x, y = (draws.uniform(margin, self.size - margin) for _ in range(2))
            free = all(
                (x - u) * (x - u) + (y - v) * (y - v) > (radius + r) * (radius + r)
                for u, v, r in self._taken
            )
            if free:
                self._taken.append((x, y, radius + 1))
                return x, y
        return None

    def contrast(self, colour: list[float], channel: int) -> list[float]:
        """`colour`, with `channel` changed if no channel is 0.3 away from all of the background."""
        for value, low, high in zip(colour, self.low, self.high, strict=True):
            if value <= low - GAP or value >= high + GAP:
                return colour
        low, high = self.low[channel], self.high[channel]
        # One side always has room: low + (1 - high) = 1 - 2 SPREAD, more than 2 GAP.
        moved = low - GAP if low > 1 - high else high + GAP
        return [moved if c == channel else value for c, value in enumerate(colour)]

    def grey(self, dark: bool) -> float:
        """A grey, darker or lighter than the background by at least 0.3 in a channel.

        It is light in spite of `dark`, or the other way round, where there is no other.
        """
        darkest, lightest = max(self.low) - GAP, min(self.high) + GAP
        dark = darkest >= 0 if dark else lightest > 1
        return max(0.0, darkest - 0.03) if dark else min(1.0, lightest + 0.03)


def _background(size: int, base: list[float], draws: Draws) -> np.ndarray:
    """A smooth field of colour with soft blobs, float32 (3, S, S), within SPREAD of `base`."""
    t = (np.arange(size).astype(np.float32) + 0.5) / size
    curves = ((1 - t) * (1 - t), 2 * t * (1 - t), t * t)  # quadratic Bernstein polynomials
    planes = np.zeros((3, size, size), np.float32)
    for plane in planes:
        for down in curves:
            across = sum(draws.uniform(-SPREAD, SPREAD) * curve for curve in curves)
            plane += down[:, None] * across
    for _ in range(draws.integer(3, 6) * max(1, round(size * size / 9216))):
        _add_blob(planes, t * size, draws)
    np.clip(planes, -SPREAD, SPREAD, out=planes)
    planes += np.array(base, np.float32)[:, None, None]
    return planes


def _add_blob(planes: np.ndarray, centres: np.ndarray, draws: Draws) -> None:
    size = len(centres)
    x, y = centres - draws.uniform(0, size), centres - draws.uniform(0, size)
    radius, strength = draws.uniform(5, 20), draws.uniform(-0.12, 0.12)
    part = np.abs(y) < radius, np.abs(x) < radius
    rows, columns = (slice(*np.flatnonzero(p)[[0, -1]] + (0, 1)) for p in part)
    fall = 1 - (x[columns] * x[columns] + (y[rows] * y[rows])[:, None]) / (radius * radius)
    fall = np.maximum(fall, 0)
    planes[:, rows, columns] += strength * fall * fall
