"""What the command line trains: a network, a data set by its name, and a recipe."""

from dataclasses import dataclass, fields, replace
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import Dataset

from dlseg.checks import CommandError
from dlseg.data import VOC, Cityscapes, Scenes
from dlseg.models import build_model, describe
from dlseg.training import Recipe, load_checkpoint, load_weights
from dlseg.training.checkpoint import LAST

TRAIN_SCENES, VALIDATION_SCENES = 2000, 200


@dataclass(frozen=True)
class Job:
    """Everything that decides a training, as plain values.

    data: "scenes", "voc:DIR" or "cityscapes:DIR". split: which pictures. network, output_stride,
    width: see `dlseg.models.describe`. weights: to start from, None, "imagenet" (the backbone's)
    or the file of a checkpoint.
    """

    data: str
    split: str
    network: str
    output_stride: int
    width: float
    recipe: Recipe
    weights: str | None = None

    def changed(self, options: dict) -> "Job":
        """This job with options of the command line, fields of it or of its recipe, None left out.

        Raises ValueError where the recipe's values make no sense.
        """
        options = {name: value for name, value in options.items() if value is not None}
        own = {field.name for field in fields(self)} & set(options)
        others = {name: value for name, value in options.items() if name not in own}
        mine = {name: options[name] for name in own}
        return replace(self, recipe=replace(self.recipe, **others), **mine)

    def describe(self, num_classes: int) -> dict:
        """The network's description, as `build_model` takes it."""
        return describe(self.network, num_classes, self.output_stride, self.width)

    def build(self, num_classes: int) -> nn.Module:
        """The network with the weights to start from; those made by lot follow from the seed."""
        torch.manual_seed(self.recipe.seed)
        published = self.weights if self.weights == "imagenet" else None
        model = build_model(self.describe(num_classes), published)
        if self.weights not in (None, "imagenet"):
            load_weights(model, self.weights)
        return model


# VOC and Cityscapes: the first stage of DeepLab v3 (section 4.1; table 12).
_V3 = Recipe(
    iterations=30_000,
    batch_size=16,
    learning_rate=0.007,
    batch_norm_decay=0.9997,
    crop_size=513,
    scale=(0.5, 2.0),
)
DEFAULTS = {
    "scenes": Job("scenes", "train", "fcn-resnet18", 8, 0.25, Recipe()),
    "voc": Job("voc", "train", "fcn-resnet50", 16, 1.0, _V3),
    "cityscapes": Job(
        "cityscapes", "train", "fcn-resnet50", 16, 1.0,
        replace(_V3, iterations=90_000, crop_size=769),
    ),
}  # fmt: skip


def default_job(data: str) -> Job:
    """The job for "scenes", "voc:DIR" or "cityscapes:DIR". CommandError for another name."""
    kind, _, folder = data.partition(":")
    if kind not in DEFAULTS or (kind == "scenes") == bool(folder):
        raise CommandError(f"--data must be scenes, voc:DIR or cityscapes:DIR, got {data!r}")
    return replace(DEFAULTS[kind], data=data)


def saved_job(folder: Path) -> Job:
    """The job that the checkpoint in `folder` belongs to.

    Raises CheckpointError if there is none, CommandError if `dlseg train` did not write it.
    """
    entries = load_checkpoint(folder / LAST)
    data, model = saved_data(entries, folder / LAST), dict(entries["model"])
    del model["num_classes"]
    return Job(data, entries["extra"]["split"], recipe=Recipe(**entries["recipe"]), **model)


def saved_data(entries: dict, path: Path) -> str:
    """Name of the data that the checkpoint `path`, with these entries, was trained on."""
    if "data" not in entries["extra"]:
        raise CommandError(f"{path} was not written by dlseg train: it does not name its data")
    return entries["extra"]["data"]


def open_data(data: str, split: str) -> Dataset:
    """The data set "scenes", "voc:DIR" or "cityscapes:DIR"; the teaching data drawn in memory.

    Raises CommandError for another name, ValueError for a folder that does not hold the data.
    """
    default_job(data)
    kind, _, folder = data.partition(":")
    if kind == "voc":
        return VOC(folder, split)
    if kind == "cityscapes":
        return Cityscapes(folder, split)
    scenes = Scenes(TRAIN_SCENES if split == "train" else VALIDATION_SCENES, split)
    scenes.pool()
    return scenes
