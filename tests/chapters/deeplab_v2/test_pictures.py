"""The drawings of chapter 09 say what the networks and their taps do."""

import math

import numpy as np
import pytest
import torch

from dlseg.models import DeepLabV2
from support.deeplab_v2.pictures import (
    NOSE,
    REMARKS,
    _faded,
    _photograph,
    disc_picture,
    hills_picture,
    map_sides,
    radius_between,
    tap_distances,
    v2_picture,
)
from support.stages import PARTS

NAMES = {"VGG-16": "vgg16", "ResNet-101": "resnet101"}


@pytest.mark.parametrize("backbone", list(REMARKS))
def test_drawn_maps_are_those_of_the_network(backbone):
    with torch.device("meta"):
        network = DeepLabV2(NAMES[backbone])
    channels = PARTS[backbone.replace("101", "50")][-1][1]
    for side in (160, 241, 321, 512, 513):
        features = network.backbone(torch.empty(1, 3, side, side, device="meta"))
        drawn = map_sides(backbone, side)
        assert features.last.shape[1:] == (channels, drawn[-1], drawn[-1])
        assert features.low_level.shape[1:] == (256, drawn[1], drawn[1])


def test_unknown_backbone():
    with pytest.raises(ValueError, match="backbone must be one of VGG-16, ResNet-101, got 'U'"):
        map_sides("U", 513)


def test_taps_of_a_branch():
    assert sorted(map(round, tap_distances(6))) == [0, 48, 48, 48, 48, 68, 68, 68, 68]


@pytest.mark.parametrize(
    ("radius", "rates", "low", "high"),
    [
        (40, (6,), 0, 48),
        (48, (6,), 48, 67.88),
        (70, (6,), 67.88, math.inf),
        (70, (6, 12), 67.88, 96),
    ],
)
def test_what_the_taps_tell(radius, rates, low, high):
    assert radius_between(radius, rates) == pytest.approx((low, high), abs=0.01)


def test_disc_picture_counts_taps():
    alt = disc_picture((6, 12), 50).alt
    assert "rate 6 5 of 9, rate 12 1 of 9. So the radius is 48 to 68 pixels." in alt
    assert "below 48 pixels" in disc_picture((6,), 20).alt
    assert "272 pixels or more" in disc_picture((24,), 290).alt
    assert disc_picture((6, 12), 50).data.count(b"<circle") == 1 + 2 * (2 * 9 + 1)


def test_faded_photograph_keeps_the_middle_and_what_is_read():
    photo = _photograph()
    column, row = (place // 2 for place in NOSE)
    paths = [1, 0, 0, 0, 4, 0, 0, 0, 1]  # three taps, four pixels apart
    shown = _faded(photo, paths)
    assert (shown[row, column] // 8 == photo[row, column] // 8).all()
    read = (_faded(np.zeros_like(photo), paths) != 255).any(axis=2)
    rows, columns = read.nonzero()
    assert set(rows) == {row - 2, row, row + 2} and set(columns) == {column - 2, column, column + 2}
    assert read.sum() == 9


def test_hills_picture_tells_the_fields():
    picture = hills_picture({6: [1] * 323, 24: [1] * 611})
    assert "fields in pixels: rate 6 323, rate 24 611." in picture.alt
    assert picture.data.count(b"<image") == 3


def test_network_tells_sizes_and_taps():
    alt = v2_picture("ResNet-101", (12, 24), 321).alt
    assert "layer4 41; " in alt
    assert "rate 12 17%, rate 24 0%; their sum 41 x 41, stretched to 321 x 321" in alt
