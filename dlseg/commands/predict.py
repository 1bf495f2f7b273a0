"""`dlseg predict`: images in, pictures of their labels out."""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from dlseg import inference
from dlseg.checks import CommandError
from dlseg.commands.folder import find_pictures, predict_all, read_all, report_faults, unfinished
from dlseg.commands.shared import add_device, add_inference, last_run, one_line
from dlseg.data import open_data, to_tensors, voc_palette, write_image, write_label
from dlseg.device import get_device, use_device
from dlseg.training import LAST, CheckpointError, load_network

OWN = 4  # pictures of the network's own data, where no image is given


def add(parser: argparse.ArgumentParser, _name: str) -> None:
    """Give the parser the arguments of `dlseg predict`."""
    parser.set_defaults(function=predict)
    option = parser.add_argument
    text = (
        "JPEG, PNG, GIF or WebP files, or folders of them; a GIF or WebP gives all its frames; "
        f"default: {OWN} pictures of the data it was trained on"
    )
    option("images", nargs="*", metavar="IMAGE", type=Path, help=text)
    text = "written by `dlseg train`; default: of the last run"
    option("--checkpoint", metavar="FILE", type=Path, help=text)
    text = "folder to write to; default: predictions, beside the checkpoint"
    option("--out", metavar="DIR", type=Path, help=text)
    text = "leave out what is done in --out already; give the other options as before"
    option("--resume", action="store_true", help=text)
    add_inference(parser)
    text = "predict a large image in squares of so many pixels, to save memory"
    option("--tile", type=int, metavar="N", help=text)
    text = "pixels that neighbouring tiles share; default: a quarter of the tile"
    option("--overlap", type=int, metavar="N", help=text)
    add_device(parser)


def predict(arguments: argparse.Namespace) -> int:
    """Label images with a trained network; write index PNG, palette PNG, overlay and legend."""
    checkpoint = arguments.checkpoint or last_run() / LAST
    out = arguments.out or checkpoint.parent / "predictions"
    pictures = find_pictures(arguments.images, out)
    _check_options(arguments)
    use_device(arguments.device)
    network = load(checkpoint, arguments.output_stride)

    def label(name: str, image: np.ndarray) -> str:
        labels = _labels(network.model, name, image, arguments)
        _write(out, name, image, labels, network)
        shares = inference.shares(labels).items()
        return ", ".join(f"{network.classes[label]} {share:.1%}" for label, share in shares)

    faults: list[str] = []
    if pictures:
        waiting = unfinished(pictures, out, checkpoint) if arguments.resume else pictures
        count, images = len(waiting), read_all(waiting, faults)
    else:
        count, images = OWN, _own(network, out)
    predict_all(images, count, out, label, faults)
    report_faults(faults, count)
    return 0


@dataclass(frozen=True)
class Network:
    """A trained model on its device, and how its classes are called and coloured.

    data: the name of what it was trained on, or None.
    """

    model: nn.Module
    classes: tuple[str, ...]
    palette: np.ndarray
    data: str | None


def load(path: Path, output_stride: int | None) -> Network:
    """The trained network of the checkpoint `path`. CommandError for what is none."""
    try:
        model, entries = load_network(path, output_stride)
    except (CheckpointError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise CommandError(reason if str(path) in reason else f"{path}: {reason}") from error
    numbered = tuple(f"class {index}" for index in range(model.num_classes))
    extra = entries["extra"]
    classes = tuple(extra.get("classes", numbered))
    palette = np.asarray(extra.get("palette", voc_palette()), dtype=np.uint8)
    return Network(model.to(get_device()), classes, palette, extra.get("data"))


def _own(network: Network, out: Path) -> Iterator[tuple[str, np.ndarray]]:
    """The first validation pictures of the network's data; image and true labels go to `out`."""
    if network.data is None:
        raise CommandError("the checkpoint does not say what it was trained on: name images")
    with one_line(ValueError):
        dataset = open_data(network.data, "val")
        for index in range(min(OWN, len(dataset))):
            image, labels = dataset[index]
            write_image(out / f"val-{index}.png", image)
            write_label(out / f"val-{index}-truth.png", labels, network.palette)
            yield f"val-{index}", image


def _labels(
    model: nn.Module, name: str, image: np.ndarray, arguments: argparse.Namespace
) -> np.ndarray:
    """The most probable label of each pixel, uint8 (H, W)."""
    x, _ = to_tensors(image, np.zeros(image.shape[:2], np.uint8))  # (3, H, W)
    x, scales, flip = x[None].to(get_device()), arguments.scales, arguments.flip
    tile, overlap = arguments.tile, arguments.overlap
    try:
        if tile is None:
            scores = inference.probabilities(model, x, scales, flip)  # (1, C, H, W)
        else:
            scores = inference.tiled_probabilities(model, x, tile, overlap, scales, flip)
    except torch.OutOfMemoryError as error:
        raise CommandError(f"not enough memory for {name}: try --tile 513, or less") from error
    except ValueError as error:
        raise CommandError(f"{name}: {error}") from error
    return scores[0].argmax(0).byte().cpu().numpy()


def _write(out: Path, name: str, image: np.ndarray, labels: np.ndarray, network: Network) -> None:
    palette = network.palette
    write_label(out / f"{name}-index.png", labels)
    write_label(out / f"{name}-palette.png", labels, palette)
    write_image(out / f"{name}-overlay.png", inference.overlay(image, labels, palette))
    write_image(out / f"{name}-legend.png", inference.legend(labels, network.classes, palette))


def _check_options(arguments: argparse.Namespace) -> None:
    """Set the overlap that was not given. CommandError for scales and tiles that cannot be."""
    if arguments.tile is None and arguments.overlap is not None:
        raise CommandError("--overlap is of tiles: give --tile too")
    with one_line(ValueError):
        inference.check_scales(arguments.scales)
        if arguments.tile is not None:
            if arguments.overlap is None:
                arguments.overlap = arguments.tile // 4
            inference.check_tile(arguments.tile, arguments.overlap)
