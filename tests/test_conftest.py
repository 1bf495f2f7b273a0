"""The guards of the suite itself: a change of the process is seen, a skip is told, order varies."""

import itertools
import os
import random
import signal
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import matplotlib
import numpy as np
import pytest
import torch
from PIL import Image

from tests import process_state
from tests.conftest import pytest_configure, shuffle, skipped_line

CHANGES = {
    "os.environ": lambda: os.environ.__setitem__("DLSEG_DEVICE", "changed"),
    "the working folder": lambda: os.chdir(".."),
    "sys.path": lambda: sys.path.append("changed"),
    "warnings.filters": lambda: warnings.simplefilter("always"),
    "signal handlers": lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN),
    "numpy.geterr": lambda: np.seterr(all="raise"),
    "numpy's print options": lambda: np.set_printoptions(precision=3),
    "torch's threads": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "torch's default dtype": lambda: torch.set_default_dtype(torch.float64),
    "torch's default device": lambda: torch.set_default_device("meta"),
    "torch's gradients": lambda: torch.set_grad_enabled(False),
    "torch's deterministic algorithms": lambda: torch.use_deterministic_algorithms(True),
    "TF32 and cuDNN": lambda: setattr(torch.backends.cudnn, "benchmark", True),
    "matplotlib's rcParams": lambda: matplotlib.rcParams.update({"lines.linewidth": 77}),
    "Pillow's pixel limit": lambda: setattr(Image, "MAX_IMAGE_PIXELS", 1),
}


def test_everything_is_changed_below():
    assert [*CHANGES, process_state.LOADED] == list(process_state.read())


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_seen_and_put_back(name):
    before = process_state.read()
    CHANGES[name]()
    changes = process_state.put_back(before)
    assert len(changes) == 1 and changes[0].startswith(f"{name}: ")
    assert process_state.put_back(before) == []


def skipped(nodeid: str, reason: str):
    return SimpleNamespace(nodeid=nodeid, longrepr=("file", 1, f"Skipped: {reason}"))


def test_what_was_skipped_is_one_line_with_remedies():
    reports = [
        skipped("tests/a.py", "onnx is not installed: pip install"),
        skipped("tests/b.py::test_1", "could not import 'onnx': No module named 'onnx'"),
        skipped("tests/c.py::test_1", "pydensecrf is not installed (it must be built)"),
        skipped("tests/c.py::test_2", "pydensecrf is not installed (it must be built)"),
        skipped("tests/d.py::test_1", "root may write"),
    ]
    assert skipped_line(reports) == (
        "Skipped: 1 test and all of tests/a.py (for want of onnx: make tools); "
        "2 tests (for want of pydensecrf: make pydensecrf); 1 test (root may write)"
    )
    assert skipped_line([]) == ""


class SimpleItem(NamedTuple):
    """What `shuffle` looks at."""

    path: Path
    test: int


def test_another_order_keeps_files_together():
    items = [SimpleItem(Path(file), test) for file in "abcdefgh" for test in range(9)]
    one, same, other = list(items), list(items), list(items)
    for order, seed in ((one, 1), (same, 1), (other, 2)):
        shuffle(order, random.Random(seed))
    assert one == same != other and sorted(one) == sorted(other) == items
    files = [item.path for item in one]
    assert files != sorted(files) and len(set(files)) == 1 + sum(
        a != b for a, b in itertools.pairwise(files)
    )


def test_in_the_background_what_a_test_starts_can_be_interrupted():
    """A shell has its background jobs ignore SIGINT, and ignoring is inherited."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        pytest_configure()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
