"""The functions of `pydensecrf.utils`, with its arguments: unaries and features as flat arrays."""

import warnings
from numbers import Real

import numpy as np
import torch

from dlseg.checks import check_classes, check_integer, check_number, described
from dlseg.crf import unary
from dlseg.doors import check_integers


def unary_from_labels(
    labels: np.ndarray, n_labels: int, gt_prob: float, zero_unsure: bool = True
) -> np.ndarray:
    """-log P where P gives the label of each pixel `gt_prob`, and the others equal shares.

    labels: integers of any shape. zero_unsure: True: labels are 1..n_labels, and 0 means that any
    may be right; False: they are 0..n_labels-1. n_labels: without that 0.
    gt_prob: above 1 / n_labels and below 1.
    Returns: float32 (n_labels, npoints). Raises: ValueError for anything else.
    """
    labels, n_labels = np.asarray(labels), check_classes("n_labels", n_labels, 2)
    check_integers("labels", labels)
    if not 1 / n_labels < check_number("gt_prob", gt_prob, 0, 1) < 1:
        raise ValueError(f"gt_prob must lie above 1/{n_labels} and below 1, got {gt_prob}")
    flat = torch.from_numpy(labels.astype(np.int64).reshape(1, -1))  # (1, N)
    if not zero_unsure:
        return unary.unary_from_labels(flat, n_labels, gt_prob, None)[:, 0].numpy()
    # As classes from 0 on; what an error names is then one less, so it is looked at before.
    if flat.numel() and not 0 <= flat.min() <= flat.max() <= n_labels:
        raise ValueError(
            f"labels must be 0 (unsure) to n_labels = {n_labels}, got {flat.min()} to {flat.max()}"
        )
    return unary.unary_from_labels(flat - 1, n_labels, gt_prob, -1)[:, 0].numpy()


def unary_from_softmax(
    sm: np.ndarray, scale: float | None = None, clip: float | None = 1e-5
) -> np.ndarray:
    """-log P of a network's probabilities.

    sm: floats (n_labels, ...), in 0..1. scale: how far to trust them, 0 < scale <= 1: the rest goes
    to all labels alike; None is 1. clip: smallest probability; None clips nothing, and the energy
    of a probability of 0 is infinite.
    Returns: float32 (n_labels, npoints). Raises: ValueError for logits, integers, or other numbers.
    """
    sm = np.asarray(sm)
    if sm.ndim < 2 or sm.dtype.kind != "f":
        raise ValueError(f"sm must be floats (n_labels, ...), got {described(sm)}")
    if sm.size and not -1e-3 <= sm.min() <= sm.max() <= 1 + 1e-3:  # NaN is refused too
        raise ValueError(
            f"sm must be probabilities in 0..1, got {sm.min():g}..{sm.max():g}; logits need a "
            "softmax over the first axis"
        )
    if scale is not None:
        scale = check_number("scale", scale, 0, 1)
        sm = scale * sm + (1 - scale) / len(sm)
    low = 0.0 if clip is None else check_number("clip", clip, 0, 1)
    with np.errstate(divide="ignore"):
        return -np.log(sm.clip(low, 1)).reshape(len(sm), -1).astype(np.float32)


def create_pairwise_gaussian(sdims, shape) -> np.ndarray:
    """The positions of a grid as features for `addPairwiseEnergy`.

    sdims: standard deviation along each axis, in the order of the shape (y before x), or one for
    all. shape: of the grid, two axes or more.
    Returns: float32 (axes, npoints). Raises: ValueError where the two do not fit.
    """
    shape = tuple(shape)
    if not shape or 0 in shape:
        raise ValueError(f"shape must have axes, and points along each, got {shape}")
    grid = np.indices(shape, dtype=np.float32)  # (axes, *shape)
    return grid.reshape(len(shape), -1) / _sigmas("sdims", sdims, len(shape))


def create_pairwise_bilateral(sdims, schan, img: np.ndarray, chdim: int = -1) -> np.ndarray:
    """Positions and values of an image as features for `addPairwiseEnergy`.

    sdims: standard deviation along each axis without the channels, in the order of the image (y
    before x), or one for all. schan: of each channel, or one for all.
    img: numbers, of any axes. chdim: the axis of its channels; -1: it has none (not the last one).
    Returns: float32 (axes + channels, npoints), positions first.
    Raises: ValueError where these do not fit.
    """
    img = np.asarray(img)
    if not img.size or img.dtype.kind not in "fiu":
        raise ValueError(f"img must be numbers (H, W, channels) or alike, got {described(img)}")
    if not -1 <= check_integer("chdim", chdim) < img.ndim:
        raise ValueError(f"chdim must be an axis of img {img.shape}, or -1 for none, got {chdim}")
    values = img[None] if chdim == -1 else np.moveaxis(img, chdim, 0)  # (channels, *shape)
    channels, *shape = values.shape
    values = values.astype(np.float32).reshape(channels, -1) / _sigmas("schan", schan, channels)
    return np.concatenate([create_pairwise_gaussian(sdims, shape), values])


def compute_unary(labels: np.ndarray, M: int, GT_PROB: float = 0.5) -> np.ndarray:
    """The old name of `unary_from_labels`."""
    _old("compute_unary", "unary_from_labels")
    return unary_from_labels(labels, M, GT_PROB)


def softmax_to_unary(sm: np.ndarray, GT_PROB: float = 1) -> np.ndarray:
    """The old name of `unary_from_softmax`, which clips nothing."""
    _old("softmax_to_unary", "unary_from_softmax")
    return unary_from_softmax(sm, None if GT_PROB == 1 else GT_PROB, clip=None)


def _sigmas(name: str, sigmas, count: int) -> np.ndarray:
    """float32 (count, 1) of one number or `count` of them."""
    values = np.asarray([sigmas] * count if isinstance(sigmas, Real) else sigmas, np.float32)
    if values.shape != (count,) or not (values > 0).all():
        raise ValueError(
            f"{name} must be a number above 0, or {count} of them, one for each, got {sigmas!r}"
        )
    return values[:, None]


def _old(name: str, new: str) -> None:
    warnings.warn(f"{name} is the old name of {new}", DeprecationWarning, stacklevel=3)
