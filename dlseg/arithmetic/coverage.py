"""Which pixels a stack of layers touches, and which fall through its holes (gridding).

All counts are by brute force along one axis, so that they can be held against any formula.
A stack is a list of rates (equal kernels of stride 1) or of `Layer`s; order does not matter for
rates, because touched offsets add up (a Minkowski sum).
Source: Wang et al., "Understanding convolution for semantic segmentation" (HDC).
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from dlseg.arithmetic.layer import Layer, same_padding, taps
from dlseg.checks import check_integer


def coverage(stack: Iterable[int | Layer], kernel_size: int = 3) -> list[int]:
    """Number of paths from each pixel of one unit's field to the unit; 0 marks a hole.

    The list is as long as the field, its first entry is the first pixel. `kernel_size` belongs to
    rates; a `Layer` has its own. Padding does not matter.
    Raises ValueError where a rate or the kernel size is no integer >= 1.
    """
    paths = Counter({0: 1})
    for layer in reversed(_as_layers(stack, kernel_size)):
        before = Counter()
        for position, count in paths.items():
            for tap in taps(position, layer.kernel_size, layer.stride, 0, layer.rate):
                before[tap] += count
        paths = before
    return [paths[pixel] for pixel in range(min(paths), max(paths) + 1)]


def coverage_2d(stack: Iterable[int | Layer], kernel_size: int = 3) -> list[list[int]]:
    """Number of paths from each pixel of the square field to one unit, row by row.

    A path chooses its rows and its columns independently: the product of two axes.
    Raises ValueError as `coverage` does.
    """
    axis = coverage(stack, kernel_size)
    return [[row * column for column in axis] for row in axis]


def holes(stack: Iterable[int | Layer], kernel_size: int = 3) -> list[float]:
    """Offsets, in pixels from the centre of the field, of the pixels that no path touches.

    Whole numbers where the field is odd, halves where it is even; empty where there is no gridding.
    Raises ValueError as `coverage` does.
    """
    counts = coverage(stack, kernel_size)
    centre = (len(counts) - 1) / 2
    offsets = [pixel - centre for pixel, count in enumerate(counts) if count == 0]
    return [int(offset) if offset.is_integer() else offset for offset in offsets]


def path_spread(layers: Iterable[Layer]) -> float:
    """Standard deviation, in pixels, of where a path from a unit ends, all taps being alike.

    The path takes one tap of each layer, and the variances of its steps add up:
    `sum (r j)^2 (k^2 - 1) / 12`, with j the product of the strides before the layer.
    Source: Luo et al. 2016, for rate and stride 1.
    """
    variance, jump = 0.0, 1
    for layer in layers:
        variance += (layer.rate * jump) ** 2 * (layer.kernel_size**2 - 1) / 12
        jump *= layer.stride
    return variance**0.5


def middle_part(weights: Sequence[float], share: float = 0.95) -> int:
    """Width of the smallest window around the middle that holds `share` of all the weight.

    weights: one per pixel of a field, none negative; the result is in pixels.
    """
    weights = [float(weight) for weight in weights]
    total = sum(weights)
    for cut in range((len(weights) - 1) // 2, 0, -1):
        window = weights[cut : len(weights) - cut]
        if sum(window) >= share * total:
            return len(window)
    return len(weights)


def hdc_distances(rates: Iterable[int]) -> list[int]:
    """M_1 .. M_n: the largest distance between non-zero taps, seen from each layer, by HDC's rule.

    `M_n = r_n`, `M_i = max(M_{i+1} - 2 r_i, 2 r_i - M_{i+1}, r_i)`, in pixels. The published test
    `M_2 <= kernel_size` takes r_1 = 1 for granted; `M_1 = 1` is the safe one, and
    `holes` needs no rule at all.
    Raises ValueError where there is no rate or one is no integer >= 1.
    Source: Wang et al. (HDC), as several independent notes on it give the rule.
    """
    rates = _check_rates("rates", rates)
    if not rates:
        raise ValueError("rates must hold at least one rate, got none")
    distances = [rates[-1]]
    for rate in reversed(rates[:-1]):
        distances.insert(0, max(distances[0] - 2 * rate, 2 * rate - distances[0], rate))
    return distances


def no_holes(rates: Iterable[int]) -> bool:
    """Whether a stack of 3-tap layers of these rates, in any order, reads every pixel of its field.

    Sorted, each rate must not exceed the field of all smaller ones: then its three copies of what
    they cover touch. `holes` counts the same by brute force; `hdc_distances` is the published rule.
    Raises ValueError where a rate is no integer >= 1.
    """
    rates = _check_rates("rates", rates)
    rates = sorted(rates)
    return all(rate <= 1 + 2 * sum(rates[:i]) for i, rate in enumerate(rates))


def valid_tap_fractions(size: int, rate: int, kernel_size: int = 3) -> dict[int, float]:
    """Share of positions at which a size-preserving kernel has 1, 2, 3, ... taps on the map.

    Keys are all products of two counts of 1 to kernel_size: 1, 2, 3, 4, 6, 9 for a 3x3 kernel; and
    0 for an even one whose taps all lie beside the map somewhere.
    Raises ValueError where an argument is out of range or the effective kernel is even.
    Source: DeepLab v3, section 3.3 and figure 4 (size 65), which plots 1, 4 and 9.
    """
    size = check_integer("size", size, 1)
    kernel_size = check_integer("kernel_size", kernel_size, 1)
    layer = Layer(kernel_size, 1, same_padding(kernel_size, rate), rate)
    axis = Counter(len(layer.reads(position, size)) for position in range(size))
    counts = {*axis, *range(1, kernel_size + 1)}
    shares = {key: 0 for key in sorted({row * column for row in counts for column in counts})}
    for row, rows in axis.items():
        for column, columns in axis.items():
            shares[row * column] += rows * columns
    return {key: positions / size**2 for key, positions in shares.items()}


def _check_rates(_name: str, rates: Iterable[int]) -> list[int]:
    """The rates as plain ints; called as all checks are, so that chapters print code without it."""
    return [check_integer("rate", rate, 1) for rate in rates]


def _as_layers(stack: Iterable[int | Layer], kernel_size: int) -> list[Layer]:
    return [
        item if isinstance(item, Layer) else Layer(kernel_size, rate=item, name=f"rate {item}")
        for item in stack
    ]
