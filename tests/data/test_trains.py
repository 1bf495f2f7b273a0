"""The scenes of trains: what tells a pixel's class is where the distances say, and nowhere else."""

import hashlib
from collections import Counter

import numpy as np
import pytest
from scipy import ndimage

from dlseg.data import Trains, draw_trains, open_data, train_card
from dlseg.data.trains.drawing import (
    CHECKS,
    DAY,
    ENGINE,
    LONGEST,
    NIGHT,
    SHORTEST,
    STRIPES,
    THICK,
    TRAIN_A,
    TRAIN_B,
)

WAYS = ({}, {"turned": True}, {"bend": 4.0}, {"turned": True, "bend": 4.0})


def scenes(count: int = 12, **options):
    return [draw_trains(0, index, **options) for index in range(count)]


def test_the_same_pixels_on_every_machine():
    digest = hashlib.sha256()
    for options in WAYS:
        for scene in scenes(4, **options):
            digest.update(scene.image.tobytes() + scene.label.tobytes())
    assert digest.hexdigest() == "40c4d706701da09e1d611d03563abb8af61c1c8253305e6a79644981172122cd"


@pytest.mark.parametrize("options", WAYS)
def test_four_trains_of_which_an_even_number_is_a(options):
    for scene in scenes(**options):
        counts = [ndimage.label(scene.label == label)[1] for label in (TRAIN_A, TRAIN_B)]
        assert sum(counts) == 4 and counts[0] % 2 == 0


def test_three_trains_tell_nothing_of_the_fourth():
    """All eight patterns of four letters are equally common, whichever of them is left out."""
    patterns = Counter()
    for scene in scenes(400):
        labels = [scene.label[(scene.train == number) & (scene.label < 255)] for number in range(5)]
        patterns[tuple(int(one[0]) for one in labels[1:])] += 1
    assert len(patterns) == 8 and sum(patterns.values()) == 400
    # A count has mean 50 and standard deviation 6.6: four of them on each side.
    assert all(24 < count < 76 for count in patterns.values())


@pytest.mark.parametrize("options", WAYS)
def test_what_tells_lies_on_what_is_told(options):
    for scene in scenes(**options):
        assert set(np.unique(scene.train)) == {0, 1, 2, 3, 4}
        assert (scene.train[scene.engine] > 0).all() and scene.lamp.any()
        known = ~np.isnan(scene.engine_distance)
        assert (known <= (scene.train > 0)).all()
        # What is within half an engine of its middle is engine, and nothing else that is known.
        assert ((scene.engine_distance <= ENGINE / 2) == (scene.engine & known)).all()


@pytest.mark.parametrize("options", WAYS)
def test_engines_are_where_the_distances_say(options):
    """Found again by their colour: far redder, or bluer, than the grey of a bar."""
    for scene in scenes(**options):
        train = np.isin(scene.label, (TRAIN_A, TRAIN_B))
        assert (np.isnan(scene.engine_distance) != train).all()
        red, _, blue = np.moveaxis(scene.image.astype(int), 2, 0)
        for label, sign in ((TRAIN_A, 1), (TRAIN_B, -1)):
            coloured = (scene.label == label) & (sign * (red - blue) > 90)
            near = (scene.label == label) & (scene.engine_distance <= ENGINE / 2)
            assert (coloured == near).all()


@pytest.mark.parametrize("turned", [False, True])
def test_distances_count_pixels_along_the_train(turned):
    for scene in scenes(turned=turned):
        parts, count = ndimage.label(np.isin(scene.label, (TRAIN_A, TRAIN_B)))
        for part in range(1, count + 1):
            rows, columns = np.nonzero(parts == part)
            along = columns if np.ptp(columns) > np.ptp(rows) else rows
            distance = scene.engine_distance[rows, columns]
            middle = along[distance.argmin()]
            assert distance.min() == 0 and (np.abs(along - middle) == distance).all()
            # A rim all round is void.
            assert SHORTEST - 2 <= np.ptp(along) + 1 <= LONGEST - 2
            assert min(np.ptp(columns), np.ptp(rows)) + 1 == THICK - 2


def test_houses_are_all_day_or_all_night_and_one_sun_or_moon_tells():
    for scene in scenes(40):
        times = set(np.unique(scene.label)) & {DAY, NIGHT}
        assert len(times) == 1
        house = scene.label == times.pop()
        assert (np.isnan(scene.lamp_distance) != house).all()
        lamp = scene.image[scene.lamp_distance < 3].astype(int)
        assert len(lamp) and (np.ptp(lamp.mean(0)) > 120)
        other = scene.image[house & (scene.lamp_distance > 10)].astype(int)
        assert (np.ptp(other, axis=1) < 80).all()  # grey


@pytest.mark.parametrize("options", WAYS)
def test_rims_are_void_and_nothing_else_is(options):
    for scene in scenes(4, **options):
        void = scene.label == 255
        classes = np.where(void, 0, scene.label)
        thing = ndimage.binary_dilation(classes > 0, np.ones((3, 3)), iterations=3)
        assert (void <= thing).all()
        for down, across in ((0, 1), (1, 0)):
            first = scene.label[: 129 - down, : 129 - across]
            second = scene.label[down:, across:]
            assert ((first == second) | (first == 255) | (second == 255)).all()


def test_textures_differ_in_nothing_but_the_order_of_light_and_dark():
    means = {STRIPES: [], CHECKS: []}
    for scene in scenes(60):
        for label, values in means.items():
            values += scene.image[scene.label == label].mean(1).tolist()
    assert np.mean(means[STRIPES]) == pytest.approx(np.mean(means[CHECKS]), abs=12)


def test_as_a_data_set():
    data = Trains(3, "val", seed=1)
    image, label = data[2]
    scene = draw_trains(1, 2**30 + 2)
    assert (image == scene.image).all() and (label == scene.label).all()
    images, labels = data.pool()
    assert (images[2] == image).all() and (labels[2] == label).all()
    assert data.header() | {"count": 9} == Trains(9, "val", seed=1).header()
    assert len({tuple(colour) for colour in data.palette[: data.num_classes].tolist()}) == 7


@pytest.mark.parametrize(
    "options", [{"seed": -1}, {"index": 2**32}, {"bend": 5}, {"bend": -1}, {"bend": float("nan")}]
)
def test_arguments_out_of_range(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        draw_trains(**({"seed": 0, "index": 0} | options))


def test_its_card_counts_what_is_there():
    data = Trains(5, "test")
    lines = train_card(data).splitlines()
    labels = data.pool()[1]
    assert lines[0] == "5 scenes of 129x129 px, test split"
    for label, name in [*enumerate(data.classes), (255, "255 (void)")]:
        line = next(line for line in lines if line.startswith(name))
        assert line.split()[-2] == f"{(labels == label).mean():.1%}"
    far = [float(line.split()[-1].rstrip("%")) for line in lines[-5:]]
    assert sum(far) == pytest.approx(100, abs=0.3) and lines[-1].split()[0] == "96-119"
    assert train_card(data, 2).startswith("2 scenes")
    with pytest.raises(ValueError, match="count"):
        train_card(data, 0)


def test_by_its_name():
    plain, other = (open_data(name, "val") for name in ("trains", "trains?turned=1&bend=3.5"))
    assert not plain.turned and other.turned and other.bend == 3.5
    with pytest.raises(ValueError, match="no switch, 0 or 1"):
        open_data("trains?turned=2", "val")
    with pytest.raises(ValueError, match=r"it is for trains$"):
        open_data("scenes?bend=1", "val")
