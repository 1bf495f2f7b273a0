"""labelme's own files: shapes have the pixels that geometry says, and a folder of them opens."""

import json

import numpy as np
import pytest

from dlseg.data import DataError, Folder, check_folder, mend, survey
from dlseg.data.own.polygons import draw_shapes
from tests.data.folders import random_image
from tests.data.own.layouts import save

NAMES = ("_background_", "car", "tree")
HEIGHT, WIDTH = 30, 40


def shape(label, kind, *points):
    return {"label": label, "shape_type": kind, "points": [*map(list, points)], "flags": {}}


def write(path, *shapes, **entries):
    content = {"version": "5.5", "imagePath": "x.jpg", "imageData": None, "shapes": [*shapes]}
    content |= {"imageHeight": HEIGHT, "imageWidth": WIDTH} | entries
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


ROWS, COLUMNS = np.mgrid[:HEIGHT, :WIDTH]


def test_surfaces(tmp_path):
    """Against the inequalities of the figures; on the outline a pixel may go either way."""
    found = draw_shapes(
        write(
            tmp_path / "a.json",
            shape("car", "polygon", (5, 3), (35, 3), (5, 25)),
            shape("tree", "circle", (28, 20), (28, 26)),
        ),
        NAMES,
    )
    slope = (COLUMNS - 5) / 30 + (ROWS - 3) / 22 - 1
    distance = np.hypot(COLUMNS - 28, ROWS - 20) - 6
    edge = (abs(slope) < 0.05) | (abs(distance) < 1)
    inside = (COLUMNS >= 5) & (ROWS >= 3) & (slope <= 0)
    expected = np.where(distance <= 0, 2, inside)
    assert np.array_equal(found[~edge], expected[~edge])
    assert found.dtype == np.uint8 and found.shape == (HEIGHT, WIDTH)


def test_rectangles_lie_over_each_other_in_order(tmp_path):
    found = draw_shapes(
        write(
            tmp_path / "a.json",
            shape("tree", "rectangle", (20, 20), (3, 4)),
            shape("car", "rectangle", (10, 10), (99, 25)),
            shape("__ignore__", "rectangle", (0, 28), (39, 29)),
        ),
        NAMES,
    )
    expected = np.zeros((HEIGHT, WIDTH), int)
    expected[4:21, 3:21] = 2
    expected[10:26, 10:] = 1
    expected[28:] = 255
    assert np.array_equal(found, expected)


@pytest.mark.parametrize(
    ("shapes", "entries", "message"),
    [
        ([shape("cat", "polygon", (1, 1), (9, 1), (5, 9))], {}, "has a shape of 'cat', which is n"),
        ([shape("car", "line", (1, 1), (9, 1))], {}, "has a line of 2 points, which has no surf"),
        ([shape("car", "polygon", (1, 1), (9, 1))], {}, "has a polygon of 2 points"),
        ([{"label": "car"}], {}, r"is no file of labelme: shapes\[0\] lacks points"),
        ([], {"imageHeight": None}, "imageHeight must be an integer >= 1, got None"),
        ([], {"imageHeight": 10**6, "imageWidth": 10**6}, "has 1000000 megapixels"),
        ([shape("car", "polygon", (1, 1), (9, 1), (5, 1e99))], {}, "must be a number from"),
    ],
)
def test_faulty_files(shapes, entries, message, tmp_path):
    with pytest.raises(DataError, match=message):
        draw_shapes(write(tmp_path / "a.json", *shapes, **entries), NAMES)


def test_no_json(tmp_path):
    for content in (b"", b"[" * 100_000, b"\xff"):
        (tmp_path / "a.json").write_bytes(content)
        with pytest.raises(DataError, match="is no JSON; save it anew"):
            draw_shapes(tmp_path / "a.json", NAMES)


@pytest.mark.parametrize("places", [("", ""), ("images/", "images/"), ("images/", "json/")])
def test_a_folder_of_them(places, tmp_path):
    for index in range(4):
        save(tmp_path / f"own/{places[0]}{index}.png", random_image(index, HEIGHT, WIDTH))
        car = shape("car", "rectangle", (0, 0), (index + 1, 9))
        tree = shape("tree", "rectangle", (20, 0), (29, 9))
        write(tmp_path / f"own/{places[1]}{index}.json", car, tree)
    assert check_folder(tmp_path / "own") == []
    dataset = Folder(tmp_path / "own")
    assert dataset.classes == NAMES and dataset.layout.words == "labelme's own files"
    for name, (_, labels) in zip(dataset.names, dataset, strict=True):
        expected = [1200 - 10 * (int(name) + 2) - 100, 10 * (int(name) + 2), 100]
        assert np.bincount(labels.ravel()).tolist() == expected
    mended = mend(survey(tmp_path / "own", "folder"), tmp_path / "new")
    assert mended.changes == {"shapes of labelme drawn as masks": 4} and not mended.left
    for (_, labels), (_, again) in zip(dataset, Folder(tmp_path / "new"), strict=True):
        assert np.array_equal(labels, again)
    (tmp_path / "own/labels.txt").write_text("__ignore__\n_background_\ntree\ncar\n")
    assert Folder(tmp_path / "own").classes == ("_background_", "tree", "car")
