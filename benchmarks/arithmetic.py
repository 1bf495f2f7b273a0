"""How long the arithmetic takes: importing it, and tracing a receptive field, beside peers.

    python benchmarks/arithmetic.py --repeats 9 --size 224

1. `import dlseg.arithmetic` in a fresh process, beside `import numpy` and an empty process.
2. `receptive_field` of a ResNet-101, beside one real forward pass of the same network.
"""

import argparse
import subprocess
import sys
import time

import torch
from torch import Tensor, nn

from dlseg.inspect import receptive_field


class Bottleneck(nn.Module):
    """Residual unit of ResNet-101 with the stride on its 3x3."""

    def __init__(self, channels: int, width: int, stride: int):
        super().__init__()
        out = 4 * width
        self.body = nn.Sequential(
            nn.Conv2d(channels, width, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(True),
            nn.Conv2d(width, width, 3, stride, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(True),
            nn.Conv2d(width, out, 1, bias=False),
            nn.BatchNorm2d(out),
        )
        self.shortcut = nn.Identity()
        if stride > 1 or channels != out:
            conv = nn.Conv2d(channels, out, 1, stride, bias=False)
            self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


def resnet101() -> nn.Sequential:
    """The convolutional part of ResNet-101 (He et al. 2016, table 1), 42.5 M parameters."""
    stem = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(True)]
    units, channels = [nn.MaxPool2d(3, 2, 1)], 64
    for stage, count in enumerate((3, 4, 23, 3)):
        for unit in range(count):
            stride = 2 if stage > 0 and unit == 0 else 1
            units.append(Bottleneck(channels, 64 * 2**stage, stride))
            channels = 256 * 2**stage
    return nn.Sequential(*stem, *units).eval()


def best_seconds(call, repeats: int) -> float:
    """Shortest wall-clock time of `call`, in seconds: what it takes where nothing else runs."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def seconds_of_process(code: str, repeats: int) -> float:
    """Shortest time of a fresh interpreter that runs `code`, start and end included."""
    return best_seconds(lambda: subprocess.run([sys.executable, "-c", code], check=True), repeats)


def compare_imports(repeats: int) -> None:
    """Print the time of three fresh processes."""
    ours = seconds_of_process("import dlseg.arithmetic", repeats)
    numpy = seconds_of_process("import numpy", repeats)
    empty = seconds_of_process("pass", repeats)
    print(f"import dlseg.arithmetic  {1e3 * ours:7.1f} ms   fresh process, best of {repeats}")
    print(f"import numpy             {1e3 * numpy:7.1f} ms   ours / numpy = {ours / numpy:.2f}")
    print(f"empty process            {1e3 * empty:7.1f} ms   ours - empty = {ours - empty:.3f} s")


def compare_tracing(size: int, repeats: int) -> None:
    """Print the time of tracing a ResNet-101 and that of running it."""
    model, image = resnet101(), torch.rand(1, 3, size, size)
    with torch.no_grad():
        first = best_seconds(lambda: receptive_field(model, size), 1)
        model(image)
        traced = best_seconds(lambda: receptive_field(model, size), repeats)
        run = best_seconds(lambda: model(image), repeats)
    report = receptive_field(model, size)
    print(
        f"receptive_field          {1e3 * traced:7.1f} ms   ResNet-101 at {size}x{size}: ", end=""
    )
    print(f"field {report.size}, {len(report.layers)} rows")
    print(f"  the first call         {1e3 * first:7.1f} ms   loads torch's tracing machinery")
    print(f"one forward pass         {1e3 * run:7.1f} ms   tracing / forward = {traced / run:.2f}")


def main() -> None:
    """Read the arguments and print both comparisons."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9, help="runs of which the shortest counts")
    parser.add_argument("--size", type=int, default=224, help="side of the square image, in pixels")
    arguments = parser.parse_args()
    compare_imports(arguments.repeats)
    compare_tracing(arguments.size, arguments.repeats)


if __name__ == "__main__":
    main()
