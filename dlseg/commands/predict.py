"""`dlseg predict`: images in, pictures of their labels out."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import nn

from dlseg import inference
from dlseg.checks import CommandError
from dlseg.commands.folder import find_pictures, predict_all, read_all, report_faults, unfinished
from dlseg.commands.shared import add_device, add_inference, add_trust, last_run, one_line, trained
from dlseg.data import (
    MAX_PIXELS,
    Decoded,
    open_data,
    printable,
    row_bands,
    voc_palette,
    write_bands,
    write_image,
    write_label,
)
from dlseg.device import get_device, out_of_memory, use_device
from dlseg.paths import path_argument
from dlseg.training import LAST, CheckpointError

OWN = 4  # pictures of the network's own data, where no image is given
WHOLE = 4_000_000  # pixels of the largest image that is predicted at once; a square of 2000
TILE, SMALL = 1024, 513  # pixels: of larger images, and where memory is short


def add(parser: argparse.ArgumentParser, _name: str) -> None:
    """Give the parser the arguments of `dlseg predict`."""
    parser.set_defaults(function=predict)
    option = parser.add_argument
    text = (
        "JPEG, PNG, TIFF, GIF, WebP or BMP files, or folders of them; a clip gives all its frames; "
        f"default: {OWN} pictures of the data it was trained on"
    )
    option("images", nargs="*", metavar="IMAGE", type=path_argument, help=text)
    text = "written by `dlseg train`; default: of the last run"
    option("--checkpoint", metavar="FILE", type=path_argument, help=text)
    text = "folder to write to; default: predictions, beside the checkpoint"
    option("--out", metavar="DIR", type=path_argument, help=text)
    text = "leave out what is done in --out already; give the other options as before"
    option("--resume", action="store_true", help=text)
    add_inference(parser)
    text = (
        "predict in squares of so many pixels, to save memory; 0: each image whole; default: "
        f"whole up to {WHOLE / 1e6:.0f} megapixels (times the largest of --scales, squared), "
        f"else {TILE}"
    )
    option("--tile", type=int, metavar="N", help=text)
    text = "pixels that neighbouring tiles share; default: a quarter of the tile"
    option("--overlap", type=int, metavar="N", help=text)
    most = MAX_PIXELS / 1e6
    text = f"megapixels of the largest image that is read; default: {most:.0f}"
    option("--max-pixels", type=float, default=most, metavar="MEGAPIXELS", help=text)
    add_trust(parser)
    add_device(parser)


def predict(arguments: argparse.Namespace) -> int:
    """Label images with a trained network; write index PNG, palette PNG, overlay and legend."""
    checkpoint = arguments.checkpoint or last_run() / LAST
    out = arguments.out or checkpoint.parent / "predictions"
    _check_options(arguments)
    pictures = find_pictures(arguments.images, out)
    use_device(arguments.device)
    network = load(checkpoint, arguments.output_stride, arguments.trust_imports)

    def label(name: str, image: np.ndarray | Decoded) -> str:
        tile = _tile(image, arguments)
        with _in_memory(name, image, tile, arguments):
            labels = _labels(network.model, name, image, tile, arguments)
            _write(out, name, image, labels, network)
            shares = inference.shares(labels).items()
        text = ", ".join(f"{network.classes[label]} {share:.1%}" for label, share in shares)
        chosen = tile is not None and arguments.tile is None
        return text + (f" (in tiles of {tile} pixels; --tile 0 takes it whole)" if chosen else "")

    faults: list[str] = []
    if pictures:
        waiting = unfinished(pictures, out, checkpoint) if arguments.resume else pictures
        count, images = len(waiting), read_all(waiting, faults, arguments.max_pixels * 1e6)
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


def load(path: Path, output_stride: int | None, trust_imports: bool = False) -> Network:
    """The trained network of the checkpoint `path`. CommandError for what is none."""
    try:
        model, entries = trained(path, output_stride, trust_imports)
    except (CheckpointError, ValueError, OSError, ModuleNotFoundError) as error:
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


def _tile(image: np.ndarray | Decoded, arguments: argparse.Namespace) -> int | None:
    """The side of the tiles for this image; None: it is taken whole."""
    if arguments.tile is not None:
        return arguments.tile or None
    height, width = image.shape[:2]
    return TILE if height * width * max(1, *arguments.scales) ** 2 > WHOLE else None


@contextmanager
def _in_memory(
    name: str, image: np.ndarray | Decoded, tile: int | None, arguments: argparse.Namespace
) -> Iterator[None]:
    """Too little memory as one line that says what needs less."""
    try:
        yield
    except Exception as error:
        if not out_of_memory(error):
            raise
        side = min(max(image.shape[:2]), tile or max(image.shape[:2]))  # what is predicted at once
        if side > SMALL:
            remedy = f"--tile {SMALL}, or less"
        elif arguments.flip or len(arguments.scales) > 1:
            remedy = "a single one of --scales, without --flip"
        else:
            remedy = f"--tile {max(side // 2, 1)}, or close other programs"
        raise CommandError(f"not enough memory for {printable(name)}: try {remedy}") from error


def _labels(
    model: nn.Module,
    name: str,
    image: np.ndarray | Decoded,
    tile: int | None,
    arguments: argparse.Namespace,
) -> np.ndarray:
    """The most probable label of each pixel, uint8 (H, W)."""
    options = tile, arguments.overlap, arguments.scales, arguments.flip
    with one_line(ValueError, start=f"{printable(name)}: "):
        return inference.label_image(model, image, *options)


def _write(
    out: Path, name: str, image: np.ndarray | Decoded, labels: np.ndarray, network: Network
) -> None:
    palette, (height, width) = network.palette, labels.shape
    mixed = (
        inference.overlay(image[rows], labels[rows], palette) for rows in row_bands(height, width)
    )
    write_label(out / f"{name}-index.png", labels)
    write_label(out / f"{name}-palette.png", labels, palette)
    write_bands(out / f"{name}-overlay.png", height, width, mixed)
    write_image(out / f"{name}-legend.png", inference.legend(labels, network.classes, palette))


def _check_options(arguments: argparse.Namespace) -> None:
    """CommandError for scales, tiles and limits that cannot be."""
    if not arguments.tile and arguments.overlap is not None:
        raise CommandError("--overlap is of tiles: give --tile too")
    if not arguments.max_pixels > 0:
        raise CommandError(f"--max-pixels must be above 0, got {arguments.max_pixels:g}")
    with one_line(ValueError):
        inference.check_scales(arguments.scales)
        if arguments.tile:
            overlap = arguments.tile // 4 if arguments.overlap is None else arguments.overlap
            inference.check_tile(arguments.tile, overlap)
