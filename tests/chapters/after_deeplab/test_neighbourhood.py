"""Neighbourhood attention against loops over places, and the holes of its stacks."""

import numpy as np
import pytest
import torch
from torch import nn

from dlseg.arithmetic import coverage
from dlseg.inspect import gradient_support, receptive_field
from support.after_deeplab.neighbourhood import NeighbourhoodAttention, neighbours


def window(place, size, kernel_size, rate):
    """The keys of one query, by going to the nearest places of its class one by one."""
    same = [other for other in range(size) if other % rate == place % rate]
    where = same.index(place)
    first = max(0, min(where - kernel_size // 2, len(same) - kernel_size))
    return same[first : first + kernel_size]


@pytest.mark.parametrize(
    ("size", "kernel_size", "rate"), [(9, 3, 1), (9, 3, 2), (10, 3, 3), (11, 5, 2), (15, 7, 2)]
)
def test_neighbours(size, kernel_size, rate):
    expected = [window(place, size, kernel_size, rate) for place in range(size)]
    assert neighbours(size, kernel_size, rate).tolist() == expected


def test_too_few_places_and_uneven_heads():
    with pytest.raises(ValueError, match="3 keys at rate 4 do not fit on 11 places"):
        neighbours(11, 3, 4)
    with pytest.raises(ValueError, match="3 heads do not divide 8 channels"):
        NeighbourhoodAttention(8, (1, 1, 1))


def keys(i, j, height, width, kernel_size, rate):
    """The keys (row, column) of the query at (i, j), row by row."""
    columns = window(j, width, kernel_size, rate)
    return [(row, column) for row in window(i, height, kernel_size, rate) for column in columns]


def by_loops(query, key, value, bias, kernel_size, rate):
    """One head: query, key, value (H, W, d), bias (2k - 1, 2k - 1), one place after the other."""
    height, width, depth = query.shape
    found, last = torch.zeros_like(value), kernel_size - 1
    for i in range(height):
        for j in range(width):
            near = keys(i, j, height, width, kernel_size, rate)
            logits = [
                query[i, j] @ key[row, column] / depth**0.5
                + bias[(row - i) // rate + last, (column - j) // rate + last]
                for row, column in near
            ]
            for weight, (row, column) in zip(torch.stack(logits).softmax(0), near, strict=True):
                found[i, j] += weight * value[row, column]
    return found


def attention(channels, rates, kernel_size):
    torch.manual_seed(2)
    layer = NeighbourhoodAttention(channels, rates, kernel_size).double()
    nn.init.normal_(layer.bias)
    return layer


@pytest.mark.parametrize(("rates", "kernel_size"), [((1,), 3), ((2, 2), 3), ((1, 2), 3), ((1,), 5)])
def test_against_loops(rates, kernel_size):
    layer, x = attention(4, rates, kernel_size), torch.randn(1, 4, 7, 6).double()
    qkv = layer.qkv(x[0].movedim(0, -1)).chunk(3, -1)  # (H, W, 4) each
    heads = zip(*(part.chunk(len(rates), -1) for part in qkv), layer.bias, rates, strict=True)
    parts = [by_loops(*head, kernel_size, rate) for *head, rate in heads]
    expected = layer.out(torch.cat(parts, -1)).movedim(-1, 0)
    assert (layer(x)[0] - expected).abs().max() < 1e-12


@pytest.mark.parametrize("rates", [(1, 1, 1), (2, 2, 2), (1, 2, 3)])
def test_gridding_returns(rates):
    """In the middle, a stack sees what a stack of 3x3 convolutions of its rates sees."""
    stack = nn.Sequential(*(NeighbourhoodAttention(2, (rate,)) for rate in rates))
    mask = gradient_support(stack, (2, 31, 31)).mask
    axis = np.array(coverage(rates)) > 0
    reach, middle = len(axis) // 2, mask.shape[0] // 2
    inside = slice(middle - reach, middle + reach + 1)
    assert np.array_equal(mask[inside, inside], np.outer(axis, axis))
    assert mask.sum() == axis.sum() ** 2


def test_heads_of_several_rates_see_together_what_no_one_sees():
    mask = gradient_support(NeighbourhoodAttention(4, (1, 3)), (4, 15, 15)).mask
    assert mask.sum() == 9 + 9 - 1 and mask[7, [4, 6, 7, 8, 10]].all() and not mask[7, 5]


def test_the_tracer_refuses_and_near_the_rim_the_window_stays_inside():
    layer = NeighbourhoodAttention(2, (2,))
    with pytest.raises(ValueError, match="cannot follow"):
        receptive_field(layer, (2, 9, 9))
    corner = gradient_support(layer, (2, 9, 9), (0, 0)).mask
    assert np.flatnonzero(corner.any(0)).tolist() == [0, 2, 4] and corner.sum() == 9
