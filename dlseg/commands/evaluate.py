"""`dlseg evaluate`: the scores of a trained network, class by class."""

import argparse
import csv
import io
from collections.abc import Sequence
from pathlib import Path

from dlseg import training
from dlseg.aside import new_file
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
from dlseg.metrics import ConfusionMatrix, ImageScores, per_image
from dlseg.paths import path_argument, printable
from dlseg.training import LAST, is_main, void_of

WORST = 3  # pictures that are named on the terminal


def add(parser: argparse.ArgumentParser, _name: str) -> None:
    """Give the parser the arguments of `dlseg evaluate`."""
    parser.set_defaults(function=evaluate)
    parser.add_argument(
        "checkpoint", type=path_argument, nargs="?", help="default: of the last run"
    )
    parser.add_argument("--data", help="default: what it was trained on")
    parser.add_argument("--split", default="val", help="default: val")
    add_inference(parser)
    parser.add_argument("--batch-size", type=int, default=16, help="images computed together")
    add_workers(parser)
    add_trust(parser)
    add_device(parser)
    parser.add_argument(
        "--per-image",
        metavar="FILE.csv",
        type=path_argument,
        help="write what each picture scored, the worst first",
    )


def evaluate(arguments: argparse.Namespace) -> int:
    """Print IoU and Dice of each class of a trained network, and their means."""
    if arguments.per_image and arguments.per_image.is_dir():
        path = printable(arguments.per_image)
        raise CommandError(f"--per-image {path} is a folder; name a file, such as scores.csv")
    with computing(arguments) as device:
        path = arguments.checkpoint or last_run() / LAST
        model, entries = trained(path, arguments.output_stride, arguments.trust_imports)
        dataset = open_data(arguments.data or saved_data(entries, path), arguments.split)
        check_names(entries["extra"].get("classes"), dataset.classes)
        options = arguments.batch_size, arguments.scales, arguments.flip, arguments.workers
        images = arguments.per_image and ImageScores(dataset.num_classes, void_of(dataset))
        matrix = training.evaluate(model, dataset, device, *options, images)
        report(matrix, dataset, arguments.split)
        if images and is_main():
            write_images(arguments.per_image, images, dataset)
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
    """Print IoU and Dice of each class and the summary, in the main process."""
    if not is_main():
        return
    scores = matrix.compute()
    print(f"  {'class':16} {'IoU':>5} {'Dice':>6}")
    for name, *pair in zip(dataset.classes, scores["iou"], scores["dice"], strict=True):
        print(f"  {name:16} {pair[0]:5.3f} {pair[1]:6.3f}")
    print(
        f"mIoU {scores['mean_iou']:.3f}, mean Dice {scores['mean_dice']:.3f}, "
        f"pixel accuracy {scores['pixel_accuracy']:.3f} on {len(dataset)} pictures of {split}"
    )


def write_images(path: Path, scores: ImageScores, dataset) -> None:
    """Write the mIoU of each picture as CSV, the worst first, and print the worst.

    Raises OSError where the file cannot be written.
    """
    rows = per_image(scores, dataset)
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["picture", "mean_iou"])
    writer.writerows((name, f"{value:.6f}") for name, value in rows)
    with new_file(path) as file:
        file.write(table.getvalue().encode("utf-8", "surrogateescape"))
    worst = ", ".join(f"{printable(str(name))} {value:.3f}" for name, value in rows[:WORST])
    print(f"picture by picture: mIoU {scores.compute()['mean_iou']:.3f}; worst {worst}")
    print(f"all of them: {printable(path)}")
