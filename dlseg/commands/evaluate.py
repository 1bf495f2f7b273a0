"""`dlseg evaluate`: the scores of a trained network, class by class."""

import argparse
from collections.abc import Sequence

from dlseg import training
from dlseg.checks import CommandError
from dlseg.commands.jobs import saved_data
from dlseg.commands.shared import (
    add_device,
    add_inference,
    add_trust,
    add_workers,
    computing,
    last_run,
    trained,
)
from dlseg.data import open_data
from dlseg.doors import check_same_classes
from dlseg.metrics import ConfusionMatrix
from dlseg.paths import path_argument
from dlseg.training import LAST, is_main


def add(parser: argparse.ArgumentParser, _name: str) -> None:
    """Give the parser the arguments of `dlseg evaluate`."""
    parser.set_defaults(function=evaluate)
    parser.add_argument(
        "checkpoint", type=path_argument, nargs="?", help="default: of the last run"
    )
    parser.add_argument("--data", help="default: what it was trained on")
    parser.add_argument("--split", default="val", help="default: val")
    add_inference(parser)
    parser.add_argument("--batch-size", type=int, default=16)
    add_workers(parser)
    add_trust(parser)
    add_device(parser)


def evaluate(arguments: argparse.Namespace) -> int:
    """Print the IoU of each class of a trained network, and their mean."""
    with computing(arguments) as device:
        path = arguments.checkpoint or last_run() / LAST
        model, entries = trained(path, arguments.output_stride, arguments.trust_imports)
        dataset = open_data(arguments.data or saved_data(entries, path), arguments.split)
        check_names(entries["extra"].get("classes"), dataset.classes)
        options = arguments.batch_size, arguments.scales, arguments.flip, arguments.workers
        matrix = training.evaluate(model, dataset, device, *options)
        report(matrix, dataset, arguments.split)
    return 0


def check_names(model: list[str] | None, data: Sequence[str]) -> None:
    """CommandError where a network knows other classes than the data set has, by number or name."""
    if model is None:
        return
    check_same_classes(len(model), len(data))
    other = [(mine, theirs) for mine, theirs in zip(model, data, strict=True) if mine != theirs]
    if other:
        mine, theirs = other[0]
        raise CommandError(
            f"the network was trained on other classes than the data set has: {len(other)} of "
            f"{len(data)} names differ, the first {mine!r} and {theirs!r}; give the data that it "
            "was trained on, or train it on these"
        )


def report(matrix: ConfusionMatrix, dataset, split: str) -> None:
    """Print the IoU of each class and the summary, in the main process."""
    if not is_main():
        return
    for name, value in zip(dataset.classes, matrix.iou().tolist(), strict=True):
        print(f"  {name:16} {value:.3f}")
    summary = f"mIoU {matrix.mean_iou():.3f}, pixel accuracy {matrix.pixel_accuracy():.3f}"
    print(f"{summary} on {len(dataset)} pictures of {split}")
