"""The networks of the book's experiments: each DeepLab at a size that learns in half a minute.

All see the same scenes of 96 x 96 pixels for the same number of steps. The papers start from
networks that were trained on ImageNet; here a plain network at output stride 8 learns the scenes
first, and its backbone is where all others of the same seed start.

The papers' crops are about three times (321, v1 and v2) or five times (513, v3 and v3+) as wide, so
that rates shrink too: on the 12 x 12 map of output stride 8, rate 4 is what 12 is on v1's 41 x 41
map, and rates 1, 2 and 3 on the 6 x 6 map of output stride 16 are v3's 6, 12 and 18 on 33 x 33.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from torch import nn

from dlseg.backbones import MobileNetV2, ResNet
from dlseg.models import (
    FCN,
    DeepLabV1,
    DeepLabV2,
    DeepLabV3,
    DeepLabV3Cascade,
    DeepLabV3Plus,
    at_output_stride,
)
from dlseg.training import Recipe
from support.implementations import with_decoder

CLASSES = 10
BEFORE, ITERATIONS, BATCH_SIZE = 1000, 400, 8
RESNET_WIDTH, VGG_WIDTH = 0.25, 0.125
CHANNELS = 64  # of ASPP and decoder: 256 at RESNET_WIDTH
RATES = (1, 2, 3)  # of v3, at output stride 16
V2_RATES = (1, 2, 4, 6)

# Every network of one family learns at the rate that was best for its first member: see
# assets/results/learning_rates.json for what was tried, on a seed of its own.
LEARNING_RATES = {
    "resnet": 0.008,
    "vgg": 0.004,
    "fcn-32s": 0.004,
    "fcn-16": 0.008,
    "v1": 0.001,
    "v2": 0.002,
    "v2-vgg": 0.002,
    "v3": 0.016,
    "v3-os8": 0.008,
    "v3-short": 0.008,
    "v3-cascade": 0.008,
    "v3plus": 0.008,
    "v3plus-os8": 0.008,
    "mobilenet-half": 0.008,
    "mobilenet-quarter": 0.016,
    "mobilenet-half-16": 0.004,
}


@dataclass(frozen=True)
class Network:
    """A network and how it is trained.

    build: makes it, with random weights. family: the key of its rate in LEARNING_RATES. start: the
    network whose trained backbone of the same seed it begins with. changes: what its recipe has
    other than all the others'.
    """

    build: Callable[[], nn.Module]
    family: str
    start: str | None = None
    changes: dict = field(default_factory=dict)

    def recipe(self, seed: int) -> Recipe:
        """How it is trained; the seed is that of the order of the scenes and of dropout."""
        values = {"iterations": ITERATIONS, "batch_size": BATCH_SIZE, "seed": seed}
        values |= {"optimiser": "adamw", "learning_rate": LEARNING_RATES[self.family]}
        return Recipe(**values | self.changes)


def resnet(output_stride: int = 16, multi_grid: Sequence[int] = (1, 1)) -> ResNet:
    """ResNet-18 with a quarter of its channels."""
    return ResNet(output_stride, depth=18, multi_grid=multi_grid, width=RESNET_WIDTH)


def short_resnet() -> ResNet:
    """The same up to layer2, at output stride 8: a unit sees 99 pixels instead of 435."""
    backbone = resnet(8)
    backbone.channels = backbone.layer3[0].conv1.in_channels
    backbone.layer3 = backbone.layer4 = nn.Identity()
    return backbone


def fcn(output_stride: int, multi_grid: Sequence[int] = (1, 1)) -> FCN:
    """The plain head on ResNet-18; at output stride 32, FCN-32s."""
    return FCN(resnet(output_stride, multi_grid), CLASSES)


def fcn_on_vgg(output_stride: int = 8) -> FCN:
    """The plain head on VGG-16 with batch norm and an eighth of the channels; at 32 FCN-32s."""
    return FCN("vgg16_bn", CLASSES, output_stride=output_stride, width=VGG_WIDTH)


def v1(variant: str = "LargeFOV", rate: int = 4, msc: str | None = None) -> DeepLabV1:
    """DeepLab v1 as released, with batch norm and fc6 at another rate.

    Built with the variant's own rate, which suits 321 pixels; rate and padding then change.
    """
    options = {"width": VGG_WIDTH, "variant": variant, "released": True, "msc": msc}
    network = DeepLabV1("vgg16_bn", CLASSES, **options)
    fc6 = network.fc6
    padding = rate * (fc6.kernel_size[0] - 1) // 2
    fc6.dilation, fc6.padding = (rate, rate), (padding, padding)
    return network


def v2(atrous_rates: Sequence[int] = V2_RATES, backbone: str = "resnet18") -> DeepLabV2:
    """DeepLab v2; on VGG with batch norm."""
    width = RESNET_WIDTH if backbone == "resnet18" else VGG_WIDTH
    return DeepLabV2(backbone, CLASSES, width=width, atrous_rates=atrous_rates)


def v2_vgg(*atrous_rates: int) -> DeepLabV2:
    """DeepLab v2 on VGG-16 with batch norm."""
    return v2(atrous_rates, "vgg16_bn")


def v3(output_stride: int = 16, image_pooling: bool = True) -> DeepLabV3:
    """DeepLab v3 on ResNet-18."""
    options = {"channels": CHANNELS, "atrous_rates": RATES, "image_pooling": image_pooling}
    return DeepLabV3(resnet(output_stride), CLASSES, **options)


def v3_at_8(trained: DeepLabV3) -> DeepLabV3:
    """A trained `v3` at output stride 8, the rates of its ASPP doubled."""
    return at_output_stride(trained, v3, 8)


def v3_at_8_same_rates(trained: DeepLabV3) -> DeepLabV3:
    """The same with the mistake of leaving ASPP's rates as they were: it looks half as far."""
    network = v3_at_8(trained)
    for module in network.classifier.modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3):
            rate = module.dilation[0] // 2
            module.dilation = module.padding = (rate, rate)
    return network


def v3_short(image_pooling: bool) -> DeepLabV3:
    """A 1x1 convolution, with or without image pooling, on a network that does not see far."""
    options = {"channels": CHANNELS, "atrous_rates": (), "image_pooling": image_pooling}
    return DeepLabV3(short_resnet(), CLASSES, **options)


def cascade(blocks: int = 7, multi_grid: Sequence[int] = (1, 1)) -> DeepLabV3Cascade:
    """DeepLab v3 going deeper: blocks 5 to 7 behind ResNet-18, at output stride 16."""
    options = {"width": RESNET_WIDTH, "blocks": blocks, "multi_grid": multi_grid}
    return DeepLabV3Cascade("resnet18", CLASSES, **options)


def v3plus(
    output_stride: int = 16,
    convolution: str = "plain",
    atrous_rates: Sequence[int] = RATES,
    align_corners: bool = False,
    channels: int = CHANNELS,
) -> DeepLabV3Plus:
    """DeepLab v3+ on ResNet-18, plain as in the paper's tables for ResNet, or separable."""
    return DeepLabV3Plus(
        "resnet18",
        CLASSES,
        output_stride=output_stride,
        width=RESNET_WIDTH,
        channels=channels,
        atrous_rates=atrous_rates,
        convolution=convolution,
        align_corners=align_corners,
    )


def v3plus_low_48(output_stride: int = 16) -> DeepLabV3Plus:
    """The same, with three times as many channels of the shallow map."""
    return with_decoder(v3plus(output_stride), 48, ((3, CHANNELS), (3, CHANNELS)))


def v3plus_whole() -> DeepLabV3Plus:
    """The same, where the convolution that lost its stride has the new rate too."""
    network = v3plus()
    first = network.backbone.layer4[0].conv1
    first.dilation = first.padding = (2, 2)
    return network


def v3plus_one() -> DeepLabV3Plus:
    """The same, with one 3x3 in the decoder."""
    return with_decoder(v3plus(), 16, ((3, CHANNELS),))


def v3plus_dropout() -> DeepLabV3Plus:
    """The same, with a dropout of 0.5 behind ASPP."""
    network = v3plus()
    network.aspp.project[3].p = 0.5
    return network


def fcn_on_mobilenet(width: float) -> FCN:
    """The plain head on MobileNetV2 at output stride 8."""
    return FCN("mobilenetv2", CLASSES, output_stride=8, width=width)


def mobilenet(width: float, output_stride: int) -> DeepLabV3:
    """DeepLab v3 for a phone: MobileNetV2, and of ASPP the 1x1 branch and image pooling."""
    backbone = MobileNetV2(output_stride, width=width)
    return DeepLabV3(backbone, CLASSES, channels=CHANNELS, atrous_rates=())


# What well-known programs do otherwise, see chapter 14.
SWITCHES = {
    "corners aligned": partial(v3plus, align_corners=True),
    "rates twice as large": partial(v3plus, atrous_rates=tuple(2 * rate for rate in RATES)),
    "whole stage dilated": v3plus_whole,
    "one 3x3 in the decoder": v3plus_one,
    "dropout 0.5": v3plus_dropout,
}


def read_as(trained: DeepLabV3Plus, switch: str) -> DeepLabV3Plus:
    """The weights of a trained `v3plus` in the network of a switch that has the same weights."""
    network = SWITCHES[switch]().to(next(trained.parameters()))
    network.load_state_dict(trained.state_dict())
    return network.train(trained.training)


LONG = {"iterations": BEFORE}
LONGER = {"iterations": 2 * BEFORE}  # by BEFORE some seeds have not learned the plates

NETWORKS: dict[str, Network] = {
    # Stand for the networks trained on ImageNet: all others of a seed begin with their backbones.
    "resnet": Network(lambda: fcn(8), "resnet", changes=LONG),
    "vgg": Network(fcn_on_vgg, "vgg", changes=LONGER),
    # From random weights, so that none has an advantage.
    "fcn-32-random": Network(lambda: fcn(32), "resnet", changes=LONG),
    "fcn-16-random": Network(lambda: fcn(16), "resnet", changes=LONG),
    "fcn-32s": Network(lambda: fcn_on_vgg(32), "fcn-32s", "vgg"),
    "fcn-32": Network(lambda: fcn(32), "fcn-16", "resnet"),
    "fcn-16": Network(lambda: fcn(16), "fcn-16", "resnet"),
    "v1": Network(v1, "v1", "vgg"),
    "v1-rate-1": Network(lambda: v1(rate=1), "v1", "vgg"),
    "v1-4x4": Network(lambda: v1("4x4 rate 4", 2), "v1", "vgg"),
    "v1-7x7": Network(lambda: v1("7x7", 1), "v1", "vgg"),
    "v1-msc": Network(lambda: v1(msc="sum"), "v1", "vgg"),
    "v2": Network(v2, "v2", "resnet"),
    "v2-step": Network(v2, "v2", "resnet", {"schedule": "step", "step_size": ITERATIONS // 3}),
    "v2-vgg": Network(lambda: v2_vgg(*V2_RATES), "v2-vgg", "vgg"),
    "v2-vgg-4444": Network(lambda: v2_vgg(4, 4, 4, 4), "v2-vgg", "vgg"),
    "v2-vgg-rate-1": Network(lambda: v2_vgg(1), "v2-vgg", "vgg"),
    "v2-vgg-rate-2": Network(lambda: v2_vgg(2), "v2-vgg", "vgg"),
    "v2-vgg-rate-4": Network(lambda: v2_vgg(4), "v2-vgg", "vgg"),
    "v2-vgg-rate-6": Network(lambda: v2_vgg(6), "v2-vgg", "vgg"),
    "v3": Network(v3, "v3", "resnet"),
    "v3-no-pooling": Network(lambda: v3(image_pooling=False), "v3", "resnet"),
    "v3-os8": Network(lambda: v3(8), "v3-os8", "resnet"),
    "v3-os8-shrunk": Network(lambda: v3(8), "v3-os8", "resnet", {"loss": "shrunk"}),
    "v3-short": Network(lambda: v3_short(True), "v3-short", "resnet"),
    "v3-short-no-pooling": Network(lambda: v3_short(False), "v3-short", "resnet"),
    "v3-cascade": Network(cascade, "v3-cascade", "resnet"),
    "v3-cascade-12": Network(lambda: cascade(multi_grid=(1, 2)), "v3-cascade", "resnet"),
    "v3plus": Network(v3plus, "v3plus", "resnet"),
    "v3plus-separable": Network(lambda: v3plus(convolution="separable"), "v3plus", "resnet"),
    "v3plus-low-48": Network(v3plus_low_48, "v3plus", "resnet"),
    "v3plus-os8": Network(lambda: v3plus(8), "v3plus-os8", "resnet"),
    "v3plus-os8-low-48": Network(lambda: v3plus_low_48(8), "v3plus-os8", "resnet"),
    "v3plus-wide": Network(lambda: v3plus(channels=2 * CHANNELS), "v3plus", "resnet"),
    "v3plus-wide-separable": Network(
        lambda: v3plus(convolution="separable", channels=2 * CHANNELS), "v3plus", "resnet"
    ),
    "v3plus-aligned": Network(SWITCHES["corners aligned"], "v3plus", "resnet"),
    "v3plus-rates": Network(SWITCHES["rates twice as large"], "v3plus", "resnet"),
    "v3plus-whole": Network(SWITCHES["whole stage dilated"], "v3plus", "resnet"),
    "v3plus-one": Network(SWITCHES["one 3x3 in the decoder"], "v3plus", "resnet"),
    "v3plus-dropout": Network(SWITCHES["dropout 0.5"], "v3plus", "resnet"),
    # MobileNetV2 at half and a quarter of its width: a start each, and what begins with it.
    "mobilenet-half": Network(lambda: fcn_on_mobilenet(0.5), "mobilenet-half", changes=LONG),
    "mobilenet-quarter": Network(lambda: fcn_on_mobilenet(0.25), "mobilenet-quarter", changes=LONG),
    **{
        f"mobilenet-{name}-{output_stride}": Network(
            partial(mobilenet, width, output_stride), "mobilenet-half-16", f"mobilenet-{name}"
        )
        for name, width in (("half", 0.5), ("quarter", 0.25))
        for output_stride in (32, 16, 8)
    },
}
