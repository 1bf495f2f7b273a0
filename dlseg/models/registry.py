"""The networks by name: one row each, for the command line, checkpoints and tests.

A name is a family and a backbone, such as "deeplabv3plus-resnet50"; NETWORKS has them all but
those on encoders of timm, such as "deeplabv3plus-timm:convnext_tiny": see `TimmBackbone`.

    fcn            the plain head; output stride 8, 16 or 32
    deeplabv1      LargeFOV of the paper, without MSc; output stride 8 alone
    deeplabv2      ASPP-L at one scale; output stride 8 alone
    deeplabv3      ASPP and image pooling; output stride 8, 16 or 32. Multi-grid (1, 2, 4) on
                   ResNet-50 and -101, none on 18 and 34. Made for phones it has the head of
                   MobileNetV2's authors, without 3x3 branches
    deeplabv3plus  the same encoder, all branches everywhere, and the decoder. 3x3 convolutions are
                   plain on ResNets (table 3), else separable (as shipped)
    torchvision-deeplabv3  torchvision's v3, for its published weights; see `published`

"vgg16" has no batch norm, as in the papers, and should start from ImageNet's weights; "vgg16_bn"
learns from random ones too. Rates are the papers', made for crops of 321 to 769 pixels.

A description is a dict of plain values from which `build_model` makes the network again:

    {"network": "fcn-resnet18", "num_classes": 10, "output_stride": 32, "width": 0.25}

with "channels" and "atrous_rates" where the head is not the network's usual one; or, for a network
that is no row here, the call that makes it: see `dlseg.models.calls`.
"""

from collections.abc import Callable, Sequence
from inspect import signature
from typing import NamedTuple

from torch import nn

from dlseg.backbones import BACKBONES, TIMM, kind_of
from dlseg.checks import check_integer
from dlseg.models.calls import build_call, is_own
from dlseg.models.deeplabv1 import DeepLabV1
from dlseg.models.deeplabv2 import DeepLabV2
from dlseg.models.deeplabv3 import DeepLabV3
from dlseg.models.deeplabv3plus import DeepLabV3Plus
from dlseg.models.fcn import FCN
from dlseg.models.published import torchvision_deeplabv3
from dlseg.schema import integer, listing, maybe


class Family(NamedTuple):
    """make: builds the network; kinds: of backbones it goes with; options: of the network, for
    some of the kinds; output_strides: those it can have.
    """

    make: Callable[..., nn.Module]
    kinds: tuple[str, ...]
    options: dict[str, dict]
    output_strides: tuple[int, ...] = (8, 16, 32)


_SEPARABLE = {"convolution": "separable"}
FAMILIES = {
    "fcn": Family(FCN, ("basic", "bottleneck", "vgg", "mobile", "xception", "timm"), {}),
    "deeplabv1": Family(DeepLabV1, ("vgg",), {}, (8,)),
    "deeplabv2": Family(DeepLabV2, ("basic", "bottleneck", "vgg"), {}, (8,)),
    "deeplabv3": Family(
        DeepLabV3,
        ("basic", "bottleneck", "mobile", "xception", "timm"),
        {"mobile": {"atrous_rates": ()}},
    ),
    "deeplabv3plus": Family(
        DeepLabV3Plus,
        ("basic", "bottleneck", "mobile", "xception", "timm"),
        {"mobile": _SEPARABLE, "xception": _SEPARABLE},
    ),
    "torchvision-deeplabv3": Family(torchvision_deeplabv3, ("bottleneck",), {}),
}
NETWORKS = {
    f"{name}-{backbone}": (family, backbone)
    for name, family in FAMILIES.items()
    for backbone, row in BACKBONES.items()
    if row.kind in family.kinds
}


def _names(family: Family) -> list[str]:
    timm = [f"{TIMM}NAME"] if "timm" in family.kinds else []
    return [name for name, row in BACKBONES.items() if row.kind in family.kinds] + timm


_NAMES = [f"{name}-{{{','.join(_names(family))}}}" for name, family in FAMILIES.items()]


def network_row(name: object) -> tuple[Family, str]:
    """The family of a network and its backbone's name. ValueError for a name that is none.

    Whether timm has the network of "fcn-timm:NAME" is asked when it is built.
    """
    family, _, backbone = name.partition("-") if isinstance(name, str) else ("", "", "")
    if backbone.startswith(TIMM) and "timm" in getattr(FAMILIES.get(family), "kinds", ()):
        return FAMILIES[family], backbone
    if not isinstance(name, str) or name not in NETWORKS:
        raise ValueError(f"no network is called {name!r}; there are {', '.join(_NAMES)}")
    return NETWORKS[name]


def describe(
    network: str,
    num_classes: int,
    output_stride: int = 8,
    width: float = 1.0,
    channels: int | None = None,
    atrous_rates: Sequence[int] | None = None,
) -> dict:
    """The description of a network: one of NETWORKS, and what `build_model` needs beside.

    output_stride: 8, 16 or 32; for DeepLab v1 and v2 only 8. width: factor on all channels.
    channels, atrous_rates: of the head, for networks with such; None: the network's own.
    Raises ValueError for rates that are no list of integers >= 1.
    """
    description = {
        "network": network,
        "num_classes": num_classes,
        "output_stride": output_stride,
        "width": width,
    }
    rates = maybe(listing(integer(1)))("atrous_rates", atrous_rates)
    head = {"channels": channels, "atrous_rates": rates}
    return description | {name: value for name, value in head.items() if value is not None}


def build_model(
    description: dict, weights: str | None = None, trust_imports: bool = False
) -> nn.Module:
    """The network of a description, see `describe` and `described`.

    weights: None, or "imagenet" for the published weights of the backbone (at width 1).
    trust_imports: whether a network that is not of this package may be imported, and its code run.
    Raises ValueError for an unknown network, and where it or its backbone cannot do what is asked.
    """
    if "call" in description:
        if weights is not None:
            raise ValueError(f"{description['call']} has its own way to published weights")
        return build_call(description, trust_imports)
    missing = [key for key in describe("", 1) if key not in description]
    if missing:
        raise ValueError(f"the description of a network lacks {', '.join(missing)}: see describe")
    name = description["network"]
    family, backbone = network_row(name)
    stride = check_integer("output_stride", description["output_stride"], 1)
    if stride not in family.output_strides:
        raise ValueError(
            f"output_stride must be {' or '.join(map(str, family.output_strides))} with {name}, "
            f"got {stride}"
        )
    head = {key: description[key] for key in ("channels", "atrous_rates") if key in description}
    for key in head.keys() - signature(family.make).parameters:
        raise ValueError(f"{name} has no {key} to choose: leave them out, or take a DeepLab v3+")
    return family.make(
        backbone,
        description["num_classes"],
        output_stride=stride,
        width=description["width"],
        weights=weights,
        **(family.options.get(kind_of(backbone), {}) | head),
    )


def at_stride(description: dict, output_stride: int) -> dict:
    """The same network at another output stride. ValueError for one that is not of this package."""
    if "call" not in description:
        return description | {"output_stride": output_stride}
    if not is_own(description):
        raise ValueError(
            f"the output stride of {description['call']} is of its own arguments; leave out "
            "output_stride, which is for networks of dlseg"
        )
    arguments = description["arguments"] | {"output_stride": output_stride}
    return description | {"arguments": arguments}
