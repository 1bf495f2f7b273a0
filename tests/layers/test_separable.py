"""Separable convolution against loops, against one dense kernel, and against MobileNet's tables."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from dlseg.arithmetic.counting import (
    conv_multiply_adds,
    conv_parameters,
    separable_multiply_adds,
    separable_parameters,
)
from dlseg.inspect import gradient_support, receptive_field
from dlseg.layers import SeparableConv2d, atrous_conv2d

HALVES = ("conv_dw", "conv_pw")


def random_layer(*sizes, **options):
    """A layer in float64 and eval mode, no number in its BNs a 0 or a 1."""
    layer = SeparableConv2d(*sizes, **options).double().eval()
    generator = torch.Generator().manual_seed(0)
    for norm in (layer.bn_dw, layer.bn_pw):
        for values in (norm.weight, norm.running_var):
            values.data.uniform_(0.5, 2, generator=generator)
        for values in (norm.bias, norm.running_mean):
            values.data.normal_(0, 0.5, generator=generator)
    return layer


def normalise(value, norm, channel, eps):
    scale = norm.weight[channel] / (norm.running_var[channel] + eps) ** 0.5
    return scale * (value - norm.running_mean[channel]) + norm.bias[channel]


def by_loops(layer, x, kernel_size, stride, rate, between, after, eps):
    """Pixel by pixel, channel by channel, tap by tap; a tap beside the map reads nothing."""
    inputs, height, width = x.shape[1:]
    outputs = layer.conv_pw.weight.shape[0]
    rows, columns = -(-height // stride), -(-width // stride)
    reach = rate * (kernel_size - 1) // 2
    y = torch.zeros(1, outputs, rows, columns, dtype=x.dtype)
    for row in range(rows):
        for column in range(columns):
            looked = []
            for channel in range(inputs):
                value = torch.zeros((), dtype=x.dtype)
                for i in range(kernel_size):
                    for j in range(kernel_size):
                        at = row * stride + i * rate - reach, column * stride + j * rate - reach
                        if 0 <= at[0] < height and 0 <= at[1] < width:
                            value += x[0, channel, *at] * layer.conv_dw.weight[channel, 0, i, j]
                value = normalise(value, layer.bn_dw, channel, eps)
                looked.append(value.clamp(min=0) if between else value)
            for channel in range(outputs):
                value = sum(
                    weight * look
                    for weight, look in zip(
                        layer.conv_pw.weight[channel, :, 0, 0], looked, strict=True
                    )
                )
                value = normalise(value, layer.bn_pw, channel, eps)
                y[0, channel, row, column] = value.clamp(min=0) if after else value
    return y


@pytest.mark.parametrize(
    ("kernel_size", "stride", "rate", "between", "after", "eps"),
    [
        (3, 1, 1, True, True, 1e-5),
        (3, 2, 1, True, False, 1e-3),
        (3, 1, 3, False, True, 1e-5),
        (3, 2, 2, False, False, 1e-3),
        (5, 2, 1, True, True, 0.1),
        (1, 1, 4, True, True, 1e-5),
    ],
)
def test_loops(kernel_size, stride, rate, between, after, eps):
    layer = random_layer(
        2, 3, kernel_size, stride, rate, activate_between=between, activate_after=after, eps=eps
    )
    x = torch.randn(1, 2, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = by_loops(layer, x, kernel_size, stride, rate, between, after, eps)
        torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-12)
    assert after == bool((expected >= 0).all())


@pytest.mark.parametrize("rate", [1, 2, 6, 12, 18])
@pytest.mark.parametrize("stride", [1, 2])
def test_without_relu_between_it_is_one_dense_kernel_of_low_rank(rate, stride):
    """w[n, m, i, j] = p[n, m] d[m, i, j], with what the first BN does folded in."""
    layer = random_layer(4, 6, 3, stride, rate, activate_between=False, activate_after=False)
    layer.bn_dw.running_mean.zero_()  # a constant would meet the border another way
    nn.init.zeros_(layer.bn_dw.bias)
    x = torch.randn(2, 4, 21, 26, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    scale = layer.bn_dw.weight / (layer.bn_dw.running_var + 1e-5).sqrt()
    depthwise = layer.conv_dw.weight[:, 0] * scale[:, None, None]
    dense = torch.einsum("nm,mij->nmij", layer.conv_pw.weight[:, :, 0, 0], depthwise)
    with torch.no_grad():
        expected = layer.bn_pw(atrous_conv2d(x, dense, rate, stride, padding=rate))
        torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("inputs", "outputs", "kernel_size", "stride", "rate", "size"),
    [
        (512, 512, 3, 1, 1, 14),
        (32, 64, 3, 2, 1, 113),
        (7, 5, 5, 1, 3, 20),
        (304, 256, 3, 1, 12, 33),
    ],
)
def test_costs_as_the_formulas_say(inputs, outputs, kernel_size, stride, rate, size):
    layer = SeparableConv2d(inputs, outputs, kernel_size, stride, rate).to("meta")
    parameters = sum(values.numel() for values in layer.parameters())
    weights = separable_parameters(inputs, outputs, kernel_size)
    assert parameters == weights + 2 * inputs + 2 * outputs  # each BN has a scale and a shift
    expected = separable_multiply_adds(inputs, outputs, size, kernel_size, stride)
    assert multiply_adds(layer, inputs, size) == expected


def multiply_adds(model, channels, size):
    with FlopCounterMode(display=False) as counter:
        model(torch.empty(1, channels, size, size, device="meta"))
    return counter.get_total_flops() // 2


def test_mobilenet_table_3():
    """One layer of 512 channels on a 14x14 map: 462 and 52.3 million, 2.36 and 0.27 million."""
    conv = nn.Conv2d(512, 512, 3, padding=1, bias=False, device="meta")
    separable = SeparableConv2d(512, 512).to("meta")
    assert multiply_adds(conv, 512, 14) == conv_multiply_adds(512, 512, 14) == 462_422_016
    assert conv.weight.numel() == conv_parameters(512, 512) == 2_359_296
    assert multiply_adds(separable, 512, 14) == 52_283_392
    weights = separable.conv_dw.weight.numel() + separable.conv_pw.weight.numel()
    assert weights == 266_752
    assert weights / 2_359_296 == pytest.approx(1 / 512 + 1 / 9, rel=1e-12)


def mobilenet_v1():
    """MobileNet, table 1, with the last stride 1 that its own sizes show."""
    channels, layers = 32, []
    rows = (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5
    for out, stride in (*rows, (1024, 2), (1024, 1)):
        layers.append(SeparableConv2d(channels, out, stride=stride))
        channels = out
    first = nn.Conv2d(3, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU()
    body = nn.Sequential(*first, *layers)
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1024, 1000))
    return nn.Sequential(body, head).to("meta")


def test_mobilenet_tables_1_2_and_4():
    model = mobilenet_v1()
    assert round(sum(values.numel() for values in model.parameters()) / 1e6, 1) == 4.2
    weights = {name: w.numel() for name, w in model.named_parameters() if w.dim() > 1}
    halves = {half: sum(w for name, w in weights.items() if half in name) for half in HALVES}
    assert round(100 * halves["conv_pw"] / sum(weights.values()), 2) == 74.59
    assert round(100 * halves["conv_dw"] / sum(weights.values()), 2) == 1.06
    total = multiply_adds(model, 3, 224)
    assert round(total / 1e6) == 569
    with FlopCounterMode(display=False) as counter:
        model(torch.empty(1, 3, 224, 224, device="meta"))
    counts = counter.get_flop_counts()
    for half, share in zip(HALVES, (3.06, 94.86), strict=True):
        flops = sum(sum(ops.values()) for name, ops in counts.items() if name.endswith(half))
        assert round(100 * flops / (2 * total), 2) == share


def test_field_is_that_of_the_depthwise_kernel():
    model = nn.Sequential(SeparableConv2d(3, 4), SeparableConv2d(4, 5, rate=4))
    assert receptive_field(model, 33).size == 11
    assert gradient_support(model, 33)[:2] == ((11, 21), (11, 21))
    assert receptive_field(mobilenet_v1()[0], 224).size == 315


def test_every_parameter_gets_a_gradient():
    layer = SeparableConv2d(3, 8, rate=2).train()
    layer(torch.randn(2, 3, 9, 9)).square().sum().backward()
    assert all(values.grad.any() for values in layer.parameters())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 8), "in_channels must be an integer >= 1, got 0"),
        ((8, 2.5), "out_channels must be an integer >= 1, got 2.5"),
        ((8, 8, 0), "^kernel_size must be an integer >= 1, got 0"),
        ((8, 8, 4), "kernel_size 4 at rate 1 spans 4 pixels, an even number"),
        ((8, 8, 3, 0), "stride must be an integer >= 1, got 0"),
        ((8, 8, 3, 1, 0), "rate must be an integer >= 1, got 0"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        SeparableConv2d(*arguments)


def test_defaults_are_those_of_mobilenet():
    """A 3x3 window, stride and rate 1, both activations, no bias, PyTorch's eps."""
    layer = random_layer(4, 5)
    layer.bn_dw.bias.data -= 1  # so that both activations have something to cut off
    x = torch.randn(1, 4, 6, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    expected = by_loops(layer, x, 3, 1, 1, True, True, 1e-5)
    torch.testing.assert_close(layer(x), expected)
    for half in HALVES:
        assert getattr(layer, half).bias is None
    assert (layer.bn_dw.eps, layer.bn_pw.eps) == (1e-5, 1e-5)
