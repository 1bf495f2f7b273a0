"""What makes a trained network fast, each step as a ratio, and ONNX files beside PyTorch.

    python benchmarks/deployment.py --json assets/results/deployment.json    about 15 minutes
    python benchmarks/deployment.py --only grid                  one part: grid, steps or onnx

The file is what chapter 15 reads; a part that is not asked for stays in it as it was. Weights and
batch norm are random. One image at a time, on the CPU. What is compared runs in turns, so that
whatever else the machine does meets all; a ratio is taken within each round, and the file has the
median and the range over the rounds.

1. grid: DeepLab v3 on MobileNetV2 without 3x3 branches, at three output strides and three widths.
2. steps: two networks in other ways: with gradients, in channels_last, batch norm folded, other
   convolutions, bf16, torch.compile, ONNX Runtime. The gain is the time of plain inference_mode
   over theirs.
3. onnx: every DeepLab as an ONNX file: largest difference at several sizes.
"""

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch import Tensor, nn

from dlseg.aside import new_file
from dlseg.backbones import ResNet
from dlseg.inference import (
    CHECKED,
    INPUT,
    OPSET,
    export_onnx,
    fold,
    onnx_differences,
    prepare,
    watch,
)
from dlseg.inspect import cost
from dlseg.models import (
    FCN,
    DeepLabV1,
    DeepLabV2,
    DeepLabV3,
    DeepLabV3Cascade,
    DeepLabV3Plus,
)

WIDTHS, STRIDES = (0.25, 0.5, 1.0), (8, 16, 32)


def small(output_stride: int = 16, width: float = 1.0) -> DeepLabV3:
    """The network of MobileNetV2, section 6.3: no 3x3 branch."""
    return DeepLabV3("mobilenetv2", output_stride=output_stride, width=width, atrous_rates=())


NETWORKS = {
    "FCN, ResNet-50": lambda: FCN("resnet50"),
    "v1, VGG-16": lambda: DeepLabV1("vgg16"),
    "v2, ResNet-101": lambda: DeepLabV2("resnet101"),
    "v3, ResNet-101": lambda: DeepLabV3("resnet101"),
    "v3 cascade, ResNet-50": lambda: DeepLabV3Cascade("resnet50"),
    "v3, MobileNetV2": small,
    "v3+, ResNet-101": lambda: DeepLabV3Plus(ResNet(depth=101), convolution="separable"),
    "v3+, Xception-65": lambda: DeepLabV3Plus("xception65", convolution="separable"),
}
STEPS = ("v3, MobileNetV2", "v3+, ResNet-50")


def made(build: Callable[[], nn.Module]) -> nn.Module:
    """A network with random weights and random batch norm, in eval mode."""
    torch.manual_seed(0)
    model = build()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model.eval()


def turns(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each call in each round, after two rounds to warm up."""
    found = {name: [] for name in calls}
    for number in range(rounds + 2):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if number >= 2:
                found[name].append(1e3 * (time.perf_counter() - start))
    return found


def spread(values: list[float]) -> list[float]:
    """Median, smallest, largest, to four digits."""
    return [float(f"{value:.4g}") for value in (median(values), min(values), max(values))]


def grid(rounds: int, size: int) -> dict:
    """Latency of the small network at each output stride and width, and what it consists of."""
    models = {(os, w): made(partial(small, os, w)) for w in WIDTHS for os in STRIDES}
    image, rows = torch.randn(1, 3, size, size), []
    with torch.inference_mode():
        calls = {key: partial(model, image) for key, model in models.items()}
        times = turns(calls, rounds)
    for (os, width), values in times.items():
        ratios = [one / other for one, other in zip(values, times[16, 1.0], strict=True)]
        paid = cost(models[os, width].backbone, size)
        rows.append(
            {
                "output_stride": os,
                "width": width,
                "parameters": sum(p.numel() for p in models[os, width].parameters()),
                "backbone_multiply_adds": paid.multiply_adds,
                "ms": spread(values),
                "to_16_and_1": spread(ratios),
            }
        )
    return {"size": size, "rows": rows}


def ways(model: nn.Module, image: Tensor) -> dict[str, Callable[[], Tensor]]:
    """The same logits in several ways; the first is what the others are compared with."""
    folded, flat = deepcopy(model), image.to(memory_format=torch.channels_last)
    fold(folded, watch(folded, image))
    last = deepcopy(model).to(memory_format=torch.channels_last)
    both = deepcopy(folded).to(memory_format=torch.channels_last)
    fast = prepare(model, image)
    compiled = torch.compile(both, options={"freezing": True})

    def half():
        with torch.autocast("cpu", torch.bfloat16):
            return both(flat).float()

    return {
        "inference_mode": lambda: model(image),
        "gradients kept": torch.inference_mode(False)(lambda: model(image.clone())),
        "channels_last": lambda: last(flat),
        "batch norm folded": lambda: folded(image),
        "both": lambda: both(flat),
        "both, other convolutions": lambda: fast(flat),
        "both, compiled": lambda: compiled(flat),
        "both, bf16": half,
        "ONNX Runtime": _runtime(model, image),
    }


def _runtime(model: nn.Module, image: Tensor) -> Callable[[], Tensor]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "net.onnx")
        export_onnx(model, path, image.shape[2:])
        session = onnxruntime.InferenceSession(
            path.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
    pixels = {INPUT: image.numpy()}
    return lambda: torch.from_numpy(session.run(None, pixels)[0])


def steps(rounds: int, size: int) -> dict:
    """What each way gains, and how far its logits are off."""
    found = {}
    builders = NETWORKS | {
        "v3+, ResNet-50": lambda: DeepLabV3Plus(ResNet(), convolution="separable")
    }
    for name in STEPS:
        image = torch.randn(1, 3, size, size)
        calls = ways(made(builders[name]), image)
        with torch.inference_mode():
            outputs, first = {}, {}
            for way, call in calls.items():
                start = time.perf_counter()
                outputs[way] = call()
                first[way] = time.perf_counter() - start
            times = turns(calls, rounds)
        base = outputs["inference_mode"]
        found[name] = {
            way: {
                "ms": spread(values),
                "gain": spread(
                    [b / v for b, v in zip(times["inference_mode"], values, strict=True)]
                ),
                "first_call_seconds": round(first[way], 2),
                "relative": float(f"{(outputs[way] - base).abs().max() / base.abs().max():.2g}"),
                "same_labels": round(
                    float((outputs[way].argmax(1) == base.argmax(1)).double().mean()), 5
                ),
            }
            for way, values in times.items()
        }
    return {"size": size, "networks": found}


def onnx(rounds: int, size: int) -> dict:
    """Every network as an ONNX file with free sizes, beside PyTorch at several sizes."""
    import onnxruntime

    rows = {}
    for name, build in NETWORKS.items():
        model = made(build)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "net.onnx")
            export_onnx(model, path)
            found = onnx_differences(model, path, [*CHECKED, (1, 3, size, size)])
            megabytes = path.stat().st_size / 1e6
        rows[name] = {
            "megabytes": round(megabytes, 1),
            "relative": {
                "x".join(map(str, shape)): float(f"{one.relative:.2g}")
                for shape, one in found.items()
            },
        }
        print(f"{name}: {max(one.relative for one in found.values()):.1e}", flush=True)
    return {"runtime": onnxruntime.__version__, "opset": OPSET, "networks": rows}


def keep(path: Path, part: str, found: dict) -> None:
    """Write one part into the file, and leave the others."""
    content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    with new_file(path) as file:
        file.write(f"{json.dumps(content | {part: found}, indent=1)}\n".encode())


PARTS = {"grid": grid, "steps": steps, "onnx": onnx}


def main() -> None:
    """Read the arguments, measure, print what was found, write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--rounds", type=int, default=7, help="runs of each, in turns")
    parser.add_argument("--size", type=int, default=513, help="side of the image, in pixels")
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    arguments = parser.parse_args()
    for part in [arguments.only] if arguments.only else PARTS:
        about = {
            "command": f"python benchmarks/deployment.py --only {part} --rounds {arguments.rounds}",
            "versions": {"torch": torch.__version__, "numpy": np.__version__},
            "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
        }
        found = about | PARTS[part](arguments.rounds, arguments.size)
        print(json.dumps(found, indent=1))
        if arguments.json:
            keep(arguments.json, part, found)


if __name__ == "__main__":
    main()
