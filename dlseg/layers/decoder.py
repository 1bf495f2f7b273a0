"""The decoder of DeepLab v3+: edges from a shallow map, meaning from the deep one."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dlseg.layers.pyramid import conv_bn_relu
from dlseg.layers.upsample import upsample


class Decoder(nn.Module):
    """A deep map beside a shallow one: to (B, channels of the last layer, H, W).

    x: the deep map, (B, in_channels, h, w), made as large as the shallow one.
    low_level: the shallow map, (B, low_level_in, H, W), of which a 1x1 convolution leaves few
    channels (projection), so that they do not outweigh the deep ones.
    layers: kernel size and channels of each convolution on both together; the paper's are two 3x3
    with 256. convolution: their kind, see `conv_bn_relu`. BN and ReLU behind every convolution.
    align_corners: of the upsampling of x.
    Raises: ValueError where there is no layer, or a number is out of range.
    Source: DeepLab v3+, section 3.1 and figure 2; tables 1 (projection) and 2 (layers).
    """

    def __init__(
        self,
        in_channels: int,
        low_level_in: int,
        projection: int = 48,
        layers: Sequence[tuple[int, int]] = ((3, 256), (3, 256)),
        convolution: str = "separable",
        align_corners: bool = False,
    ):
        super().__init__()
        if len(layers) == 0:
            raise ValueError("a decoder needs at least one layer (kernel size, channels), got none")
        self.align_corners = align_corners
        self.project = conv_bn_relu(low_level_in, projection)
        self.layers = nn.Sequential()
        channels = in_channels + projection  # 256 + 48 = 304
        for kernel_size, width in layers:
            self.layers.append(conv_bn_relu(channels, width, kernel_size, 1, convolution))
            channels = width
        self.channels = channels

    def forward(self, x: Tensor, low_level: Tensor) -> Tensor:
        low_level = self.project(low_level)  # (B, 48, H, W)
        x = upsample(x, low_level.shape[2:], self.align_corners)  # (B, 256, H, W)
        return self.layers(torch.cat([x, low_level], dim=1))  # (B, 256, H, W)
