"""Seven ways to gather context: equal work, what each can see, and the experiment in the small."""

import json
import sys
from dataclasses import asdict, replace
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from dlseg.arithmetic import Layer
from dlseg.backbones import MobileNetV2
from dlseg.book.manifest import find_root
from dlseg.device import settings_kept
from dlseg.inspect import gradient_support, receptive_field
from support import distances
from support.after_deeplab import swap
from support.trains import TRUNK, recipe

sys.path.insert(0, str(find_root() / "assets/experiments"))
import seeds
import streets as streets_experiment
import swap as experiment
import trains as trains_experiment

MAKES = {
    "trains": (swap.train_network, (129, 129), 46_036_336),
    "streets": (swap.street_network, (180, 240), 450_465_120),
}


@pytest.fixture(autouse=True)
def _settings_kept():
    """An experiment sets up its process, which here is that of all tests."""
    with settings_kept():
        yield


@pytest.mark.parametrize("task", MAKES)
def test_equal_work(task):
    make, size, work = MAKES[task]
    with torch.device("meta"):
        network = make("ASPP")
        assert swap.multiply_adds(network, size) == work
        maps = network.backbone(torch.empty(1, 3, *size))
        heads = {}
        for arm, context in swap.CONTEXTS.items():
            head = context(*_task_and_width(task, arm)).eval()
            with FlopCounterMode(display=False) as counter:
                network.classifier(head(maps))
            heads[arm] = counter.get_total_flops() // 2
    assert all(abs(head - heads["ASPP"]) < 0.006 * work for head in heads.values()), heads


def _task_and_width(task, arm):
    found = {"trains": swap.TRAINS, "streets": swap.STREETS}[task]
    return found, found.hidden[arm]


def test_counted_by_hand():
    """The trunk, ASPP and the classifier on trains, and the products of OCR."""
    trunk = 9 * (65**2 * 3 * 16 + 33**2 * 16 * 32 + 17**2 * (32 * 64 + 64 * 64))
    classifier = 17**2 * (32 * 64 + 64 * 7)
    aspp = 17**2 * (4 * 9 * 64 * 32 + 128 * 32)
    assert trunk + classifier + aspp == MAKES["trains"][2]
    hidden, regions = swap.TRAINS.hidden["regions (OCR)"], 7
    products = 17**2 * regions * (64 + 2 * hidden)
    linear = 17**2 * (64 * regions + 2 * 64 * hidden + 128 * 32) + 2 * regions * 64 * hidden
    found = swap.multiply_adds(swap.train_network("regions (OCR)"), (129, 129))
    assert found == trunk + classifier + products + linear


# The convolutional ways on trains: rates behind the trunk, or the side of one kernel.
SEEN = {"1x1": 31, "LargeFOV": 31 + 16 * 6, "ASPP": 31 + 16 * 12, "large kernel": 31 + 8 * 24}


@pytest.mark.parametrize("arm", SEEN)
def test_fields_of_convolutions(arm):
    assert receptive_field(distances.Scores(swap.train_network(arm)), 129).size == SEEN[arm]


def test_segformers_head_sees_what_the_trunk_sees_and_pooling_sees_all():
    masks = {
        arm: gradient_support(distances.Scores(swap.train_network(arm)), 129, unit).mask
        for arm, unit in (
            ("SegFormer's MLP", (16, 16)),
            ("1x1", (8, 8)),
            ("pyramid pooling", (0, 0)),
            ("regions (OCR)", (0, 0)),
        )
    }
    assert masks["1x1"].sum() == 31**2 == masks["SegFormer's MLP"].sum()
    assert masks["pyramid pooling"].all() and masks["regions (OCR)"].all()


@pytest.mark.parametrize(("arm", "rates"), [("LargeFOV", [6]), ("ASPP", [3, 6, 9, 12])])
def test_columns_are_those_of_the_arithmetic(arm, rates):
    stacks = [[*TRUNK, Layer(3, rate=rate)] for rate in rates]
    columns = distances.columns_seen(*stacks)
    network = distances.Scores(swap.train_network(arm))
    mask = gradient_support(network, 129, (8, 3)).mask
    assert (mask[64] == columns[24]).all()


def test_maps_of_mobilenet_are_its_own():
    torch.manual_seed(0)
    theirs, ours = MobileNetV2(16).eval(), swap.MobileMaps(16).eval()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        maps, features = ours(x), theirs(x)
    assert torch.equal(maps[0], features.low_level) and torch.equal(maps[-1], features.last)
    assert [one.shape[1] for one in maps] == list(swap.STREETS.inputs)
    assert [one.shape[3] for one in maps] == [24, 12, 6, 6]


def test_what_training_keeps_grows_with_the_batch_of_maps():
    kept = {arm: swap.kept_bytes(swap.train_network(arm), (129, 129)) for arm in swap.CONTEXTS}
    assert kept["regions (OCR)"] > kept["ASPP"] > 4 * 17**2 * 4 * 32
    assert min(kept.values()) > 4 * (65**2 * 16 + 33**2 * 32 + 2 * 17**2 * 64)


@pytest.fixture
def few_trains(monkeypatch):
    monkeypatch.setattr(trains_experiment, "TRAIN", (16, "train"))
    monkeypatch.setattr(trains_experiment, "TEST", (4, "test"))
    trains_experiment.pool.cache_clear()
    yield replace(recipe(1), iterations=2, batch_size=4)
    trains_experiment.pool.cache_clear()


@pytest.mark.parametrize("arm", ["ASPP", "regions (OCR)", "SegFormer's MLP"])
def test_trains_in_the_small(arm, few_trains):
    (row,) = experiment.run_trains((arm, 1), few_trains)
    assert row["arm"] == arm and row["seed"] == 1
    assert 0 <= row["mean_iou"] <= 1 and 0 <= row["train_all"] <= 1
    assert set(row["train_accuracy"]) == set(distances.NAMES)
    assert row["multiply_adds"] == pytest.approx(MAKES["trains"][2], rel=0.006)
    assert row["seconds"] > 0 and row["seconds_per_image"] > 0 and row["kept_bytes"] > 0
    json.dumps(row, allow_nan=False)


@pytest.fixture
def camvid(tmp_path):
    """Four frames for training and two to be scored, as SegNet's release has them."""
    generator = np.random.default_rng(0)
    for split, count in (("train", 4), ("val", 2)):
        for folder in (split, f"{split}annot"):
            (tmp_path / folder).mkdir()
        for number in range(count):
            name = f"{streets_experiment.DRIVE}_{number}.png"
            image = generator.integers(0, 255, (96, 144, 3)).astype(np.uint8)
            labels = np.repeat(np.arange(12, dtype=np.uint8), 8 * 144).reshape(96, 144)
            labels[labels == 11] = 255
            Image.fromarray(image).save(tmp_path / split / name)
            Image.fromarray(labels).save(tmp_path / f"{split}annot" / name)
    names = ["sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car"]
    lines = "\n".join([*names, "pedestrian", "cyclist"])
    (tmp_path / "classes.txt").write_text(lines + "\n")
    return tmp_path


@pytest.mark.filterwarnings("ignore:invalid value")  # there are no things of some sizes
def test_streets_in_the_small(camvid, monkeypatch):
    state = {f"backbone.{key}": one for key, one in MobileNetV2(16).state_dict().items()}
    monkeypatch.setattr(experiment, "released_weights", lambda name: state)
    how = replace(streets_experiment.RECIPE, iterations=2, batch_size=2, seed=0)
    (row,) = experiment.run_streets(camvid, ("pyramid pooling", 0), how)
    assert row["arm"] == "pyramid pooling" and set(row["iou"]) >= {"pole", "car"}
    assert row["multiply_adds"] == pytest.approx(MAKES["streets"][2], rel=0.006)
    json.dumps(row, allow_nan=False)


def fake_run(job):
    return [{"arm": job[0], "seed": job[1], "seconds": 1.0}]


def test_a_file_tells_its_own_command(tmp_path, monkeypatch):
    class Pool:
        def __init__(self, *_arguments):
            self.imap = self.imap_unordered = map

        def __enter__(self):
            return self

        def __exit__(self, *_error):
            pass

    context = type("Context", (), {"Pool": Pool})
    monkeypatch.setattr(seeds.multiprocessing, "get_context", lambda kind: context)
    about = {"source": "", "recipe": asdict(recipe(0)), "train": 1, "test": 2}
    fill = partial(seeds.fill, arms=["a"], run=fake_run, seeds=[1], processes=1)
    fill(tmp_path / "swap.json", about)
    fill(tmp_path / "swap_streets.json", about | {"command": "python x.py --streets"})
    commands = [
        json.loads((tmp_path / f"{name}.json").read_text())["command"]
        for name in ("swap", "swap_streets")
    ]
    assert commands == ["python assets/experiments/swap.py", "python x.py --streets"]
