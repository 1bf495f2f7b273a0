"""What the CRF compares pixels by: position, colour, how far each may differ, how much it counts.

    k(i, j) = exp(-|p_i - p_j|^2 / (2 sxy^2) - |I_i - I_j|^2 / (2 srgb^2))

p: pixels, I: colours in 0..255 (DeepLab v1, Eq. 2; Kraehenbuehl and Koltun 2011, Eq. 3). Divided by
its sigma, every feature has unit width: k(i, j) = exp(-|f_i - f_j|^2 / 2), f from `features`.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from dlseg.checks import described
from dlseg.doors import check_finite

FORMATS = (torch.float32, torch.float64)  # in which the CRF computes
MOST_SIGMAS = 2.0**16  # of a feature: enough for all images, and few enough for every method

# n_i = sum_j k(i, j), the pixel itself included: how the kernel K is divided by it.
# none: K; before: K D^-1; after: D^-1 K; symmetric: D^-1/2 K D^-1/2, with D = diag(n).
NORMALIZATIONS = ("none", "before", "after", "symmetric")

Weight = float | tuple[float, ...] | tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Kernel:
    """One Gaussian kernel of the pairwise energy, and what it costs to disagree.

    sxy: standard deviation in pixels, one number or (sx, sy), x to the right, y down.
    srgb: standard deviation of the colours in 0..255, one number, or one per channel of the feature
    image; None for a kernel of the position alone.
    weight: a number (Potts: the penalty of two different labels), one number per class (Potts: what
    two pixels of that class gain by agreeing), or a matrix [l][m] (the penalty of l beside m).
    Arrays and tensors are taken too, and kept as tuples.
    Raises: ValueError for a sigma that is not positive, or a weight of another form.
    """

    sxy: float | tuple[float, float]
    srgb: float | tuple[float, ...] | None = None
    weight: Weight = 1.0

    def __post_init__(self):
        object.__setattr__(self, "sxy", _sigma("sxy", self.sxy))
        if isinstance(self.sxy, tuple) and len(self.sxy) != 2:
            raise ValueError(f"sxy must be one number or (sx, sy), got {self.sxy}")
        if self.srgb is not None:
            object.__setattr__(self, "srgb", _sigma("srgb", self.srgb))
        object.__setattr__(self, "weight", _weight(self.weight))

    def weight_tensor(self, dtype=torch.float32, device=None) -> Tensor:
        """The weight as a tensor of shape (), (C,) or (C, C)."""
        return torch.tensor(self.weight, dtype=dtype, device=device)


def appearance(sxy=80, srgb=13, weight=10) -> Kernel:
    """Kernel of position and colour: near pixels of one colour like one label (v1, Eq. 2, first).

    Arguments as for `Kernel`; the defaults are those of pydensecrf's example.
    """
    return Kernel(sxy, srgb, weight)


def smoothness(sxy=3, weight=3) -> Kernel:
    """Kernel of the position alone: it removes small islands (v1, Eq. 2, second).

    Arguments as for `Kernel`; the defaults are those of pydensecrf's example.
    """
    return Kernel(sxy, None, weight)


def features(image: Tensor, kernel: Kernel, dtype: torch.dtype | None = None) -> Tensor:
    """What `kernel` compares, each feature divided by its sigma.

    image: (B, 3, H, W) uint8, or floats in 0..255, or any feature image (B, F, H, W).
    dtype: of the result; by default the image's, float32 for an image of integers.
    Returns: (B, N, d), N = H W pixels row by row, d = 2 (x, y), and F more if the kernel has srgb.
    Raises: ValueError for another shape, NaN, colours out of range (see `check_image_range`), a
    number of sigmas that is not the number of channels, or a sigma so small that a feature comes to
    more than 65536 of it.
    """
    check_image(image)
    dtype = dtype or (image.dtype if image.dtype in FORMATS else torch.float32)
    check_format("dtype", dtype)
    batch, _, height, width = image.shape
    sx, sy = kernel.sxy if isinstance(kernel.sxy, tuple) else (kernel.sxy, kernel.sxy)
    x = torch.arange(width, dtype=dtype, device=image.device) / sx
    y = torch.arange(height, dtype=dtype, device=image.device) / sy
    grid = torch.stack([x.expand(height, width), y[:, None].expand(height, width)])  # (2, H, W)
    parts = [grid.expand(batch, 2, height, width)]
    if kernel.srgb is not None:
        parts.append(image.to(dtype) / _channel_sigmas(image, kernel.srgb, dtype))
    f = to_pixels(torch.cat(parts, 1))  # (B, N, d)
    for place, largest in enumerate(f.abs().amax((0, 1)).tolist()):
        check_sigmas("sxy" if place < 2 else "srgb", largest)
    return f


def check_image(image: Tensor) -> None:
    """ValueError unless `image` is (B, F, H, W) with at least one pixel, of finite numbers."""
    if not isinstance(image, Tensor) or image.dim() != 4 or 0 in image.shape:
        raise ValueError(
            f"the image must be (B, 3, H, W) or a feature image (B, F, H, W), "
            f"got {described(image)}; a single image needs image[None]"
        )
    if image.dtype == torch.bool or image.is_complex():
        raise ValueError(f"the image must be uint8 or floats in 0..255, got {described(image)}")
    check_finite("the image", image)


def check_image_range(image: Tensor, srgb: float) -> None:
    """ValueError unless each image of the batch has colours in 0..255.

    One of floats whose largest value is above 0 and at most 1 is refused: it was meant as 0..1, and
    all its colours would look alike to a kernel with srgb = 13. An image of other than three
    channels may hold any features where srgb is below 1, as none for colours in 0..255 is.
    """
    if image.dtype == torch.uint8 or (image.shape[1] != 3 and srgb < 1):
        return
    values = image.flatten(1).double()
    count = "three" if image.shape[1] == 3 else image.shape[1]
    for low, high in zip(values.amin(1).tolist(), values.amax(1).tolist(), strict=True):
        small = image.is_floating_point() and 0 < high <= 1
        if low < 0 or high > 255 or small:
            raise ValueError(
                f"colours must lie in 0..255, got {low:g}..{high:g}: give the image as uint8, or "
                "multiply it by 255 if it is in 0..1, or undo its normalisation; for "
                f"{count} features that are no colours give srgb as one number per channel"
            )


def check_sigmas(name: str, largest: float) -> None:
    """ValueError unless the largest number of sigmas is one that all methods can tell apart."""
    if not largest <= MOST_SIGMAS:
        raise ValueError(
            f"{name} is too small: the image runs over {largest:.3g} times that sigma, more than "
            f"{MOST_SIGMAS:g}; enlarge it"
        )


def check_format(name: str, dtype: torch.dtype) -> None:
    """ValueError unless dtype is one in which the CRF computes."""
    if dtype not in FORMATS:
        raise ValueError(
            f"{name} must be float32 or float64, got {dtype}: the messages of half precision are "
            "too coarse; give .float()"
        )


def to_pixels(maps: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, N, C), N = H W pixels row by row."""
    return maps.flatten(2).mT


def to_maps(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, N, C) -> (B, C, H, W), size = (H, W); undoes `to_pixels`."""
    return pixels.mT.unflatten(2, size)


def penalty(messages: Tensor, weight: Tensor) -> Tensor:
    """What each label costs, given the messages: the compatibility transform.

    messages: (..., C), the filtered Q. weight: (), (C,) or (C, C), as `Kernel.weight` says.
    Returns: (..., C). Potts is computed as a gain -w (K Q)(l): it differs from the penalty
    w (n - (K Q)(l)) by the same w n for every label, which the softmax does not see.
    """
    return messages @ weight.mT if weight.dim() == 2 else -weight * messages


def compatibility(weight: Tensor, num_classes: int) -> Tensor:
    """The matrix mu (C, C) of a weight: Potts w (1 - I), -diag(w) per class, or the matrix itself.

    Raises: ValueError if the weight has another number of classes.
    """
    check_classes(weight, num_classes)
    identity = torch.eye(num_classes, dtype=weight.dtype, device=weight.device)
    if weight.dim() == 2:
        return weight
    return -weight * identity if weight.dim() == 1 else weight * (1 - identity)


def check_classes(weight: Tensor, num_classes: int) -> None:
    """ValueError unless a weight per class or per pair of classes has `num_classes` of them."""
    if any(side != num_classes for side in weight.shape) or weight.dim() > 2:
        raise ValueError(
            f"a kernel's weight has {' x '.join(map(str, weight.shape))} classes, the unary has "
            f"{num_classes}"
        )


def _channel_sigmas(image: Tensor, srgb, dtype: torch.dtype) -> Tensor:
    """(F, 1, 1) or (1, 1, 1), after a look at the image's channels."""
    if not isinstance(srgb, tuple):
        # One sigma per channel says that the caller knows what the channels are.
        check_image_range(image, srgb)
    elif len(srgb) != image.shape[1]:
        raise ValueError(f"srgb has {len(srgb)} numbers, the image {image.shape[1]} channels")
    return torch.tensor(srgb, dtype=dtype, device=image.device).reshape(-1, 1, 1)


def _plain(name: str, value) -> float | tuple:
    """Numbers, arrays and tensors of at most two axes as floats in tuples."""
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, list | tuple):
        return tuple(_plain(name, part) for part in value)
    if isinstance(value, str | bytes | bool) or not hasattr(value, "__float__"):
        raise ValueError(f"{name} must be made of numbers, got {value!r}")
    if not math.isfinite(value):
        raise ValueError(f"{name} must be finite, got {value}")
    return float(value)


def _flat(plain) -> list[float]:
    return [n for part in plain for n in _flat(part)] if isinstance(plain, tuple) else [plain]


def _sigma(name: str, value) -> float | tuple[float, ...]:
    plain = _plain(name, value)
    numbers = plain if isinstance(plain, tuple) else (plain,)
    if not numbers or any(isinstance(number, tuple) or number <= 0 for number in numbers):
        raise ValueError(f"{name} must be above 0, one number or one per axis, got {plain}")
    if not 1e-30 <= min(numbers) <= max(numbers) <= 1e30:
        raise ValueError(f"{name} must lie in 1e-30..1e30, got {plain}")
    return plain


def _weight(value) -> Weight:
    plain = _plain("weight", value)
    if any(abs(number) > 1e6 for number in _flat(plain)):
        raise ValueError(f"weight must lie in -1e6..1e6, which no label outweighs, got {plain}")
    if not isinstance(plain, tuple):
        return plain
    rows = {len(row) if isinstance(row, tuple) else 0 for row in plain}
    if not plain or rows - {0, len(plain)} or len(rows) != 1:
        raise ValueError(
            "weight must be a number, one number per class, or a square matrix of them, "
            f"got {plain}"
        )
    return plain


# Kernels that others shipped. The DeepLab papers fix smoothness and 10 iterations and search the
# rest on 100 validation images (v1, section 5; v2, section 4.1.1): see `dlseg.crf.search`. All but
# CRF-RNN, which takes normalization="after", were used with the symmetric normalisation.
PRESETS: dict[str, tuple[Kernel, ...]] = {
    # Its README and example (5 iterations).
    "pydensecrf": (smoothness(3, 3), appearance(80, 13, 10)),
    # DeepLab's SetupEnv.m: "DeepLab", "DeepLab-MSc", "DeepLab-COCO".
    "deeplab-v1": (smoothness(3, 3), appearance(50, 10, 5)),
    "deeplab-msc": (smoothness(3, 3), appearance(95, 3, 3)),
    "deeplab-coco-largefov": (smoothness(3, 3), appearance(67, 3, 5)),
    # Run script of DeepLab-LargeFOV.
    "largefov": (smoothness(3, 3), appearance(49, 5, 4)),
    # deeplab-pytorch (kazuto1011), voc12.
    "deeplab-v2-resnet101": (smoothness(1, 3), appearance(67, 3, 4)),
    # CRF-RNN's code, values before training.
    "crf-rnn": (smoothness(3, 3), appearance(160, 3, 5)),
}
