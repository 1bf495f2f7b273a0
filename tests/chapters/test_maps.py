"""Panels of maps, and the keys under those that show labels."""

import itertools
import re

import numpy as np
import pytest

from support.maps import CHANGES_KEY, RIGHT_KEY, SCENE_KEY, SIDE, panels
from tests.chapters.tools import NAMES, notebook

LABELS = re.compile(r"\b(?:PALETTE|COLOURS|shades)\[")


def height(drawing) -> int:
    return int(re.search(r'height="(\d+)"', drawing.data.decode())[1])


def test_a_key_stands_below_the_panels_line_by_line():
    images = [np.zeros((4, 4), np.uint8)] * 3
    bare, keyed = (panels(images, "abc", "three", legend) for legend in ((), SCENE_KEY))
    assert all(f">{word}<" in keyed.data.decode() for word, _ in SCENE_KEY)
    assert len(SCENE_KEY) == 11 and height(keyed) == height(bare) + 2 * 24
    below = [
        float(y) for y in re.findall(r'<rect x="\S+" y="(\S+)" width="15"', keyed.data.decode())
    ]
    assert len(below) == 11 and min(below) > 28 + SIDE


@pytest.mark.parametrize("entries", [SCENE_KEY, RIGHT_KEY, CHANGES_KEY])
def test_colours_of_a_key_differ(entries):
    assert len({tuple(colour) for _, colour in entries}) == len(entries)


@pytest.mark.parametrize("name", NAMES)
def test_panels_of_labels_have_a_key(name):
    for cell, after in itertools.pairwise([*notebook(name).cells, None]):
        if cell.cell_type == "code" and "panels(" in cell.source and LABELS.search(cell.source):
            words = re.search(r"_KEY\b|\bKEY\b|names\.items\(\)|shades\[label\]", cell.source)
            assert words or after.source.startswith("pictures.legend("), cell.source
