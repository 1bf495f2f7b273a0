"""Several processes, one for each GPU or share of the CPU, as `torchrun` starts them.

    torchrun --nproc-per-node=2 -m dlseg train

Every process has the whole network and a share of each batch; PyTorch's DistributedDataParallel
averages the gradients. Without torchrun there is one process, and nothing here does anything.

Batch norm: on GPUs it is made SyncBatchNorm, whose statistics are those of the whole batch. The CPU
has no such thing: there each process normalises by its own share, so two processes equal one only
with frozen batch norm or without any.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel


@contextmanager
def process_group(device: torch.device) -> Iterator[torch.device]:
    """Join the other processes of torchrun for a while; gives this process's device.

    Backend: nccl for CUDA, one GPU per process; gloo for the CPU.
    """
    if not (distributed.is_available() and distributed.is_torchelastic_launched()):
        yield device
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield device
    finally:
        distributed.destroy_process_group()


def processes() -> int:
    """How many processes train together; 1 without torchrun."""
    return distributed.get_world_size() if _together() else 1


def rank() -> int:
    """Number of this process among them, from 0."""
    return distributed.get_rank() if _together() else 0


def is_main() -> bool:
    """Whether this is the process that prints and writes files."""
    return rank() == 0


def sum_over_processes(value: Tensor) -> Tensor:
    """The sum of `value` over all processes, in place."""
    if _together():
        distributed.all_reduce(value)
    return value


def distribute(module: nn.Module, device: torch.device) -> nn.Module:
    """`module` as DistributedDataParallel, its batch norm synchronised on CUDA; itself if alone."""
    if not _together():
        return module
    if device.type == "cuda":
        module = nn.SyncBatchNorm.convert_sync_batchnorm(module)
        return DistributedDataParallel(module, device_ids=[device])
    return DistributedDataParallel(module)


def _together() -> bool:
    return distributed.is_available() and distributed.is_initialized()
