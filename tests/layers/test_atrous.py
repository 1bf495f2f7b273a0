"""Four opinions on one convolution: tap by tap, dilation, interleaving, a kernel full of zeros."""

import pytest
import torch
from torch.nn import functional as F

from dlseg.layers import atrous_conv2d, atrous_interleave, atrous_taps, insert_zeros
from tests.sampling import sampled


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("rate", sampled(range(1, 25), [1, 2, 3, 6, 12, 17, 24]))
def test_three_ways_and_zeros_agree(rate, stride):
    generator = torch.Generator().manual_seed(rate)
    for height, width in ((52, 53), (53, 52), (49, 49)):
        x = torch.randn(2, 3, height, width, dtype=torch.float64, generator=generator)
        weight = torch.randn(4, 3, 3, 3, dtype=torch.float64, generator=generator)
        for padding in (0, rate):
            expected = F.conv2d(x, insert_zeros(weight, rate), stride=stride, padding=padding)
            for way in (atrous_taps, atrous_conv2d, atrous_interleave):
                torch.testing.assert_close(
                    way(x, weight, rate, stride, padding), expected, rtol=0, atol=1e-6
                )


@pytest.mark.parametrize("kernel", [(1, 1), (2, 2), (5, 5), (3, 2), (1, 4)])
def test_any_kernel_shape(kernel):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 2, 20, 23, dtype=torch.float64, generator=generator)
    weight = torch.randn(3, 2, *kernel, dtype=torch.float64, generator=generator)
    for rate, stride in ((1, 3), (3, 2), (4, 1)):
        expected = F.conv2d(x, insert_zeros(weight, rate), stride=stride, padding=2)
        for way in (atrous_taps, atrous_conv2d, atrous_interleave):
            torch.testing.assert_close(way(x, weight, rate, stride, 2), expected)


def test_zeros_leave_the_weights_and_add_nothing():
    weight = torch.randn(2, 3, 3, 3)
    holes = insert_zeros(weight, 4)
    assert holes.shape == (2, 3, 9, 9)
    torch.testing.assert_close(holes[:, :, ::4, ::4], weight)
    assert holes.count_nonzero() == weight.count_nonzero()


def test_one_output_pixel_when_the_kernel_just_fits():
    x, weight = torch.randn(1, 1, 9, 9), torch.randn(1, 1, 3, 3)
    for way in (atrous_taps, atrous_conv2d, atrous_interleave):
        torch.testing.assert_close(
            way(x, weight, 4), (x[:, :, ::4, ::4] * weight).sum((2, 3), True)
        )


def test_gradients_agree():
    x = torch.randn(1, 2, 11, 12, dtype=torch.float64)
    weight = torch.randn(2, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    ways = (atrous_taps, atrous_conv2d, atrous_interleave)
    grads = [torch.autograd.grad(way(x, weight, 3, 2, 3).square().sum(), weight)[0] for way in ways]
    torch.testing.assert_close(grads[0], grads[1])
    torch.testing.assert_close(grads[2], grads[1])


@pytest.mark.parametrize("way", [atrous_taps, atrous_conv2d, atrous_interleave])
def test_wrong_shapes_are_named(way):
    with pytest.raises(ValueError, match=r"same C, got \(1, 2, 8, 8\) and \(1, 3, 3, 3\)"):
        way(torch.zeros(1, 2, 8, 8), torch.zeros(1, 3, 3, 3))
    with pytest.raises(ValueError, match="expected x"):
        way(torch.zeros(2, 8, 8), torch.zeros(1, 2, 3, 3))
    with pytest.raises(ValueError, match="expected x"):
        way([[1.0]], torch.zeros(1, 2, 3, 3))
    with pytest.raises(ValueError, match=r"weight \(D, C, k, k\), got torch.float32 \(3, 3, 3\)"):
        way(torch.zeros(1, 3, 8, 8), torch.zeros(3, 3, 3))
    for kinds in ((torch.float32, torch.float64), (torch.int64, torch.int64)):
        x, weight = torch.zeros(1, 2, 8, 8, dtype=kinds[0]), torch.zeros(1, 2, 3, 3, dtype=kinds[1])
        with pytest.raises(ValueError, match="x and weight must be floats of one kind, got torch"):
            way(x, weight)
    with pytest.raises(ValueError, match="spans 17 pixels"):
        way(torch.zeros(1, 1, 16, 16), torch.zeros(1, 1, 3, 3), rate=8)
    with pytest.raises(ValueError, match="rate must be an integer >= 1, got 0"):
        way(torch.zeros(1, 1, 16, 16), torch.zeros(1, 1, 3, 3), rate=0)


@pytest.mark.parametrize("way", [atrous_taps, atrous_conv2d, atrous_interleave])
def test_an_ordinary_convolution_by_default(way):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 2, 7, 6, dtype=torch.float64, generator=generator)
    weight = torch.randn(3, 2, 3, 3, dtype=torch.float64, generator=generator)
    torch.testing.assert_close(way(x, weight), F.conv2d(x, weight))


def test_zeros_go_into_kernels_alone():
    for shape in ((3, 3), (1, 1, 1, 3, 3)):
        with pytest.raises(ValueError, match=r"expected weight \(D, C, k, k\)"):
            insert_zeros(torch.zeros(shape), 2)
