"""The one drawing of a network's stages."""

import re
from itertools import pairwise

import matplotlib
import pytest
from PIL import ImageFont

from support.backbones_and_output_stride.pictures import stage_picture
from support.deeplab_v1.pictures import v1_picture
from support.deeplab_v2.pictures import v2_picture
from support.deeplab_v3.pictures import cascade_picture, v3_picture
from support.deeplab_v3plus.pictures import v3plus_picture
from support.stages import FILLS, HEAD, LARGEST, RATE, Box, Branches, network_picture

FONT = f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf"
ROW = [Box("image", 64), Box("deep", 16, ("2 ch.", "rate 2"), RATE, cut=True), Box("out", 4)]
RECT = re.compile(r'<rect x="([\d.-]+)" y="([\d.-]+)" width="([\d.]+)" height="([\d.]+)"')
TEXT = re.compile(r'<text x="([\d.-]+)" y="([\d.-]+)" font-size="(\d+)"[^>]*>([^<]*)<')


def drawn(**options) -> str:
    return network_picture("title", [ROW], "alt text", **options).data.decode()


def sides(markup: str, key: int) -> list[float]:
    """Sides of the boxes, those of the key left out."""
    return [float(width) for *_, width, _ in RECT.findall(markup)][key:]


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, [LARGEST, LARGEST / 4, LARGEST / 16]),
        ({"by_root": True}, [LARGEST, LARGEST / 2, LARGEST / 4]),
        ({"largest": 128}, [LARGEST / 2, LARGEST / 8, 3]),
    ],
)
def test_boxes_are_as_large_as_their_maps(options, wanted):
    assert sides(drawn(**options), 3) == pytest.approx(wanted)


def test_key_and_words_say_what_is_drawn():
    labels = [text for *_, text in TEXT.findall(drawn(notes=["a note"]))]
    assert labels[:4] == ["title", "backbone", RATE, "stride taken away"]
    assert labels[4:] == [
        *("image", "64 x 64", "deep", "16 x 16", "2 ch.", "rate 2", "out", "4 x 4", "a note")
    ]
    assert drawn().count(f'fill="{FILLS[RATE]}"') == 2 and FILLS[HEAD] not in drawn()


def test_arrows_go_from_box_to_box():
    places = [(float(x), float(w)) for x, _, w, _ in RECT.findall(drawn())[3:]]
    rows = [ROW, [None, Box("below", 64)]]
    links = (((0, 0), (0, 1)), ((0, 0), (0, 2)), ((0, 1), (1, 1)))
    markup = network_picture("title", rows, "alt text", links=links).data.decode()
    ways = [
        [tuple(map(float, point.split(","))) for point in way.split()]
        for way in re.findall(r'points="([^"]*)"', markup)[::2]
    ]
    level, under, down = ways
    assert len(level) == 2 and level[0][0] == places[0][0] + places[0][1] + 4
    assert level[1][0] == pytest.approx(places[1][0] - 4, abs=0.1)
    assert under[-1][0] == pytest.approx(places[2][0] + places[2][1] / 2, abs=0.1)
    assert under[-1][1] < under[-2][1]  # from below
    assert down[-1][1] > down[0][1] and down[0][0] == pytest.approx(
        places[1][0] + places[1][1] / 2, abs=0.1
    )


def test_branches_are_linked_to_both_sides():
    ways = [(("3x3", "rate 6"), RATE), (("1x1",), HEAD)]
    markup = drawn(branches=Branches(1, ways, "+"))
    assert markup.count("<path") == 2 * len(ways) + 1 and ">+</text>" in markup
    assert drawn(branches=Branches(1, ways)).count("<path") == 2 * len(ways)


PICTURES = [
    *(stage_picture(name, 8, 513) for name in ("VGG-16", "MobileNetV2", "Xception-65")),
    *(v1_picture(variant, 8, 513) for variant in ("7x7", "4x4 rate 4")),
    v1_picture("LargeFOV", 8, 513, "as released"),
    *(v2_picture(name) for name in ("VGG-16", "ResNet-101")),
    *(v3_picture(output_stride) for output_stride in (8, 32)),
    *(v3plus_picture(output_stride, 769) for output_stride in (8, 32)),
    cascade_picture(8),
]


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.alt[:40])
def test_nothing_is_cut_off_and_no_words_overlap(picture):
    markup = picture.data.decode()
    width, height = map(float, re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', markup).groups())
    for x, y, w, h in (map(float, numbers) for numbers in RECT.findall(markup)):
        assert min(x, y) >= 0 and x + w <= width and y + h <= height
    lines = {}
    for x, y, size, label in TEXT.findall(markup):
        if label != "+":
            end = float(x) + ImageFont.truetype(FONT, int(size)).getlength(label)
            assert end <= width and float(y) <= height, label
            lines.setdefault(y, []).append((float(x), end, label))
    for line in lines.values():
        for (_, end, label), (start, *_) in pairwise(sorted(line)):
            assert end <= start, label
