"""One more map of a backbone than the two it returns."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from dlseg.backbones import ResNet


@contextmanager
def tapped(stage: nn.Module) -> Iterator[list[Tensor]]:
    """A list that gets what `stage`, a part of a backbone, returns while the backbone runs."""
    maps: list[Tensor] = []
    handle = stage.register_forward_hook(lambda _stage, _inputs, output: maps.append(output))
    try:
        yield maps
    finally:
        handle.remove()


def check_resnet(backbone: nn.Module, option: str) -> None:
    """ValueError unless `backbone` is a ResNet, for an option that needs a map of its stages."""
    if not isinstance(backbone, ResNet):
        raise ValueError(
            f"{option} needs a map inside a ResNet, got {type(backbone).__name__}; drop {option}"
        )
