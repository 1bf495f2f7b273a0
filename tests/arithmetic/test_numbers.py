"""Integers of NumPy become plain ones at the door; what is no integer is refused by its name."""

import math

import numpy as np
import pytest

from dlseg.arithmetic import (
    AdaptivePool,
    Crop,
    Field,
    Graph,
    Layer,
    Pad,
    Resize,
    Transposed,
    Whole,
    conv_multiply_adds,
    field_closed_form,
    inverted_residual_multiply_adds,
    inverted_residual_parameters,
    round_channels,
    separable_multiply_adds,
    separable_parameters,
    stack_fields,
    taps,
    valid_tap_fractions,
)


def test_a_deep_stack_of_small_numpy_integers():
    """Nine strides of 2 overflow eight bits: the field was -1."""
    layers = [Layer(np.int8(3), np.int8(2), np.int8(1), np.int8(2)) for _ in range(9)]
    assert layers == [Layer(3, 2, 1, 2)] * 9 and type(layers[0].stride) is int
    assert stack_fields(layers)[-1] == field_closed_form(layers) == Field(2045, 512, 511)


@pytest.mark.parametrize(
    "operation",
    [
        AdaptivePool(np.uint8(3)),
        Crop(np.uint8(1), np.uint8(3), np.uint8(2)),
        Pad(np.uint8(200), np.uint8(200)),
        Resize(np.uint8(200)),
        Transposed(np.uint8(3), np.uint8(100), np.uint8(0), np.uint8(100), np.uint8(1)),
        Whole(np.uint8(2)),
    ],
)
def test_operations_keep_plain_integers(operation):
    numbers = [value for value in vars(operation).values() if isinstance(value, int | np.integer)]
    assert {type(value) for value in numbers} <= {int, bool}
    graph = Graph(99)
    name = graph.add("map", operation)
    assert graph.size(name) == type(operation)(**vars(operation)).output_size(99)


@pytest.mark.parametrize(
    ("count", "sizes"),
    [
        (separable_parameters, (200, 250, 3, 2)),
        (separable_multiply_adds, (200, 250, 60, 3, 2, 2)),
        (inverted_residual_parameters, (200, 250, 6, 3)),
        (inverted_residual_multiply_adds, (200, 250, 60, 6, 3, 2)),
        (conv_multiply_adds, (200, 250, 60)),
    ],
)
def test_costs_of_numpy_integers(count, sizes):
    assert count(*map(np.uint8, sizes)) == count(*sizes)


def test_positions_of_numpy_integers():
    assert taps(np.uint8(250), 3, 2) == [500, 501, 502]
    assert Field(5, 32, 2).region(np.uint8(100)) == (3198, 3202)


def test_an_even_kernel_may_miss_the_map():
    """Two taps, 12 apart: the pixels in the middle of a map of 9 have neither."""
    shares = valid_tap_fractions(9, 12, 2)
    assert shares == {0: 1 - (6 / 9) ** 2, 1: (6 / 9) ** 2, 2: 0, 4: 0}
    assert 0 not in valid_tap_fractions(9, 12, 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: taps(1.0, 3), "position must be an integer"),
        (lambda: Field().region(0.5), "first must be an integer"),
        (lambda: Field().region(0, math.inf), "last must be an integer"),
        (lambda: Crop(0.5, 3), "start must be an integer"),
        (lambda: Pad(1, math.inf), "after must be an integer"),
        (lambda: Transposed(3, padding=0.5), "padding must be an integer"),
        (lambda: Transposed(3, output_padding=0.5), "output_padding must be an integer"),
        (lambda: Whole(0), "units must be an integer >= 1"),
        (lambda: round_channels(math.nan), "channels must be a number, at least 0, got nan"),
        (lambda: round_channels(math.inf), "channels must be a number, at least 0, got inf"),
        (lambda: round_channels(-1), "channels must be a number, at least 0, got -1"),
        (lambda: round_channels(8, 0), "divisor must be an integer >= 1, got 0"),
    ],
)
def test_what_is_no_number_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
