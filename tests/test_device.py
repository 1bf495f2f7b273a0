"""DLSEG_DEVICE is read in one place, and the seed is set in one place."""

import random
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from dlseg import device
from tests import process_state

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


def draws(seed: int) -> tuple[float, ...]:
    with device.settings_kept():
        device.setup(seed)
    return random.random(), np.random.rand(), torch.rand(1).item()


def test_setup_seeds_every_generator():
    assert draws(7) == draws(7) != draws(8)


def test_settings_are_put_back_after_an_error_too():
    before = process_state.read()
    with pytest.raises(RuntimeError), device.settings_kept():
        device.setup()
        torch.set_num_threads(torch.get_num_threads() + 1)
        raise RuntimeError
    assert process_state.put_back(before) == []


def test_read_in_one_place_only():
    name = "DLSEG_DEVICE"  # the command line may set it, for what it starts
    reads = re.compile(rf"(environ\.get|getenv)\([^\n]*{name}|environ\[.{name}.\](?! = )")
    files = [*ROOT.glob("dlseg/**/*.py"), *ROOT.glob("chapters/*.ipynb")]
    found = [path for path in files if reads.search(path.read_text(encoding="utf-8"))]
    assert found == [ROOT / "dlseg/device.py"]
