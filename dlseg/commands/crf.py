"""`dlseg crf`: refine a coarse mask, or probabilities, by the photograph."""

import argparse
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from dlseg.checks import CommandError
from dlseg.commands.coarse import Coarse, read_mask, read_probabilities
from dlseg.commands.shared import add_device, one_line
from dlseg.crf import PRESETS, DenseCRF
from dlseg.data import read_image, voc_palette, write_image, write_label
from dlseg.device import get_device, use_device
from dlseg.inference import overlay
from dlseg.paths import make_folder, path_argument

CONFIDENCE, IGNORE = 0.7, 255
PRESET, ITERATIONS = "pydensecrf", 10
CAPTION = 24  # pixels


def add(parser: argparse.ArgumentParser, _name: str) -> None:
    """Give the parser the arguments of `dlseg crf`."""
    parser.set_defaults(function=crf)
    option = parser.add_argument
    option("image", metavar="IMAGE", type=path_argument, help="the photograph, JPEG or PNG")
    text = "label mask (index or palette PNG), or probabilities (.npy, (C, H, W) or (H, W, C))"
    option("mask", metavar="LABELS_OR_PROBS", type=path_argument, help=text)
    text = "the refined mask if it ends in .png, else a folder; a before/after picture goes beside"
    option("--out", required=True, type=path_argument, help=text)
    text = "kernels that others shipped; default: pydensecrf"
    option("--preset", default=PRESET, metavar="NAME", help=text)
    option("--sxy", type=float, help="appearance kernel: width in pixels; default: the preset's")
    option(
        "--srgb",
        type=float,
        help="appearance kernel: width in colours, 0 to 255; default: the preset's",
    )
    option("--weight", type=float, help="appearance kernel: its weight; default: the preset's")
    text = f"of mean field; default: {ITERATIONS}"
    option("--iterations", type=int, default=ITERATIONS, help=text)
    text = f"how far a label of the mask is trusted, above 1/C and below 1; default: {CONFIDENCE}"
    option("--confidence", type=float, help=text)
    text = f"label of pixels that are unsure, or 'none'; they get a label; default: {IGNORE}"
    option("--ignore", metavar="LABEL", help=text)
    add_device(parser)


def crf(arguments: argparse.Namespace) -> int:
    """Refine a coarse mask by the dense CRF; write the mask, and a picture of before and after."""
    target, picture = _targets(arguments)
    use_device(arguments.device)
    with one_line(ValueError):
        network = _network(arguments)
        image = read_image(arguments.image)
        coarse = _coarse(arguments, image.shape[:2])
        refined = coarse.classes[_best(network, image, coarse)]
    with one_line(OSError, start=f"cannot write to {target.parent}: "):
        make_folder(target.parent)
        write_label(target, refined, coarse.palette)
        _write_picture(picture, image, coarse, refined)
    changed = (refined != coarse.labels).mean()
    print(f"{target}: {changed:.1%} of the pixels changed their label; before and after: {picture}")
    return 0


def _targets(arguments: argparse.Namespace) -> tuple[Path, Path]:
    """Where the mask and the picture go; CommandError if a file of the input is in the way."""
    out, stem = arguments.out, arguments.mask.stem
    target = out if out.suffix.lower() == ".png" else out / f"{stem}-refined.png"
    if os.path.isdir(target):  # Path's own method raises where the name is too long
        raise CommandError(f"{target} is a folder: name a file, or a folder without .png")
    picture = target.with_name(f"{target.stem}-before-after.png")
    written = {os.path.realpath(path) for path in (target, picture)}
    for path in (arguments.image, arguments.mask):
        if os.path.realpath(path) in written:
            raise CommandError(f"--out would overwrite {path}: choose another name")
    return target, picture


def _network(arguments: argparse.Namespace) -> DenseCRF:
    """The CRF of the preset, its appearance kernel changed as asked."""
    options = {name: getattr(arguments, name) for name in ("sxy", "srgb", "weight")}
    changes = {name: value for name, value in options.items() if value is not None}
    return preset_crf("--preset", arguments.preset, arguments.iterations, changes)


def preset_crf(
    option: str, preset: str, iterations: int = ITERATIONS, changes: dict | None = None
) -> DenseCRF:
    """The CRF of a preset, on logits. option: its name on the command line, for messages.

    changes: of the appearance kernel. CommandError for no preset, ValueError for other values.
    """
    if preset not in PRESETS:
        raise CommandError(f"{option} must be one of {', '.join(PRESETS)}, got {preset}")
    kernels = [
        kernel if kernel.srgb is None else replace(kernel, **(changes or {}))
        for kernel in PRESETS[preset]
    ]
    normalization = "after" if preset == "crf-rnn" else "symmetric"
    return DenseCRF(kernels, iterations, normalization, inputs="logits")


def _coarse(arguments: argparse.Namespace, size: tuple[int, int]) -> Coarse:
    if arguments.mask.suffix.lower() != ".npy":
        confidence = CONFIDENCE if arguments.confidence is None else arguments.confidence
        return read_mask(arguments.mask, size, confidence, _ignore(arguments.ignore))
    for name in ("confidence", "ignore"):
        if getattr(arguments, name) is not None:
            raise CommandError(f"--{name} is for label masks, {arguments.mask} has probabilities")
    return read_probabilities(arguments.mask, size)


def _ignore(label: str | None) -> int | None:
    if label is None or label == "none":
        return IGNORE if label is None else None
    if not label.isdecimal() or int(label) > 255:
        raise CommandError(f"--ignore must be 0 to 255 or none, got {label}")
    return int(label)


def _best(network: DenseCRF, image: np.ndarray, coarse: Coarse) -> np.ndarray:
    """The most probable class of each pixel, its number in `coarse.classes`, (H, W)."""
    device, count = get_device(), network.iterations + 1  # the first step is the softmax
    pixels = torch.from_numpy(image.transpose(2, 0, 1).copy())[None].to(device)
    logits = -coarse.unary[None].to(device)  # (1, C, H, W)
    with torch.inference_mode():
        steps = network.to(device).steps(logits, pixels)
        # disable=None: no bar unless standard error is a terminal
        for q in tqdm(steps, total=count, desc="mean field", disable=None):
            last = q
    return last[0].argmax(0).cpu().numpy()


def _write_picture(path: Path, image: np.ndarray, coarse: Coarse, refined: np.ndarray) -> None:
    """The image under both masks, side by side, with a caption above each."""
    palette = voc_palette() if coarse.palette is None else coarse.palette
    height, width, _ = image.shape
    paper = Image.new("RGB", (2 * width, height + CAPTION), "white")
    draw, font = ImageDraw.Draw(paper), ImageFont.load_default(15)
    for left, labels, caption in ((0, coarse.labels, "before"), (width, refined, "after")):
        paper.paste(Image.fromarray(overlay(image, labels, palette)), (left, CAPTION))
        draw.text((left + 8, CAPTION / 2), caption, fill="black", font=font, anchor="lm")
    write_image(path, np.array(paper))
