"""ASPP of DeepLab v3: branches of several rates and a pool of the whole map, joined, projected."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dlseg.arithmetic import same_padding
from dlseg.checks import check_integer
from dlseg.layers.separable import SeparableConv2d

CONVOLUTIONS = ("plain", "separable", "bare separable")


def conv_bn_relu(
    in_channels: int,
    channels: int,
    kernel_size: int = 1,
    rate: int = 1,
    convolution: str = "plain",
) -> nn.Module:
    """Convolution without bias, BN and ReLU, (B, in_channels, H, W) to (B, channels, H, W).

    convolution: "plain"; "separable": depthwise and pointwise, each with BN and ReLU, as in the
    authors' networks; or "bare separable": with nothing between the two, as in several others.
    A kernel of 1x1 is plain anyway.
    Raises: ValueError for another convolution, or where a number is no integer >= 1.
    Source: DeepLab v3, section 3.3; DeepLab v3+, section 3.1.
    """
    if convolution not in CONVOLUTIONS:
        raise ValueError(f"convolution must be one of {CONVOLUTIONS}, got {convolution!r}")
    check_integer("channels", channels, 1)
    padding = same_padding(kernel_size, rate)
    if kernel_size == 1 or convolution == "plain":
        conv = nn.Conv2d(in_channels, channels, kernel_size, 1, padding, rate, bias=False)
    elif convolution == "separable":
        return SeparableConv2d(in_channels, channels, kernel_size, rate=rate)
    else:
        depthwise = nn.Conv2d(
            in_channels, in_channels, kernel_size, 1, padding, rate, in_channels, bias=False
        )
        conv = nn.Sequential(depthwise, nn.Conv2d(in_channels, channels, 1, bias=False))
    return nn.Sequential(conv, nn.BatchNorm2d(channels), nn.ReLU())


class ImagePooling(nn.Sequential):
    """The mean of the whole map, 1x1 convolution, BN, ReLU; (B, C, H, W) to (B, channels, H, W).

    Every place gets the same values: context as wide as the image.
    Raises: ValueError in training mode for a batch of one image.
    Source: DeepLab v3, section 3.3, the image-level features; ParseNet (Liu et al. 2015).
    """

    def __init__(self, in_channels: int, channels: int):
        super().__init__(nn.AdaptiveAvgPool2d(1), *conv_bn_relu(in_channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        norm = self[2]
        if x.shape[0] == 1 and norm.training and isinstance(norm, nn.BatchNorm2d):
            raise ValueError(
                "image pooling leaves one value per channel of a batch of 1 image, and batch norm "
                "cannot normalise a single value in training. Give at least 2 images per device "
                "(drop_last=True drops a short last batch); or call model.eval() to predict; or "
                "freeze batch norm, with Recipe(freeze_batch_norm=True); or turn it into "
                "nn.SyncBatchNorm where several processes train together; or build the network "
                "with image_pooling=False"
            )
        y = super().forward(x)  # (B, channels, 1, 1)
        return y.expand(-1, -1, *x.shape[2:])  # bilinear upsampling of a single value


class ASPP(nn.Module):
    """Atrous spatial pyramid pooling, its branches joined side by side.

    x: (B, in_channels, H, W). Returns: (B, channels, H, W).
    The branches: a 1x1 convolution, a 3x3 one for each of atrous_rates, and `ImagePooling` unless
    image_pooling is False; each makes `channels` maps. A 1x1 convolution projects all of them to
    `channels` again, then dropout. BN and ReLU behind every convolution.
    atrous_rates: units of this map; none at all leaves the two branches that DeepLab has on
    MobileNetV2. convolution: of the 3x3 branches, see `conv_bn_relu`.
    dropout: probability that a value is dropped in training.
    Raises: ValueError where a number is out of range.
    Source: DeepLab v3, section 3.3 and figure 5; MobileNetV2, section 6.3.
    """

    def __init__(
        self,
        in_channels: int,
        atrous_rates: Sequence[int],
        channels: int = 256,
        image_pooling: bool = True,
        convolution: str = "plain",
        dropout: float = 0.1,
    ):
        super().__init__()
        branches = [conv_bn_relu(in_channels, channels)]
        for rate in atrous_rates:
            check_integer("rate of atrous_rates", rate, 1)
            branches.append(conv_bn_relu(in_channels, channels, 3, rate, convolution))
        if image_pooling:
            branches.append(ImagePooling(in_channels, channels))
        self.convs = nn.ModuleList(branches)
        self.project = nn.Sequential(
            *conv_bn_relu(len(branches) * channels, channels), nn.Dropout(dropout)
        )

    def forward(self, x: Tensor) -> Tensor:
        y = torch.cat([conv(x) for conv in self.convs], dim=1)  # (B, 5 channels, H, W)
        return self.project(y)  # (B, channels, H, W)


def scaled_rates(atrous_rates: Sequence[int], output_stride: int) -> tuple[int, ...]:
    """Rates given for output stride 16 at another one: doubled at 8, halved at 32.

    The branches then look at the same distances in the image.
    Raises: ValueError where a rate is no integer >= 1, at output_stride too.
    Source: DeepLab v3, section 3.3: "the rates are doubled when output_stride = 8".
    """
    for rate in atrous_rates:
        if check_integer("rate of atrous_rates", rate, 1) * 16 % output_stride:
            raise ValueError(
                f"atrous_rates are those at output stride 16; {rate} makes no whole rate at "
                f"output_stride={output_stride}: take even rates, or another output_stride"
            )
    return tuple(rate * 16 // output_stride for rate in atrous_rates)


def initialise_head(*modules: nn.Module) -> None:
    """He's initialisation for the convolutions of a head.

    Its classifiers, which alone have a bias, start from N(0, 0.01) and bias 0: all classes begin
    about as likely.
    """
    for module in modules:
        for layer in module.modules():
            if not isinstance(layer, nn.Conv2d):
                continue
            if layer.bias is None:
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            else:
                nn.init.normal_(layer.weight, std=0.01)
                nn.init.zeros_(layer.bias)
