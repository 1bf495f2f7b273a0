"""Networks by name, for the command line and for checkpoints.

A description is a dict of plain values from which `build_model` makes the network again:

    {"network": "fcn-resnet18", "num_classes": 10, "output_stride": 32, "width": 0.25}
"""

from pathlib import Path

from torch import nn

from dlseg.backbones import VGG16, MobileNetV2, ResNet, Xception
from dlseg.models.fcn import FCN
from dlseg.training.checkpoint import CheckpointError, load_checkpoint

BACKBONES = ("resnet18", "resnet34", "resnet50", "resnet101", "vgg16", "mobilenetv2", "xception65")
NETWORKS = tuple(f"fcn-{backbone}" for backbone in BACKBONES)


def describe(network: str, num_classes: int, output_stride: int = 32, width: float = 1.0) -> dict:
    """The description of a network: one of NETWORKS, and what `build_model` needs beside."""
    return {
        "network": network,
        "num_classes": num_classes,
        "output_stride": output_stride,
        "width": width,
    }


def build_model(description: dict, weights: str | None = None) -> nn.Module:
    """The network of a description, see `describe`.

    weights: None, or "imagenet" for the published weights of the backbone (at width 1).
    Raises ValueError for an unknown network, and where the backbone cannot do what is asked.
    """
    network = description["network"]
    if network not in NETWORKS:
        raise ValueError(f"no network is called {network!r}; there are {', '.join(NETWORKS)}")
    stride, width = description["output_stride"], description["width"]
    backbone = build_backbone(network.removeprefix("fcn-"), stride, width, weights)
    return FCN(backbone, description["num_classes"])


def build_backbone(
    name: str, output_stride: int, width: float = 1.0, weights: str | None = None
) -> nn.Module:
    """One of BACKBONES. Arguments and errors as those of the backbone."""
    if name.startswith("resnet"):
        depth = int(name.removeprefix("resnet"))
        return ResNet(depth, output_stride, width=width, weights=weights)
    if name == "vgg16":
        return VGG16(output_stride, width=width, weights=weights)
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

    output_stride: None, as trained, or another: the weights fit (DeepLab v3, table 10).
    Raises CheckpointError for a file that is no good checkpoint, or one without a description.
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
