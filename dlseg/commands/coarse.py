"""A coarse labelling from a file, for `dlseg crf`: a label mask, or probabilities."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dlseg.checks import CommandError
from dlseg.crf import unary_from_labels, unary_from_probabilities
from dlseg.data import read_floats, read_label, read_palette, voc_palette


@dataclass(frozen=True)
class Coarse:
    """What is to be refined.

    labels: uint8 (H, W). unary: (C, H, W) energies of `classes`, uint8 (C,), the labels in the
    file. palette: uint8 (256, 3), or None where the file has none.
    """

    labels: np.ndarray
    unary: Tensor
    classes: np.ndarray
    palette: np.ndarray | None


def read_mask(path: Path, size: tuple[int, int], confidence: float, ignore: int | None) -> Coarse:
    """A label mask, index or palette PNG; its classes are the labels that it holds.

    size: (H, W) of the image. confidence: see `unary_from_labels`. ignore: label of pixels that are
    unsure, or None. Raises CommandError for another size or fewer than two classes, ValueError
    (DataError) for a file that is no label mask, and for the confidence.
    """
    labels = read_label(path, 256, None)
    _check_size(path, labels.shape, size)
    classes = np.unique(labels)
    classes = classes[classes != ignore] if ignore is not None else classes
    if len(classes) < 2:
        raise CommandError(
            f"{path} holds fewer than two labels beside --ignore {ignore}: nothing to refine; "
            "if that label is a class, give --ignore none"
        )
    numbers = np.full(256, len(classes))  # what is no class is unsure
    numbers[classes] = np.arange(len(classes))
    places = torch.from_numpy(numbers[labels])
    unary = unary_from_labels(places, len(classes), confidence, ignore_index=len(classes))
    return Coarse(labels, unary, classes, read_palette(path))


def read_probabilities(path: Path, size: tuple[int, int]) -> Coarse:
    """Probabilities from a .npy file, (C, H, W) or (H, W, C), drawn in the colours of Pascal VOC.

    size: (H, W) of the image. Raises CommandError for another shape, ValueError (DataError) for
    another kind of file, and for values that are no probabilities.
    """
    array = _classes_first(path, read_floats(path), size)
    if not 2 <= len(array) <= 256:
        raise CommandError(f"{path} must have 2 to 256 classes, got {len(array)}")
    unary = unary_from_probabilities(torch.from_numpy(array))
    labels = array.argmax(0).astype(np.uint8)
    return Coarse(labels, unary, np.arange(len(array), dtype=np.uint8), voc_palette())


def _classes_first(path: Path, array: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(C, H, W) float32 from either layout; where the sizes fit both, the sums of 1 decide."""
    layouts = {0: array.shape[1:], 2: array.shape[:2]} if array.ndim == 3 else {}
    axes = [axis for axis, sides in layouts.items() if sides == size]
    if len(axes) == 2:
        axes = [axis for axis in axes if np.allclose(array.sum(axis), 1, atol=1e-2)]
    if len(axes) != 1:
        height, width = size
        raise CommandError(
            f"{path} must be (C, {height}, {width}) or ({height}, {width}, C) for this image, with "
            f"sums of 1 over the classes, got {array.shape}; upsample bilinearly to that size"
        )
    with np.errstate(over="ignore"):  # what is too large for float32 is no probability either
        return np.ascontiguousarray(np.moveaxis(array, axes[0], 0), dtype=np.float32)


def _check_size(path: Path, sides: tuple[int, int], size: tuple[int, int]) -> None:
    if sides != size:
        mask, image = (f"{height} x {width}" for height, width in (sides, size))
        raise CommandError(
            f"{path} has {mask} pixels (height x width), the image {image}; "
            "resize the mask with nearest neighbour"
        )
