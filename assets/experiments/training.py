"""Networks trained once and kept in build/experiments: several experiments may look at one."""

import hashlib
import time
from dataclasses import fields, replace
from pathlib import Path

import torch
from torch import nn

from dlseg.book import find_root
from dlseg.data import Scenes
from dlseg.training import Recipe, load_checkpoint, train
from support.networks import NETWORKS, Network

KEPT = find_root(Path(__file__).parent) / "build/experiments"
TRAIN, VALIDATION, TEST = (3000, "train"), (300, "val"), (300, "test")


def scenes(part: tuple[int, str]) -> Scenes:
    """The scenes of TRAIN, VALIDATION or TEST, drawn once and kept in memory."""
    data = Scenes(*part)
    data.pool()
    return data


def build(network: Network, seed: int, data: Scenes, device: torch.device | str) -> nn.Module:
    """The network with the first weights of that seed, its backbone trained before or not."""
    torch.manual_seed(seed)
    # A layout of memory, which makes most of these networks faster and changes nothing else.
    model = network.build().to(memory_format=torch.channels_last)
    if network.start:
        before, _ = trained(network.start, seed, data, device)
        wanted = model.backbone.state_dict()  # a shortened backbone has a part of the layers
        there = before.backbone.state_dict()
        model.backbone.load_state_dict({name: there[name] for name in wanted})
    return model


def fingerprint(network: Network, recipe: Recipe, data: Scenes, *more: object) -> str:
    """Twelve characters that change with the layers, the recipes, the data, and whatever more.

    Of a recipe those entries count that are not as they are by default: what a recipe learns to
    say later leaves a result as it is.
    """
    with torch.device("meta"):
        layers = repr(network.build())
    values = [(one.name, getattr(recipe, one.name), one.default) for one in fields(recipe)]
    said = {name: value for name, value, default in values if value != default}
    if network.start:
        start = NETWORKS[network.start]
        more += (fingerprint(start, start.recipe(recipe.seed), data),)
    words = repr((layers, said, data.header(), more))
    return hashlib.sha256(words.encode()).hexdigest()[:12]


def trained(
    name: str, seed: int, data: Scenes, device: torch.device | str = "cpu", **changes
) -> tuple[nn.Module, float]:
    """The network of `support.networks.NETWORKS` trained with that seed, and its seconds.

    changes: of its recipe. The seconds are those of the processor, which other work on the machine
    disturbs less than a clock, without those of the backbone's training before. A training that
    was cut off goes on from its last checkpoint.
    """
    network = NETWORKS[name]
    recipe = replace(network.recipe(seed), **changes)
    folder = KEPT / f"{name}-{seed}-{fingerprint(network, recipe, data)}"
    return train_kept(build(network, seed, data, device), recipe, data, device, folder)


def train_kept(
    model: nn.Module, recipe: Recipe, data: Scenes, device: torch.device | str, folder: Path
) -> tuple[nn.Module, float]:
    """Train `model`, or what is left of it to train; see `trained`."""
    checkpoint = folder / "last.pt"
    before = load_checkpoint(checkpoint)["extra"]["seconds"] if checkpoint.exists() else 0.0
    kept, began = {"seconds": before}, time.process_time()

    def watch(iteration: int, loss: float, rate: float) -> None:
        kept["seconds"] = before + time.process_time() - began

    train(
        model,
        data,
        recipe,
        device,
        folder=folder,
        resume=checkpoint.exists(),
        extra=kept,
        checkpoint_every=200,
        watch=watch,
    )
    return model, kept["seconds"]
