"""Paired transforms: what is done to an image is done to its labels.

Each is called as `transform(image, label, rng)` with an image, uint8 (H, W, 3), its labels, uint8
(H, W), and a `numpy.random.Generator`, and returns the new pair; the same generator state gives the
same pair. Images are resized bilinearly, labels take the nearest pixel, and both put the centre of
pixel i of n at (i + 0.5) / n of the side: any other mix shifts labels against the image.
What lies outside of the picture has label 255, or the one that counts nowhere in a data set.
"""

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
GREY = np.array((0.299, 0.587, 0.114), np.float32)  # lightness of red, green, blue: ITU-R BT.601

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
        factor = rng.uniform(self.low, self.high)
        height, width = (max(1, round(side * factor)) for side in label.shape)
        return resize(image, label, height, width)


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
        padded = np.empty((self.size, self.size, 3), np.uint8)
        padded[:] = self.fill
        crop = np.full((self.size, self.size), self.ignore_index, np.uint8)
        source, target = zip(*(self._place(side, rng) for side in label.shape), strict=True)
        padded[target], crop[target] = image[source], label[source]
        return padded, crop

    def _place(self, side: int, rng: np.random.Generator) -> tuple[slice, slice]:
        """Along one axis: which pixels of the picture go to which pixels of the crop."""
        spare = side - self.size  # negative: room for padding
        start = int(rng.integers(min(0, spare), max(0, spare), endpoint=True))
        return (
            slice(max(0, start), min(side, start + self.size)),
            slice(max(0, -start), min(self.size, side - start)),
        )


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
        return image[:, ::-1].copy(), label[:, ::-1].copy()


@dataclass(frozen=True)
class ColourJitter:
    """Change brightness, contrast and saturation by factors drawn evenly from 1 - a to 1 + a.

    brightness, contrast, saturation: the three a, each in [0, 1]; 0 leaves as it is. Contrast is
    about the picture's mean grey. Labels stay.
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
            np.float32(rng.uniform(1 - a, 1 + a))
            for a in (self.brightness, self.contrast, self.saturation)
        )
        x = image * bright  # (H, W, 3), float32
        grey = (x @ GREY)[..., None]  # (H, W, 1)
        mean = grey.mean()
        x = mean + contrast * (grey + colour * (x - grey) - mean)
        return np.clip(x + 0.5, 0, 255).astype(np.uint8), label


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
    size = width, height
    picture = Image.fromarray(image).resize(size, Image.Resampling.BILINEAR)
    mask = Image.fromarray(label).resize(size, Image.Resampling.NEAREST)
    return np.array(picture), np.array(mask)


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
