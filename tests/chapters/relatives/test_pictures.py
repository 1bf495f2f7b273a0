"""The drawings of chapter 12 say what the networks see."""

import re

import pytest
from torch import nn

from dlseg.backbones import VGG16
from dlseg.inspect import receptive_field
from dlseg.models.relatives import ContextModule, crop_offsets
from dlseg.models.relatives.unet import check_side
from support.relatives.exercises import bins, offset, side, unpool
from support.relatives.pictures import (
    ASPP_RATES,
    SCALES,
    SIDE,
    UNITS,
    Window,
    crossings_picture,
    holding,
    results_picture,
    ways_picture,
    windows,
)
from tests.backbones.counting import without_weights


def upto(pool):
    """VGG-16 up to one of its pools."""
    features = VGG16(32).features
    pools = [i for i, layer in enumerate(features) if isinstance(layer, nn.MaxPool2d)]
    return nn.Sequential(*features[: pools[pool - 1] + 1])


def field(make):
    report = receptive_field(without_weights(make), SIDE + 31)
    return report.size


def test_windows_are_those_of_the_networks():
    pyramid, decoder, deeper, pooling = windows()
    trunk = field(lambda: upto(3))
    assert [w.size for w in pyramid] == [round(trunk / scale) for scale in SCALES]
    assert [w.size for w in decoder] == [field(lambda k=k: upto(k)) for k in (3, 4, 5)]
    assert deeper[-1].size == field(lambda: nn.Sequential(upto(3), ContextModule(256)))
    assert [w.last for w in deeper] == [False] * 6 + [True]
    for window, rate in zip(pooling[1:4], ASPP_RATES, strict=True):
        branch = field(lambda r=rate: nn.Sequential(upto(3), nn.Conv2d(256, 8, 3, 1, r, r)))
        assert window.size == branch
    assert (pooling[0].size, pooling[-1].size) == (trunk, None)


def test_windows_inside_are_those_of_the_layers():
    module = without_weights(lambda: nn.Sequential(upto(3), ContextModule(256)))
    report = receptive_field(module, SIDE)
    grown = [row.size for row in report.layers if row.name.startswith("1.")]
    sizes = [size for size in dict.fromkeys(grown) if size > 44]
    assert [w.size for w in windows()[2]] == sizes


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("diameter", [10, 44, 45, 150, 320])
def test_the_smallest_window_that_holds_the_disc(unit, diameter):
    way = [Window(40, "a"), Window(100, "b", False), Window(200, "c")]
    reach = diameter if unit == "centre" else 2 * diameter
    expected = next((w for w in (way[0], way[2]) if w.size >= reach), None)
    assert holding(way, diameter, unit) == expected
    whole = Window(None, "all")
    assert holding([*way, whole], diameter, unit) == (expected or whole)


def test_no_other_place_for_the_unit():
    with pytest.raises(ValueError, match=r"unit must be one of \('centre', 'rim'\), got 'corner'"):
        holding([], 10, "corner")


def test_ways_are_told_in_words():
    alt = ways_picture((80, 260), "centre").alt
    assert "disc of 80 pixels: image pyramid: 88 px: image x 0.5" in alt
    assert "disc of 260 pixels: image pyramid: no window holds it" in alt
    assert alt.endswith("pyramid pooling: 332 px: rate 18.")
    assert "the whole image: mean" in ways_picture((260,), "rim").alt


@pytest.mark.parametrize("diameter", [10, 320])
def test_windows_stay_on_their_image(diameter):
    drawn = ways_picture((diameter,), "rim").data.decode()
    width = float(re.search(r'width="(\d+)"', drawn)[1])
    for x, w in re.findall(r'<rect x="([-\d.]+)" y="[-\d.]+" width="([-\d.]+)"', drawn):
        assert float(x) >= 0 and float(w) > 0 and float(x) + float(w) <= width


def test_five_networks_cross_over():
    alt = crossings_picture().alt
    assert all(name in alt for name in ("FCN-8s", "U-Net", "SegNet", "RefineNet", "LRR"))


def test_results_name_their_tables():
    picture = results_picture([("DeepLab v1", 71.6, "Table 1"), ("FCN-8s", 62.2, "Table 2")])
    assert picture.alt.endswith("DeepLab v1 71.6 (Table 1); FCN-8s 62.2 (Table 2).")


def test_solutions_agree_with_the_package():
    assert offset.solution(100, 7) == crop_offsets(32)[0]
    assert offset.solution(81, 7) == crop_offsets(32, 81)[0]
    for size in range(100, 400):
        result = side.solution(size)
        if result:
            check_side(size, valid=True)
            assert result == size - 184
        else:
            with pytest.raises(ValueError, match="of valid convolutions needs sides"):
                check_side(size, valid=True)


def test_unpooling_keeps_every_value():
    values, places, size = unpool.cases[0]
    result = unpool.solution(values, places, size)
    assert result.shape == size and result.sum() == values.sum()
    assert all(result.flat[p] == v for p, v in zip(places.ravel(), values.ravel(), strict=True))


@pytest.mark.parametrize("case", bins.cases)
def test_bins_cover_the_map(case):
    size, count = case
    pairs = bins.solution(size, count)
    assert len(pairs) == count
    assert {unit for start, stop in pairs for unit in range(start, stop)} == set(range(size))
