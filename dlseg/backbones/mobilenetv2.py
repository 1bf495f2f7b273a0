"""MobileNetV2 with an honest output stride: narrow maps between blocks, wide ones inside.

State-dict keys are those of torchvision's `mobilenet_v2`, so published weights load unchanged.
Source: Sandler et al. 2018, "MobileNetV2: inverted residuals and linear bottlenecks".
"""

from torch import Tensor, nn

from dlseg.arithmetic import plan_stages, round_channels, same_padding
from dlseg.backbones.features import Features
from dlseg.backbones.weights import load_into
from dlseg.checks import check_backbone, check_integer
from dlseg.doors import check_image

# Expansion t, channels c, number of blocks n, stride s of the first: MobileNetV2, table 2.
ROWS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def conv_bn_relu6(
    in_channels: int,
    out_channels: int,
    kernel_size: int = 1,
    stride: int = 1,
    rate: int = 1,
    groups: int = 1,
) -> nn.Sequential:
    """Convolution without bias, BN and ReLU6: (B, in, H, W) to (B, out, H/stride, W/stride)."""
    padding = same_padding(kernel_size, rate)
    return nn.Sequential(
        nn.Conv2d(
            in_channels, out_channels, kernel_size, stride, padding, rate, groups, bias=False
        ),
        nn.BatchNorm2d(out_channels),
        nn.ReLU6(inplace=True),
    )


class InvertedResidual(nn.Module):
    """Expand by a 1x1 convolution, look around depthwise, project to few channels without ReLU.

    x: (B, in_channels, H, W). Returns: (B, out_channels, ceil(H / stride), ceil(W / stride)).
    expansion: hidden channels per input channel; at 1 there is no expanding convolution.
    rate: of the depthwise 3x3. shortcut: add x to the result; None adds it where the shapes agree.
    A block whose stride was turned into a rate passes False, since its weights learned none.
    Raises: ValueError where a number is no integer >= 1, or shortcut=True and the shapes differ.
    Source: MobileNetV2, section 3.3 and table 1.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        expansion: int,
        rate: int = 1,
        shortcut: bool | None = None,
    ):
        super().__init__()
        same_shape = check_integer("stride", stride, 1) == 1 and in_channels == out_channels
        if shortcut and not same_shape:
            raise ValueError(
                "shortcut=True needs stride 1 and as many channels out as in, "
                f"got stride {stride} and {in_channels} to {out_channels} channels"
            )
        self.shortcut = same_shape if shortcut is None else shortcut
        hidden = in_channels * check_integer("expansion", expansion, 1)
        expand = [] if expansion == 1 else [conv_bn_relu6(in_channels, hidden)]
        self.conv = nn.Sequential(
            *expand,
            conv_bn_relu6(hidden, hidden, 3, stride, rate, groups=hidden),
            nn.Conv2d(hidden, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),  # linear: no ReLU on the narrow map
        )

    def forward(self, x: Tensor) -> Tensor:
        """The block's map of x (B, C, H, W): (B, out_channels, H/stride, W/stride)."""
        return x + self.conv(x) if self.shortcut else self.conv(x)


class MobileNetV2(nn.Module):
    """MobileNetV2 up to its last block: an image (B, 3, H, W) to `Features`.

    At width 1, low_level is (B, 24, H/4, W/4) and last (B, 320, H/os, W/os), where DeepLab's head
    sits (section 6.3), not on the 1280 channels behind it. Sizes are rounded up.
    output_stride (os): 32, 16 or 8; strides beyond it become rates and the weights stay the same.
    width: factor on all channels. weights: None, or "imagenet" (width 1 only).
    divisor: channels are rounded to its multiples. 8 is torchvision's; DeepLab's authors have 8 at
    width 1 and 1 at any other, so that their half network has 12 channels at stride 4. (Inside a
    block they round to 8 again, which at width 0.5 changes nothing.)
    first_unit: "previous" keeps the old rate in a block whose stride was removed, which keeps the
    function exactly; "whole" does not.
    num_classes: adds the 1x1 convolution to 1280 channels and the classifier, for `classify`.
    Attributes: output_stride, channels, low_level_channels, low_level_stride.
    Raises: ValueError where an argument is out of range.
    Source: MobileNetV2, table 2 and section 6.3; output strides: DeepLab v3, section 3.1; divisor:
    `_mobilenet_v2` in the authors' `core/feature_extractor.py` (tensorflow/models).
    """

    def __init__(
        self,
        output_stride: int = 16,
        *,
        width: float = 1.0,
        weights: str | None = None,
        divisor: int = 8,
        first_unit: str = "previous",
        num_classes: int | None = None,
    ):
        super().__init__()
        output_stride = check_integer("output_stride", output_stride, 1)
        check_backbone(width, weights, num_classes)
        divisor = check_integer("divisor", divisor, 1)
        self.output_stride, self.low_level_stride = output_stride, 4
        self.low_level_channels = round_channels(24 * width, divisor)
        self.channels = round_channels(320 * width, divisor)
        self.features = _features(output_stride, width, divisor, first_unit)
        self.classifier = None
        if num_classes is not None:
            top = round_channels(1280 * max(1.0, width))  # narrow networks keep all 1280
            self.features.append(conv_bn_relu6(self.channels, top))
            self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(top, num_classes))
        if weights is not None:
            load_into(self, "mobilenet_v2")

    def forward(self, x: Tensor) -> Features:
        """The maps of an image (B, 3, H, W) after the 24-channel row and the 320-channel one."""
        check_image(x, self)
        for layer in self.features[:4]:
            x = layer(x)
        low_level = x  # (B, 24, H/4, W/4)
        for layer in self.features[4:18]:
            x = layer(x)
        return Features(low_level, x)  # (B, 320, H/os, W/os)

    def classify(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) of an image (B, 3, H, W), from the mean of 1280 channels.

        Trained at output stride 32; a smaller one changes the mean a little.
        Raises: ValueError where the network was built without num_classes.
        """
        if self.classifier is None:
            raise ValueError("this MobileNetV2 has no classifier; build it with num_classes=1000")
        x = self.features[18](self(x).last)  # (B, 1280, H/os, W/os)
        return self.classifier(x.mean((2, 3)))  # (B, num_classes)


def _features(output_stride: int, width: float, divisor: int, first_unit: str) -> nn.Sequential:
    """The stem and the 17 blocks, `features.0` to `features.17`."""
    plans = plan_stages([2] + [stride for *_, stride in ROWS], output_stride, first_unit)
    channels = round_channels(32 * width, divisor)
    layers = [conv_bn_relu6(3, channels, 3, plans[0].stride)]
    for (expansion, out, count, stride), plan in zip(ROWS, plans[1:], strict=True):
        out = round_channels(out * width, divisor)
        for unit in range(count):
            first = unit == 0
            block = InvertedResidual(
                channels,
                out,
                plan.stride if first else 1,
                expansion,
                plan.first_rate if first else plan.rate,
                # What the block had before any stride was removed, so that weights keep meaning.
                shortcut=channels == out and (stride == 1 or not first),
            )
            layers.append(block)
            channels = out
    return nn.Sequential(*layers)
