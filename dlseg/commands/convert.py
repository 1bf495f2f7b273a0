"""`dlseg convert`: the weights of another program's DeepLab as a checkpoint of this one.

dlseg convert deeplabv3_resnet50_coco.pth net.pt --from torchvision
dlseg convert my_run.pth net.pt --from smp --output-stride 16 --classes classes.txt

torchvision: deeplabv3_resnet50 and 101, deeplabv3_mobilenet_v3_large, fcn_resnet50 and 101.
smp, segmentation-models-pytorch: DeepLabV3 and DeepLabV3Plus with their own rates, on resnet18, 34,
50, 101 and mobilenet_v2. transformers: MobileNetV2ForSemanticSegmentation.
Which of them it is, is seen from the names and shapes. Only tensors are read, no code is run.
"""

import argparse
from pathlib import Path

from dlseg import training
from dlseg.checks import CommandError
from dlseg.commands.shared import one_line
from dlseg.models import SOURCES, convert, name_of
from dlseg.paths import path_argument, printable
from dlseg.state import few
from dlseg.training import CheckpointError


def add(parser: argparse.ArgumentParser, _name: str) -> None:
    """Give the parser the arguments of `dlseg convert`."""
    parser.set_defaults(function=run)
    text = "a state dict: torch.save(model.state_dict()), or a .safetensors file"
    parser.add_argument("weights", metavar="IN", type=path_argument, help=text)
    text = "the checkpoint to write, for predict, evaluate, export and train --weights"
    parser.add_argument("out", metavar="OUT", type=path_argument, help=text)
    text = "the program whose names the state dict has"
    parser.add_argument("--from", dest="source", choices=SOURCES, required=True, help=text)
    text = "that it was trained at, which the file does not tell; default: the program's own"
    parser.add_argument("--output-stride", type=int, choices=(8, 16, 32), help=text)
    text = "a file with the names of the classes, one a line"
    parser.add_argument("--classes", metavar="FILE", type=path_argument, help=text)


def run(arguments: argparse.Namespace) -> int:
    """Write the checkpoint, and say what it holds."""
    with one_line(CheckpointError, ModuleNotFoundError):
        state, words = training.load_state(arguments.weights)
    with one_line(ValueError, start=f"{printable(arguments.weights)}: "):
        made = convert(state, arguments.source, arguments.output_stride)
    classes = _names(arguments.classes, made.description["num_classes"])
    with one_line(CheckpointError):
        training.save_network(arguments.out, made.state, made.description, classes)
    stride = made.description.get("arguments", made.description)["output_stride"]
    print(f"{words}: {name_of(made.description)}, output stride {stride}")
    if made.dropped:
        print(f"left out {len(made.dropped)}: {few(made.dropped)}")
    print(f"written {printable(arguments.out)}")
    return 0


def _names(path: Path | None, count: int) -> list[str] | None:
    """The names of the classes. CommandError unless there are so many."""
    if path is None:
        return None
    with one_line(OSError, UnicodeDecodeError, start=f"cannot read {printable(path)}: "):
        names = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    names = [name for name in names if name]
    if len(names) != count:
        raise CommandError(f"{printable(path)} names {len(names)} classes, the network has {count}")
    return names
