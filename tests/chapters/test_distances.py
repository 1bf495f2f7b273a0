"""Accuracy against distance: what is predicted, by two ways, and what is measured."""

import hashlib
import json

import numpy as np
import pytest
import torch

from dlseg.arithmetic import Layer
from dlseg.book import find_root
from dlseg.data import Trains
from support import distances, results, trains, trains_shown

# Branches behind the trunk, by the rates of each one's layers; 7x7 is a kernel size.
STACKS = {
    "1x1": [[]],
    "rate 12": [[12]],
    "rates 3, 6, 9, 12": [[3], [6], [9], [12]],
    "cascade 1, 2, 4": [[1, 2, 4]],
}


def stacks(arm):
    return [trains_shown.behind_trunk(*rates) for rates in STACKS[arm]]


@pytest.mark.parametrize("arm", STACKS)
def test_gradient_and_arithmetic_see_the_same(arm):
    """Pixel for pixel of a few units, and so in the predicted curve."""
    network = distances.Scores(trains.ARMS[arm]())
    columns = distances.columns_seen(*stacks(arm))
    for unit in (0, 7, 16):
        mask = distances.gradient_support(network, distances.SIDE, (8, unit)).mask
        assert (mask[64] == columns[8 * unit]).all()


@pytest.mark.parametrize("arm", STACKS)
def test_the_kept_prediction_is_that_of_the_arithmetic(arm):
    kept = results.load("trains").content["predicted"][arm]["train_accuracy"]
    counts = distances.pixels_by_place(1000)
    reckoned = distances.reckoned(*stacks(arm), counts=counts)
    assert np.abs(reckoned - list(kept.values())).max() < 1e-4


def test_what_sees_all_is_always_right_and_what_sees_nothing_is_a_coin():
    scenes = distances.test_scenes()[:8]
    for sees, share in ((True, 1.0), (False, 0.5)):
        field = torch.full((17, 17, 129 * 129), sees)
        for kind, shares in distances.predicted(field, scenes).items():
            assert shares.mean == share, kind
            known = [one for one in shares.by_distance().values() if not np.isnan(one)]
            assert known and set(known) == {share}


class Oracle(torch.nn.Module):
    """Scores of the true class of a scene's pixels, or of one class everywhere."""

    def __init__(self, scenes, always=None):
        super().__init__()
        self.scenes, self.always = iter(scenes), always

    def forward(self, x):
        label = torch.tensor(next(self.scenes).label).long()
        if self.always is not None:
            label = torch.full_like(label, self.always)
        return torch.nn.functional.one_hot(label, 256)[..., :7].permute(2, 0, 1)[None].float()


def test_an_oracle_is_right_and_one_answer_for_all_is_a_coin():
    scenes = distances.test_scenes()[:6]
    shares, mean_iou = distances.measured(Oracle(scenes), scenes)
    assert mean_iou == 1 and {one.mean for one in shares.values()} == {1.0}
    b = Trains.classes.index("train B")
    shares, mean_iou = distances.measured(Oracle(scenes, always=b), scenes)
    assert shares["train"].mean == 0.5 and mean_iou < 0.1


def test_every_head_has_scores_on_every_eighth_pixel():
    for build in trains.ARMS.values():
        network = build().eval()
        x = torch.zeros(1, 3, 129, 129)
        assert network.scores(x).shape == (1, 7, 17, 17) and network(x).shape == (1, 7, 129, 129)


def test_equal_spans_and_equal_sizes():
    """What the chapters compare: heads of one span, heads of one number of parameters."""
    size = {arm: sum(p.numel() for p in build().parameters()) for arm, build in trains.ARMS.items()}
    assert size["rates 6, 6, 6, 6"] == size["rates 3, 6, 9, 12"]
    assert size["cascade 1, 1, 1"] == size["cascade 1, 2, 4"] == size["cascade 2, 4, 8"]
    three, seven = trains_shown.behind_trunk(3), [*trains.TRUNK, Layer(7)]
    same = distances.columns_seen(three) == distances.columns_seen(seven)
    assert same[24:105].all() and not same.all()  # off the map a tap of one is lost, not of both


def test_the_experiment_holds_what_the_chapters_say():
    """Ten seeds of every head; heads without pooling within 0.05 of what they see, up to 111 px."""
    runs = results.load("trains")
    assert {run["seed"] for run in runs.content["runs"]} == set(range(1, 11))
    assert len(runs.content["runs"]) == 10 * len(trains.ARMS)
    for arm in set(trains.ARMS) - {"rate 1, image pooling", "rates 3, 6, 9, 12, image pooling"}:
        ahead = runs.content["predicted"][arm]["train_accuracy"]
        for name, one in list(runs.curve(arm, "train_accuracy").items())[:14]:
            assert abs(one.median - ahead[name]) < 0.05, (arm, name)


def test_the_experiment_was_made_on_these_scenes():
    content = json.loads(
        (find_root() / "assets/results/experiments/trains.json").read_text(encoding="utf-8")
    )
    for part in ("train", "test"):
        header = dict(content[part])
        kept, data = header.pop("sha256"), Trains(header["count"], header["split"])
        assert data.header() == header
        if part == "test":
            scenes = distances.test_scenes(1000)
            images, labels = (
                b"".join(getattr(one, what).tobytes() for one in scenes)
                for what in ("image", "label")
            )
            assert hashlib.sha256(images + labels).hexdigest() == kept


def test_an_explorer_says_where_the_engine_is_seen():
    picture = trains_shown.reach_picture([trains_shown.behind_trunk(6)], "rate 6")
    assert picture.alt.startswith(
        "rate 6. At least 0.95 of the pixels are right at 0 to 18 px and 3"
    )
    nothing = trains_shown.reach_picture([trains_shown.behind_trunk()], "1x1")
    assert nothing.alt.count("px") == 1
