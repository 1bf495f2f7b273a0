"""Small images and scores for the tests of the CRF."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from dlseg.crf.exact import kernel_matrix, mean_field_steps, normalise
from dlseg.crf.kernels import features, to_maps, to_pixels


def random_case(seed=0, batch=1, classes=3, size=(6, 7), dtype=torch.float64):
    """Energies (B, C, H, W) and an image (B, 3, H, W) uint8, both white noise."""
    generator = torch.Generator().manual_seed(seed)
    unary = 2 * torch.randn(batch, classes, *size, generator=generator, dtype=dtype)
    image = torch.randint(0, 256, (batch, 3, *size), generator=generator, dtype=torch.uint8)
    return unary, image


def photograph(size: tuple[int, int]) -> Tensor:
    """matplotlib's photograph at (H, W), (1, 3, H, W) uint8."""
    import matplotlib

    path = Path(matplotlib.get_data_path(), "sample_data", "grace_hopper.jpg")
    height, width = size
    with Image.open(path) as image:
        pixels = np.array(image.convert("RGB").resize((width, height), Image.Resampling.BILINEAR))
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].contiguous()


def coarse_logits(image: Tensor, classes: int, seed: int = 0, gain: float = 4.0) -> Tensor:
    """Logits (1, C, H, W) as a network of stride 8 has them: brightness in steps, and noise."""
    size = image.shape[2:]
    grey = image.float().mean(1, keepdim=True) / 256 * classes  # (1, 1, H, W)
    label = grey.long().clamp(max=classes - 1)[:, 0]
    hot = F.one_hot(label, classes).movedim(-1, 1).float()
    small = F.adaptive_avg_pool2d(hot, [-(-side // 8) for side in size])
    noise = torch.randn(small.shape, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(gain * small + 0.5 * noise, size, mode="bilinear", align_corners=False)


def load_pydensecrf():
    """The module pydensecrf.densecrf; skips the calling test where it is not installed."""
    reason = "pydensecrf is not installed (it must be built with Cython below 3)"
    return pytest.importorskip("pydensecrf.densecrf", reason=reason)


def exact_matrices(image, kernels, normalization="symmetric", self_term=True, dtype=None):
    """One normalised matrix (B, N, N) per kernel; arguments of `features` and `normalise`."""
    return [
        normalise(kernel_matrix(features(image, kernel, dtype)), normalization, self_term)
        for kernel in kernels
    ]


def mean_field(unary, image, kernels, iterations=10, normalization="symmetric", self_term=True):
    """Q (B, C, H, W) by matrices of all pairs of pixels, for energies (B, C, H, W)."""
    weights = [kernel.weight_tensor(unary.dtype) for kernel in kernels]
    matrices = exact_matrices(image, kernels, normalization, self_term, unary.dtype)
    filters = [matrix.matmul for matrix in matrices]
    *_, q = mean_field_steps(to_pixels(unary), filters, weights, iterations)
    return to_maps(q, tuple(unary.shape[2:]))
