"""The drawings of chapter 10 say what the networks do."""

import re

import pytest
import torch

from dlseg.backbones import ResNet
from dlseg.models import ASPP, DeepLabV3, DeepLabV3Cascade
from support.deeplab_v3.exercises import aspp_weights
from support.deeplab_v3.pictures import (
    branch_labels,
    cascade_picture,
    cascade_sizes,
    four_ways,
    reach_picture,
    v3_picture,
)
from tests.backbones.counting import parameters, without_weights


@pytest.mark.parametrize("output_stride", [8, 16, 32, 64, 256])
def test_drawn_blocks_are_those_of_the_cascade(output_stride):
    model = without_weights(DeepLabV3Cascade, "resnet50", output_stride=output_stride)
    blocks = [model.backbone.layer3, model.backbone.layer4, *model.blocks]
    sizes = []
    for block in blocks:
        block.register_forward_hook(lambda block, inputs, y: sizes.append(y.shape[2]))
    for side in (321, 513):
        sizes.clear()
        model.scores(torch.empty(1, 3, side, side, device="meta"))
        drawn = cascade_sizes(output_stride, side)
        assert [width for *_, width in drawn] == sizes
    assert [rate for *_, rate, _ in drawn] == [block[-1].conv2.dilation[0] for block in blocks]
    assert [stride for _, stride, *_ in drawn] == [block[0].conv2.stride[0] for block in blocks]


def test_cascade_is_told_in_words():
    assert cascade_picture(16, 513).alt.endswith(
        "block3 33, stride 2, rate 1; block4 33, stride 1, rate 2; block5 33, stride 1, rate 4; "
        "block6 33, stride 1, rate 8; block7 33, stride 1, rate 16."
    )
    with pytest.raises(ValueError, match="output_stride must be one of"):
        cascade_picture(12)


@pytest.mark.parametrize(("output_stride", "side"), [(8, 513), (16, 321), (32, 512)])
def test_drawn_network_is_the_real_one(output_stride, side):
    model = without_weights(lambda: DeepLabV3(ResNet(output_stride)))
    scores = model.scores(torch.empty(1, 3, side, side, device="meta"))
    alt = v3_picture(output_stride, side).alt
    assert f"joined {scores.shape[2]} x {scores.shape[2]} x 1280" in alt
    branches = branch_labels(output_stride, side)
    for conv, label in zip(model.classifier[0].convs[1:4], branches[1:4], strict=True):
        assert label.startswith(f"3x3, rate {conv[0].dilation[0]}: ") and label in alt


def test_shares_in_the_branches_are_those_of_the_map():
    assert [label.split()[-1] for label in branch_labels(16, 513)[1:4]] == ["40%", "7%", "0%"]


@pytest.mark.parametrize(
    ("output_stride", "rates", "unit", "shares"),
    [
        (16, "scaled with the stride", "centre", ("rate 12: 192 ", "9 of 9", "1 of 9")),
        (8, "scaled with the stride", "centre", ("rate 24: 192 ", "9 of 9", "1 of 9")),
        (8, "6, 12, 18 always", "corner", ("rate 12: 96 ", "4 of 9", "4 of 9")),
        (16, "scaled with the stride", "side", ("rate 12: 192 ", "6 of 9", "2 of 9")),
    ],
)
def test_reach_counts_the_taps_inside(output_stride, rates, unit, shares):
    alt = reach_picture(output_stride, rates, unit).alt
    middle, last = alt.split(";")[1:3]
    assert shares[0] in middle and shares[1] in middle and shares[2] in last
    inside = sum(int(part.split(" of 9")[0].split()[-1]) for part in alt.split(";"))
    drawn = reach_picture(output_stride, rates, unit).data.decode()
    assert len(re.findall('<circle[^>]*fill="none"', drawn)) == 27 - inside


def test_four_ways_are_named():
    alt = four_ways().alt
    assert all(way in alt for way in ("image pyramid", "encoder", "deeper", "pyramid pooling"))


def test_counted_weights_are_those_of_the_module():
    for case in aspp_weights.cases:
        channels, width, rates, pooling = case
        module = without_weights(lambda c=channels, w=width, r=rates, p=pooling: ASPP(c, r, w, p))
        assert parameters(module) == aspp_weights.solution(*case)
