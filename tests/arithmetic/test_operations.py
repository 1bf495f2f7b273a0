"""The operations of a graph read the pixels that torch reads."""

from fractions import Fraction

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dlseg.arithmetic import AdaptivePool, Crop, Layer, Pad, Resize, Transposed, Whole

quick = settings(max_examples=100, derandomize=True, deadline=None)


def read_by_torch(function, size):
    """For each output unit, the rows it reads: images with one lit row go through `function`."""
    images = torch.eye(size, dtype=torch.float64)[:, None, :, None].expand(-1, 1, -1, 4)
    made = function(images)[:, 0, :, 1]  # (image, unit)
    return [torch.nonzero(column.abs() > 1e-6).ravel().tolist() for column in made.T]


def read_by_us(operation, size):
    units = operation.output_size(size)
    return [sorted(set(operation.reads(unit, size))) for unit in range(units)]


@quick
@given(
    st.integers(1, 24),
    st.integers(1, 24),
    st.sampled_from([("nearest", None), ("bilinear", False), ("bilinear", True)])
    | st.sampled_from([("nearest-exact", None), ("bicubic", False), ("bicubic", True)]),
)
def test_resize(size, units, mode):
    mode, align_corners = mode
    resize = Resize(units, mode, bool(align_corners))
    if mode.startswith("nearest"):
        # On an exact tie the float32 of torch may fall on the pixel before.
        sources = (resize.source(unit, size) for unit in range(units))
        assume(all(s.denominator > 1 for s in sources) or units % size == 0 or size % units == 0)
    made = read_by_torch(
        lambda x: F.interpolate(x, (units, 4), mode=mode, align_corners=align_corners), size
    )
    assert read_by_us(resize, size) == made


def test_resize_by_a_factor_that_the_size_does_not_divide():
    """torch keeps the factor that was given: 5 pixels by 1.5 make 7 units, 2/3 of a pixel apart."""
    made = read_by_torch(
        lambda x: F.interpolate(x, scale_factor=(1.5, 1.0), mode="bilinear", align_corners=False), 5
    )
    assert read_by_us(Resize(7, "bilinear", step=Fraction(2, 3)), 5) == made
    assert read_by_us(Resize(7, "bilinear"), 5) != made


@quick
@given(st.integers(1, 20), st.integers(1, 12))
def test_adaptive_pool(size, units):
    made = read_by_torch(lambda x: F.adaptive_avg_pool2d(x, (units, 4)), size)
    assert read_by_us(AdaptivePool(units), size) == made


@quick
@given(*(st.integers(a, b) for a, b in ((1, 9), (1, 5), (1, 4), (0, 4), (1, 3), (0, 2))))
def test_transposed(size, kernel_size, stride, padding, rate, extra):
    assume(extra < max(stride, rate))
    operation = Transposed(kernel_size, stride, padding, rate, extra)
    assume((size - 1) * stride - 2 * padding + rate * (kernel_size - 1) + extra >= 0)
    weight = torch.ones(1, 1, kernel_size, 1, dtype=torch.float64)
    made = read_by_torch(
        lambda x: F.conv_transpose2d(
            x, weight, None, (stride, 1), (padding, 0), (extra, 0), 1, (rate, 1)
        ),
        size,
    )
    assert read_by_us(operation, size) == made


@pytest.mark.parametrize(
    "mode",
    ["zeros", "reflect", "replicate", "circular"],
)
def test_pad(mode):
    torch_mode = "constant" if mode == "zeros" else mode
    made = read_by_torch(lambda x: F.pad(x, (0, 0, 3, 2), mode=torch_mode), 7)
    assert read_by_us(Pad(3, 2, mode), 7) == made


def test_negative_padding_crops():
    assert read_by_us(Pad(-1, -2), 7) == read_by_us(Crop(1, 4), 7)


def test_crop_and_whole():
    assert read_by_us(Crop(1, 3, step=2), 7) == [[1], [3], [5]]
    assert read_by_us(Whole(2), 3) == [[0, 1, 2], [0, 1, 2]]


WINDOWS = [
    (Resize(4, "nearest"), 8, (1, 2, 0)),
    (Resize(4, "bilinear"), 8, (2, 2, 0)),
    (Resize(3, "bilinear"), 9, (1, 3, -1)),
    (Resize(5, "bilinear", align_corners=True), 9, (1, 2, 0)),
    (Resize(16, "nearest"), 8, None),
    (Resize(16, "bilinear"), 8, None),
    (Resize(8, "bicubic"), 8, (1, 1, 0)),
    (AdaptivePool(4), 8, (2, 2, 0)),
    (AdaptivePool(3), 8, None),
    (AdaptivePool(1), 8, None),
    (Transposed(3, 1, 1), 8, (3, 1, 1)),
    (Transposed(4, 2, 1), 8, None),
    (Crop(2, 3, 2), 8, (1, 2, -2)),
    (Pad(3, 0, "reflect"), 8, (1, 1, 3)),
    (Layer(3, 2, 1, 4), 32, (9, 2, 1)),
]


@pytest.mark.parametrize(("operation", "size", "window"), WINDOWS)
def test_window_is_the_layer_that_sees_the_same(operation, size, window):
    assert operation.window(size) == window
    if window is None:
        return
    kernel, stride, padding = window
    for unit in range(operation.output_size(size)):
        read = list(operation.reads(unit, size))
        first = unit * stride - padding
        inside = [pixel for pixel in (first, first + kernel - 1) if 0 <= pixel < size]
        if len(inside) == 2 or (kernel == 1 and inside):
            assert (min(read), max(read)) == (inside[0], inside[-1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Resize(4, "linear"), "mode must be one of nearest, .* got 'linear'"),
        (
            lambda: Resize(4, "nearest", True),
            "align_corners=True has no meaning for mode 'nearest'",
        ),
        (lambda: Resize(0), "units must be an integer >= 1, got 0"),
        (lambda: Pad(1, 1, "constant"), "mode must be one of zeros, .* got 'constant'"),
        (lambda: Pad(-4, -4).output_size(8), "leaves nothing of a map of size 8"),
        (lambda: Crop(6, 3).output_size(8), "reads pixels 6 to 8 of a map of size 8"),
        (lambda: Transposed(1, 1, 3).output_size(4), "must be an integer >= 1, got -2"),
        (lambda: Transposed(2).output_size(0), "^size must be an integer >= 1, got 0"),
        (lambda: Pad(1, 1).output_size(0), "^size must be an integer >= 1, got 0"),
        (lambda: AdaptivePool(0).output_size(4), "units must be an integer >= 1, got 0"),
    ],
)
def test_bad_input_says_what_to_do(call, message):
    with pytest.raises(ValueError, match=message):
        call()
