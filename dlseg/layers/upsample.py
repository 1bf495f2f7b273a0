"""Bilinear resizing: how coarse scores become as large as the image."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from dlseg.checks import LARGEST_SIDE, check_integer
from dlseg.doors import check_maps


def upsample(x: Tensor, size: Sequence[int], align_corners: bool = False) -> Tensor:
    """The maps x (B, C, h, w) resized bilinearly to size (H, W): (B, C, H, W).

    align_corners: where the units lie on the larger map. False, the choice of this book and of
    torchvision, takes each unit as a square of H/h x W/w pixels. True puts the outer units on the
    outer pixels, as the released networks in Caffe and TensorFlow do, which asks for sizes such
    as 321 or 513: 8 (h - 1) + 1 pixels, so that units lie on every eighth.
    Raises: ValueError unless x are floats (B, C, h, w), at least one, and size two integers >= 1.
    """
    check_maps("x", x)
    height, width = (check_integer("size", side, 1, LARGEST_SIDE) for side in size)
    return F.interpolate(x, (height, width), mode="bilinear", align_corners=align_corners)
