"""What a network does to a map apart from sliding a window: the other operations of a graph.

Positions are exact integers: fractions, not floating point, decide what a resize reads.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import ceil, floor

from dlseg.arithmetic.layer import effective_kernel
from dlseg.checks import check_choice, check_integer


class Operation(ABC):
    """What makes one map of another, along one axis; `layer.Layer` has the same three methods.

    A kind of operation says what it does in its own docstring; as it stands here, it makes `units`
    units of a map of any size.
    """

    units: int

    def output_size(self, size: int) -> int:
        """The number of units made of `size` pixels; ValueError where there are none."""
        return self.units

    @abstractmethod
    def reads(self, position: int, size: int) -> Iterable[int]:
        """The pixels that the unit at `position` reads, never padding."""

    def window(self, size: int) -> tuple[int, int, int] | None:
        """(kernel, stride, padding) of the layer that sees the same; None if units differ."""
        return None


@dataclass(frozen=True)
class Merge(Operation):
    """Branches that meet position by position: `kind` says how ("add", "concat", "multiply").

    A branch of a single unit is broadcast, as image pooling is.
    """

    kind: str = "add"

    def output_size(self, size: int) -> int:
        return size

    def reads(self, position: int, size: int) -> list[int]:
        position, size = _plain(position, size)
        return [position if size > 1 else 0]

    def window(self, size: int) -> tuple[int, int, int]:
        return 1, 1, 0


@dataclass(frozen=True)
class Whole(Operation):
    """Every unit reads the whole map: global pooling, a fully connected layer, or a normalisation
    over positions (which makes `units` units; the others make one).

    Source: ParseNet; DeepLab v3, section 3.3 (image-level features).
    """

    units: int = 1

    def __post_init__(self):
        _set_integers(self, units=1)

    def reads(self, position: int, size: int) -> range:
        return range(size)


@dataclass(frozen=True)
class AdaptivePool(Operation):
    """Pooling into `units` bins as equal as whole pixels allow; neighbouring bins may overlap.

    Bin i holds the pixels from `floor(i n / units)` to `ceil((i + 1) n / units) - 1`.
    Source: PSPNet, section 3.2 (pyramid pooling); the borders are those of PyTorch.
    """

    units: int

    def __post_init__(self):
        _set_integers(self, units=1)

    def reads(self, position: int, size: int) -> range:
        position, size = _plain(position, size)
        return range(position * size // self.units, -(-(position + 1) * size // self.units))

    def window(self, size: int) -> tuple[int, int, int] | None:
        if self.units == 1:  # equal and evenly spaced bins are a pooling layer; one is not
            return None
        bins = [self.reads(unit, size) for unit in range(self.units)]
        return _common_window([(bin_[0], bin_[-1]) for bin_ in bins])


@dataclass(frozen=True)
class Crop(Operation):
    """`units` pixels of the map, from `start` on, every `step`-th one (slicing)."""

    start: int
    units: int
    step: int = 1

    def __post_init__(self):
        _set_integers(self, start=None, units=None, step=None)

    def output_size(self, size: int) -> int:
        last = self.start + (self.units - 1) * self.step
        if self.start < 0 or self.units < 1 or self.step < 1 or last >= size:
            raise ValueError(f"{self} reads pixels {self.start} to {last} of a map of size {size}")
        return self.units

    def reads(self, position: int, size: int) -> list[int]:
        return [self.start + check_integer("position", position) * self.step]

    def window(self, size: int) -> tuple[int, int, int]:
        return 1, self.step, -self.start  # cropping is negative padding


@dataclass(frozen=True)
class Pad(Operation):
    """`before` and `after` pixels added around the map; negative numbers crop.

    mode: "zeros" adds pixels that read nothing, "reflect", "replicate" and "circular" copy some.
    """

    before: int
    after: int
    mode: str = "zeros"

    def __post_init__(self):
        check_choice("mode", self.mode, ("zeros", "reflect", "replicate", "circular"))
        _set_integers(self, before=None, after=None)

    def output_size(self, size: int) -> int:
        size = check_integer("size", size, 1)
        if size + self.before + self.after < 1:
            raise ValueError(f"{self} leaves nothing of a map of size {size}")
        return size + self.before + self.after

    def reads(self, position: int, size: int) -> list[int]:
        position, size = _plain(position, size)
        pixel = position - self.before
        if self.mode == "reflect":
            pixel = size - 1 - abs(size - 1 - abs(pixel))
        elif self.mode == "replicate":
            pixel = min(max(pixel, 0), size - 1)
        elif self.mode == "circular":
            pixel %= size
        return [pixel] if 0 <= pixel < size else []

    def window(self, size: int) -> tuple[int, int, int]:
        return 1, 1, self.before  # pixels copied into the padding are not counted


@dataclass(frozen=True)
class Resize(Operation):
    """Resampling to `units` units.

    mode: "nearest", "nearest-exact", "bilinear" or "bicubic"; align_corners: the centres of the
    first and last pixels stay where they are, instead of the borders of the map; step: input
    pixels per output unit where it is not size / units (PyTorch: 1 / scale_factor).
    A tap of weight zero is not read: a unit exactly on a pixel reads that pixel alone. Of the sizes
    up to 33, PyTorch's float32 rounds a nearest unit down where it should not in four
    (26 to 22, for one, whose unit 11 reads pixel 12 there and 13 here).
    Raises ValueError where mode is another, or align_corners is asked of a nearest mode.
    """

    units: int
    mode: str = "bilinear"
    align_corners: bool = False
    step: Fraction | None = None

    def __post_init__(self):
        _set_integers(self, units=1)
        check_choice("mode", self.mode, ("nearest", "nearest-exact", "bilinear", "bicubic"))
        if self.align_corners and self.mode.startswith("nearest"):
            raise ValueError(f"align_corners=True has no meaning for mode {self.mode!r}; drop it")

    def source(self, position: int, size: int) -> Fraction:
        """Where the unit at `position` lies, in pixels of the map it reads."""
        position, size = _plain(position, size)
        if self.align_corners:
            return Fraction(position * (size - 1), max(1, self.units - 1))
        step = Fraction(size, self.units) if self.step is None else self.step
        if self.mode == "nearest":
            return position * step
        if self.mode == "nearest-exact":
            return (position + Fraction(1, 2)) * step
        return (position + Fraction(1, 2)) * step - Fraction(1, 2)

    def reads(self, position: int, size: int) -> range:
        first, last = self._span(position, size)
        return range(min(max(first, 0), size - 1), min(max(last, 0), size - 1) + 1)

    def window(self, size: int) -> tuple[int, int, int] | None:
        if size in (1, self.units):
            return 1, int(size == self.units), 0
        return _common_window([self._span(unit, size) for unit in range(self.units)])

    def _span(self, position: int, size: int) -> tuple[int, int]:
        source = self.source(position, size)
        if self.mode.startswith("nearest") or source.denominator == 1:
            return floor(source), floor(source)
        reach = 1 if self.mode == "bicubic" else 0
        return floor(source) - reach, ceil(source) + reach


@dataclass(frozen=True)
class Transposed(Operation):
    """Transposed convolution ("deconvolution"): each pixel paints `kernel_size` units.

    Pixel i paints the units `i stride - padding + j rate` for j = 0 .. kernel_size - 1.
    Source: Dumoulin and Visin, "A guide to convolution arithmetic", chapter 4.
    """

    kernel_size: int
    stride: int = 1
    padding: int = 0
    rate: int = 1
    output_padding: int = 0

    def __post_init__(self):
        _set_integers(self, kernel_size=1, stride=1, padding=0, rate=1, output_padding=0)

    def output_size(self, size: int) -> int:
        size = check_integer("size", size, 1)
        span = effective_kernel(self.kernel_size, self.rate)
        units = (size - 1) * self.stride - 2 * self.padding + span + self.output_padding
        return check_integer(f"the size that {self} makes of {size} pixels", units, 1)

    def reads(self, position: int, size: int) -> list[int]:
        position, size = _plain(position, size)
        offsets = [position + self.padding - tap * self.rate for tap in range(self.kernel_size)]
        pixels = [offset // self.stride for offset in offsets if offset % self.stride == 0]
        return [pixel for pixel in pixels if 0 <= pixel < size]

    def window(self, size: int) -> tuple[int, int, int] | None:
        if self.stride > 1:  # at 1 it is an ordinary layer
            return None
        span = effective_kernel(self.kernel_size, self.rate)
        return span, 1, span - 1 - self.padding


def _set_integers(operation: Operation, **least: int | None) -> None:
    """Make fields plain integers, of at least so much; ValueError where they are none."""
    for field, bound in least.items():
        value = check_integer(field, getattr(operation, field), bound)
        object.__setattr__(operation, field, value)


def _plain(position: int, size: int) -> tuple[int, int]:
    return check_integer("position", position), check_integer("size", size, 1)


def _common_window(spans: list[tuple[int, int]]) -> tuple[int, int, int] | None:
    """The window whose units read these spans, None where sizes or steps differ."""
    steps = {after[0] - before[0] for before, after in pairwise(spans)}
    sizes = {last - first + 1 for first, last in spans}
    if len(steps) > 1 or len(sizes) > 1:
        return None
    return sizes.pop(), steps.pop() if steps else 0, -spans[0][0]
