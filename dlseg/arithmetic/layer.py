"""One sliding window: its effective kernel, its output size, and the pixels that it reads.

Everything here is along one axis of the map; a square layer on a square map needs nothing more.
Sizes and positions are in pixels of the map that the layer reads, counted from 0.
"""

from dataclasses import dataclass

from dlseg.checks import check_integer


def effective_kernel(kernel_size: int, rate: int = 1) -> int:
    """Pixels from the first to the last tap of a kernel whose taps lie `rate` pixels apart.

    `k + (k - 1) (r - 1)`: r - 1 holes between neighbouring taps. In pixels of the layer's input.
    Raises ValueError where an argument is no integer >= 1.
    Source: DeepLab v2, section 3.1.
    """
    kernel_size = check_integer("kernel_size", kernel_size, 1)
    rate = check_integer("rate", rate, 1)
    return kernel_size + (kernel_size - 1) * (rate - 1)


def output_size(size: int, kernel_size: int, stride: int = 1, padding: int = 0, rate: int = 1):
    """Number of units that a layer makes of `size` pixels padded by `padding` on both sides.

    `floor((size + 2 padding - K) / stride) + 1` with the effective kernel K; no units: an int >= 1.
    Raises ValueError where an argument is out of range or the kernel does not fit.
    Source: Dumoulin and Visin, "A guide to convolution arithmetic", on dilation.
    """
    size = check_integer("size", size, 1)
    stride = check_integer("stride", stride, 1)
    padding = check_integer("padding", padding, 0)
    span = effective_kernel(kernel_size, rate)
    padded = size + 2 * padding
    if span > padded:
        raise ValueError(
            f"a kernel of {kernel_size} taps at rate {rate} spans {span} pixels and does not fit "
            f"into {size} + 2 * {padding} = {padded}; pad by at least {-((size - span) // 2)}, "
            "lower the rate, or give a larger map"
        )
    return (padded - span) // stride + 1


def same_padding(kernel_size: int, rate: int = 1) -> int:
    """Pixels to pad on each side so that a layer of stride 1 keeps the size of its map.

    `rate (kernel_size - 1) / 2`, which for a 3x3 kernel is the rate itself.
    Raises ValueError where the effective kernel is even: no padding is then equal on both sides.
    """
    span = effective_kernel(kernel_size, rate)
    if span % 2 == 0:
        raise ValueError(
            f"kernel_size {kernel_size} at rate {rate} spans {span} pixels, an even number: no "
            "padding is equal on both sides and keeps the size; take an odd kernel_size, "
            "an even rate, or pad the two sides differently"
        )
    return (span - 1) // 2


def taps(position: int, kernel_size: int, stride: int = 1, padding: int = 0, rate: int = 1):
    """List of the input positions that the output unit at `position` reads, one for each tap.

    Positions below 0 or beyond the last pixel lie in the padding. In pixels of the layer's input.
    Raises ValueError where an argument is out of range; `position` may be any integer.
    Source: DeepLab v2, equation 1 (`y[i] = sum_k x[i + r k] w[k]`), with stride and padding.
    """
    kernel_size = check_integer("kernel_size", kernel_size, 1)
    rate = check_integer("rate", rate, 1)
    start = check_integer("position", position) * check_integer("stride", stride, 1)
    start -= check_integer("padding", padding, 0)
    return [start + rate * tap for tap in range(kernel_size)]


@dataclass(frozen=True)
class Layer:
    """One convolution or pooling along one axis.

    kernel_size: taps; stride: input pixels between neighbouring outputs; padding: zeros before the
    first pixel and after the last; rate: input pixels between neighbouring taps; name: for tables.
    Raises ValueError where a number is out of range. NumPy's integers become Python's, here and in
    all of this package.
    """

    kernel_size: int = 1
    stride: int = 1
    padding: int = 0
    rate: int = 1
    name: str = ""

    def __post_init__(self):
        for field, least in (("kernel_size", 1), ("stride", 1), ("padding", 0), ("rate", 1)):
            object.__setattr__(self, field, check_integer(field, getattr(self, field), least))

    @property
    def effective_kernel(self) -> int:
        """Pixels from the first tap to the last."""
        return effective_kernel(self.kernel_size, self.rate)

    def output_size(self, size: int) -> int:
        """Number of units made of `size` pixels; ValueError where the kernel does not fit."""
        return output_size(size, self.kernel_size, self.stride, self.padding, self.rate)

    def taps(self, position: int) -> list[int]:
        """Input positions that the output unit at `position` reads; some may be in the padding."""
        return taps(position, self.kernel_size, self.stride, self.padding, self.rate)

    def reads(self, position: int, size: int) -> list[int]:
        """The taps of `position` that fall on one of the `size` pixels, not in the padding."""
        size = check_integer("size", size, 1)
        return [tap for tap in self.taps(position) if 0 <= tap < size]

    def window(self, size: int) -> tuple[int, int, int]:
        """Effective kernel, stride and padding: what a receptive field needs of this layer."""
        return self.effective_kernel, self.stride, self.padding
