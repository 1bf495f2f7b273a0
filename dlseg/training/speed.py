"""What makes a step quicker and leaves the network as it is: the kernels that a CPU takes."""

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

NOT_INTEL = ("AuthenticAMD", "HygonGenuine")  # as processors name their makers
POINTWISE = 1, 1


@contextmanager
def fast_pointwise(model: nn.Module, device: torch.device) -> Iterator[None]:
    """While it lasts, 1x1 convolutions run on oneDNN where PyTorch would take MKL's slow product.

    On one thread, for batches below 16, PyTorch computes a 1x1 convolution as a product of MKL
    (`_slow_conv2d`), unless it has a stride or a rate (`use_mkldnn` in aten's Convolution.cpp). On
    processors that are not Intel's, MKL leaves their wide registers unused, so there such layers
    get a rate, which for a kernel of one tap means nothing. Elsewhere nothing is changed, not a
    bit of a result.
    """
    changed = _pointwise(model) if device.type == "cpu" and _slow_products() else []
    rates = [conv.dilation for conv in changed]
    try:
        for conv in changed:
            conv.dilation = (2, 2)
        yield
    finally:
        for conv, rate in zip(changed, rates, strict=True):
            conv.dilation = rate


def _pointwise(model: nn.Module) -> list[nn.Conv2d]:
    convs = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    return [conv for conv in convs if conv.kernel_size == POINTWISE]


def _slow_products() -> bool:
    """Whether 1x1 convolutions would run on MKL, and slowly."""
    libraries = torch.backends.mkl.is_available() and torch.backends.mkldnn.is_available()
    return libraries and torch.get_num_threads() == 1 and any(m in _maker() for m in NOT_INTEL)


def _maker() -> str:
    """A text that names the maker of the processor: on Linux of a file, on Windows Python's own."""
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor()
