"""The table and the curves of the swaps, from files of results that were made up."""

import json

import pytest

from support.after_deeplab.swap import CONTEXTS
from support.after_deeplab.swap_shown import distance_picture, swap_table
from support.distances import NAMES


@pytest.fixture
def folder(tmp_path):
    by_distance = dict.fromkeys(NAMES, 0.75)
    row = {"multiply_adds": 46_036_336, "seconds_per_image": 0.0031, "kept_bytes": 2_000_000}
    row |= {"mean_iou": 0.5, "train_all": 0.9, "train_accuracy": by_distance}
    runs = [
        {"arm": arm, "seed": seed, **row, "mean_iou": 0.5 + seed / 100}
        for arm in CONTEXTS
        for seed in (1, 2, 3)
    ]
    content = {"arms": {arm: {} for arm in CONTEXTS}, "runs": runs}
    content["predicted"] = {arm: {"train_accuracy": by_distance} for arm in CONTEXTS}
    for name in ("swap", "swap_streets"):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    return tmp_path


def test_table(folder):
    head, *lines = swap_table(folder).splitlines()
    assert len(lines) == 7 and "multiply-adds" in head
    assert lines[2].split()[:4] == ["ASPP", "46.0", "3.1", "2000"]
    assert lines[2].count("0.520 (0.510 to 0.530)") == 2


def test_curves(folder):
    alt = distance_picture(folder=folder).alt
    assert all(arm in alt for arm in CONTEXTS) and alt.count("0.75") == 7 * len(NAMES)
    assert "LargeFOV" not in distance_picture(["ASPP"], folder).alt
