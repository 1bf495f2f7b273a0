"""Paired transforms: what is done to an image is done to its labels.

Each is called as `transform(image, label, rng)` with an image, uint8 (H, W, 3), its labels, uint8
(H, W), and a `numpy.random.Generator`, and returns the new pair; the same generator state gives the
same pair. Images are resized bilinearly, labels take the nearest pixel, and both put the centre of
pixel i of n at (i + 0.5) / n of the side: any other mix shifts labels against the image.
What lies outside of the picture has label 255, or the one that counts nowhere in a data set.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from PIL import Image

from dlseg.checks import (
    LARGEST_SIDE,
    check_integer,
    check_rgb,
    check_scales,
    check_share,
    described,
)

if TYPE_CHECKING:
    from torch import Tensor

IGNORE_INDEX = 255
# Of ImageNet's images in [0, 1], RGB: what published backbones were trained with.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
GREY = np.array((0.299, 0.587, 0.114))  # lightness of red, green, blue: ITU-R BT.601

Pair = tuple[np.ndarray, np.ndarray]


class Transform(Protocol):
    """What every transform is: a callable from a pair to a pair."""

    def __call__(self, image: np.ndarray, label: np.ndarray, rng: np.random.Generator) -> Pair: ...


@dataclass(frozen=True)
class RandomScale:
    """Resize by a factor drawn evenly from [low, high] (0.5 to 2: DeepLab v3, section 4.1).

    Both sides by the same factor, rounded to whole pixels. Raises: ValueError unless
    0 < low <= high, at most LARGEST_FACTOR.
    """

    low: float = 0.5
    high: float = 2.0

    def __post_init__(self):
        check_scales((self.low, self.high), "low and high")
        if self.low > self.high:
            raise ValueError(f"expected low <= high, got low={self.low}, high={self.high}")

    def __call__(self, image, label, rng):
        check_pair(image, label)
        return resize(image, label, *self.size(label.shape, rng))

    def size(self, shape: Sequence[int], rng: np.random.Generator) -> tuple[int, int]:
        """Height and width that a picture of `shape`, its height and width, gets."""
        factor = rng.uniform(self.low, self.high)
        height, width = (max(1, round(side * factor)) for side in shape)
        return height, width


@dataclass(frozen=True)
class RandomCrop:
    """Cut out `size` pixels of each side at a random place; a smaller picture is padded.

    size: pixels. fill: colour of the padding, uint8 RGB; ImageNet's mean, so that it is zero once
    the mean is taken off. Padded pixels have label ignore_index, and fall on any side.
    """

    size: int
    fill: tuple[int, int, int] = tuple(round(255 * value) for value in MEAN)
    ignore_index: int = IGNORE_INDEX

    def __post_init__(self):
        object.__setattr__(self, "size", check_integer("size", self.size, 1, LARGEST_SIDE))
        check_integer("ignore_index", self.ignore_index, 0, 255)

    def __call__(self, image, label, rng):
        check_pair(image, label)
        source, target = self.places(label.shape, rng)
        return self.padded(image[source], label[source], target)

    def places(
        self, shape: Sequence[int], rng: np.random.Generator
    ) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Which rows and columns of a picture of `shape` go to which ones of the crop."""
        source, target = zip(*(self._place(side, rng) for side in shape), strict=True)
        return source, target

    def padded(self, image: np.ndarray, label: np.ndarray, target: tuple[slice, slice]) -> Pair:
        """The crop that has this pair at the rows and columns `target`, padding elsewhere."""
        crop = np.empty((self.size, self.size, 3), np.uint8)
        mask = np.full((self.size, self.size), self.ignore_index, np.uint8)
        if label.shape != mask.shape:
            crop[:] = np.tile(np.uint8(self.fill), (self.size, 1))  # by rows: quicker than pixels
        crop[target], mask[target] = image, label
        return crop, mask

    def _place(self, side: int, rng: np.random.Generator) -> tuple[slice, slice]:
        """The same along one axis, of `side` pixels."""
        spare = side - self.size  # negative: room for padding
        start = int(rng.integers(min(0, spare), max(0, spare), endpoint=True))
        return (
            slice(max(0, start), min(side, start + self.size)),
            slice(max(0, -start), min(self.size, side - start)),
        )


@dataclass(frozen=True)
class RandomScaleCrop:
    """`scale`, then `crop`, without the pixels that the crop would throw away: much faster.

    scale: a `RandomScale`. crop: a `RandomCrop`. The same generator state gives the crop that the
    two give one after the other: the same labels, and the same colours but for rounding (see
    `resize_part`).
    """

    scale: RandomScale
    crop: RandomCrop

    def __call__(self, image, label, rng):
        check_pair(image, label)
        size = self.scale.size(label.shape, rng)
        source, target = self.crop.places(size, rng)
        return self.crop.padded(*resize_part(image, label, *size, *source), target)


@dataclass(frozen=True)
class RandomFlip:
    """Mirror left and right, in `probability` of all calls."""

    probability: float = 0.5

    def __post_init__(self):
        check_share("probability", self.probability)

    def __call__(self, image, label, rng):
        check_pair(image, label)
        if rng.random() >= self.probability:
            return image, label
        pixels = np.ascontiguousarray(image).view("V3")  # (H, W, 1): three bytes at a time
        return pixels[:, ::-1].copy().view(np.uint8), label[:, ::-1].copy()


@dataclass(frozen=True)
class ColourJitter:
    """Change brightness, contrast and saturation by factors drawn evenly from 1 - a to 1 + a.

    brightness, contrast, saturation: the three a, each in [0, 1]; 0 leaves as it is. Contrast is
    about the picture's mean grey. Labels stay. As the three are linear, a pixel x becomes

        s c b x + (1 - s) c b grey(x) + (1 - c) b mean(grey)

    with factors b of brightness, c of contrast, s of saturation; only the result is rounded.
    """

    brightness: float = 0.2
    contrast: float = 0.2
    saturation: float = 0.2

    def __post_init__(self):
        for name, value in vars(self).items():
            check_share(name, value)

    def __call__(self, image, label, rng):
        check_pair(image, label)
        bright, contrast, colour = (
            rng.uniform(1 - a, 1 + a) for a in (self.brightness, self.contrast, self.saturation)
        )
        picture = Image.fromarray(image)
        counts = np.reshape(picture.histogram(), (3, 256))  # of every value of red, green, blue
        mean = GREY @ (counts @ np.arange(256)) / label.size
        matrix = np.empty((3, 4))
        matrix[:, :3] = contrast * bright * (colour * np.eye(3) + (1 - colour) * GREY)
        matrix[:, 3] = (1 - contrast) * bright * mean
        return np.array(picture.convert("RGB", tuple(matrix.ravel()))), label


@dataclass(frozen=True)
class Compose:
    """Several transforms, one after the other."""

    transforms: tuple[Transform, ...] | list[Transform]

    def __call__(self, image, label, rng):
        for transform in self.transforms:
            image, label = transform(image, label, rng)
        return image, label


def resize(image: np.ndarray, label: np.ndarray, height: int, width: int) -> Pair:
    """The pair with height x width pixels: image bilinear (smoothed when shrunk), label nearest.

    image: uint8 (H, W, 3). label: uint8 (H, W).
    """
    return resize_part(image, label, height, width, slice(0, height), slice(0, width))


def resize_part(
    image: np.ndarray, label: np.ndarray, height: int, width: int, rows: slice, columns: slice
) -> Pair:
    """The rows and columns of what `resize` to height x width pixels gives; no others are computed.

    image: uint8 (H, W, 3). label: uint8 (H, W). rows, columns: slices with start and stop.
    Labels are the same. Pillow takes the place of a part in single precision, so that some colours
    are rounded another way, once along each side: by one of 255, rarely by two.
    """
    (top, bottom), seen_rows = _seen(rows, label.shape[0], height)
    (left, right), seen_columns = _seen(columns, label.shape[1], width)
    size = columns.stop - columns.start, rows.stop - rows.start
    picture = Image.fromarray(image[seen_rows, seen_columns])
    box = left, top, right, bottom
    part = np.array(picture.resize(size, Image.Resampling.BILINEAR, box))
    labels = label[_nearest(rows, label.shape[0], height)]
    return part, labels[:, _nearest(columns, label.shape[1], width)]


def _seen(part: slice, old: int, new: int) -> tuple[tuple[float, float], slice]:
    """Of a side resized from old to new pixels, what a part of it is made of.

    The part's ends in pixels of the old side, from the first one that counts; and all that count:
    the bilinear filter reaches a pixel further, a pixel of the result where that is larger.
    """
    start, stop = part.start * old / new, part.stop * old / new
    reach = max(1, old / new)
    first, last = max(0, math.floor(start - reach)), min(old, math.ceil(stop + reach))
    return (start - first, stop - first), slice(first, last)


def _nearest(part: slice, old: int, new: int) -> np.ndarray:
    """The pixels of the old side that hold the centres of a part of the new one."""
    return (2 * np.arange(part.start, part.stop) + 1) * old // (2 * new)


def to_tensors(image, label, mean=MEAN, std=STD) -> "tuple[Tensor, Tensor]":
    """What a network takes: float32 (3, H, W), mean taken off and divided by std; int64 (H, W).

    image: uint8 (H, W, 3) RGB. label: uint8 (H, W). mean, std: one per channel, colours in [0, 1].
    """
    import torch  # here: to look at data needs no torch

    check_pair(image, label)
    return normalise(image, mean, std), torch.from_numpy(label.astype(np.int64))


def normalise(image: np.ndarray, mean=MEAN, std=STD) -> "Tensor":
    """An image alone, as `to_tensors` makes it of a pair: uint8 (H, W, 3) to float32 (3, H, W)."""
    import torch

    check_rgb("image", image)
    x = torch.from_numpy(np.array(image.transpose(2, 0, 1), order="C")).float()  # (3, H, W)
    mean, std = (torch.tensor(v, dtype=x.dtype)[:, None, None] for v in (mean, std))  # (3, 1, 1)
    return (x / 255 - mean) / std


def check_pair(image: np.ndarray, label: np.ndarray) -> None:
    """Raises ValueError unless image is uint8 (H, W, 3) and label uint8 (H, W)."""
    arrays = isinstance(image, np.ndarray) and isinstance(label, np.ndarray)
    fits = arrays and image.ndim == 3 and image.shape == (*label.shape, 3) and label.size
    if not (fits and image.dtype == label.dtype == np.uint8):
        raise ValueError(
            "expected an image, uint8 (H, W, 3), and a label, uint8 (H, W), of the same size; "
            f"got {described(image)} and {described(label)}"
        )
