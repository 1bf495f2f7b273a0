"""The experiments: what is done is not done again, and results are read right.

A toy network of two layers stands for the real ones.
"""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from torch import nn

from dlseg.backbones import Features
from dlseg.book.manifest import find_root
from dlseg.device import settings_kept
from dlseg.models import FCN
from support import networks as teaching
from support import results as experiments
from support.networks import Network

sys.path.insert(0, str(find_root() / "assets/experiments"))
import definitions
import kernels
import measuring
import run
import storage
import training
from definitions import Arm, Experiment


@pytest.fixture(autouse=True)
def _settings_kept():
    """An experiment sets up its process, which here is that of all tests."""
    with settings_kept():
        yield


class Toy(nn.Module):
    """Two convolutions to stride 8, as a backbone."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 8, 4, 4), nn.Conv2d(8, 8, 2, 2)
        self.norm = nn.BatchNorm2d(8)
        self.channels, self.output_stride = 8, 8

    def forward(self, x):
        low_level = self.conv1(x).relu()
        return Features(low_level, self.norm(self.conv2(low_level)).relu())


TOY = Network(lambda: FCN(Toy(), 10), "toy", changes={"iterations": 6, "crop_size": 48})
EXPERIMENT = Experiment(
    "toy",
    "no paper",
    {"one": Arm("toy"), "other": Arm("toy-slow"), "refined": Arm("toy", definitions.CRF)},
)


@pytest.fixture
def toy(monkeypatch, tmp_path):
    """`run.main` on the toy experiment, all files in tmp_path; gives a function of the seeds."""
    slow = replace(TOY, changes={**TOY.changes, "learning_rate": 0.001})
    monkeypatch.setitem(teaching.LEARNING_RATES, "toy", 0.05)
    for name, network in (("toy", TOY), ("toy-slow", slow)):
        monkeypatch.setitem(teaching.NETWORKS, name, network)
    for module, name, value in (
        (run, "EXPERIMENTS", (EXPERIMENT,)),
        (run, "FOLDER", tmp_path / "results"),
        (run, "TRAIN", (20, "train")),
        (run, "TEST", (6, "test")),
        (kernels, "TRAIN", (20, "train")),
        (kernels, "VALIDATION", (4, "val")),
        (kernels, "COUNT", 2),
        (kernels, "RANGES", kernels.Ranges((1,), (4, 8), (16,))),
        (kernels, "FILE", tmp_path / "results/crf_kernels.json"),
        (training, "KEPT", tmp_path / "kept"),
    ):
        monkeypatch.setattr(module, name, value)

    def command(*arguments: str) -> dict:
        monkeypatch.setattr(sys, "argv", ["run.py", *arguments])
        run.main()
        return storage.read_json(tmp_path / "results/toy.json")

    return command


def measured(content: dict) -> list[dict]:
    """The runs without what the clock says."""
    clocks = {"seconds", "seconds_per_image", "minutes"}
    return [{key: one[key] for key in one if key not in clocks} for one in content["runs"]]


def count_calls(monkeypatch, module, name: str) -> list:
    """A list that grows with each call of a function, which still does its work."""
    calls, before = [], getattr(module, name)
    monkeypatch.setattr(module, name, lambda *a, **k: (calls.append(a), before(*a, **k))[1])
    return calls


def test_all_runs_are_done_once(toy, monkeypatch, capsys):
    measures = count_calls(monkeypatch, run, "measure")
    trainings = count_calls(monkeypatch, training, "build")
    content = toy("--seeds", "2")
    keys = [(one["seed"], one["arm"]) for one in content["runs"]]
    assert keys == [(seed, arm) for seed in (0, 1) for arm in ("one", "other", "refined")]
    assert len(measures) == 6
    assert len(list(training.KEPT.glob("toy*"))) == 5  # 2 networks, 2 seeds, 1 search for the CRF
    del measures[:], trainings[:]
    assert toy("--seeds", "2") == content
    assert not measures and not trainings
    toy("--list")
    assert "6 of  30 runs" in capsys.readouterr().out


def test_killed_and_resumed_ends_with_the_same_numbers(toy, monkeypatch, tmp_path):
    whole = toy("--seeds", "2")
    for path in (tmp_path / "results", tmp_path / "kept"):
        path.rename(tmp_path / f"{path.name}-before")
    real, left = training.train, [4]

    def killed(*arguments, watch, **options):
        """Stop in the middle of the third training, behind a checkpoint."""

        def stop(iteration, loss, rate):
            watch(iteration, loss, rate)
            if iteration == 2:
                left[0] -= 1
                if not left[0]:
                    raise KeyboardInterrupt

        return real(*arguments, watch=stop, **options | {"checkpoint_every": 2})

    monkeypatch.setattr(training, "train", killed)
    with pytest.raises(KeyboardInterrupt):
        toy("--seeds", "2")
    some = storage.read_json(tmp_path / "results/toy.json")
    assert 0 < len(some["runs"]) < 6
    monkeypatch.setattr(training, "train", real)
    measures = count_calls(monkeypatch, run, "measure")
    assert measured(toy("--seeds", "2")) == measured(whole)
    assert len(measures) == 6 - len(some["runs"])


def test_another_recipe_is_run_again(toy, monkeypatch):
    before = toy("--seeds", "1")
    changed = replace(TOY, changes={**TOY.changes, "momentum": 0.5})
    monkeypatch.setitem(teaching.NETWORKS, "toy", changed)
    after = toy("--seeds", "1")
    pairs = list(zip(measured(before), measured(after), strict=True))
    assert [one == other for one, other in pairs] == [False, True, False]
    assert after["arms"]["one"]["recipe"]["momentum"] == 0.5


def test_a_network_starts_with_the_backbone_trained_before(toy, monkeypatch):
    monkeypatch.setitem(teaching.NETWORKS, "toy-after", replace(TOY, start="toy"))
    data = training.scenes(run.TRAIN)
    before, _ = training.trained("toy", 3, data)
    model = training.build(teaching.NETWORKS["toy-after"], 3, data, "cpu")
    for name, value in before.backbone.state_dict().items():
        assert value.equal(model.backbone.state_dict()[name]), name
    torch.manual_seed(3)  # the head has random weights of that seed
    assert model.classifier.weight.equal(TOY.build().classifier.weight)
    assert not model.classifier.weight.equal(before.classifier.weight)


def test_another_start_is_another_network(monkeypatch):
    data = training.scenes((20, "train"))
    after = replace(TOY, start="toy")
    monkeypatch.setitem(teaching.LEARNING_RATES, "toy", 0.05)
    monkeypatch.setitem(teaching.NETWORKS, "toy", TOY)
    one = training.fingerprint(after, after.recipe(0), data)
    monkeypatch.setitem(teaching.NETWORKS, "toy", replace(TOY, changes={"iterations": 7}))
    other = training.fingerprint(after, after.recipe(0), data)
    assert len({one, other, training.fingerprint(TOY, TOY.recipe(0), data)}) == 3


def test_unknown_name_is_told(toy, capsys):
    with pytest.raises(SystemExit):
        toy("nothing")
    assert "no experiment is called nothing; there are toy" in capsys.readouterr().err


def test_measures_are_all_there_and_sane(toy):
    one, _, refined = toy("--seeds", "1")["runs"]
    assert len(one["iou"]) == 10 and list(one["trimap_iou"]) == ["1", "2", "4", "8", "16"]
    assert len(one["letter_accuracy"]) == 8 and len(one["found_by_radius"]) == 3
    assert one["mean_iou"] == pytest.approx(np.mean(list(one["iou"].values())), abs=1e-4)
    assert one["parameters"] == 8 * (3 * 16 + 1) + 8 * (8 * 4 + 1) + 16 + 10 * 9
    # 24 x 24 units of 48 products for 8 channels, then 12 x 12 of 32 for 8 and of 8 for 10
    assert one["multiply_adds"] == 24**2 * 48 * 8 + 12**2 * (32 * 8 + 8 * 10)
    assert refined["multiply_adds"] == one["multiply_adds"]
    assert refined["iou"] != one["iou"]


def test_results_are_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.json"
    storage.write_json(path, {"arms": {}, "runs": [{"seed": 0}, {"seed": 1}]})
    text = path.read_text(encoding="utf-8")
    assert json.loads(text)["runs"] == [{"seed": 0}, {"seed": 1}]
    assert '\n  {"seed": 0},\n' in text
    with pytest.raises(ValueError):
        storage.write_json(path, {"runs": [{"seed": float("nan")}]})
    assert path.read_text(encoding="utf-8") == text
    assert list(tmp_path.iterdir()) == [path]


def test_numbers_are_rounded_and_nan_is_none():
    assert measuring.rounded({1: np.nan, "a": {2: 0.1234567}}) == {"1": None, "a": {"2": 0.12346}}


def results(**arms) -> experiments.Results:
    """Results whose arms have these values of mean_iou, one per seed."""
    runs = [
        {"arm": arm, "seed": seed, "mean_iou": value, "iou": {"ring": value / 2, "wire": None}}
        for arm, values in arms.items()
        for seed, value in reversed(list(enumerate(values)))
    ]
    return experiments.Results({"arms": dict.fromkeys(arms), "runs": runs})


@pytest.mark.parametrize("pixels", [3, 0, -3])
def test_moved_logits_are_those_of_a_picture_moved(pixels):
    y = torch.rand(2, 3, 8, 9)
    moved = measuring.Moved(nn.Identity(), pixels)(y)
    rows, columns = (torch.arange(n).sub(pixels).clamp(0, n - 1) for n in y.shape[2:])
    assert torch.equal(moved, y[:, :, rows][:, :, :, columns])  # edges go on


def test_median_and_range():
    toy = results(a=[0.1, 0.5, 0.2], b=[0, 0, 0])
    assert toy.median_and_range("a", "mean_iou") == experiments.Spread(0.2, 0.1, 0.5)
    assert toy.by_seed("a", "iou/ring") == {0: 0.05, 1: 0.25, 2: 0.1}
    assert str(toy.curve("a", "iou")["ring"]) == "0.100 (0.050 to 0.250)"
    assert np.isnan(toy.median_and_range("a", "iou/wire").median)
    assert toy.arms == ["a", "b"]


def test_pairs_are_of_one_seed_and_missing_seeds_are_left_out():
    toy = results(a=[0.1, 0.2, 0.9], b=[0.0, 0.3])
    paired = toy.compare("a", "b", "mean_iou")
    assert paired.differences == pytest.approx((0.1, -0.1))
    assert (paired.agree, paired.spread.median) == (1, pytest.approx(0))


def test_gain_against_gain():
    toy = results(a=[0.5], b=[0.2], c=[0.6], d=[0.5])
    paired = toy.compare(("a", "b"), ["c", "d"], "mean_iou")
    assert paired.differences == pytest.approx((0.2,))


@pytest.mark.parametrize(
    ("arm", "measure", "message"),
    [
        ("z", "mean_iou", "no arm 'z'; there are a, b"),
        ("a", "iou/rings", "at 'rings' there are ring, wire"),
        ("a", "mean_iou/ring", "at 'ring' there are no parts"),
    ],
)
def test_wrong_names_are_said(arm, measure, message):
    with pytest.raises(ValueError, match=message):
        results(a=[0.1], b=[0.2]).by_seed(arm, measure)


def test_load_reads_what_is_there_and_names_it(toy, tmp_path):
    toy("--seeds", "1")
    toy = experiments.load("toy", tmp_path / "results")
    assert toy.arms == ["one", "other", "refined"]
    with pytest.raises(ValueError, match=r"run\.py nothing makes them"):
        experiments.load("nothing", tmp_path / "results")


def test_figure_shows_every_seed_and_the_median():
    axes = Figure().subplots()
    sentence = experiments.points_per_seed(axes, results(a=[0.1, 0.5, 0.2], b=[0.3]), "mean_iou")
    assert sentence == "a: 0.200 (0.100 to 0.500); b: 0.300 (0.300 to 0.300)"
    points, bar, *_ = axes.lines
    assert list(points.get_xdata()) == [0.1, 0.5, 0.2] and set(bar.get_xdata()) == {0.2}
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]
    experiments.curves(axes, results(a=[0.1], b=[0.2]), "iou")
    assert [label.get_text() for label in axes.get_xticklabels()] == ["ring", "wire"]


def test_definitions_hold_together():
    names = [one.name for one in definitions.EXPERIMENTS]
    assert len(set(names)) == len(names)
    for one in definitions.EXPERIMENTS:
        for arm in one.arms.values():
            assert arm.network in teaching.NETWORKS
            assert arm.view in {*measuring.VIEWS, definitions.CRF}


def test_learning_rates_are_the_best_of_those_tried():
    tried = storage.read_json(storage.FOLDER.parent / "learning_rates.json")["mean_iou"]
    for family, rate in teaching.LEARNING_RATES.items():
        scores = {float(key): value for key, value in tried[family].items() if value is not None}
        assert max(scores, key=scores.get) == rate, family
        assert len(tried[family]) >= 3
