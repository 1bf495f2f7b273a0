"""Other people's implementations that tests compare with; tests skip where one is missing."""

from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

# Registered from Python when torchvision is imported, so they must be known by then. A torchvision
# installed without its compiled operators lacks them; no test calls them.
_STUBS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_libraries: list[torch.library.Library] = []  # an operator lives as long as its library


def load_torchvision() -> ModuleType:
    """The module torchvision, its models importable even without its compiled operators.

    Skips the calling test or module where torchvision is not installed.
    """
    try:
        import torchvision
    except ImportError:
        reason = "torchvision is not installed: pip install --no-deps torchvision (extra: parity)"
        pytest.skip(reason, allow_module_level=True)
    except RuntimeError:
        # Its compiled operators are missing or belong to another torch.
        _define_stubs()
        import torchvision
    return torchvision


def load_timm() -> ModuleType:
    """The module timm, which needs torchvision.

    Skips the calling test or module where either is not installed.
    """
    load_torchvision()
    try:
        import timm
    except ImportError:
        reason = "timm is not installed: pip install --no-deps timm (extra: parity)"
        pytest.skip(reason, allow_module_level=True)
    return timm


def randomise(model: nn.Module, size: int = 65, seed: int = 0) -> None:
    """Random affine parameters and running statistics for every BN, none of them 0 or 1.

    The statistics are those of two random images of size x size pixels, so that in eval mode, in
    which the model is left, maps keep their scale through any number of layers.
    """
    generator = torch.Generator().manual_seed(seed)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    before = [norm.momentum for norm in norms]
    with torch.no_grad():
        for norm in norms:
            norm.weight.uniform_(0.5, 1.5, generator=generator)
            norm.bias.normal_(0, 0.2, generator=generator)
            norm.reset_running_stats()
            norm.momentum = None  # take the statistics of the one batch that follows
        like = next(model.parameters())
        model.train()(torch.randn(2, 3, size, size, generator=generator).to(like))
    for norm, momentum in zip(norms, before, strict=True):
        norm.momentum = momentum
    model.eval()


def distance(ours: Tensor, theirs: Tensor) -> float:
    """Largest difference of two maps, relative to the largest value of the second."""
    if ours.shape != theirs.shape:
        raise ValueError(f"shapes differ: {tuple(ours.shape)} and {tuple(theirs.shape)}")
    return float((ours - theirs).abs().max() / theirs.abs().max())


def _define_stubs() -> None:
    library = torch.library.Library("torchvision", "FRAGMENT")
    for schema in _STUBS:
        library.define(schema)
    _libraries.append(library)
