"""`dlseg export`: a trained network as an ONNX file for other runtimes."""

import argparse
import json
import re
from pathlib import Path

from torch import nn

from dlseg import inference
from dlseg.checks import CommandError, need
from dlseg.commands.predict import Network, load
from dlseg.commands.shared import add_trust, one_line
from dlseg.data import MEAN, STD
from dlseg.device import use_device
from dlseg.inference import CHECKED, INPUT, OPSET, OUTPUT, ExportError
from dlseg.paths import make_folder, path_argument

TOLERANCE = 1e-3  # of the largest logit; rounding alone stays far below


def add(parser: argparse.ArgumentParser, _name: str) -> None:
    """Give the parser the arguments of `dlseg export`."""
    parser.set_defaults(function=export)
    text = "written by `dlseg train`"
    parser.add_argument("checkpoint", metavar="CHECKPOINT", type=path_argument, help=text)
    parser.add_argument("out", metavar="OUT.onnx", type=path_argument, help="the file to write")
    sizes = parser.add_mutually_exclusive_group()
    text = "the one size of image the file takes, in pixels, such as 513x769, one image at a time"
    sizes.add_argument("--size", metavar="HxW", help=text)
    text = "images of any size, any number at a time: the default"
    sizes.add_argument("--dynamic", action="store_true", help=text)
    parser.add_argument("--output-stride", type=int, help="8, 16 or 32; default: as trained")
    add_trust(parser)
    text = "compare with PyTorch on several sizes, in ONNX Runtime; exit code 1 if they differ"
    parser.add_argument("--check", action="store_true", help=text)


def export(arguments: argparse.Namespace) -> int:
    """Write a trained network as ONNX, and compare it if that is asked."""
    for module in ("onnx", "onnxscript", "onnxruntime"):
        if module != "onnxruntime" or arguments.check:
            need(module, "onnx")
    out, size = arguments.out, _size(arguments.size)
    if out.suffix != ".onnx":
        raise CommandError(f"the file to write must end in .onnx, got {out}")
    use_device("cpu")
    network = load(arguments.checkpoint, arguments.output_stride, arguments.trust_imports)
    _write(network, out, size)
    batch, height, width = ("batch", "height", "width") if size is None else (1, *size)
    classes = network.model.num_classes
    print(f"{out}: {out.stat().st_size / 1e6:.1f} MB, opset {OPSET}")
    print(f"  input {INPUT}: float32 ({batch}, 3, {height}, {width}), RGB, normalised")
    print(f"  output {OUTPUT}: float32 ({batch}, {classes}, {height}, {width})", flush=True)
    return _check(network.model, out, size) if arguments.check else 0


def _write(network: Network, out: Path, size: tuple[int, int] | None) -> None:
    """The file, with what its user must know as notes."""
    notes = {"classes": network.classes, "mean": MEAN, "std": STD}
    notes = {name: json.dumps(value) for name, value in notes.items()}
    try:
        with one_line(OSError, start=f"cannot write {out}: "):
            make_folder(out.parent)
            inference.export_onnx(network.model, out, size, notes)
    except ExportError as error:
        raise CommandError(f"{error}; with dlseg export: --size HxW") from error
    except ValueError as error:
        where = f"--size {size[0]}x{size[1]}: " if size else ""
        raise CommandError(f"{where}{error}") from error


def _check(model: nn.Module, out: Path, size: tuple[int, int] | None) -> int:
    import onnxruntime  # of the extra

    print(f"ONNX Runtime {onnxruntime.__version__} beside PyTorch:")
    shapes = CHECKED if size is None else [(1, 3, *size)]
    differences = inference.onnx_differences(model, out, shapes)
    for (batch, _, height, width), difference in differences.items():
        print(
            f"  {batch} x {height} x {width}: {difference.relative:.1e} of the largest logit, "
            f"{difference.same_labels:.3%} of the labels the same"
        )
    largest = max(difference.relative for difference in differences.values())
    good = largest <= TOLERANCE
    print(f"largest relative difference {largest:.1e}" + ("" if good else f", above {TOLERANCE}"))
    return int(not good)


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    numbers = re.fullmatch(r"(\d+)x(\d+)", text)
    if numbers is None or 0 in map(int, numbers.groups()):
        raise CommandError(f"--size must be HEIGHTxWIDTH in pixels, such as 513x769, got {text}")
    return int(numbers[1]), int(numbers[2])
