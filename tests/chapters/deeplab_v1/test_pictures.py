"""The drawings of chapter 08 say what the network does."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from dlseg.backbones import VGG16
from dlseg.inspect import cost, receptive_field
from dlseg.models import VARIANTS, DeepLabV1, ScoreMap
from support.deeplab_v1 import pictures as drawing


def on_meta(variant="LargeFOV", released=False, msc=None):
    with torch.device("meta"):
        return DeepLabV1("vgg16", variant=variant, released=released, msc=msc)


@pytest.mark.parametrize("released", [False, True])
@pytest.mark.parametrize("variant", VARIANTS)
def test_drawn_sizes_and_costs_are_those_of_the_network(variant, released):
    network = on_meta(variant, released)
    assert drawing.parameters(variant) == sum(p.numel() for p in network.parameters())
    for side in (96, 306, 513):
        maps, total = drawing.stages(variant, released, side)
        scores = network.scores(torch.empty(1, 3, side, side, device="meta"))
        assert (maps[-1].channels, maps[-1].side) == (scores.shape[1], scores.shape[2])
        names = " ".join(stage.name for stage in maps)
        assert names == "pool1 pool2 pool3 pool4 conv5 pool5 fc6 fc7 fc8"
    assert total == cost(network, 513).multiply_adds
    assert maps[-1].field == receptive_field(ScoreMap(network), 65).size
    changed = ["pool4", "conv5", "pool5", "fc6"]
    assert [stage.name for stage in maps if stage.dense] == changed


@pytest.mark.parametrize("output_stride", [8, 16, 32])
def test_drawn_pools_are_those_of_the_backbone(output_stride):
    with torch.device("meta"):
        backbone = VGG16(output_stride)
    maps, _ = drawing.stages("LargeFOV", False, 321, output_stride)
    side = 321 + (32 - output_stride) + -321 % output_stride
    last = backbone(torch.empty(1, 3, side, side, device="meta")).last
    assert last.shape[-1] == maps[5].side == maps[-1].side == -(-321 // output_stride)
    assert (maps[5].field, maps[-1].field) == (212, 404)


def test_without_holes_nothing_is_dense():
    alt = drawing.v1_picture("LargeFOV", 32, 321).alt
    assert "fc6 3x3 at rate 3" in alt and "Changed by holes: nothing." in alt
    assert "Changed by holes: pool5, fc6." in drawing.v1_picture("7x7", 16, 321).alt


@pytest.mark.parametrize("unit", drawing.UNITS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_drawn_taps_are_those_of_fc6(variant, unit):
    fc6, units = on_meta(variant).fc6, 41
    row, column = (round(share * (units - 1)) for share in drawing.UNITS[unit])
    image = torch.zeros(1, 1, units, units, dtype=torch.float64, requires_grad=True)
    kernel = torch.ones(1, 1, *fc6.kernel_size, dtype=torch.float64)
    y = F.conv2d(image, kernel, padding=fc6.padding, dilation=fc6.dilation)
    y[0, 0, row, column].backward()
    drawn = {tap for tap in drawing.fc6_taps(variant, unit, units) if min(tap) >= 0}
    drawn = {tap for tap in drawn if max(tap) < units}
    assert drawn == {tuple(tap) for tap in image.grad[0, 0].nonzero().tolist()}
    assert f"{len(drawn)} of them on the map" in drawing.fc6_picture(variant, unit).alt


def test_drawn_branches_are_those_of_the_network():
    first = [branch[0] for branch in on_meta(released=True, msc="concat").branches]
    drawn = [(channels, stride) for _, channels, stride in drawing.BRANCHES]
    assert drawn == [(layer.in_channels, layer.stride[0]) for layer in first]
    assert "reads all 1664" in drawing.msc_picture().alt


def test_void_is_neither_repaired_nor_broken():
    truth = np.array([[1, 1, 255, 255]])
    before, after = np.array([[0, 1, 0, 1]]), np.array([[1, 0, 1, 0]])
    shown = drawing.repairs(before, after, truth)
    assert not np.array_equal(shown[0, 0], shown[0, 1])
    assert (shown[0, 2:] == 255).all() and (shown[0, :2] != 255).any(axis=1).all()


def test_dumbbells_tell_their_numbers():
    picture = drawing.dumbbells([("one", 59.8, 63.74)], "title", ("before", "after"))
    assert picture.alt == "title, before and after. one: 59.80, 63.74."
