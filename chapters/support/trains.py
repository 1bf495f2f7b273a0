"""The small networks that are trained on the scenes of trains: one trunk, many heads.

The trunk sees 31 pixels, so that what is farther away is the head's business alone. A scene is 129
pixels wide, that is 8 * 16 + 1, and the scores lie on every eighth pixel: corners are aligned.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from dlseg.arithmetic import Layer
from dlseg.data import Trains
from dlseg.layers import upsample
from dlseg.training import Recipe

TRUNK = [Layer(3, stride=2)] * 3 + [Layer(3)]  # `trunk` in the terms of the arithmetic
CLASSES = len(Trains.classes)
FEATURES, CHANNELS, HIDDEN = 64, 32, 64  # channels: of the trunk, of a branch, of the classifier


def conv(inputs: int, outputs: int, kernel_size: int = 3, stride: int = 1, rate: int = 1):
    """Convolution that keeps the size (over its stride), batch norm, ReLU."""
    padding = rate * (kernel_size - 1) // 2
    layer = nn.Conv2d(inputs, outputs, kernel_size, stride, padding, rate, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def trunk() -> nn.Sequential:
    """Four 3x3 convolutions, three of them with stride 2: (B, 3, H, W) to (B, 64, H/8, W/8)."""
    return nn.Sequential(
        conv(3, 16, stride=2), conv(16, 32, stride=2), conv(32, FEATURES, stride=2), conv(64, 64)
    )


def branches(*atrous_rates: int) -> list[nn.Module]:
    """One convolution at each rate, 3x3, or 1x1 where the rate is 0."""
    return [conv(FEATURES, CHANNELS, 3 if r else 1, rate=r or 1) for r in atrous_rates]


def cascade(*atrous_rates: int) -> list[nn.Module]:
    """3x3 convolutions at these rates, one behind the other: a single branch."""
    inputs = [FEATURES] + [CHANNELS] * (len(atrous_rates) - 1)
    pairs = zip(inputs, atrous_rates, strict=True)
    return [nn.Sequential(*(conv(width, CHANNELS, rate=rate) for width, rate in pairs))]


class TrainNetwork(nn.Module):
    """Trunk, parallel branches whose maps are stacked, and a classifier of 1x1 convolutions.

    branches: modules from (B, 64, h, w) to (B, 32, h, w). image_pooling: one more branch, the mean
    over the whole map.
    """

    num_classes = CLASSES

    def __init__(self, branches: Sequence[nn.Module], image_pooling: bool = False):
        super().__init__()
        self.backbone = trunk()
        self.branches = nn.ModuleList(branches)
        self.pooled = conv(FEATURES, CHANNELS, 1) if image_pooling else None
        stacked = CHANNELS * (len(branches) + image_pooling)
        self.classifier = nn.Sequential(conv(stacked, HIDDEN, 1), nn.Conv2d(HIDDEN, CLASSES, 1))

    def scores(self, x: Tensor) -> Tensor:
        """The classes' scores on every eighth pixel: (B, 3, H, W) to (B, C, H/8, W/8)."""
        features = self.backbone(x)  # (B, 64, H/8, W/8)
        maps = [branch(features) for branch in self.branches]  # each (B, 32, H/8, W/8)
        if self.pooled is not None:
            mean = self.pooled(features.mean((2, 3), keepdim=True))  # (B, 32, 1, 1)
            maps.append(mean.expand_as(maps[0]))
        return self.classifier(torch.cat(maps, 1))

    def forward(self, x: Tensor) -> Tensor:
        return upsample(self.scores(x), x.shape[2:], align_corners=True)  # (B, C, H, W)


class SummedNetwork(TrainNetwork):
    """The same branches, each with a classifier of its own, their scores summed: v2's ASPP.

    branches: as for `TrainNetwork`.
    """

    def __init__(self, branches: Sequence[nn.Module]):
        nn.Module.__init__(self)
        self.backbone = trunk()
        self.heads = nn.ModuleList(
            nn.Sequential(branch, conv(CHANNELS, HIDDEN, 1), nn.Conv2d(HIDDEN, CLASSES, 1))
            for branch in branches
        )

    def scores(self, x: Tensor) -> Tensor:
        """The classes' scores on every eighth pixel: (B, 3, H, W) to (B, C, H/8, W/8)."""
        features = self.backbone(x)  # (B, 64, H/8, W/8)
        return sum(head(features) for head in self.heads)


def _parallel(*atrous_rates: int, image_pooling: bool = False) -> Callable[[], TrainNetwork]:
    return lambda: TrainNetwork(branches(*atrous_rates), image_pooling)


ARMS: dict[str, Callable[[], TrainNetwork]] = {
    "1x1": _parallel(0),
    **{f"rate {rate}": _parallel(rate) for rate in (1, 3, 6, 9, 12)},
    "rates 6, 6, 6, 6": _parallel(6, 6, 6, 6),
    "rates 3, 6, 9, 12": _parallel(3, 6, 9, 12),
    "rate 1, image pooling": _parallel(1, image_pooling=True),
    "rates 3, 6, 9, 12, image pooling": _parallel(3, 6, 9, 12, image_pooling=True),
    "rates 3, 6, 9, 12, summed": lambda: SummedNetwork(branches(3, 6, 9, 12)),
    "dense 7x7": lambda: TrainNetwork([conv(FEATURES, CHANNELS, 7)]),
    "cascade 1, 1, 1": lambda: TrainNetwork(cascade(1, 1, 1)),
    "cascade 1, 2, 4": lambda: TrainNetwork(cascade(1, 2, 4)),
    "cascade 2, 4, 8": lambda: TrainNetwork(cascade(2, 4, 8)),
}


def recipe(seed: int, **changes) -> Recipe:
    """How all of them learn; the seed is that of the order of the scenes. changes: see `Recipe`."""
    ours = {
        "iterations": 400,
        "batch_size": 16,
        "optimiser": "adamw",
        "learning_rate": 0.003,
        "crop_size": 129,
        "flip": False,
        "seed": seed,
    }
    return Recipe(**ours | changes)


# On a page there are twenty seconds: fewer scenes and steps, larger ones.
LIVE = {"iterations": 300, "batch_size": 8, "learning_rate": 0.006}
