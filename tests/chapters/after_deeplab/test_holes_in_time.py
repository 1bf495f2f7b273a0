"""Holes in time: what libraries were asked, arithmetic, the traced network and its gradient."""

import numpy as np
import pytest
import torch

from dlseg.arithmetic import Layer, field_closed_form
from dlseg.inspect import effective_field, gradient_support, receptive_field
from support.after_deeplab.holes_in_time import (
    ASKED,
    GatedLayer,
    causal,
    doubling,
    field_in_time,
    tcn,
    wavenet,
)


def test_doubling_rates():
    assert doubling(8) == [1, 2, 4, 8]
    assert doubling(2, 3) == [1, 2, 1, 2, 1, 2]
    assert doubling(512)[-1] == 512 and sum(doubling(512)) == 1023


def test_the_answer_that_a_library_gave_and_those_of_the_arithmetic():
    """keras-tcn#8: 192 was said; one convolution a block makes it 316, two make it 631."""
    asked = ASKED[0]
    rates = list(asked.rates) * asked.stacks
    assert asked.said == asked.kernel_size * asked.rates[-1] * asked.stacks == 192
    for convolutions, field in ((1, 316), (2, 631)):
        assert field_in_time(asked.kernel_size, rates, convolutions) == field
        layers = [Layer(asked.kernel_size, rate=rate) for rate in rates] * convolutions
        assert field_closed_form(layers).size == field
        network = tcn(2, asked.kernel_size, rates, convolutions)
        assert receptive_field(network, (1, 700)).size == field
        seen = gradient_support(network, (1, 700), (699,)).mask
        assert np.flatnonzero(seen)[[0, -1]].tolist() == [700 - field, 699]


def test_what_others_asked():
    """tensorflow-wavenet#259: a convolution more than the doubling stack; pytorch-tcn#13: right."""
    _, wave, other = ASKED
    assert field_in_time(wave.kernel_size, wave.rates) == 1024 == wave.said - 1
    assert receptive_field(wavenet(2), (1, 1100)).size == wave.said
    assert field_in_time(other.kernel_size, other.rates, 2) == other.said


@pytest.mark.parametrize("make", [lambda: wavenet(3, 8), lambda: tcn(3, 3, (1, 2, 4))])
def test_no_output_sees_the_future(make):
    torch.manual_seed(0)
    network = make().double()
    for step in (0, 7, 29):
        weights = effective_field(network, (1, 40), samples=2, unit=(step,))
        assert weights[step] > 0 and not weights[step + 1 :].any()
        assert (gradient_support(network, (1, 40), (step,)).columns or (0,))[-1] == step


def test_a_doubling_stack_reads_every_step_of_its_field():
    mask = gradient_support(wavenet(2, 16), (1, 64), (63,)).mask
    assert mask.sum() == field_in_time(2, [1, *doubling(16)]) == 33
    holes = gradient_support(tcn(2, 2, (4, 4, 4), 1), (1, 64), (63,)).mask
    assert mask[31:].all() and np.flatnonzero(holes).tolist() == [51, 55, 59, 63]


@pytest.mark.parametrize(("kernel_size", "rate"), [(2, 1), (3, 4), (5, 3)])
def test_causal_convolution_one_step_after_the_other(kernel_size, rate):
    torch.manual_seed(1)
    layer, x = causal(2, 3, kernel_size, rate).double(), torch.randn(1, 2, 20).double()
    weight, bias = layer[1].weight, layer[1].bias
    expected = torch.zeros(3, 20).double()
    for t in range(20):
        expected[:, t] = bias
        for k in range(kernel_size):
            past = t - (kernel_size - 1 - k) * rate
            if past >= 0:
                expected[:, t] += weight[:, :, k] @ x[0, :, past]
    assert (layer(x)[0] - expected).abs().max() < 1e-12


def test_a_closed_gate_lets_nothing_through():
    layer = GatedLayer(4)
    with torch.no_grad():
        layer.conv[1].bias[4:] = -100.0
        layer.conv[1].weight[4:] = 0.0
    x = torch.randn(1, 4, 9)
    assert torch.allclose(layer(x), x + layer.mix.bias[:, None], atol=1e-6)
