"""One more map of a backbone than the two it returns, and a second loss on it."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch.nn.functional as F
from torch import Tensor, nn

from dlseg.backbones import ResNet
from dlseg.models.deeplabv3 import conv_bn_relu, initialise_head


@contextmanager
def tapped(stage: nn.Module) -> Iterator[list[Tensor]]:
    """A list that gets what `stage`, a part of a backbone, returns while the backbone runs."""
    maps: list[Tensor] = []
    handle = stage.register_forward_hook(lambda _stage, _inputs, output: maps.append(output))
    try:
        yield maps
    finally:
        handle.remove()


def small_head(in_channels: int, channels: int, num_classes: int) -> nn.Sequential:
    """3x3 convolution to `channels`, BN, ReLU, dropout of 0.1 and a 1x1 to the classes."""
    last = nn.Conv2d(channels, num_classes, 1)
    head = nn.Sequential(*conv_bn_relu(in_channels, channels, 3), nn.Dropout(0.1), last)
    initialise_head(head)
    return head


def auxiliary_head(backbone: nn.Module, num_classes: int) -> nn.Sequential:
    """A head on block3 of a ResNet, for `with_aux`: (B, 1024, h, w) to (B, num_classes, h, w).

    Raises ValueError for another backbone. Source: PSPNet, section 4; torchvision.
    """
    if not isinstance(backbone, ResNet):
        raise ValueError(f"an auxiliary head needs a ResNet, got {type(backbone).__name__}")
    channels = backbone.layer4[0].conv1.in_channels  # of block3: 1024
    return small_head(channels, channels // 4, num_classes)


def with_aux(model: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """The logits of `model` and those of its `aux_classifier`, both (B, num_classes, H, W).

    Both losses are added, the second times 0.4 in PSPNet, 0.5 in torchvision; DeepLab has none.
    Raises ValueError where the model was built without auxiliary head.
    Source: PSPNet, section 4 (Zhao et al. 2017). After training the head is not used any more.
    """
    if getattr(model, "aux_classifier", None) is None:
        raise ValueError(
            f"this {type(model).__name__} has no auxiliary head; build it with aux=True"
        )
    with tapped(model.backbone.layer3) as maps:
        logits = model(x)
    scores = model.aux_classifier(maps[0])  # (B, num_classes, H/os, W/os)
    return logits, F.interpolate(scores, x.shape[2:], mode="bilinear")
