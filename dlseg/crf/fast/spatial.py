"""The Gaussian of the position alone, on the grid: one axis after the other.

    exp(-|p_i - p_j|^2 / (2 s^2)) = exp(-(x_i - x_j)^2 / (2 s^2)) exp(-(y_i - y_j)^2 / (2 s^2))

K (N, N) is a product of one matrix (H, H) and one (W, W). Where sigma is below two pixels, each is
a sum of shifted copies. Where it is larger, the axis is thinned out first, with cubic B-splines as
wide as sigma allows, filtered there, and read back with the same splines; their variance is left
out of the Gaussian in between, so that the whole keeps its width.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from dlseg.crf.fast.sparse import Rows, equal_rows

REACH = 4  # sigmas; what is left out is below exp(-8) = 3e-4 of the largest
BLOCK = 65536  # numbers that stay in the cache

Table = tuple[Tensor, Tensor]  # indices (m, k) and weights (m, k) of a matrix (m, n)


class Grid:
    """K values for a Gaussian kernel of the position. K is symmetric.

    Messages are off by at most 0.3 % (1.2 % where the image is a single row), which is a tenth of
    what the permutohedral lattice is off by.

    batch, size: B and (H, W) of the images; sigma: (sx, sy), pixels.
    Values and results of a call and of `transpose` are (B, N, C), N = H W, of dtype `dtype`.
    """

    def __init__(self, batch, size, sigma, dtype=torch.float32, device=None):
        self.batch, self.size = batch, size
        self.y = Axis(size[0], sigma[1], dtype, device)
        self.x = Axis(size[1], sigma[0], dtype, device)
        self._lay_out()

    def __call__(self, values: Tensor) -> Tensor:
        """K values."""
        channels = values.shape[-1]
        z = values.contiguous().view(self.batch, self.size[0], -1)  # (B, H, W C)
        z = along(self.down_y, z)  # (B, h, W C)
        z = along(self.down_x, z.view(-1, self.size[1], channels))  # (B h, w, C)
        z = along(self.blur_y, z.view(self.batch, self.y.coarse, -1))  # (B, h, w C)
        z = shifted_sum(z.view(-1, self.x.coarse, channels), self.x.taps, self.x.scale)
        z = along(self.up_x, z)  # (B h, W, C)
        return along(self.up_y, z.view(self.batch, self.y.coarse, -1)).view(values.shape)

    transpose = __call__

    def normalise(self) -> None:
        """From now on K is D^-1/2 K D^-1/2, D = diag(K 1), which is a product of two axes too."""
        self.y.normalise()
        self.x.normalise()
        self._lay_out()

    def diagonal(self) -> Tensor:
        """k(i, i), (1, N, 1)."""
        y, x = self.y.matrix().diagonal(), self.x.matrix().diagonal()
        return (y[:, None] * x).view(1, -1, 1)

    def _lay_out(self) -> None:
        # Along y, one table serves rows of W C numbers; along x, every row of pixels needs its own.
        across = self.batch * self.y.coarse
        self.down_y = lay_out(self.y.down, self.batch, self.y.n)
        self.blur_y = lay_out(self.y.band, self.batch, self.y.coarse)
        self.up_y = lay_out(self.y.up, self.batch, self.y.coarse)
        self.down_x = lay_out(self.x.down, across, self.x.n)
        self.up_x = lay_out(self.x.up, across, self.x.coarse)


class Axis:
    """The Gaussian along one axis of n pixels, sigma in pixels: a band, perhaps between splines.

    `coarse`: length of the axis in between, n if it is not thinned out.
    """

    def __init__(self, n: int, sigma: float, dtype: torch.dtype, device):
        self.n = self.coarse = n
        self.down = self.up = None
        self.scale = torch.ones(n, dtype=dtype, device=device)
        self.taps = gaussian_taps(sigma, n)
        step = math.floor(sigma)
        if step >= 2 and n > REACH * sigma:  # a shorter axis is not worth it
            self.down, self.up = spline_tables(n, step, dtype, device)
            self.coarse = len(self.down[0])
            # A cubic B-spline has variance 1/3, in steps, and is applied twice.
            taps = gaussian_taps(math.sqrt((sigma / step) ** 2 - 2 / 3), self.coarse)
            total = sigma * math.sqrt(2 * math.pi) / step  # what all taps add up to
            self.taps = [tap * total / (2 * sum(taps) - 1) for tap in taps]
            self.scale = self.scale.new_ones(self.coarse)
        self.band = band_table(self.taps, self.scale)

    def normalise(self) -> None:
        """Divide the matrix by the roots of its row sums, on both sides."""
        scale = self.matrix().sum(1).rsqrt()
        if self.down is None:
            self.scale = scale
            self.band = band_table(self.taps, scale)
        else:
            self.down[1].mul_(scale[self.down[0]])
            self.up[1].mul_(scale[:, None])

    def matrix(self) -> Tensor:
        """All of it, (n, n)."""
        z = torch.eye(self.n, dtype=self.scale.dtype, device=self.scale.device)[None]
        lengths = ((self.down, self.n), (self.band, self.coarse), (self.up, self.coarse))
        for table, length in lengths:
            z = along(lay_out(table, 1, length), z)
        return z[0]


def gaussian_taps(sigma: float, n: int) -> list[float]:
    """exp(-k^2 / (2 sigma^2)) for k = 0, 1, ... up to REACH sigmas, or n - 1."""
    reach = min(math.ceil(REACH * sigma), n - 1)
    return [math.exp(-(k**2) / (2 * sigma**2)) for k in range(reach + 1)]


def shifted_sum(z: Tensor, taps: list[float], scale: Tensor) -> Tensor:
    """Sum over k of taps[|k|] times z shifted by k pixels, zeros outside.

    z: (R, n, C). scale: (n,), multiplied before and after. Returns: (R, n, C).
    """
    rows, n, channels = z.shape
    reach = len(taps) - 1
    out = torch.empty_like(z)
    scale = scale[:, None].expand(n, channels).contiguous()
    some = max(1, BLOCK // (n * channels))  # rows that stay in the cache for all their shifts
    for begin in range(0, rows, some):
        here = slice(begin, begin + some)
        padded = F.pad(z[here] * scale, (0, 0, reach, reach))
        total = torch.mul(padded[:, reach : reach + n], taps[0], out=out[here])
        for k in range(1, reach + 1):
            total.add_(padded[:, reach - k : reach - k + n], alpha=taps[k])
            total.add_(padded[:, reach + k : reach + k + n], alpha=taps[k])
        total *= scale
    return out


def spline(x: Tensor) -> Tensor:
    """The cubic B-spline: 2/3 at 0, 1/6 at 1 and -1, 0 from 2 on."""
    x = x.abs()
    return torch.where(x < 1, 2 / 3 - x**2 + x**3 / 2, (2 - x).clamp(min=0) ** 3 / 6)


def spline_tables(n: int, step: int, dtype: torch.dtype, device) -> tuple[Table, Table]:
    """Thinning n pixels by `step`, and its transpose. Node j is at pixel (j - 1) step."""
    nodes = (n - 1) // step + 4
    node = torch.arange(nodes, device=device)[:, None]
    pixel = torch.arange(n, device=device)[:, None]
    near = (node - 1) * step + torch.arange(1 - 2 * step, 2 * step, device=device)  # (nodes, 4s-1)
    inside = (near >= 0) & (near < n)
    down = spline((near - (node - 1) * step).to(dtype) / step) * inside
    around = pixel // step + torch.arange(4, device=device)  # (n, 4)
    up = spline((pixel - (around - 1) * step).to(dtype) / step)
    return (near.clamp(0, n - 1), down), (around, up)


def band_table(taps: list[float], scale: Tensor) -> Table:
    """The matrix (n, n) with taps[|k|] at distance k from the diagonal, scaled on both sides."""
    n, reach = len(scale), len(taps) - 1
    offset = torch.arange(-reach, reach + 1, device=scale.device)
    near = torch.arange(n, device=scale.device)[:, None] + offset  # (n, 2 reach + 1)
    inside = (near >= 0) & (near < n)
    near = near.clamp(0, n - 1)
    weights = scale.new_tensor(taps)[offset.abs()] * inside
    return near, weights * scale[near] * scale[:, None]


def lay_out(table: Table | None, count: int, n: int) -> Rows | None:
    """The table's matrix (m, n) for `count` stretches of n rows each, one after the other."""
    if table is None:
        return None
    begin = torch.arange(count, device=table[0].device)[:, None, None] * n
    return equal_rows((table[0] + begin).flatten(0, 1), table[1].repeat(count, 1))


def along(matrix: Rows | None, z: Tensor) -> Tensor:
    """The matrix along the middle of z (R, n, K): (R, m, K); None stands for no change."""
    if matrix is None:
        return z
    return matrix(z.reshape(-1, z.shape[2])).view(len(z), -1, z.shape[2])
