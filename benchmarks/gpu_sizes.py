"""Sizes of what `gpu.py` measures, and what its parts share."""

from dataclasses import dataclass

import torch
from torch import Tensor

from tests.peers import distance

CLASSES = 21
SAME = 1e-4  # of the largest value


@dataclass(frozen=True)
class Sizes:
    """How large everything is. pixels: of the networks' images; crf: of the CRF's."""

    backbone: str = "resnet101"
    width: float = 1.0
    pixels: int = 513
    batches: tuple[int, ...] = (1, 8, 16)
    crf: tuple[int, ...] = (321, 513)
    crf_batch: int = 8
    families: tuple[str, ...] = (
        "fcn-resnet18",
        "deeplabv1-vgg16_bn",
        "deeplabv2-resnet18",
        "deeplabv3-resnet18",
        "deeplabv3plus-mobilenetv2",
        "deeplabv3plus-xception65",
    )
    # What the command line computes goes where DLSEG_DEVICE says; other tests name their device.
    tests: tuple[str, ...] = ("tests/test_device.py", "tests/commands")
    chapters: int | None = None  # how many, those that need the least time first
    nbval: tuple[str, ...] = ("--nbval",)
    rounds: int = 10
    compiled: bool = True
    export: bool = True

    @classmethod
    def quick(cls) -> "Sizes":
        """For a rehearsal of some seconds."""
        small = {"backbone": "resnet18", "width": 0.125, "pixels": 65, "batches": (2,)}
        few = {"crf": (33,), "crf_batch": 2, "families": ("deeplabv3plus-resnet18",)}
        tests = {"tests": ("tests/arithmetic/test_layer.py",), "chapters": 1}
        collect = ("--nbval", "--collect-only")  # no kernel is started
        return cls(**small, **few, **tests, nbval=collect, rounds=1, compiled=False, export=False)


def batch_of(number: int, side: int) -> tuple[Tensor, Tensor]:
    """Random images (B, 3, H, W) and labels (B, H, W)."""
    generator = torch.Generator().manual_seed(number)
    images = torch.randn(number, 3, side, side, generator=generator)
    return images, torch.randint(CLASSES, (number, side, side), generator=generator)


def compared(ours: Tensor, theirs: Tensor) -> dict:
    """How far the device's result is from the CPU's."""
    difference = distance(ours.detach().cpu().double(), theirs.detach().double())
    return {"equal": difference < SAME, "difference": float(f"{difference:.1e}")}
