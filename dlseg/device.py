"""Where a chapter computes, and how its numbers are kept the same everywhere.

This is the only place that reads `DLSEG_DEVICE`, sets seeds and touches numeric settings.
"""

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from dlseg.checks import DEVICES, CommandError


def _available(kind: str) -> bool:
    if kind == "cuda":
        return torch.cuda.is_available()
    return kind == "cpu" or torch.backends.mps.is_available()


def get_device() -> torch.device:
    """The device named by `DLSEG_DEVICE`: auto (the default), cpu, cuda or mps.

    `auto` takes cuda, then mps, then cpu, whichever is there first.

    Returns: a `torch.device`.
    Raises: ValueError if the name is unknown; RuntimeError if that device is not on this machine.
    """
    name = os.environ.get("DLSEG_DEVICE") or "auto"
    if name not in DEVICES:
        raise ValueError(f"DLSEG_DEVICE must be one of {', '.join(DEVICES)}, got {name!r}")
    if name == "auto":
        name = next(kind for kind in ("cuda", "mps", "cpu") if _available(kind))
    if not _available(name):
        raise RuntimeError(
            f"DLSEG_DEVICE={name}, but PyTorch {torch.__version__} finds no such device here: "
            "use DLSEG_DEVICE=cpu, or install the PyTorch build for your accelerator"
        )
    return torch.device(name)


def setup(seed: int = 0) -> torch.device:
    """Seed every generator, switch off the shortcuts that change digits, return the device.

    TensorFloat-32 rounds inputs to 10 bits and cuDNN's benchmark mode may pick another algorithm
    on every run; both are off, so that a printed number is the same on a CPU and a GPU.

    seed: a non-negative integer.
    Returns: the device of `get_device`.
    """
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    return get_device()


@contextmanager
def settings_kept() -> Iterator[None]:
    """Put back at the end what `setup` and the commands change for the whole process.

    Threads and the shortcuts of `setup`; the generators stay where they are.
    """
    threads = torch.get_num_threads()
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark = before


def use_device(name: str | None) -> None:
    """Compute on the device `name`, or where that is None as `DLSEG_DEVICE` says.

    The command line forgets the name when its command ends.

    Raises: CommandError if there is no such device.
    """
    if name:
        os.environ["DLSEG_DEVICE"] = name
    try:
        get_device()
    except (ValueError, RuntimeError) as error:
        raise CommandError(str(error)) from error


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the memory, of the CPU or of the GPU, was not enough."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    words = ("DefaultCPUAllocator", "can't allocate memory", "out of memory", "std::bad_alloc")
    return isinstance(error, RuntimeError) and any(word in str(error) for word in words)
