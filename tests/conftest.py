"""For every test: nothing of the process may stay changed; and what was skipped is told at the end.

`--shuffle SEED` runs the tests in another order: files, and tests within a file.
"""

import random
import re
import signal
from collections import defaultdict

import pytest
from hypothesis import settings

from tests import process_state

# No deadline: a busy machine is no fault. The same examples every time, but not in `make nightly`.
settings.register_profile("quick", deadline=None, derandomize=True)
settings.register_profile("nightly", deadline=None)
settings.load_profile("quick")

# What a reason to skip names -> the command that makes the tests run.
REMEDIES = {
    "onnx|onnxscript|onnxruntime|sphinx|myst_nb|tensorboard|playwright": "make tools",
    "torchvision|timm|segmentation-models-pytorch|transformers|safetensors|yaml": "make parity",
    "pydensecrf": "make pydensecrf",
    "chromium": "install Chromium",
    "the site": "make site",
}


def pytest_configure() -> None:
    # A job in the background of a shell ignores SIGINT, and so would all that a test starts.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser) -> None:
    parser.addoption("--shuffle", type=int, metavar="SEED", help="run the tests in another order")


def pytest_collection_modifyitems(config, items) -> None:
    seed = config.getoption("shuffle")
    if seed is not None:
        shuffle(items, random.Random(seed))


def shuffle(items: list, rng: random.Random) -> None:
    """Files in another order, and the tests of each; files stay together for their fixtures."""
    places = {path: rng.random() for path in sorted({item.path for item in items})}
    order = {item: (places[item.path], rng.random()) for item in items}
    items.sort(key=order.__getitem__)


@pytest.fixture(autouse=True)
def _nothing_left_behind():
    before = process_state.read()
    yield
    if changes := process_state.put_back(before):
        pytest.fail("the test left changed: " + "; ".join(changes), pytrace=False)


def pytest_terminal_summary(terminalreporter) -> None:
    """One line about what was skipped, and how to have it."""
    if line := skipped_line(terminalreporter.stats.get("skipped", [])):
        terminalreporter.write_line(line)


def skipped_line(reports: list) -> str:
    """Skipped tests by reason, each with its remedy; "" where there are none."""
    groups = defaultdict(list)
    for report in reports:
        reason = report.longrepr[2].removeprefix("Skipped: ")
        groups[remedy(reason) or reason].append(report.nodeid)
    parts = [f"{_those(names)} ({what})" for what, names in sorted(groups.items())]
    return f"Skipped: {'; '.join(parts)}" if parts else ""


def remedy(reason: str) -> str:
    """The command that makes tests run which were skipped for this reason, or ""."""
    for words, command in REMEDIES.items():
        if found := re.search(rf"\b({words})\b", reason, re.IGNORECASE):
            return f"for want of {found[0]}: {command}"
    return ""


def _those(names: list[str]) -> str:
    files = sorted({name for name in names if "::" not in name})  # a module skips itself whole
    count = len(names) - len(files)
    single = [f"{count} test{'s' * (count > 1)}"] if count else []
    return " and ".join(single + [f"all of {file}" for file in files])
