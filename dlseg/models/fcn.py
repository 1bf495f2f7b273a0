"""The plain head: the last map of a backbone, one 1x1 classifier, bilinear upsampling.

The baseline that every DeepLab is compared with. Source: Long et al. 2015 (FCN), section 4.1,
FCN-32s without learned upsampling; at output stride 8 or 16, "block4" of DeepLab v3, table 2.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from dlseg.backbones import make_backbone
from dlseg.checks import check_classes


class FCN(nn.Module):
    """A backbone and a 1x1 classifier: images (B, 3, H, W) to logits (B, num_classes, H, W).

    backbone: a name or a module; its output stride (os) is the model's. output_stride, width,
    weights: of a backbone given by name.
    Attributes: backbone, num_classes, output_stride.
    Raises ValueError where an argument is out of range.
    """

    def __init__(
        self,
        backbone: str | nn.Module,
        num_classes: int = 21,
        *,
        output_stride: int | None = None,
        width: float = 1.0,
        weights: str | None = None,
    ):
        super().__init__()
        self.num_classes = num_classes = check_classes("num_classes", num_classes, 1)
        self.backbone = make_backbone(backbone, output_stride, width, weights)
        self.output_stride = self.backbone.output_stride
        self.classifier = nn.Conv2d(self.backbone.channels, num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        scores = self.scores(x)  # (B, num_classes, H/os, W/os), then (B, num_classes, H, W)
        return F.interpolate(scores, x.shape[2:], mode="bilinear")

    def scores(self, x: Tensor) -> Tensor:
        """The logits before the upsampling, (B, num_classes, H/os, W/os)."""
        return self.classifier(self.backbone(x).last)
