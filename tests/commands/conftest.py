"""A checkpoint of an untrained network, for the commands that read one."""

import pytest
import torch

from dlseg.data.scenes import CLASSES, PALETTE
from dlseg.models import build_model, describe
from dlseg.training import save_checkpoint
from dlseg.training.checkpoint import ENTRIES


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    torch.manual_seed(0)
    network = describe("fcn-resnet18", len(CLASSES), output_stride=32, width=0.125)
    extra = {"classes": list(CLASSES), "palette": PALETTE.tolist(), "data": "scenes"}
    path = tmp_path_factory.mktemp("run") / "last.pt"
    changes = {"model": network, "weights": build_model(network).state_dict(), "extra": extra}
    save_checkpoint(path, dict.fromkeys(ENTRIES) | changes)
    return path
