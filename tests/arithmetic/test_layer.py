"""One layer: formulas against counting, and against what torch computes."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from dlseg.arithmetic import Layer, effective_kernel, output_size, same_padding, taps

kernels, strides, paddings, rates = (st.integers(a, b) for a, b in ((1, 7), (1, 4), (0, 6), (1, 9)))


@pytest.mark.parametrize(
    ("rate", "pixels"),
    [(1, 3), (2, 5), (4, 9), (6, 13), (8, 17), (12, 25), (18, 37), (24, 49), (36, 73)],
)
def test_effective_kernel_of_3x3(rate, pixels):
    assert effective_kernel(3, rate) == pixels == 2 * same_padding(3, rate) + 1
    assert same_padding(3, rate) == rate


@given(kernels, strides, paddings, rates)
def test_effective_kernel_spans_the_taps(kernel_size, stride, padding, rate):
    read = taps(5, kernel_size, stride, padding, rate)
    assert len(read) == kernel_size
    assert read[-1] - read[0] + 1 == effective_kernel(kernel_size, rate)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.integers(1, 40), kernels, strides, paddings, rates)
def test_output_size_is_that_of_torch(size, kernel_size, stride, padding, rate):
    image, weight = torch.zeros(1, 1, size), torch.zeros(1, 1, kernel_size)
    if effective_kernel(kernel_size, rate) > size + 2 * padding:
        with pytest.raises(ValueError, match="does not fit"):
            output_size(size, kernel_size, stride, padding, rate)
        return
    made = F.conv1d(image, weight, stride=stride, padding=padding, dilation=rate)
    assert output_size(size, kernel_size, stride, padding, rate) == made.shape[-1]


@given(st.integers(1, 40), st.integers(0, 3).map(lambda half: 2 * half + 1), rates)
def test_same_padding_keeps_the_size(size, kernel_size, rate):
    padding = same_padding(kernel_size, rate)
    assert output_size(size, kernel_size, 1, padding, rate) == size


@settings(max_examples=50, derandomize=True, deadline=None)
@given(kernels, strides, st.integers(0, 3), st.integers(1, 4))
def test_taps_are_the_pixels_that_torch_reads(kernel_size, stride, padding, rate):
    layer = Layer(kernel_size, stride, padding, rate)
    size = 30
    weight = torch.ones(1, 1, kernel_size)
    pixels = torch.eye(size)[:, None]  # (30, 1, 30), one lit pixel in each image
    lit = F.conv1d(pixels, weight, stride=stride, padding=padding, dilation=rate)[:, 0]
    for unit in range(layer.output_size(size)):
        assert torch.nonzero(lit[:, unit]).ravel().tolist() == layer.reads(unit, size)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: effective_kernel(3, 0), "rate must be an integer >= 1, got 0"),
        (lambda: effective_kernel(3.0), "kernel_size must be an integer >= 1, got 3.0"),
        (lambda: Layer(stride=0), "stride must be an integer >= 1, got 0"),
        (lambda: Layer(padding=-1), "padding must be an integer >= 0, got -1"),
        (lambda: Layer(kernel_size=True), "kernel_size must be an integer >= 1, got True"),
        (
            lambda: output_size(5, 7, rate=2),
            r"spans 13 pixels .* 5 \+ 2 \* 0 = 5; pad by at least 4",
        ),
        (lambda: same_padding(2), "spans 2 pixels, an even number"),
        (lambda: same_padding(4, 3), "spans 10 pixels, an even number"),
    ],
)
def test_bad_input_says_what_to_do(call, message):
    with pytest.raises(ValueError, match=message):
        call()


LAYER = {"kernel_size": 3, "stride": 1, "padding": 0, "rate": 1}


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (effective_kernel, {"kernel_size": 3, "rate": 1}),
        (same_padding, {"kernel_size": 3, "rate": 1}),
        (output_size, LAYER | {"size": 9}),
        (taps, LAYER | {"position": 0}),
        (Layer, LAYER),
    ],
)
def test_every_argument_is_named_when_it_is_too_small(function, arguments):
    function(**arguments)
    for name in arguments.keys() - {"position"}:
        least = 0 if name == "padding" else 1
        with pytest.raises(ValueError, match=f"^{name} must be an integer >= {least}, got"):
            function(**arguments | {name: least - 1})
