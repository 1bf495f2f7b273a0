"""Random numbers that are the same on every machine and under every version of NumPy.

NumPy promises the stream of raw words of PCG64 for good, but not what `Generator.normal` or
`Generator.integers` make of it; and `log` and `exp` differ in the last bit between math libraries.
So everything here is built from raw words by operations that IEEE 754 rounds correctly.
"""

import numpy as np

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
