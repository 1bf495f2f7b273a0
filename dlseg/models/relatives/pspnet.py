"""PSPNet: means of the map over a pyramid of grids, beside the map itself.

Source: Zhao et al. 2017, "Pyramid scene parsing network", sections 3 and 4.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlseg.backbones import make_backbone
from dlseg.checks import check_classes, check_integer, described
from dlseg.doors import check_labels, check_maps
from dlseg.layers import upsample
from dlseg.models.deeplabv3 import ImagePooling, conv_bn_relu, initialise_head
from dlseg.models.tap import auxiliary_head, small_head

BINS = (1, 2, 3, 6)
AUX_WEIGHT = 0.4


class PyramidPooling(nn.Module):
    """Maps (B, C, H, W) to (B, 2 C, H, W): the map, and its means over grids of bins.

    For each n of bins: means over n x n bins, a 1x1 convolution to C / len(bins) channels, BN,
    ReLU, bilinear upsampling. The level of one bin is DeepLab v3's `ImagePooling`.
    Raises: ValueError where there is no bin, or a number is no integer >= 1, or where in_channels
    is not a multiple of the number of bins.
    Source: PSPNet, section 3.2 and figure 3.
    """

    def __init__(self, in_channels: int, bins: Sequence[int] = BINS):
        super().__init__()
        if len(bins) == 0 or check_integer("in_channels", in_channels, 1) % len(bins):
            raise ValueError(
                f"in_channels must be a multiple of the number of bins, got {in_channels} "
                f"and {tuple(bins)}"
            )
        channels = in_channels // len(bins)
        self.levels = nn.ModuleList(pooling_level(in_channels, channels, n) for n in bins)
        self.channels = 2 * in_channels

    def forward(self, x: Tensor) -> Tensor:
        levels = [upsample(level(x), x.shape[2:]) for level in self.levels]  # (B, C/4, H, W) each
        return torch.cat([x, *levels], dim=1)  # (B, 2C, H, W)


class PSPNet(nn.Module):
    """PSPNet: images (B, 3, H, W) to logits (B, num_classes, H, W).

    backbone, output_stride, width, weights: as in `FCN`; the paper's are "resnet101" and 8.
    bins: of the `PyramidPooling`. aux: an auxiliary head on block3 of a ResNet, for `with_aux`.
    Behind the pyramid: a 3x3 convolution to a quarter of the backbone's channels, BN, ReLU, dropout
    of 0.1 and a 1x1 to the classes, as in the released networks.
    Attributes: backbone, num_classes, output_stride.
    Raises: ValueError where an argument is out of range; in training, for a batch of one image.
    Source: PSPNet, sections 3.3 and 4.
    """

    def __init__(
        self,
        backbone: str | nn.Module,
        num_classes: int = 21,
        *,
        output_stride: int | None = None,
        width: float = 1.0,
        weights: str | None = None,
        bins: Sequence[int] = BINS,
        aux: bool = False,
    ):
        super().__init__()
        self.num_classes = num_classes = check_classes("num_classes", num_classes, 1)
        self.backbone = make_backbone(backbone, output_stride, width, weights)
        self.output_stride, channels = self.backbone.output_stride, self.backbone.channels
        self.pyramid = PyramidPooling(channels, bins)
        self.classifier = small_head(self.pyramid.channels, channels // 4, num_classes)
        self.aux_classifier = auxiliary_head(self.backbone, num_classes) if aux else None
        initialise_head(self.pyramid)

    def forward(self, x: Tensor) -> Tensor:
        scores = self.scores(x)  # (B, num_classes, H/os, W/os), then (B, num_classes, H, W)
        return F.interpolate(scores, x.shape[2:], mode="bilinear")

    def scores(self, x: Tensor) -> Tensor:
        """The logits before the upsampling, (B, num_classes, H/os, W/os)."""
        return self.classifier(self.pyramid(self.backbone(x).last))


def auxiliary_loss(
    logits: Tensor, aux: Tensor, labels: Tensor, weight: float = AUX_WEIGHT
) -> Tensor:
    """Cross entropy of the logits, and `weight` times that of the auxiliary ones; 255 is ignored.

    logits, aux: (B, num_classes, H, W), from `with_aux`. labels: int64 (B, H, W).
    Raises: ValueError for labels that are no class or all void, and for other shapes.
    Source: PSPNet, section 4; torchvision takes 0.5 for its DeepLab v3.
    """
    check_targets(logits, aux, labels)
    main, other = (F.cross_entropy(maps, labels, ignore_index=255) for maps in (logits, aux))
    return main + weight * other


def check_targets(logits: Tensor, aux: Tensor, labels: Tensor) -> None:
    """ValueError unless both are maps of scores, and labels int64 classes of them, not all void."""
    check_maps("logits", logits)
    check_maps("aux", aux)
    check_labels("labels", labels, logits.shape[1], 255)
    shape = (len(logits), *logits.shape[2:])
    if logits.shape != aux.shape or labels.shape != shape or labels.dtype != torch.int64:
        raise ValueError(
            f"expected labels int64 {shape} and aux as logits, got {described(labels)} and "
            f"{tuple(aux.shape)}"
        )
    if (labels == 255).all():
        raise ValueError("all labels are void, 255: there is no mean of none; leave the batch out")


def pooling_level(in_channels: int, channels: int, bins: int) -> nn.Sequential:
    """One level of the pyramid, (B, channels, bins, bins); of one bin already upsampled."""
    if check_integer("bins", bins, 1) == 1:
        return ImagePooling(in_channels, channels)
    return nn.Sequential(nn.AdaptiveAvgPool2d(bins), *conv_bn_relu(in_channels, channels))
