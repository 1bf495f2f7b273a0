"""U-Net: a way down and the same way up, each level joined with its counterpart.

Source: Ronneberger et al. 2015, "U-Net: convolutional networks for biomedical image segmentation",
section 2 and figure 1.
"""

import torch
from torch import Tensor, nn

from dlseg.arithmetic import round_channels
from dlseg.checks import check_backbone, check_classes, check_integer
from dlseg.doors import check_image

CHANNELS = (64, 128, 256, 512, 1024)
MARGIN = 92  # pixels that the valid convolutions take from each side
STEP = 16  # four pools


def conv_pair(in_channels: int, channels: int, padding: int, batch_norm: bool) -> nn.Sequential:
    """Two 3x3 convolutions with ReLU, (B, in_channels, H, W) to (B, channels, H - 4, W - 4).

    padding: 0, or 1 to keep the size. batch_norm: a BN before each ReLU.
    """
    layers = []
    for before in (in_channels, channels):
        layers.append(nn.Conv2d(before, channels, 3, padding=padding))
        layers += [nn.BatchNorm2d(channels)] if batch_norm else []
        layers.append(nn.ReLU())
    return nn.Sequential(*layers)


class ContractingPath(nn.Module):
    """The way down: an image to five maps, (B, 64, H, W) to (B, 1024, H/16, W/16) at width 1.

    Attributes: channels of the five maps, output_stride (16).
    """

    def __init__(self, in_channels: int, channels: list[int], padding: int, batch_norm: bool):
        super().__init__()
        self.channels, self.output_stride = channels, STEP
        self.pool = nn.MaxPool2d(2)
        steps = zip([in_channels, *channels], channels, strict=False)
        self.levels = nn.ModuleList(conv_pair(*step, padding, batch_norm) for step in steps)

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = [self.levels[0](x)]
        for level in self.levels[1:]:
            maps.append(level(self.pool(maps[-1])))
        return maps


class UNet(nn.Module):
    """U-Net: images (B, in_channels, H, W) to logits (B, num_classes, H, W).

    It takes no backbone: its way down is a part of it.
    valid: True is the paper's network, whose 3x3 convolutions have no padding: `scores` of an image
    of 572 x 572 pixels are the 388 x 388 in its middle, and `forward` mirrors the image at its
    borders, 92 pixels or a little more, to have scores for all of it. False pads each convolution
    by 1 pixel of zeros, as most do today.
    batch_norm: not in the paper; for training from random weights.
    width: factor on all channels, rounded to multiples of 8.

    Attributes: backbone (the way down), num_classes, output_stride (1).
    Raises: ValueError where an argument is out of range, or an image does not fit.
    Source: section 2; mirroring: figure 2; the initial weights: section 3.
    """

    def __init__(
        self,
        num_classes: int = 21,
        *,
        width: float = 1.0,
        in_channels: int = 3,
        valid: bool = True,
        batch_norm: bool = False,
    ):
        super().__init__()
        check_backbone(width, None, num_classes)
        self.num_classes = num_classes = check_classes("num_classes", num_classes, 1)
        self.in_channels = check_integer("in_channels", in_channels, 1)
        self.valid, self.output_stride = valid, 1
        channels, padding = [round_channels(c * width) for c in CHANNELS], 0 if valid else 1
        self.backbone = ContractingPath(in_channels, channels, padding, batch_norm)
        steps = list(zip(channels[:0:-1], channels[-2::-1], strict=True))  # (1024, 512), ...
        self.doublings = nn.ModuleList(nn.ConvTranspose2d(*step, 2, 2) for step in steps)
        self.levels = nn.ModuleList(conv_pair(2 * c, c, padding, batch_norm) for _, c in steps)
        self.classifier = nn.Conv2d(channels[0], num_classes, 1)
        self._initialise()

    def forward(self, x: Tensor) -> Tensor:
        self._check(x)
        margin, start = (MARGIN, 12) if self.valid else (0, 0)
        height, width = x.shape[2:]
        behind = [margin + (start - 2 * margin - side) % STEP for side in (height, width)]
        x = mirrored(x, margin, behind)  # (B, in_channels, 16 k + start, 16 l + start)
        return self.scores(x)[:, :, :height, :width]  # (B, num_classes, H, W)

    def scores(self, x: Tensor) -> Tensor:
        """The logits without the mirror: (B, num_classes, H - 184, W - 184), or H, W if padded.

        Raises: ValueError unless sides are 16 k + 12 pixels, at least 188, or if padded 16 k.
        """
        self._check(x)
        for side in x.shape[2:]:
            check_side(side, self.valid)
        *skips, y = self.backbone(x)  # (B, 1024, H/16, W/16)
        for double, level, skip in zip(self.doublings, self.levels, skips[::-1], strict=True):
            y = double(y)  # (B, 512, H/8, W/8): half the channels, twice the size
            y = level(torch.cat([crop_middle(skip, y), y], dim=1))  # copy, crop, join
        return self.classifier(y)

    def _check(self, x: Tensor) -> None:
        check_image(x, self, self.in_channels)

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)


def check_side(side: int, valid: bool) -> None:
    """ValueError unless every pool of a U-Net halves an even number, `side` pixels being given."""
    start, least = (12, 188) if valid else (0, 16)
    if side >= least and (side - start) % STEP == 0:
        return
    below = side - (side - start) % STEP
    fits = [str(size) for size in (below, below + STEP) if size >= least] or [str(least)]
    kind = "of valid convolutions needs sides of 16 k + 12" if valid else "needs sides of 16 k"
    raise ValueError(
        f"scores of a U-Net {kind} pixels, at least {least}, got {side}: give {' or '.join(fits)}, "
        "or call the model itself, which mirrors what is missing"
    )


def crop_middle(x: Tensor, like: Tensor) -> Tensor:
    """The middle of the map x (B, C, H, W), as large as the map `like` (B, D, h, w)."""
    (height, width), (h, w) = x.shape[2:], like.shape[2:]
    top, left = (height - h) // 2, (width - w) // 2
    return x[:, :, top : top + h, left : left + w]


def mirrored(x: Tensor, before: int, behind: list[int]) -> Tensor:
    """Images (B, C, H, W) continued by their mirror images, as often as it takes.

    before: pixels above and to the left; behind: pixels (below, to the right).
    """
    for axis, after in zip((2, 3), behind, strict=True):
        side = x.shape[axis]
        period = max(1, 2 * (side - 1))  # there and back, the ends not repeated
        places = torch.arange(-before, side + after, device=x.device).abs() % period
        x = x.index_select(axis, torch.minimum(places, period - places))
    return x
