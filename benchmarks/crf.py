"""The dense CRF beside pydensecrf: time, memory, distance to the exact CRF, and what made it fast.

    python benchmarks/crf.py --json assets/results/crf.json     (--quick: a glance, one minute)

pydensecrf is built by `make pydensecrf`; where it is not installed, its half is left out. All runs
use one thread and count its seconds of work, ours and the peer's in turns, setup and 10 iterations
together; both begin with the same scores of a photograph. A ratio is the peer's time by ours, the
median over the rounds. Chapter 07 reads the file.

1. 500x375 pixels, three settings, 21 labels of which 3, 5 or all live, and 2 labels.
2. Sizes from 250x188 to 1000x750; numbers of labels from 2 to 150.
3. The printed version, `dlseg.crf.minimal`, and the lattice with bridges.
4. Peak memory over what the process had before.
5. Distance to the exact CRF on crops, by total variation.
6. Every speed-up switched off alone.
"""

import argparse
import json
import math
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from unittest.mock import patch

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib import cbook
from PIL import Image
from torch import Tensor

from dlseg.crf import (
    DenseCRF,
    Kernel,
    Lattice,
    appearance,
    features,
    lattice_mean_field,
    smoothness,
)
from dlseg.crf.fast import updates, vertices  # to switch single parts off

try:
    from pydensecrf.densecrf import DenseCRF2D
except ImportError:
    DenseCRF2D = None

SETTINGS = {
    "A": ((3, 3), (80, 13, 10)),  # pydensecrf's example: smoothness sxy, w; appearance sxy, srgb, w
    "B": ((1, 3), (67, 3, 4)),  # DeepLab v2
    "C": ((3, 3), (50, 5, 5)),  # DeepLab v1
}
SIZE = (375, 500)  # height, width
SIZES = ((188, 250), (281, 375), (562, 750), (750, 1000))
LABELS = (2, 5, 10, 21, 60, 150)


@dataclass
class Case:
    """A photograph (H, W, 3) uint8 and scores (C, H, W) for it; see `make_case`."""

    image: np.ndarray
    logits: Tensor
    setting: str

    def kernels(self) -> tuple[Kernel, Kernel]:
        """The setting's kernels."""
        smooth, look = SETTINGS[self.setting]
        return smoothness(*smooth), appearance(*look)

    def crop(self, top: int, left: int, side: int) -> "Case":
        """A square of it."""
        rows, columns = slice(top, top + side), slice(left, left + side)
        image = np.ascontiguousarray(self.image[rows, columns])
        return Case(image, self.logits[:, rows, columns].contiguous(), self.setting)


def make_case(setting: str, labels: int, live: int, size: tuple[int, int] = SIZE) -> Case:
    """matplotlib's photograph, with scores as a network of output stride 8 gives them.

    The brightness, in `live` steps, is the label; its share of each 8x8 square, and noise, are the
    score. The other labels are improbable everywhere, by less than 1 in 100. Bilinear upsampling.
    """
    height, width = size
    with cbook.get_sample_data("grace_hopper.jpg") as file:
        whole = Image.open(file).convert("RGB").crop((0, 40, 512, 40 + 384))
    image = np.array(whole.resize((width, height), Image.Resampling.BICUBIC))
    grey = torch.from_numpy(image).float().mean(2)
    steps = torch.linspace(0, 1, live + 1)[1:-1]
    label = torch.bucketize(grey, grey.flatten()[::97].quantile(steps))  # (H, W)
    share = F.adaptive_avg_pool2d(
        F.one_hot(label, live).permute(2, 0, 1).float(), [-(-side // 8) for side in size]
    )
    noise = torch.randn(labels, *share.shape[1:], generator=torch.Generator().manual_seed(0))
    scores = 0.5 * noise
    scores[:live] += 6 * share
    scores[live:] -= 4
    return Case(image, F.interpolate(scores[None], size, mode="bilinear")[0], setting)


def ours(case: Case, iterations: int = 10, **options) -> Tensor:
    """Q (C, H, W) by `DenseCRF`."""
    image = torch.from_numpy(case.image).permute(2, 0, 1)[None]
    with torch.inference_mode():
        return DenseCRF(case.kernels(), iterations, **options)(case.logits[None], image)[0]


def bridged(case: Case, iterations: int = 10) -> Tensor:
    """Q (C, H, W) by `DenseCRF` with bridges in its lattice."""
    return ours(case, iterations, method="bridged")


def printed(case: Case, iterations: int = 10) -> Tensor:
    """Q (C, H, W) by the version that chapter 07 prints."""
    kernels = [(kernel.sxy, kernel.srgb, kernel.weight) for kernel in case.kernels()]
    with torch.inference_mode():
        return lattice_mean_field(-case.logits, torch.from_numpy(case.image), kernels, iterations)


def theirs(case: Case, iterations: int = 10) -> Tensor:
    """Q (C, H, W) by pydensecrf."""
    smooth, look = case.kernels()
    labels, height, width = case.logits.shape
    crf = DenseCRF2D(width, height, labels)
    crf.setUnaryEnergy(-case.logits.reshape(labels, -1).numpy())
    crf.addPairwiseGaussian(sxy=smooth.sxy, compat=smooth.weight)
    crf.addPairwiseBilateral(sxy=look.sxy, srgb=look.srgb, rgbim=case.image, compat=look.weight)
    return torch.from_numpy(np.asarray(crf.inference(iterations))).view_as(case.logits)


WAYS = {"ours": ours, "bridged": bridged, "printed": printed, "pydensecrf": theirs}


def ways() -> list[str]:
    """Names of those that can run here."""
    return [name for name in WAYS if DenseCRF2D or name != "pydensecrf"]


def in_turns(calls: dict[str, Callable], rounds: int) -> dict[str, list[float]]:
    """Seconds of work of every call, in each round; one round to warm up."""
    seconds = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name, call in calls.items():
            begin = time.process_time()
            call()
            if number:
                seconds[name].append(time.process_time() - begin)
    return seconds


def ratio(above: list[float], below: list[float]) -> float:
    """Median over the rounds."""
    return round(median(a / b for a, b in zip(above, below, strict=True)), 3)


def distance(a: Tensor, b: Tensor) -> dict[str, float]:
    """Share of pixels with the same label, mean and largest total variation of (C, H, W)."""
    variation = (a - b).abs().sum(0) / 2
    agreement = (a.argmax(0) == b.argmax(0)).double().mean()
    numbers = {"agreement": agreement, "tv": variation.mean(), "largest": variation.max()}
    return {name: round(number.item(), 6) for name, number in numbers.items()}


def measure(case: Case, live: int, rounds: int, way: str = "ours") -> dict:
    """One row of the tables: milliseconds of setup and of all, ratio and distance to the peer."""
    names = [name for name in (way, "pydensecrf") if name in ways()]
    calls = {}
    for name in names:
        calls[name] = lambda run=WAYS[name]: run(case)
        calls[f"{name} setup"] = lambda run=WAYS[name]: run(case, 0)
    seconds = in_turns(calls, rounds)
    labels, height, width = case.logits.shape
    row = {"setting": case.setting, "labels": labels, "live": live, "size": [width, height]}
    row["ms"] = {name: round(1e3 * median(times), 1) for name, times in seconds.items()}
    if DenseCRF2D:
        row["ratio"] = ratio(seconds["pydensecrf"], seconds[way])
        row["to pydensecrf"] = distance(WAYS[way](case), theirs(case))
    return row


def memory(setting: str, labels: int) -> dict:
    """Peak of a fresh process for each way over what it had before, MiB."""
    peaks = {}
    for way in ways():
        command = [sys.executable, __file__, "--memory", way, setting, str(labels)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        peaks[way] = round(float(done.stdout), 1)
    return {"setting": setting, "labels": labels, "MiB": peaks}


def print_memory(way: str, setting: str, labels: int) -> None:
    """What the fresh process does."""
    WAYS[way](make_case(setting, labels, 2, (40, 40)))
    case = make_case(setting, labels, min(labels, 3))
    before = peak_memory()
    WAYS[way](case)
    print(peak_memory() - before)


def peak_memory() -> float:
    """MiB that this process has held at most, as Linux counts it; NaN elsewhere."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    peak = [line.split()[1] for line in lines if line.startswith("VmHWM")]
    return int(peak[0]) / 1024 if peak else math.nan


def accuracy(setting: str, side: int, places: int) -> dict:
    """Mean distance of every way to the exact CRF on square crops, 5 labels."""
    whole = make_case(setting, 5, 5)
    distances = {name: [] for name in ways()}
    for place in range(places):
        corner = 40 + 60 * place, 20 + (170 * place) % 380
        case = whole.crop(*corner, side)
        exact = ours(case, method="exact")
        for name in distances:
            distances[name].append(distance(WAYS[name](case), exact))
    mean = {
        name: {key: round(sum(row[key] for row in rows) / places, 6) for key in rows[0]}
        for name, rows in distances.items()
    }
    return {"setting": setting, "side": side, "places": places, "to exact": mean}


def plain_rows(self, values: Tensor) -> Tensor:
    """`Rows` without `embedding_bag`: gather all rows, weigh them, add them up."""
    row = torch.repeat_interleave(self.starts.diff().long())
    parts = values.index_select(0, self.indices) * self.weights[:, None]
    return values.new_zeros(len(self.starts) - 1, values.shape[1]).index_add_(0, row, parts)


def searched_neighbours(keys: Tensor, stride: int) -> Tensor:
    """`neighbours` by a binary search for each."""
    size, goals = len(keys), keys + stride
    above = torch.from_numpy(np.searchsorted(keys.numpy(), goals.numpy())).clamp_(max=size - 1)
    above = torch.where(keys.index_select(0, above) == goals, above, size)
    below = torch.full((size + 1,), size).scatter_(0, above, torch.arange(size))
    below[size] = size
    return torch.stack([torch.arange(size + 1), F.pad(above, (0, 1), value=size), below], 1)


def lattice_for_grid(batch, size, sigma, dtype, device) -> Lattice:
    """What the position kernel was before it moved to the grid."""
    image = torch.zeros(batch, 1, *size, device=device)
    return Lattice(features(image, Kernel(sigma), dtype))


@dataclass
class SpeedUp:
    """What is put in the place of a part of `dlseg.crf`, and where the difference is measured."""

    patches: dict[str, object]
    labels: int = 21
    live: int = 3
    settings: str = "AB"
    size: tuple[int, int] = SIZE
    trim: float = 0.01


SPEED_UPS = {
    "sparse tables by embedding_bag": SpeedUp({"fast.sparse.Rows.__call__": plain_rows}),
    "sort of packed keys": SpeedUp(
        {"fast.vertices.sort_packed": lambda keys, bits, _: vertices.sort_plain(keys >> bits)}
    ),
    "fractions sorted by swaps": SpeedUp(
        {"fast.vertices.sort_rows_": lambda x: x.copy_(x.sort(0, descending=True).values)}
    ),
    "pixels block by block": SpeedUp({"fast.vertices.BLOCK": 10**9}, size=(750, 1000)),
    "neighbours by merging": SpeedUp({"fast.lattice.neighbours": searched_neighbours}, 2, 2, "BC"),
    "position kernel on the grid": SpeedUp({"fast.filtering.Grid": lattice_for_grid}),
    "P exp(m) / Z for the softmax": SpeedUp(
        {"dense.begin": lambda u, _, f, w, t: updates.SoftmaxUpdate(u, f, w)}, live=21
    ),
    "labels trimmed": SpeedUp({}, trim=0.0),
    "one channel for two labels": SpeedUp(
        {
            "fast.updates.PairUpdate": lambda p, f, w: updates.ProductUpdate(
                p, f, w, p.new_ones(1, 1, 1), 0.0
            )
        },
        2,
        2,
    ),
    "one column by a sparse matrix": SpeedUp({"fast.sparse.has_mkl": lambda: False}, 2, 2),
}


def gain(name: str, setting: str, rounds: int) -> dict:
    """Time without the speed-up by the time with it, all others on."""
    one = SPEED_UPS[name]
    case = make_case(setting, one.labels, one.live, one.size)

    def without():
        with ExitStack() as stack:
            for place, instead in one.patches.items():
                stack.enter_context(patch(f"dlseg.crf.{place}", instead))
            ours(case, trim=one.trim)

    seconds = in_turns({"on": lambda: ours(case), "off": without}, rounds)
    factor = ratio(seconds["off"], seconds["on"])
    size = [one.size[1], one.size[0]]
    return {"name": name, "setting": setting, "labels": one.labels, "size": size, "gain": factor}


def tables(quick: bool) -> dict:
    """All measurements; prints each as it comes."""
    rounds = 2 if quick else 5
    table = {"about": about(rounds)}
    counts = ((21, 3), (21, 5), (21, 21), (2, 2))  # labels, and how many of them live
    settings = [(s, labels, live, SIZE) for labels, live in counts for s in SETTINGS]
    sizes = [(s, 21, 3, size) for size in SIZES for s in ("A" if quick else SETTINGS)]
    labels = [("A", labels, min(labels, 3), SIZE) for labels in LABELS]
    for name, plan in (("settings", settings), ("sizes", sizes), ("labels", labels)):
        print(f"\n{name}")
        table[name] = []
        for *what, size in plan:
            few = rounds if size[0] <= SIZE[0] else 2
            table[name].append(show(measure(make_case(*what, size), what[2], few)))
    cases = [make_case(setting, 21, 3) for setting in SETTINGS]
    for way in ("printed", "bridged"):
        print(f"\n{way}")
        table[way] = [show(measure(case, 3, rounds, way)) for case in cases]
    print("\npeak memory")
    table["memory"] = [show(memory(setting, n)) for n in (21, 2) for setting in SETTINGS]
    print("\nto the exact CRF")
    side, places = (48, 1) if quick else (96, 4)
    table["accuracy"] = [show(accuracy(setting, side, places)) for setting in SETTINGS]
    print("\nspeed-ups, time without by time with")
    plan = [(name, setting) for name, one in SPEED_UPS.items() for setting in one.settings]
    table["speed-ups"] = [show(gain(name, setting, rounds)) for name, setting in plan]
    return table


def about(rounds: int) -> dict:
    """Where this was measured."""
    return {
        "torch": torch.__version__,
        "machine": platform.machine(),
        "threads": 1,
        "rounds": rounds,
        "peer": "pydensecrf 1.0rc3" if DenseCRF2D else None,
    }


def show(row: dict) -> dict:
    """Print a row on one line, and hand it on."""
    print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    return row


def main() -> None:
    """Read the arguments, measure, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds and sizes")
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    parser.add_argument("--memory", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.memory:
        way, setting, labels = arguments.memory
        return print_memory(way, setting, int(labels))
    if not DenseCRF2D:
        print("pydensecrf is not installed (make pydensecrf builds it): its half is left out")
    table = tables(arguments.quick)
    if arguments.json:
        text = json.dumps(table, indent=1) + "\n"
        arguments.json.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
