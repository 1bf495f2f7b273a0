"""kill -9 at any moment: what was good is there still, and the same command goes on to the end.

Of each command a few moments are tried every time in `make test-nightly`, drawn by DLSEG_KILLS_SEED
(0 unless it is set); `KILLS` of each.
"""

import hashlib
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch

from dlseg.book.execute import normalise
from dlseg.data import write_image
from dlseg.training import load_checkpoint
from tests.book.test_execute import CELLS, write_book
from tests.commands.checkpoints import write_checkpoint
from tests.processes import ROOT, started

pytestmark = pytest.mark.nightly
KILLS = 12
TRAIN = "train --width 0.125 --output-stride 32 --iterations 6 --batch-size 2 --crop-size 64"
TRAIN += " --workers 0 --checkpoint-every 1"
PREDICT = "predict ../pictures --checkpoint ../last.pt --out out --resume"
FETCH = """
import sys
from pathlib import Path
from dlseg.fetch import Checksum, fetch_file
fetch_file(sys.argv[1], Path("data/weights.bin"), Checksum("sha256", sys.argv[2]), "weights")
"""


def moments(whole: float) -> list[float]:
    """Seconds after the start, over all of a run that takes so many."""
    draw = random.Random(int(os.environ.get("DLSEG_KILLS_SEED", "0")))
    return [draw.uniform(0, 1.05 * whole) for _ in range(KILLS)]


def dlseg(folder: Path, words: str) -> float:
    """Run a command to its end in a folder, which is made; returns seconds."""
    folder.mkdir(exist_ok=True)
    begin = time.perf_counter()
    with started(folder, *words.split()) as process:
        assert process.wait(300) == 0, (folder / "stderr.txt").read_text()
    return time.perf_counter() - begin


def killed(folder: Path, words: str, seconds: float) -> None:
    """Start a command in a folder, which is made, and kill it after so many seconds."""
    folder.mkdir(exist_ok=True)
    with started(folder, *words.split()):
        time.sleep(seconds)


def files(folder: Path) -> dict[str, bytes]:
    """All files below a folder; what commands write beside, locks and standard error, left out."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in found
        if path.name not in ("stderr.txt", ".lock")
    }


def kill_each(folder: Path, words: str, after: Callable[[Path], None]) -> None:
    """Kill a command at all moments, in a folder each; `after` is called with the folder."""
    for number, seconds in enumerate(moments(dlseg(folder / "whole", words))):
        killed(folder / f"killed{number}", words, seconds)
        after(folder / f"killed{number}")


def test_training_ends_with_the_same_weights(tmp_path):
    def go_on(folder):
        resume = "train --resume --out run --workers 0"
        dlseg(folder, resume if (folder / "run/last.pt").exists() else f"{TRAIN} --out run")
        whole, again = (load_checkpoint(f / "run/last.pt") for f in (tmp_path / "whole", folder))
        assert all(torch.equal(value, again["weights"][k]) for k, value in whole["weights"].items())
        assert whole["losses"] == again["losses"] and whole["metrics"] == again["metrics"]
        assert list(files(folder / "run")) == ["last.pt"]

    kill_each(tmp_path, f"{TRAIN} --out run", go_on)


def test_predictions_are_all_there_at_last(tmp_path):
    write_checkpoint(tmp_path / "last.pt")
    (tmp_path / "pictures").mkdir()
    rng = np.random.default_rng(0)
    for number in range(20):
        image = rng.integers(0, 256, (200, 300, 3), np.uint8)
        write_image(tmp_path / f"pictures/{number}.png", image)

    def go_on(folder):
        dlseg(folder, PREDICT)
        assert files(folder / "out") == files(tmp_path / "whole/out")

    kill_each(tmp_path, PREDICT, go_on)


def test_a_chapter_is_as_before_or_as_after(tmp_path):
    (tmp_path / "book").mkdir()
    write_book(tmp_path / "book", *CELLS.values())
    before = files(tmp_path / "book/chapters")
    after = tmp_path / "whole"
    shutil.copytree(tmp_path / "book", after)
    seconds = dlseg(after, "run 01")
    for number, moment in enumerate(moments(seconds)):
        folder = tmp_path / f"killed{number}"
        shutil.copytree(tmp_path / "book", folder)
        killed(folder, "run 01", moment)
        name = "01-one.ipynb"
        notebook = (folder / "chapters" / name).read_bytes()
        assert notebook in (before[name], (after / "chapters" / name).read_bytes())
        dlseg(folder, "run 01")
        assert files(folder / "chapters") == files(after / "chapters")


def test_a_site_is_the_old_one_or_the_new_one(tmp_path):
    pytest.importorskip("myst_nb")
    whole = tmp_path / "whole"
    whole.mkdir()
    path = write_book(whole, "1 + 1").find("01").path
    notebook = normalise(nbformat.read(path, as_version=4))
    notebook.cells.insert(0, nbformat.v4.new_markdown_cell("# 01. One"))
    nbformat.write(notebook, path)
    with (whole / "book.toml").open("a") as file:
        file.write('[output.sphinx]\ntheme = "furo"\n')
    for name in ("site", "assets"):
        shutil.copytree(ROOT / name, whole / name)
    seconds = dlseg(whole, "site")
    pages = whole / "build/site/html"
    new = set(files(pages))
    for number, moment in enumerate(moments(seconds)):
        folder = tmp_path / f"killed{number}"
        shutil.copytree(whole, folder)
        (folder / "build/site/html/gone.html").write_text("old")
        killed(folder, "site", moment)
        assert set(files(folder / "build/site/html")) in (new, new | {"gone.html"})
        dlseg(folder, "site")
        assert set(files(folder / "build/site/html")) == new


class Slow(BaseHTTPRequestHandler):
    """A megabyte in a second."""

    content = bytes(1 << 20)

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        for start in range(0, len(self.content), 1 << 16):
            try:
                self.wfile.write(self.content[start : start + (1 << 16)])
            except OSError:  # the other side was killed
                return
            time.sleep(1 / 16)

    def log_message(self, *_):
        pass


def test_a_download_is_whole_or_absent(tmp_path):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/weights.bin"
    command = [sys.executable, "-c", FETCH, url, hashlib.sha256(Slow.content).hexdigest()]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    whole = tmp_path / "data/weights.bin"
    try:
        for moment in moments(2.5):
            process = subprocess.Popen(command, cwd=tmp_path, env=environment)
            time.sleep(moment)
            process.kill()
            process.wait()
            assert not whole.exists() or whole.read_bytes() == Slow.content
            whole.unlink(missing_ok=True)
        subprocess.run(command, cwd=tmp_path, env=environment, check=True)
        assert files(tmp_path / "data") == {"weights.bin": Slow.content}
    finally:
        server.shutdown()
        server.server_close()
