"""Counted as the papers count: against `cost`, and against what they print."""

import pytest
from torch import nn

from dlseg.backbones import ResNet
from dlseg.inspect import cost
from dlseg.models import DeepLabV3, DeepLabV3Plus
from support.costs import multiply_adds, on_meta
from support.tables import paper_table


@pytest.mark.parametrize("side", [97, 128])
@pytest.mark.parametrize(
    "make",
    [
        lambda: DeepLabV3("mobilenetv2", 5, channels=16, atrous_rates=(1, 2, 3)),
        lambda: DeepLabV3Plus("resnet18", 5, output_stride=8, width=0.25, channels=16),
    ],
)
def test_unpadded_count_is_that_of_cost(make, side):
    network = on_meta(make)
    assert multiply_adds(network, side)[0] == cost(network, side).multiply_adds / 1e9
    twice = multiply_adds(network, side, side)  # nothing is left behind, and sides add up
    assert twice == tuple(2 * one for one in multiply_adds(network, side))


def test_only_dense_convolutions_with_a_rate_are_padded():
    def count(rate, groups):
        conv = nn.Conv2d(3, 6, 3, padding=rate, dilation=rate, groups=groups, bias=False)
        plain, padded = multiply_adds(on_meta(lambda: conv.to("meta")), 10)
        return round(plain * 1e9), round(padded * 1e9)

    assert count(1, 1) == (162 * 100, 162 * 100)
    assert count(4, 1) == (162 * 100, 162 * 144)
    assert count(4, 3) == (54 * 100, 54 * 100)


@pytest.mark.parametrize("decoder", ["no", "yes"])
def test_resnet_of_the_paper_is_within_half_a_per_cent(decoder):
    where = {"train": 16, "evaluate": 8, "decoder": decoder, "views": "one"}
    backbone = on_meta(ResNet, 8, depth=101, stem="beta", style="slim", multi_grid=(1, 2, 4))
    make = DeepLabV3 if decoder == "no" else DeepLabV3Plus
    counted = multiply_adds(on_meta(make, backbone))[1]
    assert counted == pytest.approx(
        paper_table("v3plus", "3").value("multiply_adds", **where), rel=0.005
    )
