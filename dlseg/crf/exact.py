"""The dense CRF by brute force: every pixel is compared with every other one.

`kernel_matrix` writes the N x N matrix down: clear, and for crops of some thousand pixels.
`attention_filter` never does: a message of mean field is one call of softmax attention, exact, with
memory for N pixels and time for N^2 pairs. Both are oracles of the lattice.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from dlseg.checks import check_choice, check_integer, described
from dlseg.crf.kernels import (
    NORMALIZATIONS,
    Kernel,
    check_format,
    check_image,
    features,
    penalty,
)
from dlseg.doors import check_finite, check_maps

Filter = Callable[[Tensor], Tensor]
TINY = 1e-20  # pydensecrf adds it to n before it divides
MOST_ITERATIONS = 10_000  # of mean field, which settles within some tens
FAR = 32.0  # sigmas from the mean; beyond, float32 loses too much of |f|^2


def kernel_matrix(features: Tensor) -> Tensor:
    """K: exp(-|f_i - f_j|^2 / 2) for every pair of pixels.

    features: (B, N, d), each divided by its sigma. Returns: (B, N, N), ones on the diagonal.
    """
    check_features(features)
    distance = torch.cdist(features, features, compute_mode="donot_use_mm_for_euclid_dist")
    return torch.exp(-distance.square() / 2)


def attention_filter(features: Tensor, values: Tensor) -> Tensor:
    """K values, exactly, by one call of softmax attention; K is never written down.

    -|f_i - f_j|^2 / 2 = f_i f_j - |f_i|^2 / 2 - |f_j|^2 / 2 is a dot product of query and key.
    Attention divides by the sum of each row; one more key, with logit 0 and therefore exp(0) = 1,
    carries a column of its own that comes back as 1 / sum, so that the division can be undone.
    The relative error is about eps |f|^2, f from the mean: 1e-5 for 10 sigmas in float32. Where a
    feature is more than 32 sigmas from the mean, all is computed in float64.

    features: (B, N, d), each divided by its sigma. values: (B, N, C). Returns: (B, N, C).
    Raises: ValueError for other forms, and number formats that differ.
    """
    check_features(features)
    check_features(values, "values")
    if values.dtype != features.dtype or values.shape[:2] != features.shape[:2]:
        raise ValueError(
            f"values must be as many as features, and of their number format, got "
            f"{described(values)} and {described(features)}"
        )
    f = features - features.mean(1, keepdim=True)  # K sees differences only, and small |f| is exact
    if f.dtype == torch.float32 and f.abs().max() > FAR:
        return attention_filter(features.double(), values.double()).to(values.dtype)
    half = f.square().sum(-1, keepdim=True) / 2  # (B, N, 1)
    one = torch.ones_like(half)
    query = torch.cat([f, one, -half], -1)  # (B, N, d + 2)
    key = F.pad(torch.cat([f, -half, one], -1), (0, 0, 0, 1))  # (B, N + 1, d + 2), last logit 0
    value = F.pad(values, (0, 1, 0, 1))  # (B, N + 1, C + 1)
    value[:, -1, -1] = 1
    # The kernels without N^2 memory want one width, those of a GPU a multiple of 4.
    width = -(-max(query.shape[-1], value.shape[-1]) // 4) * 4
    query, key, padded = (
        F.pad(part, (0, width - part.shape[-1]))[:, None] for part in (query, key, value)
    )
    out = F.scaled_dot_product_attention(query, key, padded, scale=1.0)[:, 0]  # (B, N, width)
    channels = values.shape[-1]
    return out[..., :channels] / out[..., channels : channels + 1]


def normalise(matrix: Tensor, how: str = "symmetric", self_term: bool = True) -> Tensor:
    """K divided by n_i = sum_j k(i, j) in one of four ways; optionally without its diagonal.

    matrix: (B, N, N). how: one of NORMALIZATIONS: "none" K, "before" K D^-1, "after" D^-1 K,
    "symmetric" D^-1/2 K D^-1/2 with D = diag(n) (pydensecrf's `NormalizationType`).
    self_term: False sets the diagonal of the result to 0, so that no pixel sends a message to
    itself (Kraehenbuehl and Koltun 2011, Algorithm 1); n counts the pixel itself all the same.
    Raises: ValueError for another `how`, and for a matrix of another form.
    """
    check_choice("normalization", how, NORMALIZATIONS)
    square = isinstance(matrix, Tensor) and matrix.dim() == 3 and matrix.shape[1] == matrix.shape[2]
    if not square or not matrix.is_floating_point():
        raise ValueError(f"the matrix must be floats (B, N, N), got {described(matrix)}")
    n = matrix.sum(-1) + TINY  # (B, N)
    if how == "symmetric":
        matrix = n.rsqrt()[:, :, None] * matrix * n.rsqrt()[:, None, :]
    elif how == "before":
        matrix = matrix / n[:, None, :]
    elif how == "after":
        matrix = matrix / n[:, :, None]
    return matrix if self_term else matrix - torch.diag_embed(matrix.diagonal(dim1=1, dim2=2))


class ExactFilter:
    """The normalised kernel as a filter, by attention: `filter(values)` and `filter.transpose`.

    features: (B, N, d), each divided by its sigma. Values and results are (B, N, C).
    normalization, self_term: as for `normalise`. Raises: ValueError for another normalization.
    """

    def __init__(self, features: Tensor, normalization: str = "symmetric", self_term: bool = True):
        check_choice("normalization", normalization, NORMALIZATIONS)
        check_features(features)
        self.features, self.self_term = features, self_term
        n = attention_filter(features, features.new_ones(*features.shape[:2], 1)) + TINY
        one = torch.ones_like(n)  # (B, N, 1)
        self.before = {"before": 1 / n, "symmetric": n.rsqrt()}.get(normalization, one)
        self.after = {"after": 1 / n, "symmetric": n.rsqrt()}.get(normalization, one)

    def __call__(self, values: Tensor) -> Tensor:
        """The messages (B, N, C) of values (B, N, C)."""
        return self._filter(self.before, self.after, values)

    def transpose(self, values: Tensor) -> Tensor:
        """The same with the transposed matrix."""
        return self._filter(self.after, self.before, values)

    def _filter(self, before: Tensor, after: Tensor, values: Tensor) -> Tensor:
        messages = after * attention_filter(self.features, before * values)
        return messages if self.self_term else messages - after * before * values  # k(i, i) = 1


def mean_field_steps(
    unary: Tensor, filters: Sequence[Filter], weights: Sequence[Tensor], iterations: int = 10
) -> Iterator[Tensor]:
    """Q before the first iteration, then after each one.

    Q_i(l) <- softmax_l(-U_i(l) - sum over the kernels of sum_m mu(l, m) (K Q)_i(m)), all pixels at
    once (Kraehenbuehl and Koltun 2011, Algorithm 1).
    unary: (B, N, C) energies -log P. filters: one per kernel, from (B, N, C) to the messages
    (B, N, C), such as an `ExactFilter`, or `matmul` of a matrix. weights: (), (C,) or (C, C) each.
    Yields: iterations + 1 times (B, N, C), sums of 1 over the labels.
    Raises: ValueError for a unary of another form.
    """
    check_features(unary, "the unary")
    q = (-unary).softmax(-1)  # (B, N, C)
    yield q
    for _ in range(iterations):
        cost = unary
        for apply, weight in zip(filters, weights, strict=True):
            cost = cost + penalty(apply(q), weight)
        q = (-cost).softmax(-1)
        yield q


def check_unary(unary: Tensor, image: Tensor, iterations: int) -> None:
    """ValueError unless unary (B, C, H, W) is finite, C >= 2 and it fits the image."""
    check_maps("the unary", unary)
    check_format("the unary", unary.dtype)
    check_image(image)
    sizes = {(tensor.shape[0], *tensor.shape[2:]) for tensor in (unary, image)}
    if len(sizes) > 1:
        raise ValueError(
            f"unary and image must have the same batch and size, got {tuple(unary.shape)} and "
            f"{tuple(image.shape)}; upsample the scores bilinearly to the image's size"
        )
    if unary.shape[1] < 2:
        raise ValueError(
            f"the unary must have two classes or more, got {tuple(unary.shape)}: for a map of "
            "foreground p give background and foreground, torch.cat([1 - p, p], 1), or of logits x "
            "torch.cat([-x, x], 1) / 2"
        )
    if unary.device != image.device:
        raise ValueError(f"the unary is on {unary.device} and the image on {image.device}")
    check_integer("iterations", iterations, 0, MOST_ITERATIONS)
    check_finite("the unary", unary)


def check_pixels(unary: Tensor, image: Tensor, kernels: Sequence[tuple], iterations: int) -> None:
    """ValueError for what `DenseCRF` refuses, of one unary (C, H, W) and one image (H, W, 3)."""
    if unary.dtype != torch.float32 or image.dim() != 3 or image.shape[2] != 3:
        raise ValueError(
            "expected the unary, float32 (C, H, W), and an image (H, W, 3), got "
            f"{described(unary)} and {described(image)}; DenseCRF takes others"
        )
    batch = image[None].movedim(-1, 1)
    check_unary(unary[None], batch, iterations)
    for kernel in kernels:
        features(batch, Kernel(*kernel), unary.dtype)


def check_features(features: Tensor, name: str = "features") -> None:
    """ValueError unless features are floats (B, N, d), at least one of each, of 32 or 64 bits."""
    fits = isinstance(features, Tensor) and features.dim() == 3 and 0 not in features.shape
    if not fits or not features.is_floating_point():
        raise ValueError(f"{name} must be floats (B, N, d), got {described(features)}")
    check_format(name, features.dtype)


def check_rows(f: Tensor) -> None:
    """ValueError unless f are the features of one image, float32 (N, d), at least one of each."""
    if not isinstance(f, Tensor) or f.dim() != 2 or 0 in f.shape or f.dtype != torch.float32:
        raise ValueError(f"features must be float32 (N, d), got {described(f)}")
