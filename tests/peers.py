"""Other people's implementations that tests compare with; tests skip where one is missing."""

import sys
from importlib.util import find_spec
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


def load_torchmetrics() -> ModuleType:
    """The module torchmetrics, which imports torchvision where that is installed."""
    if find_spec("torchvision"):
        load_torchvision()
    import torchmetrics
    import torchmetrics.segmentation

    return torchmetrics


def load_smp() -> ModuleType:
    """The module segmentation_models_pytorch, which needs torchvision and timm.

    Importable even without the two packages that fetch its published weights.
    Skips the calling test or module where one of the three is not installed.
    """
    load_timm()  # before the stubs, which it would take for the real packages
    stubs = {} if find_spec("huggingface_hub") and find_spec("safetensors") else _hub_stubs()
    sys.modules.update(stubs)
    try:
        import segmentation_models_pytorch
    except ImportError:
        reason = "segmentation-models-pytorch is not installed: pip install --no-deps it (parity)"
        pytest.skip(reason, allow_module_level=True)
    finally:
        for name in stubs:
            del sys.modules[name]
    return segmentation_models_pytorch


def _hub_stubs() -> dict[str, ModuleType]:
    """Modules with the names that segmentation_models_pytorch imports; no test uses them."""

    class Mixin:
        def __new__(cls, *_arguments, **_options):  # as the real one, it takes what __init__ takes
            return super().__new__(cls)

        def save_pretrained(self):
            raise NotImplementedError

        from_pretrained = save_pretrained

    names = {
        "huggingface_hub": ("ModelCard", "ModelCardData", "hf_hub_download"),
        "safetensors": (),
        "safetensors.torch": ("load_file",),
    }
    stubs = {name: ModuleType(name) for name in names}
    for name, members in names.items():
        for member in members:
            setattr(stubs[name], member, None)
    stubs["huggingface_hub"].PyTorchModelHubMixin = Mixin
    return stubs


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
