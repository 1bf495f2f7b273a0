"""The networks of other programs, made of the parts of this package: their weights fit.

Each function says in what its network differs from the paper's. Weights trained there come by
`dlseg.models.convert`; torchvision's own v3, which is published, is in `published`.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from dlseg.backbones import Features, MobileNetV2, MobileNetV3, ResNet, conv_bn_relu6
from dlseg.checks import check_choice
from dlseg.models.deeplabv3 import DeepLabV3, conv_bn_relu, initialise_head
from dlseg.models.deeplabv3plus import Decoder, DeepLabV3Plus
from dlseg.models.fcn import FCN
from dlseg.models.published import torchvision_deeplabv3
from dlseg.models.tap import small_head

ONE = ((3, 256),)  # a decoder of one 3x3 instead of two
SMP_BACKBONES = ("resnet18", "resnet34", "resnet50", "resnet101", "mobilenet_v2")
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def with_decoder(
    network: DeepLabV3Plus,
    projection: int = 48,
    layers: Sequence[tuple[int, int]] = ((3, 256), (3, 256)),
    convolution: str = "plain",
) -> DeepLabV3Plus:
    """`network` with another decoder, see `Decoder`, and a new classifier behind it."""
    deep, shallow = network.aspp.project[0].out_channels, network.backbone.low_level_channels
    network.decoder = Decoder(deep, shallow, projection, layers, convolution, network.align_corners)
    network.classifier = nn.Conv2d(layers[-1][1], network.num_classes, 1)
    initialise_head(network.decoder, network.classifier)
    return network


def bare(head: nn.Module) -> None:
    """Make each plain 3x3 of `head` a separable one with no BN and ReLU between its halves."""
    for block in list(head.modules()):
        if isinstance(block, nn.Sequential) and isinstance(block[0], nn.Conv2d):
            conv = block[0]
            if conv.kernel_size == (3, 3):
                block[0] = _halves(conv.in_channels, conv.out_channels, conv.dilation[0])
    initialise_head(head)


def _halves(in_channels: int, channels: int, rate: int) -> nn.Sequential:
    """A depthwise 3x3 and a pointwise convolution, with nothing between the two."""
    return nn.Sequential(
        nn.Conv2d(in_channels, in_channels, 3, 1, rate, rate, in_channels, bias=False),
        nn.Conv2d(in_channels, channels, 1, bias=False),
    )


class SmpMobileNetV2(MobileNetV2):
    """MobileNetV2 as segmentation-models-pytorch has it: (B, 1280, H/os, W/os) last.

    The 1x1 convolution from 320 to 1280 channels belongs to it, which DeepLab leaves away.
    """

    def __init__(self, output_stride: int):
        super().__init__(output_stride, first_unit="whole")
        self.features.append(conv_bn_relu6(self.channels, 1280))
        self.channels = 1280

    def forward(self, x: Tensor) -> Features:
        low_level, last = super().forward(x)
        return Features(low_level, self.features[18](last))


def smp_backbone(name: str, output_stride: int) -> nn.Module:
    """ "resnet18", "resnet34", "resnet50", "resnet101" or "mobilenet_v2" as others dilate them.

    Segmentation-models-pytorch gives the new rate to every convolution of a stage that lost its
    stride, the first one too: a little another network than the one the weights were trained for.
    Raises: ValueError for another name.
    """
    if name == "mobilenet_v2":
        return SmpMobileNetV2(output_stride)
    if name not in ("resnet18", "resnet34", "resnet50", "resnet101"):
        raise ValueError(f"no ResNet 18 to 101, and no mobilenet_v2: {name!r}")
    return ResNet(output_stride, depth=int(name.removeprefix("resnet")), first_unit="whole")


def smp_deeplabv3(
    backbone: str = "resnet50", num_classes: int = 21, output_stride: int = 8
) -> DeepLabV3:
    """The `DeepLabV3` of segmentation-models-pytorch; backbone: a name for `smp_backbone`.

    torchvision's head; the same rates, 12, 24 and 36, at both output strides; corners aligned.
    """
    network = torchvision_deeplabv3(smp_backbone(backbone, output_stride), num_classes)
    network.align_corners = True
    return _with_rates(network)


def smp_deeplabv3plus(
    backbone: str = "resnet50", num_classes: int = 21, output_stride: int = 16
) -> DeepLabV3Plus:
    """The `DeepLabV3Plus` of segmentation-models-pytorch; backbone: a name for `smp_backbone`.

    Separable convolutions without BN and ReLU inside, one of them more behind ASPP and one less in
    the decoder; rates 12, 24 and 36 at both output strides; dropout 0.5; corners aligned.
    """
    body = smp_backbone(backbone, output_stride)
    rates = tuple(rate * output_stride // 16 for rate in (12, 24, 36))  # ours scale, theirs do not
    network = DeepLabV3Plus(body, num_classes, atrous_rates=rates, align_corners=True)
    network.aspp.project[3].p = 0.5
    network, extra = with_decoder(network, layers=ONE), conv_bn_relu(256, 256, 3)
    for part in (network.aspp, extra, network.decoder):
        bare(part)
    network.aspp = nn.Sequential(network.aspp, *extra)
    return network


def torchvision_mobile_deeplabv3(num_classes: int = 21, output_stride: int = 16) -> DeepLabV3:
    """torchvision's `deeplabv3_mobilenet_v3_large`.

    The head of its ResNets, with their rates 12, 24 and 36 at output stride 16 (pytorch/vision,
    issue 7956); the new rate in every convolution of the last stage.
    """
    body = MobileNetV3(output_stride, first_unit="whole")
    network = torchvision_deeplabv3(body, num_classes)
    return _with_rates(network)


def torchvision_fcn(
    backbone: str = "resnet50", num_classes: int = 21, output_stride: int = 8
) -> FCN:
    """torchvision's `fcn_resnet50` or `fcn_resnet101`: a 3x3 convolution before the classifier.

    Raises ValueError for another backbone.
    """
    check_choice("backbone", backbone, ("resnet50", "resnet101"))
    body = ResNet(output_stride, depth=int(backbone.removeprefix("resnet")))
    network = FCN(body, num_classes)
    network.classifier = small_head(body.channels, body.channels // 4, num_classes)
    return network


class CentredMobileNetV2(MobileNetV2):
    """MobileNetV2 whose images are brought to the range that transformers gives it: -1 to 1.

    So it takes what all networks here take: RGB in [0, 1] less ImageNet's mean, divided by its
    deviation. Arguments: those of `MobileNetV2`.
    """

    def forward(self, x: Tensor) -> Features:
        """The maps of an image (B, 3, H, W)."""
        mean, std = (x.new_tensor(values)[:, None, None] for values in (_MEAN, _STD))
        return super().forward((x * std + mean) * 2 - 1)


def transformers_deeplabv3(
    num_classes: int = 21, output_stride: int = 8, width: float = 1.0
) -> DeepLabV3:
    """The `MobileNetV2ForSemanticSegmentation` of transformers: DeepLab v3 without 3x3 branches.

    It pads as TensorFlow does, which is symmetric, as here, for sides of a multiple of the output
    stride and one more pixel, such as 513; at other sizes it is another network by a shift.
    Its logits are those of `scores`, which it leaves coarse. width: its depth_multiplier.
    Source: MobileNetV2, section 6.3.
    """
    body = CentredMobileNetV2(output_stride, width=width)
    for module in body.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 0.001
    network = DeepLabV3(body, num_classes, channels=256, atrous_rates=(), align_corners=True)
    network.classifier[0].project[3].p = 0.8
    return network


def _with_rates(network: DeepLabV3) -> DeepLabV3:
    """`network`, its ASPP with the rates 12, 24 and 36 whatever the output stride."""
    for rate, (conv, *_) in zip((12, 24, 36), network.classifier[0].convs[1:4], strict=True):
        conv.dilation = conv.padding = (rate, rate)
    return network
