"""Photographs under their labels: what is drawn, and what the key says of it."""

import numpy as np
import pytest

from dlseg.data import VOC_CLASSES
from support.maps import rgb
from support.shown import COLOURS, FOUND, VEIL, Shown, names, side_by_side, veil

IMAGE = np.full((60, 90, 3), 200, np.uint8)
LABELS = np.zeros((60, 90), np.uint8)
LABELS[10:40, 20:50] = VOC_CLASSES.index("cat")
LABELS[40:50, 20:50] = 255


def test_names_of_what_occurs():
    assert names(LABELS) == ["background", "cat", "void"]


def test_the_veil_is_thin_inside_full_along_edges_and_none_on_background():
    drawn = veil(LABELS)
    assert not drawn[LABELS == 0].any()
    assert drawn[25, 35].tolist() == [*rgb(COLOURS["cat"]), round(255 * VEIL)]
    assert drawn[10, 35].tolist() == [*rgb(COLOURS["cat"]), 255]
    assert drawn[45, 35].tolist() == [*rgb(COLOURS["void"]), round(255 * VEIL)]


def test_the_border_of_a_photograph_is_no_edge():
    assert (veil(np.ones((9, 9), np.uint8))[..., 3] == round(255 * VEIL)).all()


@pytest.mark.parametrize("light", [False, True])
def test_the_key_lists_what_occurs_but_background(light):
    items = [Shown("one", IMAGE), Shown("two", IMAGE[:, :60], LABELS[:, :60])]
    picture = side_by_side(items, "Two panels.", light)
    text = picture.data.decode()
    assert [name for name in VOC_CLASSES if f">{name}<" in text] == ["cat"]
    assert ">void<" in text and ">one<" in text and ">two<" in text and picture.alt == "Two panels."


def test_a_light_picture_is_smaller():
    noise = np.random.default_rng(0).integers(0, 256, IMAGE.shape, np.uint8)
    light, full = (side_by_side([Shown("a", noise)], "Noise.", light) for light in (True, False))
    assert len(light.data) < len(full.data)


def test_classes_that_are_found_differ_in_colour():
    assert len({COLOURS[name] for name in FOUND}) == len(FOUND)
