"""The backbones by name: one row each.

A row is all that a backbone needs to be known to every network, command and test.
"""

from collections.abc import Mapping
from typing import NamedTuple

from torch import nn

from dlseg.backbones.encoders import TIMM, TimmBackbone
from dlseg.backbones.mobilenetv2 import MobileNetV2
from dlseg.backbones.mobilenetv3 import MobileNetV3
from dlseg.backbones.resnet import ResNet
from dlseg.backbones.vgg import VGG16
from dlseg.backbones.xception import Xception


class Backbone(NamedTuple):
    """kind: what networks may ask for, see `dlseg.models.registry`; make: the class; options: of
    it; published: the weights of weights="imagenet", a key of PUBLISHED, or None.
    """

    kind: str
    make: type[nn.Module]
    options: dict
    published: str | None


# Kinds: ResNets of "basic" or "bottleneck" units, "vgg", "xception", and "mobile", made for phones;
# "timm": those of timm, which have no row: "timm:NAME", see `TimmBackbone`.
BACKBONES = {
    "resnet18": Backbone("basic", ResNet, {"depth": 18}, "resnet18"),
    "resnet34": Backbone("basic", ResNet, {"depth": 34}, "resnet34"),
    "resnet50": Backbone("bottleneck", ResNet, {"depth": 50}, "resnet50"),
    "resnet101": Backbone("bottleneck", ResNet, {"depth": 101}, "resnet101"),
    "vgg16": Backbone("vgg", VGG16, {}, "vgg16"),
    "vgg16_bn": Backbone("vgg", VGG16, {"batch_norm": True}, "vgg16_bn"),
    "mobilenetv2": Backbone("mobile", MobileNetV2, {}, "mobilenet_v2"),
    "mobilenetv3_large": Backbone("mobile", MobileNetV3, {}, "mobilenet_v3_large"),
    "xception65": Backbone("xception", Xception, {"depth": 65}, None),
}


def kind_of(backbone: str) -> str:
    """The kind of a backbone's name, a key of BACKBONES or "timm:NAME"."""
    return "timm" if backbone.startswith(TIMM) else BACKBONES[backbone].kind


def make_backbone(
    backbone: str | nn.Module,
    output_stride: int | None = None,
    width: float = 1.0,
    weights: str | None = None,
    changes: Mapping[str, dict] | None = None,
    needs: type[nn.Module] = nn.Module,
    stride: int = 16,
    only: bool = False,
) -> nn.Module:
    """The backbone of that name, or `backbone` itself where it is a module.

    output_stride, `stride` where it is None, width, weights: of the one with a name. changes: for
    each kind, options other than its row's. needs: the class that it must have; only: whether its
    output stride must be `stride`.
    Raises ValueError for an unknown name, a module with any of these three, a backbone that is not
    what is needed, and as the class does.
    """
    if isinstance(backbone, str):
        wanted = stride if output_stride is None else output_stride
        backbone = _named(backbone, wanted, width, weights, changes or {})
    elif (output_stride, width, weights) != (None, 1.0, None):
        raise ValueError(
            "output_stride, width and weights are those of a backbone given by name; give them "
            f"to the {type(backbone).__name__} itself, or give a name: {', '.join(BACKBONES)}"
        )
    if not isinstance(backbone, needs) or (only and backbone.output_stride != stride):
        raise ValueError(
            f"this network needs a {needs.__name__}{f' of output_stride={stride}' if only else ''}"
            f", got {type(backbone).__name__} of output_stride={backbone.output_stride}"
        )
    return backbone


def _named(
    name: str, output_stride: int, width: float, weights: str | None, changes: Mapping[str, dict]
) -> nn.Module:
    if name.startswith(TIMM):
        if width != 1:
            raise ValueError(f"{name} has width 1.0 alone, got {width!r}")
        return TimmBackbone(name.removeprefix(TIMM), output_stride, weights=weights)
    if name not in BACKBONES:
        raise ValueError(
            f"no backbone is called {name!r}; there are {', '.join(BACKBONES)}, {TIMM}NAME"
        )
    row = BACKBONES[name]
    options = row.options | changes.get(row.kind, {})
    return row.make(output_stride, width=width, weights=weights, **options)
