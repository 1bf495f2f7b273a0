"""The plain head: the last map of a backbone, one 1x1 classifier, bilinear upsampling.

The baseline that every DeepLab is compared with. Source: Long et al. 2015 (FCN), section 4.1,
FCN-32s without learned upsampling; at output stride 8 or 16, "block4" of DeepLab v3, table 2.
"""

from torch import Tensor, nn

from dlseg.checks import check_integer
from dlseg.layers.upsample import upsample


class FCN(nn.Module):
    """A backbone and a 1x1 classifier: images (B, 3, H, W) to logits (B, num_classes, H, W).

    backbone: a network of floor 3; its output stride (os) is the model's.
    Attributes: backbone, num_classes, output_stride.
    Raises: ValueError unless num_classes is an integer >= 1.
    """

    def __init__(self, backbone: nn.Module, num_classes: int):
        super().__init__()
        self.num_classes = check_integer("num_classes", num_classes, 1)
        self.backbone, self.output_stride = backbone, backbone.output_stride
        self.classifier = nn.Conv2d(backbone.channels, num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        return upsample(self.scores(x), x.shape[2:])  # (B, num_classes, H, W)

    def scores(self, x: Tensor) -> Tensor:
        """The logits before the upsampling, (B, num_classes, H/os, W/os)."""
        return self.classifier(self.backbone(x).last)
