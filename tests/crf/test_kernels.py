"""Kernels: what is compared, what it costs, and clear words for what makes no sense."""

import math

import numpy as np
import pytest
import torch

from dlseg.crf import kernels
from dlseg.crf.kernels import PRESETS, Kernel, appearance, features, smoothness
from tests.crf.toys import random_case


def test_features_are_position_and_colour_over_their_sigmas():
    image = torch.tensor([[10, 20, 30], [40, 50, 60]], dtype=torch.uint8).expand(2, 3, 2, 3)
    result = features(image, Kernel((2, 4), (1, 2, 5)))
    assert result.shape == (2, 6, 5)
    assert result.dtype == torch.float32
    # Pixel 5 is the last of the second row: x = 2, y = 1, colour 60.
    torch.testing.assert_close(result[1, 5], torch.tensor([1, 0.25, 60, 30, 12]))
    assert features(image, smoothness(3)).shape == (2, 6, 2)
    assert features(image, smoothness(3), torch.float64).dtype == torch.float64


def test_a_feature_image_of_any_number_of_channels():
    depth = torch.rand(1, 1, 3, 4, dtype=torch.float64)
    result = features(depth, Kernel(1, 0.5))
    assert result.shape == (1, 12, 3)
    assert result.dtype == torch.float64
    torch.testing.assert_close(result[0, :, 2], depth.flatten() / 0.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1,), "sxy must be above 0"),
        ((0,), "sxy must be above 0"),
        ((math.nan,), "sxy must be finite"),
        (("3",), "sxy must be made of numbers"),
        (((1, 2, 3),), "one number or .sx, sy."),
        (((1, -2),), "sxy must be above 0"),
        ((3, 0), "srgb must be above 0"),
        ((3, ()), "srgb must be above 0"),
        ((3, 4, math.inf), "weight must be finite"),
        ((3, 4, [[1, 2]]), "weight must be a number, one number per class, or a square matrix"),
        ((3, 4, [1, [2, 3]]), "weight must be a number"),
        ((3, 4, []), "weight must be a number"),
        ((3, 4, 1.01e6), "weight must lie in -1e6..1e6"),
        ((3, 4, [0, -1.01e6]), "weight must lie in -1e6..1e6"),
        ((0.99e-30,), "sxy must lie in 1e-30..1e30"),
        (((1, 1.01e30),), "sxy must lie in 1e-30..1e30"),
    ],
)
def test_kernels_that_cannot_be(arguments, message):
    with pytest.raises(ValueError, match=message):
        Kernel(*arguments)


def test_the_bounds_of_a_kernel_belong_to_it():
    kernel = Kernel((1e-30, 1e30), 1e30, [1e6, -1e6])
    assert kernel.sxy == (1e-30, 1e30) and kernel.weight == (1e6, -1e6)


@pytest.mark.parametrize(
    ("weight", "shape"),
    [(2, ()), ([1, 2, 3], (3,)), (np.eye(2), (2, 2)), (torch.ones(4), (4,))],
)
def test_weights_of_three_forms(weight, shape):
    kernel = Kernel(3, weight=weight)
    assert kernel.weight_tensor().shape == shape
    assert kernel == Kernel(3, weight=weight)
    assert hash(kernel) == hash(Kernel(3, weight=weight))


@pytest.mark.parametrize(
    ("image", "kernel", "message"),
    [
        (
            torch.zeros(3, 4, 4),
            appearance(),
            r"\(3, 4, 4\); a single image needs",
        ),
        (torch.zeros(1, 3, 0, 4), smoothness(), r"got torch.float32 \(1, 3, 0, 4\)"),
        (torch.full((1, 3, 2, 2), math.nan), smoothness(), "12 values that are NaN"),
        (torch.rand(1, 3, 4, 4), appearance(), "multiply it by 255"),
        (torch.randn(1, 3, 4, 4), appearance(), "colours must lie in 0..255"),
        (torch.full((1, 3, 4, 4), 256.0), appearance(), "got 256..256"),
        (torch.zeros(1, 2, 4, 4), Kernel(3, (1, 2, 3)), "srgb has 3 numbers, the image 2"),
    ],
)
def test_images_that_cannot_be(image, kernel, message):
    with pytest.raises(ValueError, match=message):
        features(image, kernel)


def test_images_that_can_be():
    for image in (
        torch.zeros(1, 3, 2, 2),  # all black
        torch.rand(1, 3, 4, 4) * 255,
        torch.ones(1, 3, 2, 2, dtype=torch.uint8),  # nearly black, and surely in 0..255
    ):
        features(image, appearance())
    features(torch.rand(1, 3, 4, 4), smoothness())  # colours are not looked at
    features(torch.randn(1, 3, 4, 4), Kernel(3, (1, 1, 1)))  # three features, no colours


def test_the_penalty_is_that_of_the_matrix_up_to_what_all_labels_pay():
    messages = torch.rand(5, 3, dtype=torch.float64)
    for weight in (2.0, [1.0, 2, 3], [[0.0, 1, 2], [3, 0, 1], [1, 1, 0]]):
        weight = torch.tensor(weight, dtype=torch.float64)
        mu = kernels.compatibility(weight, 3)
        rest = kernels.penalty(messages, weight) - messages @ mu.T
        torch.testing.assert_close(rest, rest[:, :1].expand(5, 3))
        if weight.dim():
            assert not rest.any()


def test_a_weight_for_other_classes():
    with pytest.raises(ValueError, match="weight has 3 x 3 classes, the unary has 4"):
        kernels.check_classes(torch.ones(3, 3), 4)


def test_pixels_and_maps():
    unary, _ = random_case(batch=2)
    pixels = kernels.to_pixels(unary)
    assert torch.equal(pixels[1, 6 * 3 + 3 + 2], unary[1, :, 3, 2])  # 7 columns: 3 * 7 + 2
    assert torch.equal(kernels.to_maps(pixels, (6, 7)), unary)


# smoothness sxy, weight; appearance sxy, srgb, weight
SHIPPED = {
    "pydensecrf": (3, 3, 80, 13, 10),
    "deeplab-v1": (3, 3, 50, 10, 5),
    "deeplab-msc": (3, 3, 95, 3, 3),
    "deeplab-coco-largefov": (3, 3, 67, 3, 5),
    "largefov": (3, 3, 49, 5, 4),
    "deeplab-v2-resnet101": (1, 3, 67, 3, 4),
    "crf-rnn": (3, 3, 160, 3, 5),
}


def test_presets_are_the_values_shipped():
    result = {
        name: (smooth.sxy, smooth.weight, look.sxy, look.srgb, look.weight)
        for name, (smooth, look) in PRESETS.items()
    }
    assert result == SHIPPED
    assert all(smooth.srgb is None for smooth, _ in PRESETS.values())
