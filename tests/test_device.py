"""DLSEG_DEVICE is read in one place, and the seed is set in one place."""

import random
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from dlseg import device

ROOT = Path(__file__).parents[1]


def test_auto_and_cpu(monkeypatch):
    monkeypatch.setenv("DLSEG_DEVICE", "cpu")
    assert device.get_device() == torch.device("cpu")
    monkeypatch.setenv("DLSEG_DEVICE", "auto")
    assert device.get_device().type in ("cuda", "mps", "cpu")
    monkeypatch.delenv("DLSEG_DEVICE")
    assert device.get_device().type in ("cuda", "mps", "cpu")


def test_unknown_name(monkeypatch):
    monkeypatch.setenv("DLSEG_DEVICE", "gpu")
    with pytest.raises(ValueError, match="auto, cpu, cuda, mps, got 'gpu'"):
        device.get_device()


def test_missing_device(monkeypatch):
    monkeypatch.setenv("DLSEG_DEVICE", "cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RuntimeError, match="no such device here: use DLSEG_DEVICE=cpu"):
        device.get_device()


def test_setup_seeds_every_generator():
    device.setup(seed=7)
    first = random.random(), np.random.rand(), torch.rand(1).item()
    device.setup(seed=7)
    assert first == (random.random(), np.random.rand(), torch.rand(1).item())
    device.setup(seed=8)
    assert first != (random.random(), np.random.rand(), torch.rand(1).item())


def test_read_in_one_place_only():
    name = "DLSEG_DEVICE"  # the command line may set it, for what it starts
    reads = re.compile(rf"(environ\.get|getenv)\([^\n]*{name}|environ\[.{name}.\](?! = )")
    files = [*ROOT.glob("dlseg/**/*.py"), *ROOT.glob("chapters/*.ipynb")]
    found = [path for path in files if reads.search(path.read_text(encoding="utf-8"))]
    assert found == [ROOT / "dlseg/device.py"]
