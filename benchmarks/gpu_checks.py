"""Whether a GPU computes what the CPU does: the first three parts of `gpu.py`."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks.gpu_sizes import CLASSES, SAME, Sizes, batch_of, compared
from benchmarks.gpu_speed import KERNELS, step_of
from dlseg.crf import DenseCRF
from dlseg.inference import tiled_probabilities
from dlseg.metrics import ConfusionMatrix
from dlseg.models import build_model, describe
from tests.crf.toys import coarse_logits, photograph
from tests.peers import randomise

ROOT = Path(__file__).parents[1]
STATED = re.compile(r"(?:(\d+) seconds|(half) a minute|a minute) to run")


def same(sizes: Sizes, device: torch.device) -> dict[str, Callable[[], dict]]:
    """The same numbers on both, to `SAME` of the largest one."""
    table = {name: partial(same_network, name, device) for name in sizes.families}
    for method in ("lattice", "bridged", "exact"):
        table[f"crf {method}"] = partial(same_crf, method, device)
    return table | {"tiles and metrics": partial(same_tiles, device)}


def same_network(name: str, device: torch.device) -> dict:
    """Logits, then the losses of two training steps, of a network of a quarter of its width."""
    torch.manual_seed(0)
    stride = 8 if re.match("deeplabv[12]-", name) else 16
    model = build_model(describe(name, CLASSES, stride, 0.25))
    randomise(model)
    images, labels = batch_of(2, 97)
    logits, losses = [], []
    for place in (torch.device("cpu"), device):
        model_here = build_model(describe(name, CLASSES, stride, 0.25)).to(place)
        model_here.load_state_dict(model.state_dict())
        with torch.inference_mode():
            logits.append(model_here.eval()(images.to(place)))
        for layer in model_here.modules():
            if isinstance(layer, nn.Dropout | nn.Dropout2d):
                layer.p = 0.0  # each device draws its own
        step = step_of(model_here.train(), images.to(place), labels.to(place))
        losses.append(torch.tensor([step(), step()]))
    row = compared(logits[1], logits[0])
    row["loss"] = compared(losses[1], losses[0])["difference"]
    return row | {"equal": row["equal"] and row["loss"] < 10 * SAME}


def same_crf(method: str, device: torch.device) -> dict:
    """Q of a small photograph."""
    crf = DenseCRF(KERNELS, 5, method=method)
    image = photograph((40, 48))
    logits = coarse_logits(image, 5)
    with torch.inference_mode():
        expected = crf(logits, image)
        return compared(crf.to(device)(logits.to(device), image.to(device)), expected)


def same_tiles(device: torch.device) -> dict:
    """Probabilities by tiles, and the mean IoU of their labels."""
    model = build_model(describe("deeplabv3plus-resnet18", CLASSES, 16, 0.25))
    randomise(model)
    images, labels = batch_of(1, 161)
    found, scores = [], []
    for place in (torch.device("cpu"), device):
        model.to(place)
        found.append(tiled_probabilities(model, images.to(place), 97, 32))
        matrix = ConfusionMatrix(CLASSES)
        matrix.update(labels.to(place), found[-1].argmax(1))
        scores.append(matrix.mean_iou())
    row = compared(found[1], found[0])
    return row | {"equal": row["equal"] and abs(scores[1] - scores[0]) < SAME}


def tests(sizes: Sizes, device: torch.device) -> dict[str, Callable[[], dict]]:
    """Files and folders of tests, each by its own pytest, a folder's on half of the cores."""
    options = ["-p", "no:cacheprovider"]
    spread = ["-n", str((os.cpu_count() or 2) // 2)] if find_spec("xdist") else []
    return {
        name: partial(
            run_pytest, device, [name, *options, *(spread if Path(ROOT, name).is_dir() else [])]
        )
        for name in sizes.tests
    }


def run_pytest(device: torch.device, arguments: list[str]) -> dict:
    """How many passed, and which did not."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {"DLSEG_DEVICE": device.type, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "--color=no", *arguments]
    begin = time.perf_counter()
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True
    )
    lines = (done.stdout.strip() or done.stderr.strip()).splitlines() or ["nothing was printed"]
    faults = [line for line in lines if re.match("FAILED|ERROR", line)]
    seconds = round(time.perf_counter() - begin, 1)
    return {"passed": done.returncode == 0, "said": lines[-1], "faults": faults} | {
        "seconds": seconds
    }


def chapters(sizes: Sizes, device: torch.device) -> dict[str, Callable[[], dict]]:
    """Every chapter under nbval, those that need the least time first, some at a time."""
    paths = sorted((ROOT / "chapters").glob("*.ipynb"), key=stated_seconds)[: sizes.chapters]
    pool = ThreadPoolExecutor(max(1, (os.cpu_count() or 1) // 4))
    futures = {}

    def wait(path: Path) -> dict:
        if not find_spec("nbval"):
            pytest.skip("nbval is not installed")
        for each in paths[paths.index(path) :]:  # all begin when the first of them is asked for
            futures.setdefault(each, pool.submit(run_pytest, device, [*sizes.nbval, str(each)]))
        return futures[path].result()

    return {path.stem: partial(wait, path) for path in paths}


def stated_seconds(path: Path) -> float:
    """What the chapter says that it needs; 60 where it says nothing."""
    found = STATED.search(path.read_text(encoding="utf-8"))
    return float(found[1] or (30 if found[2] else 60)) if found else 60
