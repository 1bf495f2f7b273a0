"""The book's own small DeepLab v3+, trained for hours on drawn pictures: its weights are kept."""

import copy
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from dlseg.book import find_root
from dlseg.data import Scenes, Trains
from dlseg.models import DeepLabV3Plus
from dlseg.training import Recipe

FOLDER = "assets/results/small_networks"


@dataclass(frozen=True)
class Small:
    """data: its pictures; scenes: how many to learn from; changes: of the recipe."""

    data: Callable
    scenes: int
    changes: dict = field(default_factory=dict)

    def build(self, output_stride: int = 8) -> DeepLabV3Plus:
        """The network, with random weights: 236,946 parameters for ten classes."""
        return DeepLabV3Plus(
            "resnet18",
            self.data.num_classes,
            output_stride=output_stride,
            width=0.125,
            channels=24,
            atrous_rates=(1, 2, 3),  # at output stride 16: 2, 4, 6
            align_corners=self.data is Trains,  # 129 pixels are 8 * 16 + 1
        )


NETWORKS = {
    "scenes": Small(Scenes, 12000, {"iterations": 24000}),
    "trains": Small(Trains, 6000, {"iterations": 6000, "flip": False, "crop_size": 129}),
}


def recipe(name: str) -> Recipe:
    """How it is trained."""
    ours = {"optimiser": "adamw", "learning_rate": 0.004, "batch_size": 16, "weight_decay": 1e-3}
    return Recipe(**ours | {"class_weights": "sqrt"} | NETWORKS[name].changes)


def floats(state: dict) -> dict:
    """The entries of a state dict that are kept: all but counters."""
    return {name: value for name, value in state.items() if value.is_floating_point()}


def numbers(model: nn.Module) -> np.ndarray:
    """All weights in one row, float16."""
    return torch.cat([one.flatten() for one in floats(model.state_dict()).values()]).half().numpy()


def kept_numbers(name: str) -> np.ndarray:
    """The kept weights, float16."""
    with np.load(find_root() / FOLDER / f"{name}.npz") as file:
        return file["numbers"]


def told(name: str) -> tuple[list[tuple[str, list[int]]], np.ndarray]:
    """Names and shapes of the kept weights, and the weights, for a page that computes."""
    state = floats(NETWORKS[name].build().state_dict())
    return [(key, list(value.shape)) for key, value in state.items()], kept_numbers(name)


def load(name: str) -> DeepLabV3Plus:
    """The trained network, "scenes" or "trains", ready to predict."""
    model = NETWORKS[name].build()
    kept = torch.from_numpy(kept_numbers(name).astype(np.float32))
    state = floats(model.state_dict())
    parts = kept.split([value.numel() for value in state.values()])
    state = {key: part.view_as(state[key]) for key, part in zip(state, parts, strict=True)}
    model.load_state_dict(model.state_dict() | state)
    return model.eval()


def about(name: str) -> dict:
    """How it was trained, and its scores on scenes that it has not seen."""
    return json.loads((find_root() / FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def with_rates(network: DeepLabV3Plus, atrous_rates: Sequence[int]) -> DeepLabV3Plus:
    """A copy whose ASPP has other rates, in units of its map; the weights stay."""
    network = copy.deepcopy(network)
    for rate, branch in zip(atrous_rates, network.aspp.convs[1:], strict=False):
        branch[0].dilation = branch[0].padding = (rate, rate)
    return network
