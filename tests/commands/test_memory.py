"""Memory from file to labels: measured in a process of its own, and limited."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dlseg.models import describe
from tests.commands.checkpoints import build_model, write_checkpoint
from tests.processes import PATIENCE

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="the peak is read from Linux's /proc"
)
CLASSES = 21
MEASURED = """
import re, resource, sys
from pathlib import Path
from dlseg.commands import predict  # torch with it
from dlseg.commands.main import main
def peak(name="VmHWM"):
    return int(re.search(name + r":\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024
limit, *words = sys.argv[1:]
before = peak()
if limit != "0":
    most = int(peak("VmData") + float(limit)) << 20
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
code = main(["predict", *words, "--device", "cpu"])
print(f"peak {peak() - before:.0f}")
sys.exit(code)
"""


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    description = describe("fcn-resnet18", CLASSES, output_stride=32, width=0.125)
    weights = build_model(description).state_dict()
    path = tmp_path_factory.mktemp("network") / "last.pt"
    return write_checkpoint(path, model=description, weights=weights, extra={})


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A photograph of 3 megapixels, and a smaller one, RGB."""
    folder = tmp_path_factory.mktemp("pictures")
    few = np.random.default_rng(0).integers(0, 256, (30, 20, 3), np.uint8)
    for name, size in (("large.jpg", (1500, 2000)), ("small.png", (1500, 1500))):
        Image.fromarray(few).resize(size).save(folder / name)
    return folder


def predict(limit, picture, network, out, *options):
    """Exit code, standard error, and the peak beside what the program itself takes, in MB."""
    words = (limit, picture, "--checkpoint", network, "--out", out, *options)
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    found = re.search(r"^peak (\d+)$", done.stdout, re.MULTILINE)
    assert found, done.stderr
    return done.returncode, done.stderr, int(found[1])


def test_peak_from_file_to_labels(network, pictures, tmp_path, monkeypatch):
    """4 bytes a pixel of the picture, 1 of the labels, the probabilities of the open rows.

    At 3 megapixels 15 MB, and 21 x 256 x 1500 x 4 bytes; for a tile and the allocator 85 to 100 MB
    were seen. All at once, in float32: 36 MB for the picture, and 252 MB for each of several copies
    of the probabilities.
    """
    code, _, peak = predict(0, pictures / "large.jpg", network, tmp_path, "--tile", 256)
    assert code == 0 and peak < 15 + 32 + 150
    with Image.open(tmp_path / "large-index.png") as labels:
        assert labels.size == (1500, 2000)


def test_too_little_memory_is_one_line_whose_remedy_helps(network, pictures, tmp_path):
    """Under a limit of memory, whole: 189 MB for each copy of the probabilities."""
    out, picture = tmp_path / "out", pictures / "small.png"
    code, message, _ = predict(420, picture, network, out, "--tile", 0)
    assert code == 2 and message.count("\n") == 1
    assert "not enough memory for small: try --tile 513, or less" in message
    code, message, _ = predict(420, picture, network, out, "--tile", 513)
    assert code == 0, message


def test_a_picture_that_does_not_even_fit_decoded_is_one_line(network, tmp_path):
    Image.new("L", (9000, 8000)).save(tmp_path / "a.png", compress_level=1)  # 72 MB
    code, message, _ = predict(50, tmp_path / "a.png", network, tmp_path / "out")
    assert code == 2 and message.count("\n") == 1
    assert "a.png: not enough memory to decode it; close other programs, or make it" in message
