"""The drawings of chapter 11 say what the network and the stretch do."""

import numpy as np
import pytest
import torch

from dlseg.layers import upsample
from dlseg.models import DeepLabV3Plus
from support.deeplab_v3plus.pictures import offsets, placed, stacked_bars, v3plus_picture
from support.maps import right_and_wrong


@pytest.mark.parametrize(("output_stride", "side"), [(16, 513), (8, 320), (32, 257)])
def test_drawn_sizes_and_rates_are_those_of_the_network(output_stride, side):
    with torch.device("meta"):
        network = DeepLabV3Plus("resnet18", output_stride=output_stride, convolution="separable")
        seen = {}
        for name in ("aspp", "decoder"):
            getattr(network, name).register_forward_hook(
                lambda _module, _x, y, name=name: seen.update({name: y.shape[-1]})
            )
        logits = network.eval()(torch.empty(1, 3, side, side))
    rates = [branch.conv_dw.dilation[0] for branch in network.aspp.convs[1:4]]
    alt = v3plus_picture(output_stride, side).alt
    for name, units in (("ASPP", seen["aspp"]), ("two 3x3", seen["decoder"])):
        assert f"{name} {units} x {units} with 256" in alt
    assert f"stretched {logits.shape[-1]} x {logits.shape[-1]} with 21" in alt
    assert f"rates {', '.join(map(str, rates))}." in alt


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize(("units", "size"), [(33, 513), (32, 512), (5, 23)])
def test_units_are_placed_where_the_stretch_reads_them(units, size, align_corners):
    """The stretch of a ramp tells which unit each pixel reads."""
    ramp = torch.arange(units, dtype=torch.float64).expand(1, 1, units, units)
    read = upsample(ramp, (units, size), align_corners)[0, 0, 0].numpy()
    where = placed(units, size, align_corners)
    inside = (np.arange(size) >= where[0]) & (np.arange(size) <= where[-1])
    assert inside.sum() > size - size / units - 1
    assert np.allclose(np.interp(np.arange(size), where, np.arange(units))[inside], read[inside])


def test_only_multiples_plus_one_with_aligned_corners_fit():
    assert all(not offsets(side, 16, True).any() for side in (321, 513, 769))
    assert np.ptp(offsets(512, 16, False)) == 0 and offsets(512, 16, False)[0] == 6
    assert abs(offsets(512, 16, True)[-1]) > 10 and abs(offsets(513, 16, False)[-1]) > 5


def test_right_is_blue_wrong_is_orange_void_is_grey():
    labels, guess = np.array([[0, 1], [255, 1]]), np.array([[0, 0], [0, 1]])
    colours = right_and_wrong(labels, guess)
    assert (colours[0, 0] == colours[1, 1]).all()
    assert len({tuple(colour) for colour in colours.reshape(-1, 3).tolist()}) == 3
    pale = right_and_wrong(labels, guess, inside=labels == 1)
    assert (pale[0, 1] == colours[0, 1]).all() and pale[0, 0].min() > colours[0, 0].min()


def test_bars_tell_every_part_and_the_sum():
    alt = stacked_bars([("a", [("x", 1.25), ("y", 2)]), ("b", [("x", 3), ("y", 0.5)])], "G").alt
    assert alt == "a: x 1.25, y 2.00, together 3.25 G; b: x 3.00, y 0.50, together 3.50 G."
