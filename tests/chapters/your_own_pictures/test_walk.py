"""What chapter 16 walks with is what its commands make, and what its experiments measured."""

import re
import shlex
import sys
from argparse import ArgumentParser
from dataclasses import replace

import numpy as np
import pytest
import torch

from dlseg.book.manifest import find_root
from dlseg.commands import train as command
from dlseg.data import read_label
from dlseg.models import build_model
from dlseg.state import fitting
from support.results import load
from support.your_own_pictures import lost, pictures, walk
from support.your_own_pictures.desk import Desk
from tests.chapters.tools import cells

sys.path.insert(0, str(find_root() / "assets/experiments"))
import streets

ROOT, CHAPTER = find_root(), "16-your-own-pictures"


def commands() -> list[str]:
    """The command lines of the chapter, one for each `desk.run`."""
    calls = [
        re.findall(r"desk\.run\((.*?)\)\n", cell.source + "\n", re.DOTALL)
        for cell in cells(CHAPTER, "code")
    ]
    return ["".join(re.findall(r'"([^"]*)"', call)) for found in calls for call in found]


def job_of(line: str):
    """What `dlseg train` makes of a command line."""
    parser = ArgumentParser()
    command.add(parser, "train")
    options = vars(parser.parse_args(shlex.split(line)[2:]))
    wanted = (command.ENTRIES.keys() - command.RUN) & options.keys()
    return command.new_job({name: options[name] for name in wanted if options[name] is not None})


def test_the_backbone_is_small_and_fits_and_nothing_else_is_in_its_file(tmp_path):
    assert (ROOT / walk.BACKBONE).stat().st_size < 300_000
    walk.write_backbone(tmp_path / "small.pt")
    state = torch.load(tmp_path / "small.pt", weights_only=True)
    model = build_model(walk.DESCRIPTION)
    assert set(state) == {name for name in model.state_dict() if name.startswith("backbone.")}
    assert fitting(model, state) == {name.rpartition(".")[0] for name in state}
    assert all(bool(value.isfinite().all()) for value in state.values())
    floats = [value for value in state.values() if value.is_floating_point()]
    with np.load(ROOT / walk.BACKBONE) as file:
        assert file["numbers"].size == sum(value.numel() for value in floats)


def test_the_experiment_trains_what_the_command_of_the_chapter_trains():
    line, _again = (one for one in commands() if "folder:mended" in one or "first/run.toml" in one)
    job = job_of(line)
    assert job.recipe == walk.recipe("one list, sqrt")
    assert job.describe(len(lost.CLASSES)) == walk.DESCRIPTION


@pytest.mark.parametrize("arm", walk.ARMS)
def test_every_arm_has_its_seeds_its_scores_and_maps_of_the_pictures_shown(arm):
    means, each = walk.runs(arm), walk.runs(arm, "iou")
    assert len(means) == (3 if "crop_size" in walk.ARMS[arm] else 5)
    assert np.mean(each, 1) == pytest.approx(means)
    for index in walk.SHOWN:
        found = read_label(walk.map_path(arm, index), len(lost.CLASSES))
        right = lost.picture(walk.TEST[index])[1]
        # A map of this picture: where most is ground, most of both is.
        assert found.shape == right.shape and (found == right).mean() > 0.8


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ("one list, sqrt", "one list"),
        ("one list, sqrt", "two lists, sqrt"),
        ("one list, sqrt", "one list, balanced"),
        ("one list, sqrt", "sqrt, 4 pictures"),
        ("one list, sqrt", "sqrt, random weights"),
        ("sqrt, whole network", "sqrt, random weights"),
    ],
)
def test_what_the_chapter_says_of_the_arms_is_so_for_every_seed(better, worse):
    """The prose names no number; it says which of two is larger."""
    pairs = zip(walk.runs(better), walk.runs(worse), strict=False)
    assert min(a - b for a, b in pairs) > 0


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ("head, own drive", "head, other drives"),
        ("head", "head, no weights"),
        ("head", "head, balanced"),
        ("head", "head, 32 pictures"),
        ("decoder", "head"),
        ("head", "whole, random weights"),
    ],
)
def test_what_the_chapter_says_of_streets_is_so_for_every_seed(better, worse):
    assert min(load("streets").compare(better, worse, "mean_iou").differences) > 0


def test_the_command_for_streets_trains_the_row_decoder():
    line = next(one for one in commands() if "folder:{streets}" in one)
    job = job_of(line)
    assert job.recipe == replace(streets.RECIPE, crop_size=job.recipe.crop_size)
    ours, theirs = build_model(job.describe(11)), streets.network(11, **streets.DECODER)
    assert repr(ours) == repr(theirs)


def test_every_label_has_a_word_and_the_colour_of_the_masks():
    assert [name for name, _ in pictures.WORDS.values()] == list(lost.CLASSES)
    assert len({colour for _, colour in pictures.WORDS.values()}) == len(lost.CLASSES)


def test_a_desk_runs_commands_in_its_folder_and_comes_back(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    desk = Desk()
    lost.write(desk / "found")
    desk.run("dlseg doctor --data folder:found --fix mended")
    assert (desk / "mended/classes.txt").exists() and not any(tmp_path.iterdir())
    assert capsys.readouterr().out.startswith("found   folders: images and masks")
    image, mask = lost.read(desk / "mended", lost.name_of(3))
    right, labels = lost.picture(3)
    assert (mask == labels).all() and np.abs(image.astype(int) - right).mean() < 8  # JPEG


def test_the_clip_goes_over_one_picture(tmp_path):
    lost.write_clip(tmp_path / "clip.gif", frames=4)
    whole, _ = lost.picture(2000, width=2 * lost.WIDTH)
    with pictures.Image.open(tmp_path / "clip.gif") as clip:
        frames = [np.array(one.convert("RGB")) for one in pictures.ImageSequence.Iterator(clip)]
    assert len(frames) == 4
    for frame, place in zip(frames, (0, 64, 129, 193), strict=True):
        part = whole[:, place : place + lost.WIDTH].astype(int)
        assert np.abs(frame - part).mean() < 12  # 256 colours
