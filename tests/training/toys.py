"""Small networks and data for the tests of training: 32 pixels, three classes, milliseconds."""

from dataclasses import asdict

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlseg.training import Recipe

CLASSES = 3


class Blocks:
    """Pictures of 32 x 32 pixels whose class is their colour; a void stripe of its own width."""

    classes = ("red", "green", "blue")
    num_classes = CLASSES
    ignore_index = 255
    palette = np.zeros((256, 3), np.uint8)

    def __init__(self, count: int = 10):
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(range(self.count)[i])
        label = rng.integers(0, CLASSES, (4, 4), np.uint8).repeat(8, 0).repeat(8, 1)
        image = rng.integers(0, 100, (32, 32, 3), np.uint8)
        image[..., 0][label == 0] += 100
        image[..., 1][label == 1] += 100
        image[..., 2][label == 2] += 100
        label[:, : 2 * (i % 5)] = 255
        return image, label


class Backbone(nn.Module):
    """Two convolutions to stride 4, with batch norm, group norm or neither."""

    def __init__(self, norm: str):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 2, 1)
        norms = {"batch": nn.BatchNorm2d, "group": lambda n: nn.GroupNorm(2, n)}
        self.norm = norms[norm](8)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv2(F.relu(self.conv1(x)))))


class Net(nn.Module):
    """A segmentation model of stride 4 with dropout; `maps` coarse maps when it is asked."""

    output_stride, num_classes = 4, CLASSES

    def __init__(self, norm: str = "batch", dropout: float = 0.0, maps: int = 1, seed: int = 0):
        super().__init__()
        torch.manual_seed(seed)
        self.backbone, self.maps = Backbone(norm), maps
        self.dropout, self.classifier = nn.Dropout(dropout), nn.Conv2d(8, CLASSES, 1)

    def scores(self, x: Tensor):
        full = self.classifier(self.dropout(self.backbone(x)))
        halves = [F.avg_pool2d(full, 2**n) for n in range(self.maps)]
        return full if self.maps == 1 else tuple(halves)

    def forward(self, x: Tensor) -> Tensor:
        scores = self.classifier(self.dropout(self.backbone(x)))
        return F.interpolate(scores, x.shape[2:], mode="bilinear")


def blank(**changes) -> dict:
    """The entries of a checkpoint of nothing trained, with others where `changes` names them."""
    entries = {"model": None, "weights": {}, "recipe": asdict(Recipe()), "iteration": 0}
    entries |= {"optimiser": {"state": {}, "param_groups": []}, "scaler": {}}
    return entries | {"losses": [], "metrics": {}, "extra": {}} | changes


def tiny(**changes) -> Recipe:
    """Ten iterations of 4 crops of 24 pixels."""
    values = {"iterations": 10, "batch_size": 4, "crop_size": 24, "learning_rate": 0.05}
    return Recipe(**(values | {"scale": (0.5, 2.0)} | changes))


def weights(model: nn.Module) -> Tensor:
    """All parameters and buffers in one vector, as float64."""
    return torch.cat([value.double().flatten() for value in model.state_dict().values()])
