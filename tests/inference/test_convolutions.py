"""Other ways to compute a convolution, each against `nn.Conv2d` in float64, where it is exact."""

import pytest
import torch
from torch import nn

from dlseg.inference import convolutions
from dlseg.inference.convolutions import (
    POINTS,
    OneDNN,
    ShiftedDepthwise,
    Winograd,
    is_dense_3x3,
    is_depthwise_3x3,
    is_pointwise,
    products,
    winograd_matrices,
)
from tests.peers import distance

SIZES = [(1, 1), (5, 9), (16, 16), (13, 30)]
RATES = [1, 2, 5, 12, 16, 40]  # up to more than the map


def conv(channels, outputs, kernel_size=3, rate=1, groups=1, bias=True, dtype=torch.float64):
    torch.manual_seed(0)
    padding = rate * (kernel_size - 1) // 2
    layer = nn.Conv2d(channels, outputs, kernel_size, 1, padding, rate, groups, bias)
    return layer.to(dtype).requires_grad_(False)


def maps(channels, size, batch=2, dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, channels, *size, generator=generator, dtype=dtype)


@pytest.fixture(params=[1, 200, 1 << 16])
def block(request, monkeypatch):
    """Blocks of one row, of a few rows, and of the whole map."""
    monkeypatch.setattr(convolutions, "BLOCK", request.param)
    monkeypatch.setattr(convolutions, "SQUARES", request.param)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("outputs", POINTS)
def test_winograd(size, rate, outputs, block):
    layer, x = conv(3, 4, rate=rate), maps(3, size)
    torch.testing.assert_close(Winograd(layer, outputs)(x), layer(x))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("rate", RATES)
def test_shifted_depthwise(size, rate, block):
    layer, x = conv(6, 6, rate=rate, groups=6), maps(6, size)
    torch.testing.assert_close(ShiftedDepthwise(layer)(x), layer(x))


def test_one_dnn():
    for layer in (conv(5, 7, 1, dtype=torch.float32), conv(5, 7, 1, bias=False).float()):
        x = maps(5, (9, 4), dtype=torch.float32)
        torch.testing.assert_close(OneDNN(layer)(x), layer(x))


@pytest.mark.parametrize("make", [Winograd, ShiftedDepthwise, OneDNN])
def test_any_order_of_memory_in_and_channels_last_out(make):
    layer = conv(4, 4, rate=2, groups=1 if make is Winograd else 4, dtype=torch.float32)
    if make is OneDNN:
        layer = conv(4, 4, 1, dtype=torch.float32)
    x = maps(4, (8, 12), dtype=torch.float32)
    turned = x.transpose(2, 3).contiguous().transpose(2, 3)
    last = x.to(memory_format=torch.channels_last)
    expected, faster = layer(x), make(layer)
    for given in (x, turned, last, x.flip(0).flip(0)[..., :]):
        torch.testing.assert_close(faster(given), expected, rtol=1e-4, atol=1e-5)
    assert faster(last).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("outputs", POINTS)
def test_rounding_errors_of_winograd_in_float32(outputs):
    """What its docstring says, at the channels of a real layer."""
    layer, x = conv(512, 64, bias=False), maps(512, (17, 17), 1).relu()
    faster = Winograd(layer.float(), outputs)(x.float())
    assert distance(faster.double(), layer.double()(x)) < 5e-6


@pytest.mark.parametrize("outputs", POINTS)
def test_winograd_matrices_by_the_definition(outputs):
    back, kernel, there = winograd_matrices(outputs)
    x = torch.randn(outputs + 2, dtype=torch.float64)
    weights = torch.randn(3, dtype=torch.float64)
    expected = torch.stack([x[i : i + 3] @ weights for i in range(outputs)])
    torch.testing.assert_close(back @ ((kernel @ weights) * (there @ x)), expected)


@pytest.mark.parametrize(
    ("size", "rate", "outputs", "expected"),
    [
        ((4, 4), 1, 4, 36),  # Lavin and Gray, section 4.3: 144 / 36 = 4 times fewer
        ((12, 8), 1, 4, 6 * 36),
        ((5, 4), 1, 4, 2 * 36),
        ((64, 64), 4, 4, 16 * 16 * 36),  # 16 maps of 16 x 16 outputs
        ((65, 65), 36, 3, 36 * 36 * 25),
    ],
)
def test_products(size, rate, outputs, expected):
    assert products(size, rate, outputs) == expected


def test_products_are_those_that_are_made(monkeypatch):
    made = []
    multiply = torch.bmm

    def counting(left, right):
        made.append(left.shape[0] * left.shape[1])
        return multiply(left, right)

    monkeypatch.setattr(torch, "bmm", counting)
    for rate in (1, 2, 5):
        made.clear()
        Winograd(conv(3, 4, rate=rate), 3)(maps(3, (13, 30), 1))
        assert sum(made) == products((13, 30), rate, 3)


def test_kinds_of_convolutions():
    odd = nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect")
    unpadded, strided = nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3, 2, 1)
    oblong, uneven = nn.Conv2d(4, 4, (3, 1), padding=(1, 0)), nn.Conv2d(4, 4, 3, 1, 2, (2, 1))
    same, grouped = nn.Conv2d(4, 4, 3, padding="same"), conv(4, 8, groups=4)
    for layer in (odd, unpadded, strided, oblong, uneven, same, grouped, nn.Conv2d(4, 4, 1, 2)):
        kinds = (is_dense_3x3(layer), is_depthwise_3x3(layer), is_pointwise(layer))
        assert kinds == (False, False, False)
    for layer, expected in (
        (conv(4, 4, rate=3), (True, False, False)),
        (conv(4, 4, rate=3, groups=4), (False, True, False)),
        (conv(4, 8, 1), (False, False, True)),
    ):
        kinds = (is_dense_3x3(layer), is_depthwise_3x3(layer), is_pointwise(layer))
        assert kinds == expected


def test_other_convolutions_are_refused():
    with pytest.raises(ValueError, match=r"expected a 3x3 of stride 1 and one group, .* got Conv"):
        Winograd(nn.Conv2d(4, 4, 3))
    with pytest.raises(ValueError, match=r"outputs must be one of \(3, 4\), got 5"):
        Winograd(conv(4, 4), 5)
    with pytest.raises(ValueError, match="expected a depthwise 3x3 of stride 1"):
        ShiftedDepthwise(conv(4, 4))


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_the_compiler_is_told_the_right_shapes_and_orders(order):
    """`opcheck` runs each operation on shapes alone, and by the tracers of `torch.compile`."""
    x = maps(6, (13, 9), dtype=torch.float32).to(memory_format=order)
    shifted = ShiftedDepthwise(conv(6, 6, rate=2, groups=6, dtype=torch.float32))
    torch.library.opcheck(convolutions.shifted_depthwise, (x, shifted.taps, shifted.bias, 2))
    dense = Winograd(conv(6, 4, rate=2, dtype=torch.float32))
    arrays = (dense.kernel, dense.there, dense.back, dense.bias)
    torch.library.opcheck(convolutions.winograd, (x, *arrays, 2))
