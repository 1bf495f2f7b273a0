"""What is measured on a trained network, and the ways to look at one: as trained, with CRF, ..."""

import itertools
import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from dlseg.crf import DenseCRF, Kernel
from dlseg.data import MEAN, STD, Scenes, found_by_radius, letter_accuracy
from dlseg.inspect import cost
from dlseg.layers import upsample
from dlseg.metrics import ConfusionMatrix, TrimapCurve
from support.first_networks import predict_all
from support.networks import read_as, v3_at_8, v3_at_8_same_rates

VERSION = 1  # of what `measure` gives: another number measures everything again
WIDTHS = (1, 2, 4, 8, 16)  # pixels on each side of a boundary
DISTANCES = (0, 8, 14, 20, 30, 40, 50, 65, 120)  # pixels; beyond 30 there are lamps only
RADII = (3, 6, 12, 31)  # pixels
GROUPS = {"thin_iou": ("ring", "wire"), "texture_iou": ("stripes", "dots")}
GROUPS |= {"plate_iou": ("plate A", "plate B"), "lamp_iou": ("lamp A", "lamp B")}


class WithCRF(nn.Module):
    """A network and a dense CRF behind it: normalised images (B, 3, H, W) to log Q (B, C, H, W)."""

    def __init__(self, network: nn.Module, kernels: Sequence[Kernel]):
        super().__init__()
        self.network, self.crf = network, DenseCRF(kernels)
        for name, values in (("mean", MEAN), ("std", STD)):
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        colours = (255 * (x * self.std + self.mean)).round().clamp(0, 255)
        return self.crf(self.network(x), colours).clamp(min=1e-12).log()


class WithoutPlaces(nn.Module):
    """A trained DeepLab v3+ in which one map of its backbone knows no places any more.

    blank: "low_level" or "last"; every channel of that map becomes its mean over the picture.
    """

    def __init__(self, network: nn.Module, blank: str):
        super().__init__()
        self.network, self.blank = network, blank

    def forward(self, x: Tensor) -> Tensor:
        maps = self.network.backbone(x)
        mean = getattr(maps, self.blank).mean((2, 3), keepdim=True)
        low_level, last = maps._replace(**{self.blank: mean.expand_as(getattr(maps, self.blank))})
        y = self.network.decoder(self.network.aspp(last), low_level)  # (B, C, H/4, W/4)
        return upsample(self.network.classifier(y), x.shape[2:])


class Moved(nn.Module):
    """A network whose logits are moved down and right by so many pixels; up and left below zero.

    A stretch with corners not aligned puts a unit (s - 1) / 2 pixels right of the middle of its
    field, at output stride s. Trained at 16, a network expects 7.5 pixels and finds 3.5 at 8.
    """

    def __init__(self, network: nn.Module, pixels: int):
        super().__init__()
        self.network, self.pixels = network, pixels

    def forward(self, x: Tensor) -> Tensor:
        before, behind = max(0, self.pixels), max(0, -self.pixels)
        y = functional.pad(self.network(x), (before, behind) * 2, mode="replicate")
        return y[:, :, behind:, behind:][:, :, : x.shape[2], : x.shape[3]]


def v3_at_8_moved(network: nn.Module) -> nn.Module:
    """`v3_at_8`, its logits back where they were at output stride 16."""
    return Moved(v3_at_8(network), 4)


VIEWS: dict[str, Callable] = {
    "as trained": lambda network: network,
    "output stride 8, rates doubled": v3_at_8,
    "output stride 8, rates kept": v3_at_8_same_rates,
    "output stride 8, moved by 4 pixels": v3_at_8_moved,
    "shallow map blank": partial(WithoutPlaces, blank="low_level"),
    "deep map blank": partial(WithoutPlaces, blank="last"),
    "read with corners aligned": partial(read_as, switch="corners aligned"),
    "read with rates twice as large": partial(read_as, switch="rates twice as large"),
    "read with whole stage dilated": partial(read_as, switch="whole stage dilated"),
}


def measure(network: nn.Module, data: Scenes, cost_of: nn.Module | None = None) -> dict:
    """All that the experiments say about a trained network, rounded to five digits.

    cost_of: whose parameters and multiply-adds count, if not the network's.
    Shares are in [0, 1]; seconds are those of the processor for one image, batch 1.
    """
    began = time.process_time()
    predictions, scenes = predict_all(network, data), [data.scene(i) for i in range(len(data))]
    seconds = (time.process_time() - began) / len(data)
    labels = data.pool()[1]
    matrix = ConfusionMatrix(data.num_classes)
    matrix.update(labels, predictions)
    trimap = TrimapCurve(WIDTHS, data.num_classes, source="labels")
    trimap.update(labels, predictions)
    iou = dict(zip(data.classes, matrix.iou().tolist(), strict=True))
    letters = letter_accuracy(scenes, predictions, DISTANCES)
    found = found_by_radius(scenes, predictions, RADII)
    paid = cost(network if cost_of is None else cost_of, data.size)
    measured = {
        "mean_iou": matrix.mean_iou(),
        "pixel_accuracy": matrix.pixel_accuracy(),
        **{name: float(np.mean([iou[one] for one in group])) for name, group in GROUPS.items()},
        "iou": iou,
        "trimap_iou": trimap.mean_iou(),
        "trimap_accuracy": trimap.pixel_accuracy(),
        "letter_accuracy": dict(zip(bins(DISTANCES), letters.tolist(), strict=True)),
        "found_by_radius": dict(zip(bins(RADII), found.tolist(), strict=True)),
    }
    return rounded(measured) | {
        "parameters": paid.parameters,
        "multiply_adds": paid.multiply_adds,
        "seconds_per_image": rounded(seconds),
    }


def bins(edges: Sequence[int]) -> list[str]:
    """Names of the intervals between edges, "0-8", "8-14" and so on."""
    return [f"{low}-{high}" for low, high in itertools.pairwise(edges)]


def rounded(value):
    """Numbers of a nested dict to five digits, its keys as strings; NaN, which JSON lacks, None."""
    if isinstance(value, dict):
        return {str(key): rounded(one) for key, one in value.items()}
    return round(value, 5) if np.isfinite(value) else None
