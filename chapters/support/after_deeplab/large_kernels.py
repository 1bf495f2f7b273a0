"""Large kernels: many taps instead of few far ones, made affordable channel by channel.

ConvNeXt's block looks around in each channel alone; RepLKNet widens that to 31 x 31 and trains a
small kernel beside it, which is folded away; SegNeXt takes strips, a row and then a column.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def depthwise(
    channels: int, kernel_size: int | tuple[int, int], rate: int = 1, bias: bool = True
) -> nn.Conv2d:
    """One filter for each channel; a map keeps its size. kernel_size: odd; or (rows, columns)."""
    sides = (kernel_size,) * 2 if isinstance(kernel_size, int) else kernel_size
    padding = tuple(rate * (side // 2) for side in sides)
    return nn.Conv2d(channels, channels, sides, 1, padding, rate, groups=channels, bias=bias)


class ConvNeXtBlock(nn.Module):
    """Maps (B, C, H, W) to (B, C, H, W): look around, then mix the channels, beside a shortcut.

    kernel_size, rate: of the depthwise convolution; the paper's are 7 and 1. scale: what each
    channel of the result begins with as a factor.
    Source: Liu et al. 2022, "A ConvNet for the 2020s", section 2 and figure 4.
    """

    def __init__(self, channels: int, kernel_size: int = 7, rate: int = 1, scale: float = 1e-6):
        super().__init__()
        self.look = depthwise(channels, kernel_size, rate)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.widen = nn.Linear(channels, 4 * channels)
        self.narrow = nn.Linear(4 * channels, channels)
        self.scale = nn.Parameter(torch.full((channels,), scale))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.look(x).movedim(1, -1))  # (B, H, W, C)
        y = self.scale * self.narrow(F.gelu(self.widen(y)))
        return x + y.movedim(-1, 1)


class LargeKernel(nn.Module):
    """A large depthwise convolution and a small one beside it, each with BN, added: (B, C, H, W).

    Both are linear in eval mode, so that one convolution does the same: see `folded`.
    kernel_size, small: their sides, pixels, both odd.
    Source: Ding et al. 2022, "Scaling up your kernels to 31x31" (RepLKNet), section 3, guideline 3.
    """

    def __init__(self, channels: int, kernel_size: int = 31, small: int = 5):
        super().__init__()
        self.large = depthwise(channels, kernel_size, bias=False)
        self.small = depthwise(channels, small, bias=False)
        self.large_bn, self.small_bn = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.large_bn(self.large(x)) + self.small_bn(self.small(x))

    @torch.no_grad()
    def folded(self) -> nn.Conv2d:
        """One convolution that does in eval mode what the four layers do."""
        self.eval()
        conv = fuse_conv_bn_eval(self.large, self.large_bn)  # a new one, with a bias
        small = fuse_conv_bn_eval(self.small, self.small_bn)
        rim = (conv.kernel_size[0] - small.kernel_size[0]) // 2
        conv.weight += F.pad(small.weight, [rim] * 4)  # its middle on the other's middle
        conv.bias += small.bias
        return conv


class StripAttention(nn.Module):
    """SegNeXt's attention (MSCA): a map times what strips of several lengths make of it.

    A 5x5, then side by side for each n of lengths 1 x n and n x 1 one behind the other, all
    depthwise; their sum, mixed by a 1x1, weighs x (B, C, H, W) place by place. There are no keys
    and no softmax: the weights are a convolution's result.
    Source: Guo et al. 2022, "SegNeXt", section 3.1, equations 1 and 2.
    """

    def __init__(self, channels: int, lengths: tuple[int, ...] = (7, 11, 21)):
        super().__init__()
        self.near = depthwise(channels, 5)
        self.strips = nn.ModuleList(
            nn.Sequential(depthwise(channels, (1, n)), depthwise(channels, (n, 1))) for n in lengths
        )
        self.mix = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        near = self.near(x)  # (B, C, H, W)
        return x * self.mix(near + sum(strips(near) for strips in self.strips))
