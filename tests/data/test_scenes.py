"""The teaching data: the same everywhere, its classes as promised."""

import hashlib
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest

from dlseg.data.drawn import SPLIT_SIZE
from dlseg.data.scenes import CLASSES, PALETTE, SPLITS, Scenes, card, datasets, draw_scene
from dlseg.data.scenes.canvas import SPREAD, Canvas, Draws
from dlseg.data.scenes.counts import Card
from dlseg.data.scenes.drawing import PLATE_A, PLATE_B, STAR

LAMPS = [CLASSES.index(f"lamp {letter}") for letter in "AB"]
# SHA-256 of image, label and owner of scenes (seed, index, size); a change needs a new VERSION.
HASHES = {
    (0, 0, 96): "210aac79c415dd4f064a5cca1f3403dfa638695daab5d9e6a9e518ecb43d060d",
    (0, 1, 96): "4ac3612394d41a8c8088f47684cc8806030a1913725bbb5934032cb0ffbb55d0",
    (7, SPLIT_SIZE, 64): "9684a93d6fa17ca68649a33679395249d56c5e6245176ddf80a0426cb65c6cd4",
    (2**32 - 1, 2**32 - 1, 200): "d70bc248346dfd596120552ae3b87bede6276330dd82ee8e54d6aed920fb29f1",
}


@pytest.fixture(scope="module")
def many():
    """Three hundred scenes of the validation split."""
    dataset = Scenes(300, "val")
    return [dataset.scene(i) for i in range(len(dataset))]


def digest(scene) -> str:
    owner = scene.owner.astype("<u2")
    return hashlib.sha256(
        b"".join(a.tobytes() for a in (scene.image, scene.label, owner))
    ).hexdigest()


@pytest.mark.parametrize("key", HASHES, ids=str)
def test_same_pixels_on_every_machine(key):
    assert digest(draw_scene(*key)) == HASHES[key]


def test_a_scene_depends_on_its_three_numbers_alone():
    first = digest(draw_scene(0, 5, 64))
    draw_scene(1, 6, 80)
    assert digest(draw_scene(0, 5, 64)) == first
    others = [
        draw_scene(1, 5, 64),
        draw_scene(0, 6, 64),
        draw_scene(5, 0, 64),
        draw_scene(0, 5, 65),
    ]
    assert first not in map(digest, others)


def test_arrays_are_as_the_contract_says(many):
    for scene in many[:20]:
        assert scene.image.shape == (96, 96, 3) and scene.image.dtype == np.uint8
        assert scene.label.shape == scene.owner.shape == (96, 96) and scene.label.dtype == np.uint8
        assert scene.image.flags.c_contiguous
    assert {int(v) for scene in many for v in np.unique(scene.label)} == {*range(10), 255}


def test_owner_says_the_same_as_the_label(many):
    for scene in many:
        labels = np.array([0, *(thing.label for thing in scene.things)])
        counted = scene.label != 255
        assert np.array_equal(labels[scene.owner][counted], scene.label[counted])
        assert not scene.owner[~counted].any()


@pytest.mark.parametrize(("size", "portions"), [(48, 1), (96, 1), (192, 4)])
def test_larger_scenes_hold_more(size, portions):
    drawn = [draw_scene(0, i, size) for i in range(30)]
    rings = sum(thing.label == CLASSES.index("ring") for s in drawn for thing in s.things) / 30
    assert portions <= rings <= 2 * portions
    assert all(scene.image.shape == (size, size, 3) for scene in drawn)


# The classes: what tells them apart, and what does not


def test_lamps_of_a_scene_are_of_one_class_and_one_is_lit(many):
    for scene in many:
        lamps = [thing for thing in scene.things if thing.label in LAMPS]
        assert len({lamp.label for lamp in lamps}) == 1 and 3 <= len(lamps) <= 4
        lit, *unlit = lamps
        assert lit.lamp_distance == 0 and all(lamp.radius < lit.radius for lamp in unlit)
        for lamp in unlit:
            assert lamp.lamp_distance == pytest.approx(np.hypot(lamp.x - lit.x, lamp.y - lit.y))


def test_maps_of_distance_and_radius(many):
    scene = many[0]
    for number, thing in enumerate(scene.things, 1):
        assert np.all(scene.radius[scene.owner == number] == np.float32(thing.radius))
        assert np.all(scene.lamp_distance[scene.owner == number] == np.float32(thing.lamp_distance))
    assert not scene.radius[scene.owner == 0].any()
    assert set(np.unique(scene.label[scene.lamp_distance > 0])) <= set(LAMPS)


def colour_of(scene, x: float, y: float) -> np.ndarray:
    return scene.image[int(y), int(x)].astype(int)  # the pixel that holds the point


def test_lit_lamps_and_marks_are_warm_or_cool_and_unlit_lamps_grey(many):
    """Redder than blue for A, bluer than red for B; noise of 0.04 does not turn it over."""
    for scene in many:
        for thing in scene.things:
            if thing.label not in (PLATE_A, PLATE_B, *LAMPS):
                continue
            red, _, blue = colour_of(scene, thing.x, thing.y)
            if thing.lamp_distance:
                assert abs(red - blue) < 80
            elif CLASSES[thing.label].endswith("A"):
                assert red - blue > 80, thing
            else:
                assert blue - red > 80, thing


def test_plates_look_alike_but_for_the_mark(many):
    """The mean colour of plates A and B, off their marks, is the same within chance."""
    rims = {PLATE_A: [], PLATE_B: []}
    for scene in many:
        for number, thing in enumerate(scene.things, 1):
            if thing.label in rims:
                rows, columns = np.nonzero(scene.owner == number)
                off = np.hypot(columns + 0.5 - thing.x, rows + 0.5 - thing.y) > 5
                rims[thing.label].append(np.median(scene.image[rows[off], columns[off]], axis=0))
    means = [np.mean(values, axis=0) for values in rims.values()]
    errors = [np.std(values, axis=0) / len(values) ** 0.5 for values in rims.values()]
    assert np.all(abs(means[0] - means[1]) < 4 * np.hypot(*errors))


def test_plates_and_stars_differ_from_the_background_around_them(many):
    """At least 0.3 in a channel between the medians of inside and around, but for rounding."""
    seen = 0
    for scene in many:
        for number, thing in enumerate(scene.things, 1):
            if thing.label not in (PLATE_A, PLATE_B, STAR):
                continue
            mine = scene.image[scene.owner == number]
            rows, columns = np.indices(scene.label.shape) + 0.5
            near = np.hypot(columns - thing.x, rows - thing.y) < thing.radius * 1.4
            around = scene.image[near & (scene.label == 0)]
            if len(mine) > 100 and len(around) > 100:
                seen += 1
                gap = abs(np.median(mine, axis=0) - np.median(around, axis=0)).max() / 255
                assert gap > 0.3 - 0.01, thing
    assert seen > 200


@pytest.mark.parametrize("channel", range(3))
def test_any_background_leaves_room_for_contrast(channel):
    for number in range(50):
        draws = Draws(number)
        canvas = Canvas(48, draws)
        low, high = np.array(canvas.low), np.array(canvas.high)
        assert np.allclose(high - low, 2 * SPREAD)
        flat = canvas.planes.reshape(3, -1)
        assert np.all(flat.min(1) >= low - 1e-6) and np.all(flat.max(1) <= high + 1e-6)
        wishes = [[draws.uniform() for _ in range(3)], list((low + high) / 2)]
        greys = [[canvas.grey(dark)] * 3 for dark in (True, False)]
        for colour in [canvas.contrast(wish, channel) for wish in wishes] + greys:
            assert np.maximum(low - colour, colour - high).max() >= 0.3 - 1e-9
            assert min(colour) >= 0 and max(colour) <= 1


def test_thin_classes_are_thin_and_textures_have_every_size(many):
    """No 5x5 square fits into a ring or a wire of 3 pixels; textures span three octaves."""
    radii = [t.radius for s in many for t in s.things if CLASSES[t.label] in ("stripes", "dots")]
    octaves = np.histogram(np.log2(radii), bins=[1.8, 2.8, 3.8, 5])[0]
    assert np.all(octaves > 0.2 * len(radii))
    for scene in many:
        for name in ("ring", "wire"):
            for number, thing in enumerate(scene.things, 1):
                if thing.label == CLASSES.index(name):
                    assert not squares_of(5, scene.owner == number)


def squares_of(side: int, mask: np.ndarray) -> bool:
    views = np.lib.stride_tricks.sliding_window_view(mask, (side, side))
    return bool(views.all(axis=(2, 3)).any())


# The data set


def test_splits_do_not_meet():
    ranges = [range(first, first + SPLIT_SIZE) for first in SPLITS.values()]
    assert all(a[-1] < b[0] for a, b in pairwise(ranges))
    assert ranges[-1][-1] < 2**32
    result = [digest(Scenes(40, split, size=48).scene(i)) for split in SPLITS for i in range(40)]
    assert len(set(result)) == 120
    first = Scenes(1, "val", size=48, seed=3).scene(0)
    assert digest(first) == digest(draw_scene(3, SPLITS["val"], 48))


def test_scenes_behave_like_a_sequence():
    dataset = Scenes(3, size=48)
    pairs = list(dataset)
    assert len(pairs) == len(dataset) == 3
    assert np.array_equal(dataset[-1][0], pairs[2][0])
    with pytest.raises(IndexError):
        dataset[3]
    assert dataset.num_classes == len(dataset.classes) == 10
    assert dataset.ignore_index == 255


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": 0}, "count must be an integer >= 1, got 0"),
        ({"count": SPLIT_SIZE + 1}, "count must be an integer <= 1073741824"),
        ({"count": 1, "split": "trainval"}, "one of train, val, test, got 'trainval'"),
        ({"count": 1, "size": 47}, "size must be an integer >= 48, got 47"),
        ({"count": 1, "size": 1025}, "size must be an integer <= 1024, got 1025"),
        ({"count": 1, "size": 96.0}, "size must be an integer >= 48, got 96.0"),
        ({"count": 1, "seed": -1}, "seed must be an integer >= 0, got -1"),
        ({"count": 1, "seed": 2**32}, "seed must be an integer <= 4294967295"),
    ],
    ids=str,
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        Scenes(**arguments)


def test_importing_the_data_needs_no_torch():
    code = "import sys, dlseg.data; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# The pool


def same(one: Scenes, other: Scenes) -> bool:
    return all(
        np.array_equal(a, b) for i in range(len(one)) for a, b in zip(one[i], other[i], strict=True)
    )


def count_drawn(monkeypatch) -> list:
    """A list that grows by one item per scene drawn."""
    drawn = []
    original = datasets.draw_scene
    monkeypatch.setattr(datasets, "draw_scene", lambda *key: drawn.append(key) or original(*key))
    return drawn


def test_what_a_caller_writes_stays_his_own():
    dataset = Scenes(2, size=48)
    dataset.pool()
    image, label = dataset[0]
    image[:], label[:] = 0, 7
    assert same(dataset, Scenes(2, size=48))


def test_pool_keeps_all_in_memory(monkeypatch):
    dataset = Scenes(4, size=48)
    images, labels = dataset.pool()
    assert images.shape == (4, 48, 48, 3) and labels.shape == (4, 48, 48)
    drawn = count_drawn(monkeypatch)
    assert np.array_equal(dataset[3][0], images[3]) and dataset.pool()[0] is images
    assert not drawn
    assert np.array_equal(dataset[-1][0], images[3])
    for index in (4, -5):
        with pytest.raises(IndexError):
            dataset[index]
    monkeypatch.undo()
    assert same(dataset, Scenes(4, size=48))


# Card and palette


def test_card_counts_what_is_there(many):
    counted = card(Scenes(300, "val"), 300)
    pixels = np.stack([scene.label for scene in many])
    for label, row in enumerate(counted.rows[:-1]):
        assert row.pixels == pytest.approx((pixels == label).mean())
        assert row.scenes == pytest.approx((pixels == label).any(axis=(1, 2)).mean())
    assert counted.rows[-1].pixels == pytest.approx((pixels == 255).mean())
    assert sum(row.pixels for row in counted.rows) == pytest.approx(1)
    assert 0.55 < counted.rows[0].pixels < 0.7  # background
    assert all(0.01 < row.pixels < 0.09 for row in counted.rows[1:])
    assert len(counted.lamp_distances) == sum(t.lamp_distance > 0 for s in many for t in s.things)


def test_card_prints_a_table():
    text = str(card(Scenes(2, size=48), count=500))
    assert text.startswith("2 scenes of 48x48 px, train split, seed 0")
    assert all(name in text for name in CLASSES) and "unlit lamps: " in text
    with pytest.raises(ValueError, match="count must be an integer >= 1, got 0"):
        card(Scenes(2), 0)


def test_card_prints_the_lamps_that_so_many_are_nearer_than():
    shown = {0: "", 1: "1 / 1 / 1", 2: "1 / 1 / 2", 11: "2 / 6 / 10"}
    for count, marks in shown.items():
        distances = tuple(float(one) for one in range(1, count + 1))
        last = str(Card("title", (), distances)).splitlines()[-1]
        assert last == f"unlit lamps: {count}; distance to the lit one, 10 / 50 / 90 %: {marks} px"


@pytest.mark.parametrize("place", [-40.0, -4.5, -3.0, 0.0, 20.3, 47.9, 51.5, 90.0])
def test_a_window_holds_what_is_near_and_tells_how_far(place):
    """Also of a thing that lies beyond the edge of the picture."""
    canvas, reach, pixels = Canvas(48, Draws(0)), 3.2, np.arange(48)
    (rows, columns), across, down = canvas.window(place, 20.0, reach)
    assert pixels[rows].tolist() == [*range(15, 25)]
    near = np.abs(pixels + 0.5 - place) <= reach
    assert set(pixels[near]) <= set(pixels[columns])
    assert len(pixels[columns]) <= near.sum() + 4  # and hardly more
    assert across.tolist() == [(pixels[columns] + np.float32(0.5 - place)).tolist()]
    assert down.shape == (10, 1) and down[0, 0] == 15.5 - 20


# Machado, Oliveira, Fernandes 2009: what protan, deutan and tritan eyes see, linear RGB.
VISIONS = {
    "normal": np.eye(3),
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritan": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def lab(linear: np.ndarray) -> np.ndarray:
    """CIELAB of linear sRGB, under D65."""
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    t = linear @ np.transpose(to_xyz) / [0.9505, 1, 1.089]
    x, y, z = np.where(t > 0.008856, np.cbrt(t), 7.787 * t + 16 / 116).T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


@pytest.mark.parametrize("vision", VISIONS)
def test_colours_of_classes_are_distinct_for_all_eyes(vision):
    assert PALETTE.shape == (256, 3) and PALETTE.dtype == np.uint8
    colours = PALETTE[[*range(len(CLASSES)), 255]] / 255
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    seen = lab(np.clip(linear @ np.transpose(VISIONS[vision]), 0, 1))
    apart = np.linalg.norm(seen[:, None] - seen[None], axis=-1) + 100 * np.eye(len(seen))
    assert apart.min() > 25
