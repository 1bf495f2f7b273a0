"""Networks by name, for the command line and for checkpoints.

A name is a family and a backbone, such as "deeplabv3plus-resnet50"; FAMILIES has them all.

    fcn            the plain head; output stride 8, 16 or 32
    deeplabv1      LargeFOV of the paper, without MSc; output stride 8 alone
    deeplabv2      ASPP-L at one scale; output stride 8 alone
    deeplabv3      ASPP and image pooling; output stride 8, 16 or 32. Multi-grid (1, 2, 4) on
                   ResNet-50 and -101, none on 18 and 34. MobileNetV2 has the head of its authors,
                   without 3x3 branches
    deeplabv3plus  the same encoder, all branches on MobileNetV2 too, and the decoder. 3x3
                   convolutions are plain on ResNets (table 3), else separable (as shipped)

"vgg16" has no batch norm, as in the papers, and should start from ImageNet's weights; "vgg16_bn"
learns from random ones too. Rates are the papers', made for crops of 321 to 769 pixels.

A description is a dict of plain values from which `build_model` makes the network again:

    {"network": "fcn-resnet18", "num_classes": 10, "output_stride": 32, "width": 0.25}
"""

from collections.abc import Sequence
from pathlib import Path

from torch import nn

from dlseg.backbones import VGG16, MobileNetV2, ResNet, Xception, load_into
from dlseg.backbones.width import check_width, round_channels
from dlseg.models import FCN, DeepLabV1, DeepLabV2, DeepLabV3, DeepLabV3Plus
from dlseg.training.checkpoint import CheckpointError, load_checkpoint

RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101")
VGGS = ("vgg16", "vgg16_bn")
OTHERS = ("mobilenetv2", "xception65")
FAMILIES = {
    "fcn": (*RESNETS, *VGGS, *OTHERS),
    "deeplabv1": VGGS,
    "deeplabv2": (*VGGS, *RESNETS),
    "deeplabv3": (*RESNETS, *OTHERS),
    "deeplabv3plus": (*RESNETS, *OTHERS),
}
NETWORKS = tuple(
    f"{family}-{backbone}" for family, backbones in FAMILIES.items() for backbone in backbones
)
ONE_STRIDE = ("deeplabv1", "deeplabv2")  # built for output stride 8


def describe(network: str, num_classes: int, output_stride: int = 8, width: float = 1.0) -> dict:
    """The description of a network: one of NETWORKS, and what `build_model` needs beside.

    output_stride: 8, 16 or 32; for DeepLab v1 and v2 only 8. width: factor on all channels.
    """
    return {
        "network": network,
        "num_classes": num_classes,
        "output_stride": output_stride,
        "width": width,
    }


def build_model(description: dict, weights: str | None = None) -> nn.Module:
    """The network of a description, see `describe`.

    weights: None, or "imagenet" for the published weights of the backbone (at width 1).
    Raises ValueError for an unknown network, and where it or its backbone cannot do what is asked.
    """
    family, backbone = _parts(description["network"])
    num_classes, width = description["num_classes"], description["width"]
    stride = description["output_stride"]
    if family in ONE_STRIDE:
        if stride != 8:
            raise ValueError(
                f"output_stride must be 8 with {family}-{backbone}, got {stride!r}; "
                "another can be chosen for fcn, deeplabv3 and deeplabv3plus only"
            )
        return _v1_or_v2(family, backbone, num_classes, width, weights)
    if family == "fcn":
        return FCN(build_backbone(backbone, stride, width, weights), num_classes)
    # The paper's unit rates are those of a stage of three bottlenecks.
    grid = (1, 2, 4) if backbone in ("resnet50", "resnet101") else (1, 1, 1)
    body = build_backbone(backbone, stride, width, weights, grid)
    return _v3_or_plus(family, backbone, body, num_classes, width)


def _parts(network: str) -> list[str]:
    """Family and backbone of one of NETWORKS."""
    if network not in NETWORKS:
        known = ", ".join(f"{family}-{{{','.join(FAMILIES[family])}}}" for family in FAMILIES)
        raise ValueError(f"no network is called {network!r}; there are {known}")
    return network.split("-")


def _v1_or_v2(
    family: str, backbone: str, num_classes: int, width: float, weights: str | None
) -> nn.Module:
    """DeepLab v1 or v2, which make their backbones themselves."""
    check_width(width, weights)
    if weights not in (None, "imagenet"):
        raise ValueError(f'weights must be None or "imagenet", got {weights!r}')
    if weights and backbone in ("resnet50", "resnet101"):
        raise ValueError(
            f"the published weights of {backbone} were trained with the stride on a 3x3, and "
            f"DeepLab v2's has it on a 1x1: take {family}-resnet34 or deeplabv3-{backbone}, or "
            "weights of a checkpoint"
        )
    if family == "deeplabv1":
        model = DeepLabV1(num_classes, batch_norm=backbone == "vgg16_bn", width=width)
    else:
        model = DeepLabV2(backbone, num_classes, width=width)
    if weights:
        load_into(model.backbone, backbone)
    return model


def _v3_or_plus(
    family: str, backbone: str, body: nn.Module, num_classes: int, width: float
) -> nn.Module:
    """DeepLab v3 or v3+ on `body`, the backbone of that name."""
    channels = round_channels(256 * width)
    if family == "deeplabv3":
        rates = () if backbone == "mobilenetv2" else (6, 12, 18)
        return DeepLabV3(body, num_classes, channels, rates)
    convolution = "plain" if backbone in RESNETS else "separable"
    return DeepLabV3Plus(
        body,
        num_classes,
        channels,
        aspp_convolution=convolution,
        low_level_channels=round_channels(48 * width),
        decoder_convolution=convolution,
    )


def build_backbone(
    name: str,
    output_stride: int,
    width: float = 1.0,
    weights: str | None = None,
    multi_grid: Sequence[int] = (1, 1, 1),
) -> nn.Module:
    """A backbone that FAMILIES names. multi_grid: of a ResNet.

    All other arguments and errors as those of the backbone.
    """
    if name in RESNETS:
        depth = int(name.removeprefix("resnet"))
        return ResNet(depth, output_stride, multi_grid=multi_grid, width=width, weights=weights)
    if name in VGGS:
        return VGG16(output_stride, batch_norm=name == "vgg16_bn", width=width, weights=weights)
    if name == "mobilenetv2":
        return MobileNetV2(output_stride, width=width, weights=weights)
    if name == "xception65" and weights is None:
        return Xception(65, output_stride, width=width)
    raise ValueError(f"there is no backbone {name!r} with weights={weights!r}")


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Give `model` the weights of a checkpoint, all of them.

    Raises CheckpointError for a file that is no good checkpoint, ValueError for the weights of
    another network.
    """
    _give(model, load_checkpoint(path), path)


def load_network(path: str | Path, output_stride: int | None = None) -> tuple[nn.Module, dict]:
    """The trained network of a checkpoint, on the CPU in eval mode, and the checkpoint's entries.

    output_stride: None, as trained, or another: the weights fit, and the rates, ASPP's too, follow
    (DeepLab v3, section 4.1 and table 10).
    Raises CheckpointError for a file that is no good checkpoint, or one without a description;
    ValueError for an output stride that the network cannot have.
    """
    entries = load_checkpoint(path)
    if entries["model"] is None:
        raise CheckpointError(f"{path} does not say which network it holds; load its `weights`")
    changes = {} if output_stride is None else {"output_stride": output_stride}
    model = build_model(entries["model"] | changes)
    _give(model, entries, path)
    return model.eval(), entries


def _give(model: nn.Module, entries: dict, path: str | Path) -> None:
    try:
        model.load_state_dict(entries["weights"])
    except RuntimeError as error:
        held = f"it holds {entries['model']}" if entries["model"] else "it holds another network"
        raise ValueError(f"the weights of {path} do not fit this network: {held}") from error
