"""Bilinear resizing against its formula, pixel by pixel, where both conventions can be told."""

import pytest
import torch

from dlseg.layers import upsample


def places(units, pixels, align_corners):
    """Where each pixel of the larger map lies on the smaller one, in units from 0."""
    if align_corners:
        return [pixel * (units - 1) / max(pixels - 1, 1) for pixel in range(pixels)]
    inside = [(pixel + 0.5) * units / pixels - 0.5 for pixel in range(pixels)]
    return [min(max(place, 0), units - 1) for place in inside]


def along(values, pixels, align_corners):
    """A list of values, resized."""
    resized = []
    for place in places(len(values), pixels, align_corners):
        left = int(place)
        right = min(left + 1, len(values) - 1)
        resized.append(values[left] * (1 - place + left) + values[right] * (place - left))
    return resized


@pytest.mark.parametrize("align_corners", [False, True])
def test_bilinear_along_both_axes(align_corners):
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    y = upsample(x, (9, 7), align_corners)
    assert y.shape == (2, 3, 9, 7)
    rows = along([x[:, :, row] for row in range(4)], 9, align_corners)
    tall = torch.stack(rows, 2)
    columns = along([tall[..., column] for column in range(5)], 7, align_corners)
    torch.testing.assert_close(y, torch.stack(columns, 3))


def test_borders_and_not_centres_stay_by_default():
    x = torch.tensor([[[[0.0, 1.0]]]])
    assert upsample(x, (1, 4)).flatten().tolist() == [0, 0.25, 0.75, 1]


def test_what_cannot_be_resized_is_named():
    for x in (torch.zeros(3, 4, 5), torch.zeros(1, 3, 4, 5).long()):
        with pytest.raises(ValueError, match=r"^x must be floats \(B, C, H, W\)"):
            upsample(x, (9, 7))
    for size in ((0, 7), (9, 0.5)):
        with pytest.raises(ValueError, match=r"^size must be an integer >= 1"):
            upsample(torch.zeros(1, 3, 4, 5), size)
