"""What the command line trains: a network, a data set by its name, and a recipe."""

from dataclasses import dataclass, fields, replace
from pathlib import Path

import torch
from torch import nn

from dlseg.checks import CommandError
from dlseg.commands.shared import one_line
from dlseg.commands.start import IMAGENET, start_from
from dlseg.data import kind_and_folder
from dlseg.models import build_model, describe, name_of
from dlseg.schema import Unfit, integer, maybe, record, switch
from dlseg.training import LAST, Recipe, load_checkpoint


@dataclass(frozen=True)
class Job:
    """Everything that decides a training, as plain values.

    data: its name, see `dlseg.data.registry`. split: which pictures. network, output_stride, width,
    channels, atrous_rates: see `describe`. weights: to start from, None, "imagenet" (the
    backbone's), or as `start_from` has it.
    """

    data: str
    split: str
    network: str
    output_stride: int
    width: float
    recipe: Recipe
    weights: str | None = None
    channels: int | None = None
    atrous_rates: tuple[int, ...] | None = None

    def changed(self, options: dict) -> "Job":
        """This job with options of the command line, fields of it or of its recipe, None left out.

        Raises ValueError where the recipe's values make no sense.
        """
        options = {name: value for name, value in options.items() if value is not None}
        own = {field.name for field in fields(self)} & set(options)
        mine = {name: options.pop(name) for name in own}
        return replace(self, recipe=replace(self.recipe, **options), **mine)

    def describe(self, num_classes: int) -> dict:
        """The network's description, as `build_model` takes it."""
        network = (self.network, num_classes, self.output_stride, self.width)
        return describe(*network, self.channels, self.atrous_rates)

    def build(self, num_classes: int) -> tuple[nn.Module, str]:
        """The network with the weights to start from, and what it says of them, "" for none.

        Weights made by lot follow from the seed.
        """
        torch.manual_seed(self.recipe.seed)
        published = self.weights if self.weights == IMAGENET else None
        model = build_model(self.describe(num_classes), published)
        if published:
            return model, "the backbone starts from ImageNet's weights; begun anew: the head"
        return model, start_from(model, self.weights) if self.weights else ""

    def extra(self, dataset) -> dict:
        """What the checkpoint keeps for `saved_job` and `predict`."""
        return {
            "data": self.data,
            "split": self.split,
            "classes": list(dataset.classes),
            "palette": dataset.palette.tolist(),
        }


# VOC and Cityscapes: the first stage of DeepLab v3 (section 4.1; table 12).
_V3 = Recipe(
    iterations=30_000,
    batch_size=16,
    learning_rate=0.007,
    batch_norm_decay=0.9997,
    crop_size=513,
    scale=(0.5, 2.0),
)
_STREETS = replace(_V3, iterations=90_000, crop_size=769)
# One's own pictures: few, of any size; AdamW takes them far in few steps.
_PICTURES = Recipe(
    iterations=1000,
    learning_rate=1e-3,
    optimiser="adamw",
    weight_decay=1e-2,
    crop_size=257,
    scale=(0.5, 2.0),
)
PICTURES = Job("", "train", "deeplabv3plus-mobilenetv2", 16, 1.0, _PICTURES)
# By the kind of data; one that is not here is trained as PICTURES are.
DEFAULTS = {
    "scenes": Job("scenes", "train", "fcn-resnet18", 8, 0.25, Recipe()),
    "trains": Job("trains", "train", "fcn-resnet18", 8, 0.25, Recipe(crop_size=129)),
    "voc": Job("voc", "train", "fcn-resnet50", 16, 1.0, _V3),
    "cityscapes": Job("cityscapes", "train", "fcn-resnet50", 16, 1.0, _STREETS),
}


# Of the options that decide nothing about the weights, those with which a resumed run goes on.
KEPT = {"checkpoint_every": integer(1), "validate_every": maybe(integer(1)), "tensorboard": switch}


def default_job(data: str) -> Job:
    """The job for data of that name. ValueError where there is no such kind."""
    kind, _ = kind_and_folder(data)
    return replace(DEFAULTS.get(kind, PICTURES), data=data)


def saved_job(folder: Path) -> tuple[Job, dict]:
    """The job that the checkpoint in `folder` belongs to, and what it says of KEPT.

    Raises CheckpointError if there is none, CommandError if `dlseg train` did not write it.
    """
    path = folder / LAST
    entries = load_checkpoint(path)
    data, split = saved_data(entries, path), entries["extra"].get("split")
    if split is None or entries["model"] is None:
        raise CommandError(f"{path} was not written by dlseg train: it lacks extra.split or model")
    if "call" in entries["model"]:
        raise CommandError(
            f"{path} was trained in Python, on {name_of(entries['model'])}; go on with it there: "
            "train(..., resume=True)"
        )
    model = {name: value for name, value in entries["model"].items() if name != "num_classes"}
    with one_line(Unfit, start=f"{path}: "):
        run = record({}, KEPT)("extra.run", entries["extra"].get("run", {}))
    return Job(data, split, recipe=Recipe(**entries["recipe"]), **model), run


def saved_data(entries: dict, path: Path) -> str:
    """Name of the data that the checkpoint `path`, with these entries, was trained on."""
    if "data" not in entries["extra"]:
        raise CommandError(f"{path} was not written by dlseg train: it does not name its data")
    return entries["extra"]["data"]
