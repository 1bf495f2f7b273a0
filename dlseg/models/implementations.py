"""The networks of well-known implementations, spelled with the options of ours.

Each function says in what its network differs from the paper's. Weights trained there fit: those
of torchvision as they are, those of segmentation-models-pytorch renamed by `from_smp`.
"""

from collections.abc import Mapping

from torch import Tensor, nn

from dlseg.backbones import Features, MobileNetV2, ResNet
from dlseg.backbones.mobilenetv2 import conv_bn_relu6
from dlseg.models.deeplabv3 import DeepLabV3
from dlseg.models.deeplabv3plus import DeepLabV3Plus
from dlseg.models.published import load_coco_voc

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
    "decoder.aspp.0.": "aspp.",
    "decoder.aspp.1.": "extra.0.",
    "decoder.aspp.2.": "extra.1.",
    "decoder.block1.": "decoder.project.",
    "decoder.block2.": "decoder.layers.0.",
    "segmentation_head.0.": "classifier.",
}


def torchvision_deeplabv3(
    depth: int = 50,
    num_classes: int = 21,
    output_stride: int = 8,
    aux: bool = False,
    weights: str | None = None,
) -> DeepLabV3:
    """torchvision's `deeplabv3_resnet50` or, with depth 101, `deeplabv3_resnet101`.

    One more 3x3 convolution behind ASPP, dropout 0.5, an auxiliary head (aux), no multi-grid.
    weights: None, or "coco_voc", the published ones, see `dlseg.models.published.load_coco_voc`;
    they were trained at output stride 8, with 21 classes and the auxiliary head.
    Raises: ValueError where an argument is out of range; OSError where the weights cannot be had.
    """
    if depth not in (50, 101):
        raise ValueError(f"torchvision has this network with depth 50 and 101, got {depth!r}")
    if weights not in (None, "coco_voc"):
        raise ValueError(f'weights must be None or "coco_voc", got {weights!r}')
    model = DeepLabV3(
        ResNet(depth, output_stride), num_classes, head="torchvision", dropout=0.5, aux=aux
    )
    if weights is not None:
        load_coco_voc(model, f"deeplabv3_resnet{depth}")
    return model


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
    return ResNet(int(name.removeprefix("resnet")), output_stride, first_unit="whole")


def smp_deeplabv3(
    backbone: str = "resnet50", num_classes: int = 21, output_stride: int = 8
) -> DeepLabV3:
    """The `DeepLabV3` of segmentation-models-pytorch; backbone: a name for `smp_backbone`.

    torchvision's head; the same rates, 12, 24 and 36, at both output strides; corners aligned.
    """
    return DeepLabV3(
        smp_backbone(backbone, output_stride),
        num_classes,
        atrous_rates=_smp_rates(output_stride),
        head="torchvision",
        dropout=0.5,
        align_corners=True,
    )


def smp_deeplabv3plus(
    backbone: str = "resnet50", num_classes: int = 21, output_stride: int = 16
) -> DeepLabV3Plus:
    """The `DeepLabV3Plus` of segmentation-models-pytorch; backbone: a name for `smp_backbone`.

    Separable convolutions without BN and ReLU inside, one of them more behind ASPP and one less in
    the decoder; rates 12, 24 and 36 at both output strides; dropout 0.5; corners aligned.
    """
    return DeepLabV3Plus(
        smp_backbone(backbone, output_stride),
        num_classes,
        atrous_rates=_smp_rates(output_stride),
        aspp_convolution="bare separable",
        decoder_layers=((3, 256),),
        decoder_convolution="bare separable",
        extra_convolution=True,
        dropout=0.5,
        align_corners=True,
    )


def _smp_rates(output_stride: int) -> tuple[int, int, int]:
    """Ours are those at output stride 16 and scale; theirs are 12, 24 and 36 whatever it is."""
    return tuple(rate * output_stride // 16 for rate in (12, 24, 36))


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
    return DeepLabV3Plus(
        backbone,
        num_classes,
        aspp_convolution="plain",
        decoder_layers=((3, 256),),
        decoder_convolution="plain",
    )


def deeplab2_deeplabv3plus(backbone: nn.Module, num_classes: int = 21) -> DeepLabV3Plus:
    """The head of google-research/deeplab2's DeepLab v3+, on a backbone of ours.

    ASPP plain, the decoder's two 3x3 separable; corners aligned.
    """
    return DeepLabV3Plus(backbone, num_classes, aspp_convolution="plain", align_corners=True)
