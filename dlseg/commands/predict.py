"""`dlseg predict`: images and videos in, pictures of their labels out."""

import argparse
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import nn

from dlseg import inference
from dlseg.checks import CommandError
from dlseg.commands.clip import draw_clip, find_clip, is_clip, is_drawn
from dlseg.commands.crf import PRESET, preset_crf
from dlseg.commands.drawing import Drawing, Table, check_strength, shown_labels, table_of
from dlseg.commands.folder import (
    Picture,
    find_pictures,
    predict_all,
    read_all,
    report_faults,
    unfinished,
)
from dlseg.commands.labeller import TILE, WHOLE, Labeller, long_clip
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
from dlseg.device import get_device, use_device
from dlseg.paths import path_argument
from dlseg.training import LAST, CheckpointError

OWN = 4  # pictures of the network's own data, where no image is given


def add(parser: argparse.ArgumentParser, _name: str) -> None:
    """Give the parser the arguments of `dlseg predict`."""
    parser.set_defaults(function=predict)
    option = parser.add_argument
    text = (
        "JPEG, PNG, TIFF, GIF, WebP or BMP files, videos, folders of pictures, patterns in quotes "
        "such as 'photos/**/*.jpg', or - for a list of paths on standard input; a clip gives all "
        f"its frames; default: {OWN} pictures of the data it was trained on"
    )
    option("images", nargs="*", metavar="IMAGE", type=path_argument, help=text)
    text = "written by `dlseg train`; default: of the last run"
    option("--checkpoint", metavar="FILE", type=path_argument, help=text)
    text = (
        "folder to write to, or for one video a file that ends in .mp4, which gets the overlay and "
        "the sound; default: predictions, beside the checkpoint"
    )
    option("--out", metavar="DIR", type=path_argument, help=text)
    text = "leave out what is done in --out already; give the other options as before"
    option("--resume", action="store_true", help=text)
    add_drawing(parser)
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


def add_drawing(parser: argparse.ArgumentParser) -> None:
    """Options of what is made of the labels."""
    option = parser.add_argument
    text = "of the colours in the overlay: 0 shows the photograph, 1 the labels; default: 0.5"
    option("--strength", type=float, default=0.5, metavar="0..1", help=text)
    text = "classes that the overlay shows, by name or number: --show person,car; default: all"
    option("--show", metavar="CLASSES", help=text)
    text = "write the share of each class in each picture: a .csv or .json file"
    option("--shares", metavar="FILE", type=path_argument, help=text)
    text = "refine the labels by the photograph, as `dlseg crf` does; for pictures up to about 2"
    option("--crf", action="store_true", help=f"{text} megapixels")
    text = f"kernels that others shipped; default: {PRESET}"
    option("--crf-preset", default=PRESET, metavar="NAME", help=text)


def predict(arguments: argparse.Namespace) -> int:
    """Label images with a trained network; write index PNG, palette PNG, overlay and legend."""
    checkpoint = arguments.checkpoint or last_run() / LAST
    arguments.out = out = arguments.out or checkpoint.parent / "predictions"
    _check_options(arguments)
    to_clip = is_clip(out)
    found = find_clip(arguments.images, out) if to_clip else find_pictures(arguments.images, out)
    use_device(arguments.device)
    network = load(checkpoint, arguments.output_stride, arguments.trust_imports)
    shown = shown_labels(arguments.show, network.classes)
    drawing = Drawing(network.palette, arguments.strength, shown)
    table = table_of(arguments.shares, network.classes)
    labeller = Labeller(network.model, len(network.classes), arguments)
    if not to_clip:
        _predict_pictures(found, checkpoint, network, labeller, drawing, table)
    elif arguments.resume and is_drawn(found, out, checkpoint, table):
        print(f"{printable(out)} is done already")
    else:
        draw_clip(found, labeller, drawing, network.classes, table)
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


def _predict_pictures(
    pictures: list[Picture],
    checkpoint: Path,
    network: Network,
    labeller: Labeller,
    drawing: Drawing,
    table: Table | None,
) -> None:
    """Predict to a folder; none: pictures of the network's data. CommandError for faults."""
    arguments, faults = labeller.arguments, []
    out = arguments.out
    if pictures:
        waiting = unfinished(pictures, out, checkpoint) if arguments.resume else pictures
        images = read_all(waiting, faults, arguments.max_pixels * 1e6)
    else:
        pictures = waiting = [Picture(f"val-{index}", Path()) for index in range(OWN)]
        images = _own(network, out)
    frames = Counter(picture.path for picture in waiting)

    def label(picture: Picture, image: np.ndarray | Decoded) -> str:
        clip = long_clip(picture.path, frames[picture.path])
        with labeller.in_memory(picture.name, image):
            labels, remark = labeller(picture.name, image, clip)
            _write(out, picture.name, image, labels, network, drawing)
            found = inference.shares(labels)
        if table:
            table.add(picture.name, found)
        text = ", ".join(f"{network.classes[label]} {share:.1%}" for label, share in found.items())
        return text + remark

    predict_all(images, len(waiting), out, label, faults)
    if table:
        table.write((picture.name for picture in pictures), out if arguments.resume else None)
    report_faults(faults, len(waiting))


def _own(network: Network, out: Path) -> Iterator[tuple[Picture, np.ndarray]]:
    """The first validation pictures of the network's data; image and true labels go to `out`."""
    if network.data is None:
        raise CommandError("the checkpoint does not say what it was trained on: name images")
    with one_line(ValueError):
        dataset = open_data(network.data, "val")
        for index in range(min(OWN, len(dataset))):
            image, labels = dataset[index]
            write_image(out / f"val-{index}.png", image)
            write_label(out / f"val-{index}-truth.png", labels, network.palette)
            yield Picture(f"val-{index}", Path()), image


def _write(
    out: Path,
    name: str,
    image: np.ndarray | Decoded,
    labels: np.ndarray,
    network: Network,
    drawing: Drawing,
) -> None:
    palette, (height, width) = network.palette, labels.shape
    mixed = (drawing.over(image[rows], labels[rows]) for rows in row_bands(height, width))
    write_label(out / f"{name}-index.png", labels)
    write_label(out / f"{name}-palette.png", labels, palette)
    write_bands(out / f"{name}-overlay.png", height, width, mixed)
    write_image(out / f"{name}-legend.png", inference.legend(labels, network.classes, palette))


def _check_options(arguments: argparse.Namespace) -> None:
    """CommandError for scales, tiles and limits that cannot be, before anything is read."""
    check_strength(arguments.strength)
    table_of(arguments.shares, ())
    if arguments.crf:
        preset_crf("--crf-preset", arguments.crf_preset)
    if not arguments.tile and arguments.overlap is not None:
        raise CommandError("--overlap is of tiles: give --tile too")
    if not arguments.max_pixels > 0:
        raise CommandError(f"--max-pixels must be above 0, got {arguments.max_pixels:g}")
    with one_line(ValueError):
        inference.check_scales(arguments.scales)
        if arguments.tile:
            overlap = arguments.tile // 4 if arguments.overlap is None else arguments.overlap
            inference.check_tile(arguments.tile, overlap)
