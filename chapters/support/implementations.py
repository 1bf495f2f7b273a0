"""The networks of well-known implementations, made of those of the package.

Each function says in what its network differs from the paper's. Weights trained there fit: those
of segmentation-models-pytorch renamed by `from_smp`. torchvision's is in the package, for its
published weights: `dlseg.models.torchvision_deeplabv3`.
"""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from dlseg.backbones import Features, MobileNetV2, ResNet, conv_bn_relu6
from dlseg.models import (
    Decoder,
    DeepLabV3,
    DeepLabV3Plus,
    conv_bn_relu,
    initialise_head,
    torchvision_deeplabv3,
)

ONE = ((3, 256),)  # a decoder of one 3x3 instead of two

# What another name in the state dict of segmentation-models-pytorch begins with, and ours.
_SMP_V3 = {
    "encoder.": "backbone.",
    "decoder.aspp.": "classifier.0.",
    "decoder.conv.": "classifier.1.",
    "decoder.bn.": "classifier.2.",
    "segmentation_head.0.": "classifier.4.",
}
_SMP_V3_PLUS = {
    "encoder.": "backbone.",
    "decoder.aspp.": "aspp.",
    "decoder.block1.": "decoder.project.",
    "decoder.block2.": "decoder.layers.0.",
    "segmentation_head.0.": "classifier.",
}


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
    for rate, (conv, *_) in zip((12, 24, 36), network.classifier[0].convs[1:4], strict=True):
        conv.dilation = conv.padding = (rate, rate)
    network.align_corners = True
    return network


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


def from_smp(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of segmentation-models-pytorch's DeepLabV3 or DeepLabV3Plus under our names.

    Raises: ValueError for a name that neither network has.
    """
    plus = any(key.startswith("decoder.block1.") for key in state)
    table, renamed = _SMP_V3_PLUS if plus else _SMP_V3, {}
    for key, value in state.items():
        prefix = next((prefix for prefix in table if key.startswith(prefix)), None)
        if prefix is None:
            raise ValueError(f"no DeepLab of segmentation-models-pytorch has a {key!r}")
        renamed[table[prefix] + key.removeprefix(prefix)] = value
    return renamed


def vainf_deeplabv3plus(backbone: nn.Module, num_classes: int = 21) -> DeepLabV3Plus:
    """The DeepLab v3+ of VainF/DeepLabV3Plus-Pytorch, on a backbone of ours.

    Plain convolutions, and one 3x3 in the decoder instead of two. It joins the shallow map before
    the deep one, so that its weights fit after their 304 input channels were put in our order.
    """
    return with_decoder(DeepLabV3Plus(backbone, num_classes), layers=ONE)


def deeplab2_deeplabv3plus(backbone: nn.Module, num_classes: int = 21) -> DeepLabV3Plus:
    """The head of google-research/deeplab2's DeepLab v3+, on a backbone of ours.

    ASPP plain, the decoder's two 3x3 separable; corners aligned.
    """
    network = DeepLabV3Plus(backbone, num_classes, align_corners=True)
    return with_decoder(network, convolution="separable")
