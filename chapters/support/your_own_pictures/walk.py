"""The walk of chapter 16: a small network on the folder of lost things, and what was measured."""

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from dlseg.book import find_root
from dlseg.fetch import at_hand, data_folder
from dlseg.models import RELEASED, build_model, describe
from dlseg.training import Recipe
from support.your_own_pictures import lost

BACKBONE, RESULTS = "assets/results/small_backbone.npz", "assets/results/own_pictures"
STREET_ARMS = ("head", "head, no weights", "head, balanced", "head, 32 pictures", "decoder")
STREET_ARMS += ("whole", "whole, random weights")
TEST, SHOWN = range(1000, 1060), (3, 5, 6)  # numbers of the test pictures; places of those shown
COUNTS = (4, 8, 16, 32)  # pictures to train on; else 80
# What `dlseg train` makes of the chapter's options.
DESCRIPTION = describe("deeplabv3plus-mobilenetv2", len(lost.CLASSES), 16, 0.25, 32, (2, 4, 6))
RECIPE = Recipe(
    iterations=250,
    learning_rate=0.01,
    optimiser="adamw",
    weight_decay=1e-2,
    crop_size=257,
    freeze_backbone=True,
    cache_features=True,
)
_WHOLE = {"freeze_backbone": False, "cache_features": False, "crop_size": lost.WIDTH}
# How assets/experiments/own_pictures.py trains it: fields of the recipe, and how many pictures,
# with whose labels, and whether the backbone is trained beforehand.
ARMS: dict[str, dict] = {
    "one list": {},
    "two lists, sqrt": {"labels": "written", "class_weights": "sqrt"},
    "one list, sqrt": {"class_weights": "sqrt"},
    "one list, balanced": {"class_weights": "balanced"},
    **{f"sqrt, {count} pictures": {"class_weights": "sqrt", "count": count} for count in COUNTS},
    "sqrt, whole network": {"class_weights": "sqrt", **_WHOLE},
    "sqrt, random weights": {"class_weights": "sqrt", "trained": False, **_WHOLE},
}


def recipe(arm: str, seed: int = 0) -> Recipe:
    """The recipe of an arm of the experiment."""
    names = {field.name for field in fields(Recipe)}
    changes = {name: value for name, value in ARMS[arm].items() if name in names}
    return replace(RECIPE, seed=seed, **changes)


def backbone_weights() -> dict[str, Tensor]:
    """The small backbone, as part of a state dict; assets/experiments/small_backbone.py made it."""
    with np.load(find_root() / BACKBONE) as file:
        numbers = torch.from_numpy(file["numbers"].astype(np.float32))
    state = build_model(DESCRIPTION).state_dict()
    weights = {name: value for name, value in state.items() if name.startswith("backbone.")}
    floats = {name: value for name, value in weights.items() if value.is_floating_point()}
    parts = numbers.split([value.numel() for value in floats.values()])
    return weights | {
        name: part.view_as(floats[name]) for name, part in zip(floats, parts, strict=True)
    }


def network(seed: int, trained: bool = True) -> nn.Module:
    """The walk's network, its head random by the seed, and its backbone too unless `trained`."""
    torch.manual_seed(seed)
    model = build_model(DESCRIPTION)
    if trained:
        model.load_state_dict(model.state_dict() | backbone_weights())
    return model


def write_backbone(path: Path) -> None:
    """The backbone's weights as a file, as `dlseg train --weights` takes it."""
    torch.save(backbone_weights(), path)


def camvid() -> Path | None:
    """The folder of CamVid, where it and Google's released network are at hand."""
    folder = data_folder("camvid")
    weights = at_hand(RELEASED["deeplabv3-mobilenetv2-voc"].weights.file)
    return folder if weights is not None and folder.exists() else None


def runs(arm: str, measure: str = "mean_iou") -> list:
    """What the trainings of an arm of the walk gave, by seed."""
    text = (find_root() / RESULTS / "runs.json").read_text(encoding="utf-8")
    found = [run for run in json.loads(text)["runs"] if run["arm"] == arm]
    return [run[measure] for run in sorted(found, key=lambda run: run["seed"])]


def map_path(arm: str, index: int) -> Path:
    """Where the map of a test picture is kept, of the training with seed 0."""
    return find_root() / RESULTS / f"{arm.replace(', ', '-').replace(' ', '-')}-{index}.png"
