"""VGG-16 with an honest output stride, under the names of torchvision's weights.

Thirteen 3x3 convolutions and five pools; DeepLab v1 takes the stride from the last two pools.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from dlseg.arithmetic import StagePlan, plan_stages, round_channels
from dlseg.backbones.features import Features
from dlseg.backbones.weights import load_into
from dlseg.checks import check_backbone, check_integer
from dlseg.doors import check_image

STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # channels, convolutions


class VGG16(nn.Module):
    """VGG-16 without its three last layers: an image (B, 3, H, W) to `Features`.

    At width 1, last is the map of pool5, (B, 512, H/os, W/os), where fc6 of DeepLab v1 sits, and
    low_level that of conv3_3, before pool3, (B, 256, H/4, W/4).
    output_stride (os): 8, 16 or 32. At 16 pool5 has stride 1; at 8 pool4 and pool5, and conv5_x
    rate 2.
    width: factor on all channels, fc6 and fc7 included, rounded to multiples of 8.
    weights: None, or "imagenet" (width 1 only). num_classes: None, or the classes of `classify`.
    pool_size: 2 is VGG's pool, without padding. Its window gets the rate of what lies before it as
    a convolution's would (pool5 rate 2 at output stride 8): the dense map is exact, and the field
    stays 212 pixels. 3 is the pool of the released DeepLab v1, padded by 1; its windows are never
    dilated, so that the map at output stride 8 is another one and the field shrinks.
    batch_norm: a BN behind each convolution (vgg16_bn).

    Attributes: output_stride, channels, low_level_channels, low_level_stride; stage_channels, of
    the maps behind the five pools.
    Raises ValueError for other values; `forward` also for images too small for five 2x2 pools.
    Source: Simonyan and Zisserman 2015, table 1 (D); DeepLab v1, section 3.1 and its release.
    """

    def __init__(
        self,
        output_stride: int = 16,
        *,
        width: float = 1.0,
        weights: str | None = None,
        pool_size: int = 2,
        batch_norm: bool = False,
        num_classes: int | None = None,
    ):
        super().__init__()
        output_stride = check_integer("output_stride", output_stride, 1)
        check_backbone(width, weights, num_classes)
        if pool_size not in (2, 3):
            raise ValueError(
                f"pool_size must be 2 (VGG) or 3 (released DeepLab v1), got {pool_size!r}"
            )
        plans = plan_stages([2] * len(STAGES), output_stride)
        stages = [(round_channels(channels * width), count) for channels, count in STAGES]
        self.features, self.pool3 = _features(stages, plans, pool_size, batch_norm)
        self.stage_channels = tuple(channels for channels, _ in stages)
        self.output_stride, self.channels = output_stride, self.stage_channels[4]
        self.low_level_channels, self.low_level_stride = self.stage_channels[2], 4
        self.pool_size = pool_size
        self.classifier = None
        if num_classes is not None:
            self.classifier = _classifier(self.channels, round_channels(4096 * width), num_classes)
        _initialise(self)
        if weights is not None:
            load_into(self, "vgg16_bn" if batch_norm else "vgg16")

    def forward(self, x: Tensor) -> Features:
        check_image(x, self)
        if self.pool_size == 2 and min(x.shape[2:]) < 32:
            raise ValueError(
                f"pool_size=2 needs an image of at least 32x32 pixels, got {tuple(x.shape)}; "
                "enlarge it, or take pool_size=3, whose pools are padded"
            )
        low_level = self.features[: self.pool3](x)  # (B, 256, H/4, W/4)
        return Features(low_level, self.features[self.pool3 :](low_level))  # (B, 512, H/os, W/os)

    def classify(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) of an image (B, 3, H, W): fc6 sees a 7x7 map, averaged to fit.

        Trained at output stride 32; a smaller one changes the mean.
        Raises ValueError where the network was built without num_classes.
        """
        if self.classifier is None:
            raise ValueError("this VGG16 has no classifier; build it with num_classes=1000")
        x = F.adaptive_avg_pool2d(self(x).last, 7)  # (B, 512, 7, 7)
        return self.classifier(x.flatten(1))


def _features(
    stages: list[tuple[int, int]], plans: list[StagePlan], pool_size: int, batch_norm: bool
) -> tuple[nn.Sequential, int]:
    """All layers up to pool5, and the place of pool3 among them.

    A stage ends with its pool, which has the stride, so the rate behind a pool is the next stage's.
    """
    layers, pools, in_channels, rate = [], [], 3, 1
    for (channels, count), plan in zip(stages, plans, strict=True):
        for _ in range(count):
            layers.append(nn.Conv2d(in_channels, channels, 3, padding=rate, dilation=rate))
            layers += [nn.BatchNorm2d(channels)] if batch_norm else []
            layers.append(nn.ReLU(inplace=True))
            in_channels = channels
        pools.append(len(layers))
        window = plan.first_rate if pool_size == 2 else 1
        layers.append(nn.MaxPool2d(pool_size, plan.stride, pool_size - 2, window))
        rate = plan.rate
    return nn.Sequential(*layers), pools[2]


def _classifier(channels: int, hidden: int, num_classes: int) -> nn.Sequential:
    """fc6, fc7 and fc8 as layers on the flattened map."""
    return nn.Sequential(
        *(nn.Linear(channels * 7 * 7, hidden), nn.ReLU(inplace=True), nn.Dropout()),
        *(nn.Linear(hidden, hidden), nn.ReLU(inplace=True), nn.Dropout()),
        nn.Linear(hidden, num_classes),
    )


def _initialise(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(module.bias)
