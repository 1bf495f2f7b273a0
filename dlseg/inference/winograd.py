"""The numbers behind Winograd's convolution: three small matrices."""

from fractions import Fraction

import torch
import torch.nn.functional as F
from torch import Tensor

# Where polynomials are evaluated, beside infinity: of both signs and near 1, where rounding errors
# are smallest. Six outputs at a time would save more products, but err five times as much.
THIRDS = Fraction(2, 3)
POINTS = {3: (0, 1, -1, 2), 4: (0, THIRDS, -THIRDS, 1 / THIRDS, -1 / THIRDS)}


def winograd_matrices(outputs: int) -> tuple[Tensor, Tensor, Tensor]:
    """A (m, m+2), G (m+2, 3) and B (m+2, m+2), float64, with y = A ((G w) * (B x)).

    y: m outputs of a convolution, y[i] = sum_k x[i + k] w[k], of m + 2 inputs x with 3 weights w;
    * is the product of vectors entry by entry. outputs: m, a key of `POINTS`.
    Toom and Cook's way: a product of polynomials by their values at m + 1 points and at infinity.
    Raises: ValueError for another m.
    Source: Lavin and Gray 2016, section 4.1 (F(2, 3)), and Winograd 1980.
    """
    if outputs not in POINTS:
        raise ValueError(f"outputs must be one of {tuple(POINTS)}, got {outputs!r}")
    points = torch.tensor([float(point) for point in POINTS[outputs]], dtype=torch.float64)
    back = _powers(points, outputs).t()  # (m, m+2)
    kernel = _powers(points, 3)  # (m+2, 3)
    # B follows from what it must do: output i and weight k meet input i + k and no other.
    meeting = torch.einsum("ij,jk->ikj", back, kernel).flatten(0, 1)  # (3 m, m+2)
    place = torch.arange(outputs)[:, None] + torch.arange(3)
    wanted = F.one_hot(place.flatten(), outputs + 2).double()  # (3 m, m+2)
    return back, kernel, torch.linalg.lstsq(meeting, wanted).solution


def products(size: tuple[int, int], rate: int, outputs: int) -> int:
    """Products per pair of channels for a map of `size` (H, W); a plain 3x3 has 9 H W."""
    step = outputs * rate
    down, across = (-(-side // step) for side in size)
    return down * across * rate**2 * (outputs + 2) ** 2


def _powers(points: Tensor, count: int) -> Tensor:
    """Powers 0 to count - 1 of each point, then those of infinity: (points + 1, count)."""
    finite = points[:, None] ** torch.arange(count)
    return torch.cat([finite, torch.eye(count, dtype=points.dtype)[-1:]])
