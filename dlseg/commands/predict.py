"""The command `dlseg predict`: images in, pictures of their labels out."""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dlseg.checks import CommandError
from dlseg.commands.folder import find_pictures, predict_all, read_all, report_faults, unfinished
from dlseg.commands.train import last_run

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

OWN = 4  # pictures of the network's own data, where no image is given


def add(commands) -> None:
    """Tell the command line of `dlseg predict`."""
    parser = commands.add_parser("predict", help=predict.__doc__, description=predict.__doc__)
    parser.set_defaults(function=predict)
    told = (
        "JPEG, PNG, GIF or WebP files, or folders of them; a GIF or WebP gives all its frames; "
        f"default: {OWN} pictures of the data it was trained on"
    )
    parser.add_argument("images", nargs="*", metavar="IMAGE", type=Path, help=told)
    told = "written by `dlseg train`; default: of the last run"
    parser.add_argument("--checkpoint", metavar="FILE", type=Path, help=told)
    told = "folder to write to; default: predictions, beside the checkpoint"
    parser.add_argument("--out", metavar="DIR", type=Path, help=told)
    told = "leave out what is done in --out already; give the other options as before"
    parser.add_argument("--resume", action="store_true", help=told)
    parser.add_argument("--output-stride", type=int, help="8, 16 or 32; default: as trained")
    parser.add_argument("--scales", type=float, nargs="+", default=[1.0], help="to average over")
    parser.add_argument("--flip", action="store_true", help="average with the mirror image")
    told = "predict a large image in squares of so many pixels, to save memory"
    parser.add_argument("--tile", type=int, metavar="N", help=told)
    told = "pixels that neighbouring tiles share; default: a quarter of the tile"
    parser.add_argument("--overlap", type=int, metavar="N", help=told)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"))


def predict(arguments: argparse.Namespace) -> int:
    """Label images with a trained network: index PNG, palette PNG, overlay and legend of each."""
    checkpoint = arguments.checkpoint or last_run() / "last.pt"
    out = arguments.out or checkpoint.parent / "predictions"
    pictures = find_pictures(arguments.images, out)
    _check_options(arguments)
    from dlseg.device import use_device

    use_device(arguments.device)
    network = load(checkpoint, arguments.output_stride)

    def label(name: str, image: "np.ndarray") -> str:
        labels = _labels(network, name, image, arguments)
        _write(out, name, image, labels, network)
        return _told(labels, network.classes)

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
    """A trained model on its device, and how its classes are called and coloured."""

    model: "nn.Module"
    classes: tuple[str, ...]
    palette: "np.ndarray"
    data: str | None  # what it was trained on, as `dlseg train --data` calls it


def load(path: Path, output_stride: int | None) -> Network:
    """The trained network of the checkpoint `path`. CommandError for what is none."""
    import numpy as np

    from dlseg.data.palette import voc_palette
    from dlseg.device import get_device
    from dlseg.training import CheckpointError, load_network

    try:
        model, entries = load_network(path, output_stride)
    # A description that no longer fits its weights: of another version, or changed by hand.
    except (CheckpointError, ValueError, KeyError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise CommandError(reason if str(path) in reason else f"{path}: {reason}") from error
    numbered = tuple(f"class {index}" for index in range(model.num_classes))
    classes = tuple(entries["extra"].get("classes", numbered))
    palette = np.asarray(entries["extra"].get("palette", voc_palette()), dtype=np.uint8)
    return Network(model.to(get_device()), classes, palette, entries["extra"].get("data"))


def _own(network: Network, out: Path) -> Iterator[tuple[str, "np.ndarray"]]:
    """The first validation pictures of the network's data; image and true labels go to `out`."""
    if network.data is None:
        raise CommandError("the checkpoint does not say what it was trained on: name images")
    from dlseg.commands.jobs import open_data
    from dlseg.data.files import write_image, write_label

    try:
        dataset = open_data(network.data, "val")
        for index in range(min(OWN, len(dataset))):
            image, labels = dataset[index]
            write_image(out / f"val-{index}.png", image)
            write_label(out / f"val-{index}-truth.png", labels, network.palette)
            yield f"val-{index}", image
    except ValueError as error:
        raise CommandError(str(error)) from error


def _labels(
    network: Network, name: str, image: "np.ndarray", arguments: argparse.Namespace
) -> "np.ndarray":
    """The most probable label of each pixel, uint8 (H, W)."""
    import numpy as np
    import torch

    from dlseg.data.transforms import to_tensors
    from dlseg.device import get_device
    from dlseg.inference import probabilities, tiled_probabilities

    x, _ = to_tensors(image, np.zeros(image.shape[:2], np.uint8))  # (3, H, W)
    x, scales, flip = x[None].to(get_device()), arguments.scales, arguments.flip
    try:
        if arguments.tile is None:
            found = probabilities(network.model, x, scales, flip)  # (1, C, H, W)
        else:
            tiling = arguments.tile, arguments.overlap
            found = tiled_probabilities(network.model, x, *tiling, scales, flip)
    except torch.OutOfMemoryError as error:
        raise CommandError(f"not enough memory for {name}: try --tile 513, or less") from error
    except ValueError as error:
        raise CommandError(f"{name}: {error}") from error
    return found[0].argmax(0).byte().cpu().numpy()


def _write(
    out: Path, name: str, image: "np.ndarray", labels: "np.ndarray", network: Network
) -> None:
    from dlseg.data.files import write_image, write_label
    from dlseg.inference.overlay import legend, overlay

    write_label(out / f"{name}-index.png", labels)
    write_label(out / f"{name}-palette.png", labels, network.palette)
    write_image(out / f"{name}-overlay.png", overlay(image, labels, network.palette))
    write_image(out / f"{name}-legend.png", legend(labels, network.classes, network.palette))


def _told(labels: "np.ndarray", classes: tuple[str, ...]) -> str:
    from dlseg.inference.overlay import shares

    return ", ".join(f"{classes[label]} {share:.1%}" for label, share in shares(labels).items())


def _check_options(arguments: argparse.Namespace) -> None:
    """Set the overlap that was not given. CommandError for scales and tiles that cannot be."""
    from dlseg.inference.predict import check_scales
    from dlseg.inference.tiles import check_tile

    if arguments.tile is None and arguments.overlap is not None:
        raise CommandError("--overlap is of tiles: give --tile too")
    try:
        check_scales(arguments.scales)
        if arguments.tile is not None:
            if arguments.overlap is None:
                arguments.overlap = arguments.tile // 4
            check_tile(arguments.tile, arguments.overlap)
    except ValueError as error:
        raise CommandError(str(error)) from error
