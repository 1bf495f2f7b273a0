"""The command `dlseg crf`: refine a coarse mask, or probabilities, by the photograph."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dlseg.checks import CommandError

if TYPE_CHECKING:
    import numpy as np

    from dlseg.commands.coarse import Coarse
    from dlseg.crf import Kernel

CONFIDENCE, IGNORE = 0.7, 255
CAPTION = 24  # pixels


def add(commands) -> None:
    """Tell the command line of `dlseg crf`."""
    parser = commands.add_parser("crf", help=crf.__doc__, description=crf.__doc__)
    parser.set_defaults(function=crf)
    parser.add_argument("image", metavar="IMAGE", type=Path, help="the photograph, JPEG or PNG")
    told = "label mask (index or palette PNG), or probabilities (.npy, (C, H, W) or (H, W, C))"
    parser.add_argument("mask", metavar="LABELS_OR_PROBS", type=Path, help=told)
    told = "the refined mask if it ends in .png, else a folder; a before/after picture goes beside"
    parser.add_argument("--out", required=True, type=Path, help=told)
    told = "kernels that others shipped; default: pydensecrf"
    parser.add_argument("--preset", default="pydensecrf", metavar="NAME", help=told)
    parser.add_argument("--sxy", type=float, help="appearance kernel: width in pixels")
    parser.add_argument("--srgb", type=float, help="appearance kernel: width in colours, 0 to 255")
    parser.add_argument("--weight", type=float, help="appearance kernel: its weight")
    parser.add_argument("--iterations", type=int, default=10, help="of mean field; default: 10")
    told = f"how far a label of the mask is trusted, above 1/C and below 1; default: {CONFIDENCE}"
    parser.add_argument("--confidence", type=float, help=told)
    told = f"label of pixels that are unsure, or 'none'; they get a label; default: {IGNORE}"
    parser.add_argument("--ignore", metavar="LABEL", help=told)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"))


def crf(arguments: argparse.Namespace) -> int:
    """Refine a coarse mask by the dense CRF: a mask as PNG, and a picture of before and after."""
    from dlseg.commands.coarse import existing
    from dlseg.data.files import read_image, write_label

    target, picture = _targets(arguments)
    from dlseg.device import use_device

    use_device(arguments.device)
    try:
        kernels, normalization = _kernels(arguments)
        image = read_image(existing(arguments.image))
        coarse = _coarse(arguments, image.shape[:2])
        indices = _refine(image, coarse, kernels, normalization, arguments.iterations)
    except ValueError as error:
        raise CommandError(" ".join(str(error).split())) from error
    refined = coarse.classes[indices]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_label(target, refined, coarse.palette)
        _write_picture(picture, image, coarse, refined)
    except OSError as error:
        raise CommandError(f"cannot write to {target.parent}: {error}") from error
    changed = (refined != coarse.labels).mean()
    print(f"{target}: {changed:.1%} of the pixels changed their label; before and after: {picture}")
    return 0


def _targets(arguments: argparse.Namespace) -> tuple[Path, Path]:
    """Where the mask and the picture go; CommandError if a file of the input is in the way."""
    out, stem = arguments.out, arguments.mask.stem
    target = out if out.suffix.lower() == ".png" else out / f"{stem}-refined.png"
    if target.is_dir():
        raise CommandError(f"{target} is a folder: name a file, or a folder without .png")
    picture = target.with_name(f"{target.stem}-before-after.png")
    for path in (arguments.image, arguments.mask):
        if path.resolve() in (target.resolve(), picture.resolve()):
            raise CommandError(f"--out would overwrite {path}: choose another name")
    return target, picture


def _kernels(arguments: argparse.Namespace) -> tuple[tuple["Kernel", ...], str]:
    """The preset, its appearance kernel changed as asked, and its normalisation."""
    from dlseg.crf import PRESETS

    if arguments.preset not in PRESETS:
        raise CommandError(f"--preset must be one of {', '.join(PRESETS)}, got {arguments.preset}")
    told = {name: getattr(arguments, name) for name in ("sxy", "srgb", "weight")}
    changes = {name: value for name, value in told.items() if value is not None}
    kernels = tuple(
        kernel if kernel.srgb is None else replace(kernel, **changes)
        for kernel in PRESETS[arguments.preset]
    )
    return kernels, "after" if arguments.preset == "crf-rnn" else "symmetric"


def _coarse(arguments: argparse.Namespace, size: tuple[int, int]) -> "Coarse":
    from dlseg.commands.coarse import read_mask, read_probabilities

    if arguments.mask.suffix.lower() != ".npy":
        confidence = CONFIDENCE if arguments.confidence is None else arguments.confidence
        return read_mask(arguments.mask, size, confidence, _ignore(arguments.ignore))
    for name in ("confidence", "ignore"):
        if getattr(arguments, name) is not None:
            raise CommandError(f"--{name} is for label masks, {arguments.mask} has probabilities")
    return read_probabilities(arguments.mask, size)


def _ignore(word: str | None) -> int | None:
    if word is None or word == "none":
        return IGNORE if word is None else None
    if not word.isdecimal() or int(word) > 255:
        raise CommandError(f"--ignore must be 0 to 255 or none, got {word}")
    return int(word)


def _refine(
    image: "np.ndarray", coarse: "Coarse", kernels: tuple, normalization: str, iterations: int
) -> "np.ndarray":
    """The most probable class of each pixel, its number in `coarse.classes`, (H, W)."""
    import torch
    from tqdm import tqdm

    from dlseg.crf import DenseCRF
    from dlseg.device import get_device

    network = DenseCRF(kernels, iterations, normalization, inputs="logits").to(get_device())
    pixels = torch.from_numpy(image.transpose(2, 0, 1).copy())[None].to(get_device())
    logits = -coarse.unary[None].to(get_device())  # (1, C, H, W)
    with torch.inference_mode():
        # disable=None: no bar unless standard error is a terminal; the first step is the softmax
        steps = network.steps(logits, pixels)
        for q in tqdm(steps, total=iterations + 1, desc="mean field", disable=None):
            last = q
    return last[0].argmax(0).cpu().numpy()


def _write_picture(
    path: Path, image: "np.ndarray", coarse: "Coarse", refined: "np.ndarray"
) -> None:
    """The image under both masks, side by side, with a caption above each."""
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

    from dlseg.data.files import write_image
    from dlseg.data.palette import voc_palette
    from dlseg.inference.overlay import overlay

    palette = voc_palette() if coarse.palette is None else coarse.palette
    height, width, _ = image.shape
    paper = Image.new("RGB", (2 * width, height + CAPTION), "white")
    draw, font = ImageDraw.Draw(paper), ImageFont.load_default(15)
    for left, labels, words in ((0, coarse.labels, "before"), (width, refined, "after")):
        paper.paste(Image.fromarray(overlay(image, labels, palette)), (left, CAPTION))
        draw.text((left + 8, CAPTION / 2), words, fill="black", font=font, anchor="lm")
    write_image(path, np.array(paper))
