"""Cost formulas: the papers' numbers, torch's own counters on real layers, illegal arguments."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from dlseg.arithmetic import (
    conv_multiply_adds,
    conv_parameters,
    depthwise_parameters,
    inverted_residual_multiply_adds,
    inverted_residual_parameters,
    separable_multiply_adds,
    separable_parameters,
)


def counted(layers: list[nn.Module], in_channels: int, size: int) -> tuple[int, int]:
    """(weights, multiply-adds) as torch counts them, without computing anything."""
    model = nn.Sequential(*layers).to("meta")
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, in_channels, size, size, device="meta"))
    return sum(p.numel() for p in model.parameters()), counter.get_total_flops() // 2


def conv(in_channels, out_channels, kernel_size=1, stride=1, rate=1, groups=1):
    padding = rate * (kernel_size // 2)
    return nn.Conv2d(
        in_channels, out_channels, kernel_size, stride, padding, rate, groups, bias=False
    )


def test_mobilenet_table_3():
    assert conv_parameters(512, 512) == 2_359_296
    assert conv_multiply_adds(512, 512, 14) == 462_422_016
    assert separable_parameters(512, 512) == 266_752
    assert separable_multiply_adds(512, 512, 14) == 52_283_392
    # Width 0.75, then resolution 0.714 of 14 pixels: 29.6 M, 15.1 M and 0.15 M in the table.
    assert round(separable_multiply_adds(384, 384, 14) / 1e6, 1) == 29.6
    assert round(separable_multiply_adds(384, 384, 10) / 1e6, 1) == 15.1
    assert round(separable_parameters(384, 384) / 1e6, 2) == 0.15


def test_decoder_of_deeplab_v3_plus():
    costs = [conv_multiply_adds(304, 256, 129), conv_multiply_adds(256, 256, 129)]
    costs.append(conv_multiply_adds(256, 48, 129, kernel_size=1))
    assert [round(cost / 1e9, 3) for cost in costs] == [11.656, 9.815, 0.204]


channels = st.integers(1, 40)
kernels = st.sampled_from([1, 3, 5, 7])
sizes = st.integers(8, 40)
strides = st.integers(1, 3)
some = settings(max_examples=60, derandomize=True, deadline=None)


@some
@given(channels, channels, sizes, kernels, strides, st.integers(1, 6))
def test_an_ordinary_convolution_at_any_rate(m, n, size, k, stride, rate):
    formula = conv_parameters(m, n, k), conv_multiply_adds(m, n, size, k, stride)
    assert formula == counted([conv(m, n, k, stride, rate)], m, size)


@some
@given(channels, channels, sizes, kernels, strides, st.integers(1, 3))
def test_a_separable_convolution(m, n, size, k, stride, multiplier):
    formula = separable_parameters(m, n, k, multiplier)
    wide = m * multiplier
    layers = [conv(m, wide, k, stride, groups=m), conv(wide, n)]
    work = separable_multiply_adds(m, n, size, k, stride, multiplier)
    assert (formula, work) == counted(layers, m, size)
    assert depthwise_parameters(m, k, multiplier) == formula - conv_parameters(wide, n, 1)


@some
@given(channels, channels, sizes, strides, st.integers(1, 6))
def test_an_inverted_residual(m, n, size, stride, expansion):
    wide = m * expansion
    layers = [conv(m, wide)] if expansion > 1 else []
    layers += [conv(wide, wide, 3, stride, groups=wide), conv(wide, n)]
    work = inverted_residual_multiply_adds(m, n, size, expansion, stride=stride)
    weights = inverted_residual_parameters(m, n, expansion)
    assert (weights, work) == counted(layers, m, size)


@some
@given(channels, channels, sizes, kernels)
def test_the_ratio_of_the_paper(m, n, size, k):
    ratio = separable_multiply_adds(m, n, size, k) / conv_multiply_adds(m, n, size, k)
    assert ratio == pytest.approx(1 / n + 1 / k**2, rel=1e-12)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: conv_parameters(0, 8), "in_channels must be an integer >= 1, got 0"),
        (lambda: conv_parameters(8, 2.5), "out_channels must be an integer >= 1, got 2.5"),
        (lambda: conv_multiply_adds(8, 8, 0), "size must be an integer >= 1, got 0"),
        (lambda: conv_multiply_adds(8, 8, 8, stride=0), "stride must be an integer >= 1, got 0"),
        (lambda: separable_parameters(8, 8, -3), "kernel_size must be an integer >= 1, got -3"),
        (lambda: separable_parameters(8, 8, 3, 0), "depth_multiplier must be an integer >= 1"),
        (lambda: inverted_residual_parameters(8, 8, 0), "expansion must be an integer >= 1"),
    ],
)
def test_illegal_arguments_are_named(call, named):
    with pytest.raises(ValueError, match=named):
        call()
