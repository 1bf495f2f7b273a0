"""A checkpoint of an untrained network."""

from pathlib import Path

import torch

from dlseg.data.scenes import CLASSES, PALETTE
from dlseg.models import build_model, describe
from dlseg.training import save_checkpoint
from dlseg.training.checkpoint import ENTRIES

NETWORK = describe("fcn-resnet18", len(CLASSES), output_stride=32, width=0.125)


def write_checkpoint(path: Path, **changes) -> Path:
    """Write it, with other entries where `changes` names them; returns the path."""
    torch.manual_seed(0)
    extra = {"classes": list(CLASSES), "palette": PALETTE.tolist(), "data": "scenes"}
    entries = {"model": NETWORK, "weights": build_model(NETWORK).state_dict(), "extra": extra}
    save_checkpoint(path, dict.fromkeys(ENTRIES) | entries | changes)
    return path
