"""For those who come from pydensecrf: its arguments, its array layouts, the same numbers.

A script that calls pydensecrf runs with `dlseg.crf.pydensecrf` in its place. This is its usual
example as one call:

| pydensecrf                                           | here                                      |
|------------------------------------------------------|-------------------------------------------|
| `DenseCRF2D(W, H, C)`                                | sizes are read off the arrays             |
| `unary_from_softmax(p)`, `setUnaryEnergy(U)`         | `probabilities` (C, H, W)                 |
| `unary_from_labels(x, C, gt_prob, zero_unsure)`      | `dlseg.crf.unary_from_labels`             |
| `addPairwiseGaussian(sxy, compat)`                   | `sxy_gaussian`, `compat_gaussian`         |
| `addPairwiseBilateral(sxy, srgb, rgbim, compat)`     | `sxy`, `srgb`, `image`, `compat`          |
| `addPairwiseEnergy(features, compat)`                | `dlseg.crf.DenseCRF`, any feature image   |
| `normalization=NORMALIZE_SYMMETRIC`                  | `normalization="symmetric"`               |
| `inference(n)`                                       | `iterations=n`; the result is (C, H, W)   |
| `klDivergence(Q)`                                    | `dlseg.crf.free_energy`, which counts     |
|                                                      | each pair once, pydensecrf twice          |
"""

import numpy as np
import torch

from dlseg.checks import check_rgb, described
from dlseg.crf.dense import DenseCRF
from dlseg.crf.kernels import Kernel
from dlseg.crf.unary import unary_from_probabilities


def dense_crf(
    image: np.ndarray,
    probabilities: np.ndarray,
    iterations: int = 5,
    sxy: float | tuple[float, float] = 80,
    srgb: float | tuple[float, ...] = 13,
    compat=10,
    sxy_gaussian: float | tuple[float, float] = 3,
    compat_gaussian=3,
    normalization: str = "symmetric",
) -> np.ndarray:
    """Refine the softmax of a network by a photograph, as pydensecrf's example does.

    image: uint8 (H, W, 3), RGB. probabilities: floats (C, H, W), sums of 1 over C.
    sxy, srgb, compat: of `addPairwiseBilateral`; sxy_gaussian, compat_gaussian: of
    `addPairwiseGaussian`; compat=None leaves that kernel out. A compat is a number (Potts), or as
    in pydensecrf a vector (C,), whose negative numbers reward agreement, or a matrix (C, C) of
    penalties, of which the symmetric part is taken.
    normalization: "none", "before", "after" or "symmetric".
    Returns: Q, float32 (C, H, W). Raises: ValueError for other shapes, types or values.
    """
    pixels, p = _tensors(image, probabilities)
    kernels = []
    if compat_gaussian is not None:
        kernels.append(Kernel(sxy_gaussian, None, compat_weight(compat_gaussian)))
    if compat is not None:
        kernels.append(Kernel(sxy, srgb, compat_weight(compat)))
    crf = DenseCRF(kernels, iterations, normalization, inputs="logits")
    with torch.inference_mode():
        return crf(-unary_from_probabilities(p), pixels)[0].numpy()


def compat_weight(compat) -> np.ndarray:
    """pydensecrf's compat as a weight of `Kernel`; its vectors are penalties, ours are gains.

    Raises: ValueError for what is no number and no vector or matrix of numbers.
    """
    try:
        array = np.asarray(compat, dtype=np.float64)
    except (TypeError, ValueError):
        array = np.empty((0, 0, 0))
    square = array.ndim < 2 or array.shape == array.shape[::-1]
    if array.ndim > 2 or not square or not np.isfinite(array).all():
        raise ValueError(
            "compat must be a number, a vector (C,) or a matrix (C, C) of finite numbers, got "
            f"{described(compat) if hasattr(compat, 'shape') else repr(compat)}"
        )
    return (array + array.T) / 2 if array.ndim == 2 else -array if array.ndim == 1 else array


def _tensors(image: np.ndarray, probabilities: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """(1, 3, H, W) and (1, C, H, W), after a look at the layouts."""
    image, probabilities = np.asarray(image), np.asarray(probabilities)
    check_rgb("image", image)
    if probabilities.ndim != 3 or probabilities.dtype.kind != "f":
        raise ValueError(
            f"probabilities must be floats (C, H, W), got {probabilities.dtype} "
            f"{probabilities.shape}; pydensecrf's (C, H*W) needs a reshape"
        )
    if probabilities.shape[1:] != image.shape[:2]:
        raise ValueError(
            f"image (H, W, 3) and probabilities (C, H, W) must have one height and width, got "
            f"{image.shape} and {probabilities.shape}"
        )
    pixels = torch.from_numpy(np.array(image.transpose(2, 0, 1), order="C"))
    values = torch.from_numpy(np.array(probabilities, dtype=np.float32, order="C"))
    return pixels[None], values[None]
