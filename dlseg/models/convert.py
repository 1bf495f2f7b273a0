"""Weights of other programs for the networks of this package: other names, the same numbers.

A state dict does not say which network it is of. So each network that the other program has is made
without memory, and the one whose names and shapes are those of the file is taken.
"""

import re
import sys
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from dlseg.checks import check_choice
from dlseg.models.registry import build_model, describe
from dlseg.models.theirs import SMP_BACKBONES
from dlseg.state import misfit

State = Mapping[str, Tensor]
Names = tuple[tuple[str, str], ...]  # patterns of what names begin with, and ours in their place


class Converted(NamedTuple):
    """What was made of a state dict.

    state: the weights under our names. description: of the network they are of. dropped: names in
    the file for which this network has no use, such as those of an auxiliary head.
    """

    state: dict[str, Tensor]
    description: dict
    dropped: tuple[str, ...]


class Theirs(NamedTuple):
    """A network of another program.

    make: its description here, of a number of classes and an output stride. output_stride: its
    default there. classifier: the entry of our state dict whose first size is the number of
    classes. names: ours for theirs. mend: what else is to be done to the state dict.
    """

    make: Callable[[int, int], dict]
    output_stride: int
    classifier: str
    names: Names = ()
    mend: Callable[[dict[str, Tensor]], dict[str, Tensor]] = dict


def convert(state: State, source: str, output_stride: int | None = None) -> Converted:
    """The state dict of a network of another program as weights of one of this package.

    source: "torchvision", "smp" (segmentation-models-pytorch) or "transformers". output_stride: the
    one it was trained at, which no state dict tells; None: the other program's own default.
    Raises ValueError for another source, and for a state dict of none of its networks.
    """
    check_choice("source", source, tuple(SOURCES))
    dropped = tuple(key for key in state if key.startswith(DROPPED))
    kept = {key: value for key, value in state.items() if key not in dropped}
    nearest = (sys.maxsize, "")
    for theirs in SOURCES[source]:
        ours = {_renamed(key, theirs.names): value for key, value in kept.items()}
        if theirs.classifier not in ours:
            continue
        classes = len(ours[theirs.classifier])
        description = theirs.make(classes, output_stride or theirs.output_stride)
        with torch.device("meta"):
            model = build_model(description)
        if not (difference := misfit(model, ours)):
            return Converted(theirs.mend(ours), description, dropped)
        nearest = min(nearest, (len(model.state_dict().keys() ^ ours.keys()), difference))
    first = ", ".join(list(kept)[:3])
    raise ValueError(
        f"no network of {source} that is known here has these weights, {first} and others: "
        f"{nearest[1] or 'there is no classifier by its name'}"
    )


def _renamed(key: str, names: Names) -> str:
    for pattern, ours in names:
        renamed, count = re.subn(f"^{pattern}", ours, key)
        if count:
            return renamed
    return key


def _called(function: str, **arguments: object) -> Callable[[int, int], dict]:
    """Descriptions of what a function of `theirs` makes."""

    def make(num_classes: int, output_stride: int) -> dict:
        given = arguments | {"num_classes": num_classes, "output_stride": output_stride}
        call = f"dlseg.models.{function}"
        return {"call": call, "arguments": given, "num_classes": num_classes}

    return make


def _row(network: str) -> Callable[[int, int], dict]:
    return lambda num_classes, output_stride: describe(network, num_classes, output_stride)


def _pooling_last(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """transformers joins image pooling before the 1x1 branch; ours is the other way round."""
    name = "classifier.0.project.0.weight"
    return state | {name: torch.cat(state[name].chunk(2, dim=1)[::-1], dim=1)}


# Heads that only train or classify, and what lies behind the map that DeepLab takes.
DROPPED = ("aux_classifier.", "classification_head.", "mobilenet_v2.conv_1x1.")
_SMP_V3: Names = (
    (r"encoder\.", "backbone."),
    (r"decoder\.aspp\.", "classifier.0."),
    (r"decoder\.conv\.", "classifier.1."),
    (r"decoder\.bn\.", "classifier.2."),
    (r"segmentation_head\.0\.", "classifier.4."),
)
_SMP_V3_PLUS: Names = (
    (r"encoder\.", "backbone."),
    (r"decoder\.aspp\.", "aspp."),
    (r"decoder\.block1\.", "decoder.project."),
    (r"decoder\.block2\.", "decoder.layers.0."),
    (r"segmentation_head\.0\.", "classifier."),
)
_CONVOLUTION, _NORM = r"\.convolution\.", r"\.normalization\."
_TRANSFORMERS: Names = (
    (rf"mobilenet_v2\.conv_stem\.first_conv{_CONVOLUTION}", "backbone.features.0.0."),
    (rf"mobilenet_v2\.conv_stem\.first_conv{_NORM}", "backbone.features.0.1."),
    (rf"mobilenet_v2\.conv_stem\.conv_3x3{_CONVOLUTION}", "backbone.features.1.conv.0.0."),
    (rf"mobilenet_v2\.conv_stem\.conv_3x3{_NORM}", "backbone.features.1.conv.0.1."),
    (rf"mobilenet_v2\.conv_stem\.reduce_1x1{_CONVOLUTION}", "backbone.features.1.conv.1."),
    (rf"mobilenet_v2\.conv_stem\.reduce_1x1{_NORM}", "backbone.features.1.conv.2."),
    *(
        (rf"mobilenet_v2\.layer\.{layer}\.{theirs}", f"backbone.features.{layer + 2}.conv.{ours}.")
        for layer in range(16)
        for theirs, ours in (
            (f"expand_1x1{_CONVOLUTION}", "0.0"),
            (f"expand_1x1{_NORM}", "0.1"),
            (f"conv_3x3{_CONVOLUTION}", "1.0"),
            (f"conv_3x3{_NORM}", "1.1"),
            (f"reduce_1x1{_CONVOLUTION}", "2"),
            (f"reduce_1x1{_NORM}", "3"),
        )
    ),
    (rf"segmentation_head\.conv_aspp{_CONVOLUTION}", "classifier.0.convs.0.0."),
    (rf"segmentation_head\.conv_aspp{_NORM}", "classifier.0.convs.0.1."),
    (rf"segmentation_head\.conv_pool{_CONVOLUTION}", "classifier.0.convs.1.1."),
    (rf"segmentation_head\.conv_pool{_NORM}", "classifier.0.convs.1.2."),
    (rf"segmentation_head\.conv_projection{_CONVOLUTION}", "classifier.0.project.0."),
    (rf"segmentation_head\.conv_projection{_NORM}", "classifier.0.project.1."),
    (rf"segmentation_head\.classifier{_CONVOLUTION}", "classifier.1."),
)
_RESNETS, _WIDTHS = ("resnet50", "resnet101"), (1.0, 1.4, 1.3, 0.75, 0.5, 0.35)
_TORCHVISION_V3 = tuple(
    Theirs(_row(f"torchvision-deeplabv3-{name}"), 8, "classifier.4.weight") for name in _RESNETS
)
_TORCHVISION_FCN = tuple(
    Theirs(_called("torchvision_fcn", backbone=name), 8, "classifier.4.weight") for name in _RESNETS
)
_TORCHVISION_MOBILE = Theirs(
    _called("torchvision_mobile_deeplabv3"),
    16,
    "classifier.4.weight",
    ((r"backbone\.(?=\d)", "backbone.features."),),
)
SOURCES: dict[str, tuple[Theirs, ...]] = {
    "torchvision": (*_TORCHVISION_V3, *_TORCHVISION_FCN, _TORCHVISION_MOBILE),
    "smp": tuple(
        Theirs(_called(function, backbone=name), stride, classifier, names)
        for function, stride, classifier, names in (
            ("smp_deeplabv3", 8, "classifier.4.weight", _SMP_V3),
            ("smp_deeplabv3plus", 16, "classifier.weight", _SMP_V3_PLUS),
        )
        for name in SMP_BACKBONES
    ),
    # 8 is the stride of the networks that are published for it, not of its configuration.
    "transformers": tuple(
        Theirs(
            _called("transformers_deeplabv3", width=width),
            8,
            "classifier.1.weight",
            _TRANSFORMERS,
            _pooling_last,
        )
        for width in _WIDTHS
    ),
}
