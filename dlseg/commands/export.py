"""The command `dlseg export`: a trained network as an ONNX file for other runtimes."""

import argparse
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from dlseg.checks import CommandError, need

if TYPE_CHECKING:
    from torch import nn

TOLERANCE = 1e-3  # of the largest logit; rounding alone stays far below


def add(commands) -> None:
    """Tell the command line of `dlseg export`."""
    parser = commands.add_parser("export", help=export.__doc__, description=export.__doc__)
    parser.set_defaults(function=export)
    told = "written by `dlseg train`"
    parser.add_argument("checkpoint", metavar="CHECKPOINT", type=Path, help=told)
    parser.add_argument("out", metavar="OUT.onnx", type=Path, help="the file to write")
    sizes = parser.add_mutually_exclusive_group()
    told = "the one size of image the file takes, in pixels, such as 513x769, one image at a time"
    sizes.add_argument("--size", metavar="HxW", help=told)
    told = "images of any size, any number at a time: the default"
    sizes.add_argument("--dynamic", action="store_true", help=told)
    parser.add_argument("--output-stride", type=int, help="8, 16 or 32; default: as trained")
    told = "compare with PyTorch on several sizes, in ONNX Runtime; exit code 1 if they differ"
    parser.add_argument("--check", action="store_true", help=told)


def export(arguments: argparse.Namespace) -> int:
    """Write a trained network as ONNX, which many runtimes and devices can execute."""
    for module in ("onnx", "onnxscript", *["onnxruntime"] * arguments.check):
        need(module, "onnx")
    out, size = arguments.out, _size(arguments.size)
    if out.suffix != ".onnx":
        raise CommandError(f"the file to write must end in .onnx, got {out}")
    model, notes = _network(arguments)
    _write(model, out, size, notes)
    from dlseg.inference.export import INPUT, OPSET, OUTPUT

    free = "batch", "height", "width"
    batch, height, width = free if size is None else (1, *size)
    print(f"{out}: {out.stat().st_size / 1e6:.1f} MB, opset {OPSET}")
    print(f"  input {INPUT}: float32 ({batch}, 3, {height}, {width}), RGB, normalised")
    print(
        f"  output {OUTPUT}: float32 ({batch}, {model.num_classes}, {height}, {width})", flush=True
    )
    return _check(model, out, size) if arguments.check else 0


def _network(arguments: argparse.Namespace) -> tuple["nn.Module", dict[str, str]]:
    """The network on the CPU, and what a user of the file must know."""
    from dlseg.commands.predict import load
    from dlseg.data.transforms import MEAN, STD
    from dlseg.device import use_device

    use_device("cpu")
    network = load(arguments.checkpoint, arguments.output_stride)
    notes = {"classes": network.classes, "mean": MEAN, "std": STD}
    return network.model, {name: json.dumps(value) for name, value in notes.items()}


def _write(
    model: "nn.Module", out: Path, size: tuple[int, int] | None, notes: dict[str, str]
) -> None:
    from dlseg.inference.export import ExportError, export_onnx

    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        export_onnx(model, out, size, notes)
    except OSError as error:
        raise CommandError(f"cannot write {out}: {error}") from error
    except ExportError as error:
        raise CommandError(f"{error}; with dlseg export: --size HxW") from error
    except ValueError as error:
        raise CommandError(
            f"--size {size[0]}x{size[1]}: {error}" if size else str(error)
        ) from error


def _check(model: "nn.Module", out: Path, size: tuple[int, int] | None) -> int:
    import onnxruntime

    from dlseg.inference.export import CHECKED, onnx_differences

    print(f"ONNX Runtime {onnxruntime.__version__} beside PyTorch:")
    found = onnx_differences(model, out, CHECKED if size is None else [(1, 3, *size)])
    for (batch, _, height, width), difference in found.items():
        print(
            f"  {batch} x {height} x {width}: {difference.relative:.1e} of the largest logit, "
            f"{difference.same_labels:.3%} of the labels the same"
        )
    largest = max(difference.relative for difference in found.values())
    good = largest <= TOLERANCE
    print(f"largest relative difference {largest:.1e}" + ("" if good else f", above {TOLERANCE}"))
    return int(not good)


def _size(words: str | None) -> tuple[int, int] | None:
    if words is None:
        return None
    numbers = re.fullmatch(r"(\d+)x(\d+)", words)
    if numbers is None or 0 in map(int, numbers.groups()):
        raise CommandError(f"--size must be HEIGHTxWIDTH in pixels, such as 513x769, got {words}")
    return int(numbers[1]), int(numbers[2])
