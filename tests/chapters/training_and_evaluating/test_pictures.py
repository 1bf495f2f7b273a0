"""Recipes, gains and crops of chapter 13 say what the papers and the transforms do."""

import numpy as np
import pytest

from dlseg.commands.jobs import DEFAULTS
from dlseg.data.transforms import RandomCrop, RandomScale
from dlseg.data.voc import CLASSES, COUNTS
from dlseg.training import learning_rate
from support.training_and_evaluating.crops import PICTURES, crop_picture, shown_part
from support.training_and_evaluating.pictures import (
    HARD,
    KINDS,
    PAPERS,
    gains,
    gains_picture,
    recipe_table,
)


def test_pictures_and_hard_classes_are_those_of_voc():
    assert {paper.pictures for paper in PAPERS.values()} == {COUNTS["trainaug"], COUNTS["trainval"]}
    named = ("bicycle", "chair", "diningtable", "pottedplant", "sofa")
    assert tuple(CLASSES[label] for label in HARD) == named


def test_the_command_line_trains_by_the_first_stage_of_v3():
    assert DEFAULTS["voc"].recipe == PAPERS["v3"].recipe
    assert DEFAULTS["voc"].output_stride == PAPERS["v3"].output_stride


def test_rates_at_the_first_and_the_last_step():
    ends = {
        name: [learning_rate(paper.recipe, i) for i in (0, paper.recipe.iterations - 1)]
        for name, paper in PAPERS.items()
    }
    assert ends["v1"] == pytest.approx([1e-3, 1e-5])
    assert ends["v2"] == pytest.approx([2.5e-4, 2.5e-4 * (1 / 20_000) ** 0.9])
    assert ends["v3"][0] == ends["v3+"][0] == 0.007 and ends["v3, test"][0] == 0.001


def test_places_with_a_loss():
    assert PAPERS["v1"].places == 20 * 39**2  # DeepLab v1, section 4: 39 x 39 scores of 306 pixels
    assert PAPERS["v2"].places == 10 * 41**2
    assert PAPERS["v3"].places == PAPERS["v3, test"].places == 16 * 513**2


def test_the_table_has_a_column_for_each_paper():
    header, *rows = recipe_table(["batch_size", "epochs", "freeze_batch_norm"]).splitlines()
    assert header.split("  ")[-1] == "v3+" and len(rows) == 3
    assert rows[0].split() == ["batch_size", "20", "10", "16", "16", "16"]
    assert rows[1].split() == ["epochs", "11.3", "18.9", "45.4", "164.8", "45.4"]
    assert "no norm" in rows[2]


def test_gains_are_differences_of_printed_rows():
    points = {gain.what: gain.points for gain in gains()}
    assert points["four rates for one"] == 3.2
    assert points["crops of 513 for 321"] == 9.99
    assert points["a decoder"] == 1.64
    assert points["Xception for ResNet-101"] == 1.96
    assert {gain.kind for gain in gains()} == set(KINDS)
    assert all(gain.points > 0 for gain in gains())
    alt = gains_picture().alt
    assert all(f"{gain.what} {gain.points:.2f}" in alt for gain in gains())


@pytest.mark.parametrize(("scale", "crop"), [(0.5, 321), (0.7, 513), (1.0, 321), (1.6, 513)])
def test_the_drawn_crop_is_that_of_the_transforms(scale, crop):
    height, width = PICTURES["VOC, 500 x 375"]
    image, label = np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.uint8)
    rng = np.random.default_rng(0)
    _, cut = RandomCrop(crop)(*RandomScale(scale, scale)(image, label, rng), rng)
    rows, columns = shown_part(height, width, scale, crop)
    assert (cut != 255).sum() == rows * columns


def test_the_crop_is_told_in_words():
    alt = crop_picture("VOC, 500 x 375", 513, 0.5).alt
    assert "the image becomes 250 x 188; the crop sees 100% of it; 82% of the crop" in alt
    assert "rate 6: all nine taps on it at 0%" in alt  # 12 units high: 12 - 2 * 6 is none
    alt = crop_picture("Cityscapes, 2048 x 1024", 769, 1.0).alt
    assert "the crop sees 28% of it; 0% of the crop is padding" in alt
    assert "rate 6: all nine taps on it at 57%" in alt
