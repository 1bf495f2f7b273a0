"""How long the halves of a split convolution take, beside the ordinary one and beside their counts.

    python benchmarks/separable.py --json assets/results/separable_clock.json

For each size the ordinary 3x3 layer, its depthwise and its pointwise half run in turns, several
times over; printed are median and range of their times as shares of the ordinary layer's, with the
shares of multiply-adds beside them. Chapter 05 reads the file.
"""

import argparse
import json
import platform
import time
from pathlib import Path
from statistics import median

import torch
from torch import nn

from dlseg.arithmetic import conv_multiply_adds, depthwise_parameters

SIZES = ((512, 14), (256, 33), (256, 65), (128, 129))  # channels, side of the map


def layers_of(channels: int) -> dict[str, nn.Conv2d]:
    """The ordinary layer and its two halves, without bias."""
    return {
        "ordinary": nn.Conv2d(channels, channels, 3, padding=1, bias=False),
        "depthwise": nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
        "pointwise": nn.Conv2d(channels, channels, 1, bias=False),
    }


def seconds(layers: dict[str, nn.Conv2d], x: torch.Tensor, repeats: int) -> dict[str, float]:
    """Median seconds of one forward pass of each layer, taken in turns."""
    times = {name: [] for name in layers}
    with torch.inference_mode():
        for _ in range(repeats + 2):
            for name, layer in layers.items():
                begin = time.perf_counter()
                layer(x)
                times[name].append(time.perf_counter() - begin)
    return {name: median(values[2:]) for name, values in times.items()}  # two rounds to warm up


def measure(channels: int, side: int, runs: int, repeats: int) -> dict:
    """Shares of the ordinary layer's multiply-adds and time, per half: the shares of all runs."""
    whole = conv_multiply_adds(channels, channels, side)
    counts = {
        "depthwise": depthwise_parameters(channels) * side**2,
        "pointwise": conv_multiply_adds(channels, channels, side, 1),
    }
    shares = {half: [] for half in counts}
    for _ in range(runs):
        taken = seconds(layers_of(channels), torch.randn(1, channels, side, side), repeats)
        for half in counts:
            shares[half].append(round(taken[half] / taken["ordinary"], 4))
    return {
        "channels": channels,
        "side": side,
        "time": {half: sorted(values) for half, values in shares.items()},
        "count": {half: count / whole for half, count in counts.items()},
    }


def told(row: dict, half: str) -> str:
    """Median and range of one half's share of the time, and its share of the count."""
    times = row["time"][half]
    span = f"({times[0]:.1%} to {times[-1]:.1%})"
    return f"{half} {median(times):.1%} {span} of the time, {row['count'][half]:.2%} of the count"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--repeats", type=int, default=15, help="passes of each layer in a run")
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rows = [measure(*size, arguments.runs, arguments.repeats) for size in SIZES]
    for row in rows:
        halves = "; ".join(told(row, half) for half in ("depthwise", "pointwise"))
        print(f"{row['channels']} channels, {row['side']} x {row['side']}: {halves}")
    if arguments.json:
        about = {"torch": torch.__version__, "machine": platform.machine(), "threads": 1}
        text = json.dumps({**about, "runs": arguments.runs, "rows": rows}, indent=1)
        arguments.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
