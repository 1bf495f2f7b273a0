"""Other people's implementations that tests compare with; tests skip where one is missing."""

from types import ModuleType

import pytest
import torch

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


def _define_stubs() -> None:
    library = torch.library.Library("torchvision", "FRAGMENT")
    for schema in _STUBS:
        library.define(schema)
    _libraries.append(library)
