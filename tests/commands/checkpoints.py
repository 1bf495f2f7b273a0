"""A checkpoint of an untrained network."""

from pathlib import Path

import torch

from dlseg.data.scenes import CLASSES, PALETTE
from dlseg.models import build_model, describe
from dlseg.training import save_checkpoint
from tests.training.toys import blank

NETWORK = describe("fcn-resnet18", len(CLASSES), output_stride=32, width=0.125)


def entries(**changes) -> dict:
    """The entries of one, with others where `changes` names them."""
    torch.manual_seed(0)
    extra = {"classes": list(CLASSES), "palette": PALETTE.tolist(), "data": "scenes"}
    made = {"model": NETWORK, "weights": build_model(NETWORK).state_dict(), "extra": extra}
    return blank(**made | changes)


def write_checkpoint(path: Path, **changes) -> Path:
    """Write it, with other entries where `changes` names them; returns the path."""
    save_checkpoint(path, entries(**changes))
    return path
