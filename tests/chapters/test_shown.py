"""Photographs under their labels: where the panels lie, what is drawn, what the key says of it."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from dlseg.data import VOC_CLASSES, photograph
from support.maps import rgb
from support.shown import (
    COLOURS,
    FINER,
    FOUND,
    GAP,
    SHADES,
    TALLEST,
    VEIL,
    WIDTH,
    Shown,
    side_by_side,
    veil,
)

IMAGE = np.full((60, 90, 3), 200, np.uint8)
LABELS = np.zeros((60, 90), np.uint8)
LABELS[10:40, 20:50] = VOC_CLASSES.index("cat")
LABELS[40:50, 20:50] = 255


def test_labels_of_another_list_have_its_words_and_colours():
    words = {0: ("ground", "#000000"), 8: ("key", "#d55e00"), 255: ("unsure", "#eeeeee")}
    text = side_by_side([Shown("one", IMAGE, LABELS)], "One.", words=words).data.decode()
    assert ">key<" in text and ">unsure<" in text and ">ground<" not in text and ">cat<" not in text
    assert veil(LABELS, words)[25, 35].tolist() == [*rgb("#d55e00"), round(255 * VEIL)]


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


def test_classes_that_are_found_differ_in_colour():
    assert len({COLOURS[name] for name in FOUND}) == len(FOUND)


# Panels

WIDE, TALL = np.full((60, 120, 3), 90, np.uint8), np.full((90, 45, 3), 200, np.uint8)
PERSON = VOC_CLASSES.index("person")


def layers(picture) -> list[tuple[list[float], np.ndarray]]:
    """Place (x, y, width, height) and pixels of every image in a drawing."""
    pattern = r'<image x="(\S+)" y="(\S+)" width="(\S+)" height="(\S+)".*?base64,([^"]*)"'
    found = []
    for *place, data in re.findall(pattern, picture.data.decode()):
        with Image.open(io.BytesIO(base64.b64decode(data))) as file:
            found.append((list(map(float, place)), np.array(file)))
    return found


@pytest.mark.parametrize(
    "images", [[WIDE], [WIDE, TALL], [TALL, WIDE, WIDE, TALL]], ids=lambda images: len(images)
)
def test_panels_are_equally_tall_keep_their_shape_and_do_not_touch(images):
    places = [place for place, _ in layers(side_by_side([Shown("a", i) for i in images], "x"))]
    assert len(places) == len(images)
    height = places[0][3]
    assert height <= TALLEST and all(place[3] == height for place in places)
    end = 0.0
    for image, (left, _, width, _) in zip(images, places, strict=True):
        assert width / height == pytest.approx(image.shape[1] / image.shape[0], rel=1e-4)
        assert left == pytest.approx(end + GAP, abs=1e-2)
        end = left + width
    assert end + GAP <= WIDTH + 1e-2
    assert height == pytest.approx(TALLEST) or end + GAP == pytest.approx(WIDTH, abs=1e-2)


def test_a_veil_lies_upon_its_photograph():
    labels = np.full(WIDE.shape[:2], PERSON, np.uint8)
    labels[:, 60:] = 0
    (below, pixels), (above, drawn) = layers(side_by_side([Shown("a", WIDE, labels)], "x"))
    assert below == above and pixels.shape[:2] == drawn.shape[:2] and drawn.shape[2] == 4
    middle = drawn.shape[1] // 2
    assert (drawn[:, : middle - 2, :3] == rgb(COLOURS["person"])).all()
    assert not drawn[:, middle + 2 :].any()


def test_void_is_grey():
    assert len(set(rgb(COLOURS["void"]))) == 1


def test_where_all_is_background_there_is_no_key():
    empty = np.zeros(WIDE.shape[:2], np.uint8)
    plain, labelled = (side_by_side([Shown("a", WIDE, y)], "x") for y in (None, empty))
    assert plain.size == labelled.size
    person = side_by_side([Shown("a", WIDE, empty + np.uint8(PERSON))], "x")
    assert person.size[1] > plain.size[1]
    assert re.findall(r">([a-z]\w+)</text>", person.data.decode()) == ["person"]


def test_light_has_fewer_pixels_and_shades():
    items = [Shown("cat", photograph("cat"))]
    full, light = (side_by_side(items, "A cat.", light=how) for how in (False, True))
    assert full.alt == light.alt == "A cat." and full.size == light.size
    assert len(light.data) < len(full.data) / 2
    ((_, fine),), ((_, coarse),) = layers(full), layers(light)
    assert fine.shape[0] == pytest.approx(FINER * coarse.shape[0], abs=1)
    assert len(np.unique(coarse.reshape(-1, 3), axis=0)) <= SHADES
