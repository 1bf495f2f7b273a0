"""Deformable convolution against loops, torchvision's operator, and convolutions that it equals."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from dlseg.inspect import effective_field, gradient_support, receptive_field
from support.after_deeplab.deformable import DeformableConv2d, deform_conv2d, regular_taps
from tests.peers import load_torchvision


def bilinear(plane, row, column):
    """The value of plane (H, W) at a place between its pixels; what is outside counts as zero."""
    total = 0.0
    for i in (int(np.floor(row)), int(np.floor(row)) + 1):
        for j in (int(np.floor(column)), int(np.floor(column)) + 1):
            if 0 <= i < plane.shape[0] and 0 <= j < plane.shape[1]:
                total += (1 - abs(row - i)) * (1 - abs(column - j)) * plane[i, j]
    return total


def by_loops(x, weight, offsets, rate):
    (channels, height, width), outputs, side = x.shape, weight.shape[0], weight.shape[2]
    y = np.zeros((outputs, height, width))
    for i in range(height):
        for j in range(width):
            for tap in range(side**2):
                row = i + rate * (tap // side - side // 2) + offsets[2 * tap, i, j]
                column = j + rate * (tap % side - side // 2) + offsets[2 * tap + 1, i, j]
                for c in range(channels):
                    value = bilinear(x[c], row, column)
                    y[:, i, j] += weight[:, c, tap // side, tap % side] * value
    return y


def drawn(rate, side=3):
    torch.manual_seed(rate)
    x, weight = torch.randn(1, 2, 7, 6).double(), torch.randn(3, 2, side, side).double()
    return x, weight, 2 * torch.randn(1, 2 * side**2, 7, 6).double()


@pytest.mark.parametrize(("rate", "side"), [(1, 3), (2, 3), (1, 1)])
def test_against_loops(rate, side):
    x, weight, offsets = drawn(rate, side)
    expected = by_loops(x[0].numpy(), weight.numpy(), offsets[0].numpy(), rate)
    assert np.abs(deform_conv2d(x, weight, offsets, rate)[0].numpy() - expected).max() < 1e-12


def test_against_torchvision():
    load_torchvision()
    from torchvision.ops import deform_conv2d as theirs

    x, weight, offsets = drawn(2)
    try:
        expected = theirs(x, offsets, weight, padding=2, dilation=2)
    except (AttributeError, RuntimeError):
        pytest.skip("this torchvision is installed without its compiled operators")
    assert (deform_conv2d(x, weight, offsets, 2) - expected).abs().max() < 1e-12


@pytest.mark.parametrize("rate", [1, 2, 3])
def test_begins_as_atrous_convolution(rate):
    torch.manual_seed(0)
    layer, x = DeformableConv2d(3, 4, 3, rate).double(), torch.randn(2, 3, 9, 8).double()
    expected = F.conv2d(x, layer.weight, padding=rate, dilation=rate)
    assert (layer(x) - expected).abs().max() < 1e-12


def test_offsets_that_spread_the_taps_make_another_rate():
    x, weight, _ = drawn(1)
    spread = 2 * regular_taps(3, 1).double().reshape(1, -1, 1, 1).expand(1, 18, 7, 6)
    expected = F.conv2d(x, weight, padding=3, dilation=3)
    assert (deform_conv2d(x, weight, spread) - expected).abs().max() < 1e-12


def test_taps_move_to_where_the_loss_is_less():
    """A point 3 pixels to the right of the only tap: gradient descent brings the tap there."""
    ramp = torch.exp(-((torch.arange(15.0) - 10) ** 2) / 18).expand(1, 1, 15, 15)
    offset = torch.zeros(2, requires_grad=True)
    optimiser = torch.optim.Adam([offset], 0.1)
    for _ in range(100):
        moved = offset.view(1, 2, 1, 1).expand(1, 2, 15, 15)
        loss = (1 - deform_conv2d(ramp, torch.ones(1, 1, 1, 1), moved)[0, 0, 7, 7]) ** 2
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert offset[1].item() == pytest.approx(3, abs=0.2)


def test_the_field_moves_with_the_taps():
    torch.manual_seed(0)
    layer = DeformableConv2d(1, 1, 3, 2).double()
    assert (effective_field(layer, 15, samples=1) > 1e-12).sum() == 9
    with torch.no_grad():
        layer.offset.bias.view(9, 2)[:] = torch.tensor([3.0, -1.5])  # down, left
    rows, columns = np.nonzero(effective_field(layer, 15, samples=1) > 1e-12)
    assert sorted(set(rows)) == [8, 10, 12]
    assert sorted(set(columns)) == [3, 4, 5, 6, 7, 8]  # between pixels it reads both


def test_the_tracer_refuses_and_the_gradient_sees_taps_and_what_moves_them():
    layer = DeformableConv2d(2, 2, 3, 2)
    with pytest.raises(ValueError, match="cannot follow"):
        receptive_field(layer, 15)
    seen = gradient_support(layer, 15)
    assert seen.rows[0] <= 5 and seen.rows[1] >= 9 and seen.mask[5, 5] and seen.mask[9, 9]
