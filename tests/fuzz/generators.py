"""Inputs for fuzzing: mostly what is wanted, now and then what people give by mistake.

Each takes a `random.Random`, which alone decides the input.
"""

import math
from random import Random

import numpy as np
import torch

HUGE = (2**31, 2**63, 2**64 + 1, 10**30, -(2**63))
_ODD = (
    0,
    -1,
    -7,
    True,
    False,
    1.0,
    2.5,
    math.nan,
    math.inf,
    np.int8(5),
    np.uint8(250),
    np.int64(3),
)
_ODD_NUMBERS = (0, 0.0, -1.0, 1, 255, math.nan, math.inf, -math.inf, 1e-300, 1e300, 1e-9, True)
WORDS = ("", " ", "\0", "..", "../../x", "/", "é", "%s", "{}", "-1", "nan", "x" * 500, "a\nb", ":")
_NUMPY = ("u1", "i1", "u2", "i2", "i4", "i8", "u8", "f2", "f4", "f8", "?", "c8")
_TORCH = (
    torch.uint8,
    torch.int8,
    torch.int16,
    torch.int32,
    torch.int64,
    torch.bool,
    torch.float16,
    torch.bfloat16,
    torch.float32,
    torch.float64,
    torch.complex64,
)


def size(rng: Random):
    """A small whole number, 1 to 9, or an odd one that asks for little."""
    return rng.randint(1, 9) if rng.random() < 0.85 else rng.choice(_ODD)


def whole(rng: Random):
    """A whole number of any size, for formulas; or an odd one."""
    return rng.choice(HUGE) if rng.random() < 0.1 else size(rng)


def number(rng: Random):
    """A number of any kind and size."""
    return rng.uniform(0, 3) if rng.random() < 0.7 else rng.choice(_ODD_NUMBERS)


def flag(rng: Random):
    """True or False."""
    return rng.random() < 0.5


def listed(make, least: int = 0, most: int = 5):
    """A generator of lists, or tuples, of what `make` makes."""

    def some(rng: Random):
        values = [make(rng) for _ in range(rng.randint(least, most))]
        return tuple(values) if rng.random() < 0.5 else values

    return some


def one_of(*values, odd=None):
    """A generator of these values, and now and then of what `odd` makes, odd words for words."""
    odd = odd or (word if all(isinstance(value, str) for value in values) else None)

    def choose(rng: Random):
        return odd(rng) if odd and rng.random() < 0.15 else rng.choice(values)

    return choose


def always(value):
    """A generator of one value."""
    return lambda rng: value


def word(rng: Random) -> str:
    """An odd word, a letter of it changed perhaps."""
    text = rng.choice(WORDS)
    return text + chr(rng.choice((0, 10, 65, 233, 0x1F600))) if rng.random() < 0.3 else text


def arrays(*shape, dtype="u1", low: float = 0, high: float = 255):
    """A generator of NumPy arrays of that kind; a number of the shape that is None is drawn.

    One in four is of another kind or shape, holds other values, or lies in memory another way.
    """

    def make(rng: Random) -> np.ndarray:
        sides, kind = _shape(rng, shape), dtype
        odd = rng.random() < 0.25
        if odd and rng.random() < 0.4:
            sides = [rng.choice((0, 1, 2, 3, 4)) for _ in range(rng.randint(0, 5))]
        if odd and rng.random() < 0.4:
            kind = rng.choice(_NUMPY)
        values = _values(rng, sides, low, high, odd)
        with np.errstate(all="ignore"):
            array = values.astype(kind)
        return _laid(rng, array) if odd else array

    return make


def tensors(*shape, dtype=torch.float32, low: float = 0, high: float = 255):
    """A generator of tensors, as `arrays`."""
    make = arrays(*shape, dtype="f4", low=low, high=high)

    def draw(rng: Random) -> torch.Tensor:
        kind = rng.choice(_TORCH) if rng.random() < 0.12 else dtype
        tensor = torch.from_numpy(_finite(make(rng))).to(kind)
        if kind.is_floating_point and tensor.numel() and rng.random() < 0.05:
            tensor.view(-1)[rng.randrange(tensor.numel())] = rng.choice((math.nan, math.inf))
        return tensor.transpose(-1, -2) if tensor.dim() > 1 and rng.random() < 0.05 else tensor

    return draw


def probabilities(*shape, axis: int = -3, as_tensor: bool = True):
    """A generator of arrays or tensors whose sums over an axis are 1; now and then not."""
    make = arrays(*shape, dtype="f4", low=0.1, high=1)

    def draw(rng: Random):
        values = _finite(make(rng))
        if values.ndim >= -axis and rng.random() < 0.9:
            values = np.abs(values) + 1e-3
            values = values / values.sum(axis, keepdims=True)
        return torch.from_numpy(np.ascontiguousarray(values)) if as_tensor else values

    return draw


def _shape(rng: Random, shape: tuple) -> list[int]:
    return [rng.randint(1, 9) if side is None else side for side in shape]


def _values(rng: Random, sides: list[int], low: float, high: float, odd: bool) -> np.ndarray:
    generator = np.random.Generator(np.random.PCG64(rng.getrandbits(64)))
    values = generator.uniform(low, high, sides)
    if odd and rng.random() < 0.4:
        scale = rng.choice((0.0, 1 / 255, -1.0, 1e30, math.nan, math.inf))
        values = np.asarray(values * scale)
    return np.asarray(values)


def _finite(array: np.ndarray) -> np.ndarray:
    """The array as float32 without what no integer can hold."""
    values = np.clip(np.nan_to_num(array.real.astype("f8")), -1e9, 1e9)
    return np.array(values, dtype="f4", order="C")


def _laid(rng: Random, array: np.ndarray) -> np.ndarray:
    """The array as a view that is not contiguous, or cannot be written, perhaps."""
    kind = rng.randrange(4)
    if kind == 0 and array.ndim:
        return array[::-1]
    if kind == 1 and array.ndim > 1:
        return np.asfortranarray(array)
    if kind == 2:
        array.flags.writeable = False
    return array
