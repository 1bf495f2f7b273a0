"""What every backbone takes and returns: an image in, two maps out."""

from typing import NamedTuple

from torch import Tensor, nn


class Features(NamedTuple):
    """The two maps of a backbone.

    low_level: fine and shallow, (B, low_level_channels, H/4, W/4), for the decoder of DeepLab v3+;
    last: coarse and deep, (B, channels, H/output_stride, W/output_stride), for the head.
    Sizes are rounded as the backbone's windows round them.
    Source: DeepLab v3+, section 3.1.
    """

    low_level: Tensor
    last: Tensor


class LastMap(nn.Module):
    """A backbone as a model with one output, its last map: what `dlseg.inspect` looks at."""

    def __init__(self, backbone: nn.Module):
        super().__init__()
        self.backbone = backbone

    def forward(self, x: Tensor) -> Tensor:
        return self.backbone(x).last
