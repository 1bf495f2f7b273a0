"""One process that torchrun did not start needs no others; several are tried in `test_engine`."""

import torch
from torch import distributed, nn

from dlseg.training import is_main, process_group
from dlseg.training.distributed import distribute, processes, rank, sum_over_processes


def test_alone_there_is_no_group_and_nothing_is_wrapped():
    module, value = nn.BatchNorm2d(3), torch.ones(2)
    with process_group(torch.device("cpu")) as device:
        assert device == torch.device("cpu") and not distributed.is_initialized()
        assert (processes(), rank(), is_main()) == (1, 0, True)
        assert distribute(module, device) is module
        assert sum_over_processes(value) is value and value.tolist() == [1, 1]
