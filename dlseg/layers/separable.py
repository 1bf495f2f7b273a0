"""Depthwise-separable convolution: look around in each channel alone, then mix the channels."""

import torch.nn.functional as F
from torch import Tensor, nn

from dlseg.arithmetic import same_padding
from dlseg.checks import check_integer

LARGEST = 2**16  # of any of its numbers


class SeparableConv2d(nn.Module):
    """A k x k depthwise convolution and a 1x1 (pointwise) one, each followed by BN and a ReLU.

    x: (B, in_channels, H, W). Returns: (B, out_channels, ceil(H / stride), ceil(W / stride)).
    rate: pixels between taps of the depthwise convolution, which makes it the atrous separable
    convolution of DeepLab v3+. activate_between, activate_after: the ReLU behind the depthwise and
    the one behind the pointwise convolution; MobileNetV1 and the ASPP and decoder of DeepLab v3+
    have both. eps: added to the variance by both BNs; Xception's is 1e-3.
    The weights without BN are k^2 M + M N instead of k^2 M N, a share of 1/N + 1/k^2.
    Raises: ValueError where a number is no integer >= 1 or kernel_size is even.
    Source: MobileNet (Howard et al. 2017), section 3.1 and figure 3; DeepLab v3+, section 3.1.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        rate: int = 1,
        activate_between: bool = True,
        activate_after: bool = True,
        eps: float = 1e-5,
    ):
        super().__init__()
        in_channels = check_integer("in_channels", in_channels, 1, LARGEST)
        out_channels = check_integer("out_channels", out_channels, 1, LARGEST)
        kernel_size = check_integer("kernel_size", kernel_size, 1, LARGEST)
        stride = check_integer("stride", stride, 1, LARGEST)
        rate = check_integer("rate", rate, 1, LARGEST)
        self.activate_between, self.activate_after = activate_between, activate_after
        window = kernel_size, stride, same_padding(kernel_size, rate), rate
        # groups: one filter per channel
        self.conv_dw = nn.Conv2d(in_channels, in_channels, *window, groups=in_channels, bias=False)
        self.bn_dw = nn.BatchNorm2d(in_channels, eps)
        self.conv_pw = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.bn_pw = nn.BatchNorm2d(out_channels, eps)

    def forward(self, x: Tensor) -> Tensor:
        """The separable convolution of x (B, M, H, W): (B, N, H/stride, W/stride), rounded up."""
        x = self.bn_dw(self.conv_dw(x))  # (B, M, H/stride, W/stride)
        if self.activate_between:
            x = F.relu(x)
        x = self.bn_pw(self.conv_pw(x))  # (B, N, H/stride, W/stride)
        return F.relu(x) if self.activate_after else x
