"""`DenseCRF2D` and `DenseCRF` with pydensecrf's methods, arguments and arrays, and its numbers.

Both kernels go through the permutohedral lattice, as in pydensecrf, so that Q differs by the
rounding of float32 and by what `TRIM` allows. What pydensecrf refuses for its memory alone is
taken: other floats than float32, arrays that are not contiguous, read-only ones. Results are NumPy
arrays. Its C++ (Kraehenbuehl and Koltun 2013) can also learn kernels; neither its Python can, nor
this.
"""

from enum import IntEnum

import numpy as np
import torch
from torch import Tensor

from dlseg.checks import check_classes, check_integer, check_rgb, described
from dlseg.crf.drop_in import compat_weight
from dlseg.crf.exact import MOST_ITERATIONS
from dlseg.crf.fast.filtering import Filter
from dlseg.crf.fast.lattice import Lattice
from dlseg.crf.fast.updates import begin
from dlseg.crf.kernels import NORMALIZATIONS, Kernel, features, penalty
from dlseg.crf.kernels import check_classes as check_weight
from dlseg.doors import check_finite

TRIM = 1e-3  # of Q in one iteration, see `ProductUpdate`: nearly twice as fast with 21 labels
MOST_POINTS = 2**28  # the lattice counts its entries, up to nine a point, in int32


class KernelType(IntEnum):
    """How a kernel would be learned; inference is the same with all three."""

    CONST_KERNEL = 0
    DIAG_KERNEL = 1
    FULL_KERNEL = 2


class NormalizationType(IntEnum):
    """What a kernel is divided by, in the order of `dlseg.crf.NORMALIZATIONS`."""

    NO_NORMALIZATION = 0
    NORMALIZE_BEFORE = 1
    NORMALIZE_AFTER = 2
    NORMALIZE_SYMMETRIC = 3


CONST_KERNEL, DIAG_KERNEL, FULL_KERNEL = KernelType
NO_NORMALIZATION, NORMALIZE_BEFORE, NORMALIZE_AFTER, NORMALIZE_SYMMETRIC = NormalizationType


class ConstUnary:
    """Energies for `setUnary`. u: floats (nlabels, npoints)."""

    def __init__(self, u: np.ndarray):
        self.energy = u


class LogisticUnary:
    """Energies L f for `setUnary`, linear in the features of each point.

    L: floats (nlabels, K). f: floats (K, npoints). Raises: ValueError where they do not fit.
    """

    def __init__(self, L: np.ndarray, f: np.ndarray):
        L, f = _floats("L", L), _floats("f", f)
        if L.shape[1] != f.shape[0]:
            raise ValueError(
                f"L (nlabels, K) and f (K, npoints) must have one K, got {tuple(L.shape)} and "
                f"{tuple(f.shape)}"
            )
        self.energy = (L @ f).numpy()


class DenseCRF:
    """A fully connected CRF over any points: pixels, voxels, regions.

    nvar: number of points; nlabels: number of labels, at least 2.
    Raises: ValueError for other numbers.
    """

    def __init__(self, nvar: int, nlabels: int):
        self._points = check_integer("nvar", nvar, 1, MOST_POINTS)
        self._labels = check_classes("nlabels", nlabels, 2)
        self._unary: Tensor | None = None  # (1, C, 1, N)
        self._filters: list[Filter] = []
        self._weights: list[Tensor] = []

    def setUnaryEnergy(self, u: np.ndarray, f: np.ndarray | None = None) -> None:
        """The energies of the labels, -log P; infinity rules a label out.

        u: floats (nlabels, npoints), points row by row. With features f (K, npoints), u is L
        (nlabels, K) of `LogisticUnary`. Raises: ValueError for another shape, integers, NaN, or a
        point without any possible label.
        """
        u = _floats("the unary", u if f is None else LogisticUnary(u, f).energy)
        wanted = self._labels, self._points
        if u.shape != wanted:
            raise ValueError(
                f"the unary must be (nlabels, npoints) = {wanted}, got {tuple(u.shape)}; from "
                "(H, W, C) it is made by u.transpose(2, 0, 1).reshape(C, -1)"
            )
        if u.isnan().any() or not u.amin(0).isfinite().all():
            raise ValueError(
                "the unary must be numbers, at least one of them finite at each point, got "
                f"{int((~u.isfinite()).sum())} that are NaN or infinite"
            )
        self._unary = u[None, :, None]

    def setUnary(self, u: ConstUnary | LogisticUnary) -> None:
        """The same as `setUnaryEnergy`, from an object that holds the energies."""
        if not isinstance(u, ConstUnary | LogisticUnary):
            raise ValueError(f"u must be a ConstUnary or a LogisticUnary, got {described(u)}")
        self.setUnaryEnergy(u.energy)

    def addPairwiseEnergy(
        self,
        features: np.ndarray,
        compat,
        kernel: int = DIAG_KERNEL,
        normalization: int = NORMALIZE_SYMMETRIC,
    ) -> None:
        """One more kernel, exp(-|f_i - f_j|^2 / 2), of any features.

        features: floats (d, npoints), 1 <= d <= 8, each divided by its sigma.
        compat: a number (Potts: the penalty of two different labels); a vector (nlabels,), what two
        points of one label pay, so negative to make them agree; or a matrix (nlabels, nlabels) of
        penalties, of which the symmetric part is taken.
        kernel: any, see `KernelType`. normalization: see `NormalizationType`.
        Raises: ValueError for other forms, NaN, or a feature that runs over too many sigmas.
        """
        f = _floats("features", features)
        if f.shape[1] != self._points:
            raise ValueError(
                f"features must be (d, npoints) = (d, {self._points}), got {tuple(f.shape)}"
            )
        check_finite("features", f)
        self._add(f.T[None].contiguous(), compat, kernel, normalization)

    def inference(self, niter: int) -> np.ndarray:
        """Q after `niter` iterations of mean field: float32 (nlabels, npoints).

        Raises: ValueError for a negative number, or where no unary was set.
        """
        niter = check_integer("niter", niter, 0, MOST_ITERATIONS)
        with torch.inference_mode():
            if not self._filters:
                return self.startInference()[0]
            update = begin(-self._energies(), "logits", self._filters, self._weights, TRIM)
            for _ in range(niter):
                update.step()
            return update.result()[0, :, 0].numpy()

    def startInference(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Q before the first iteration, (nlabels, npoints), and two arrays that nobody needs.

        pydensecrf keeps its intermediate results in them.
        """
        q = (-self._energies()).softmax(1)[0, :, 0].numpy()
        return q, np.empty((0, 0), np.float32), np.empty((0, 0), np.float32)

    def stepInference(self, Q: np.ndarray, tmp1=None, tmp2=None) -> None:
        """One iteration of mean field, which changes Q, float32 (nlabels, npoints), in place.

        Raises: ValueError for another Q, such as a copy in another number format.
        """
        if not isinstance(Q, np.ndarray) or Q.dtype != np.float32 or not Q.flags.writeable:
            raise ValueError(f"Q must be as startInference gave it, got {described(Q)}")
        with torch.inference_mode():
            logits = -self._energies()[0, :, 0] - self._cost(self._beliefs(Q))  # (C, N)
            Q[...] = logits.softmax(0).numpy()

    def klDivergence(self, Q: np.ndarray) -> float:
        """How far Q is from the CRF, up to a constant, as pydensecrf's C++ counts it.

        sum Q (log Q + U) + sum over the kernels of Q mu K Q. The free energy has half of the last
        sum: see `dlseg.crf.free_energy`.
        Q: floats (nlabels, npoints).
        """
        with torch.inference_mode():
            q = self._beliefs(Q)
            unary = (q * self._energies()[0, :, 0]).nan_to_num(0)  # infinite where Q is 0
            entropy = q * q.clamp(min=1e-20).log()
            return (entropy + unary + q * self._cost(q)).double().sum().item()

    def _energies(self) -> Tensor:
        if self._unary is None:
            raise ValueError("there is no unary yet: call setUnaryEnergy first")
        return self._unary

    def _beliefs(self, Q: np.ndarray) -> Tensor:
        q = _floats("Q", Q)
        if q.shape != (self._labels, self._points):
            wanted = self._labels, self._points
            raise ValueError(f"Q must be (nlabels, npoints) = {wanted}, got {tuple(q.shape)}")
        return q

    def _cost(self, q: Tensor) -> Tensor:
        """What all kernels make each label pay, (C, N), for beliefs q (C, N)."""
        pixels = q.T[None].contiguous()  # (1, N, C)
        cost = torch.zeros_like(pixels)
        for kernel, weight in zip(self._filters, self._weights, strict=True):
            cost += penalty(kernel(pixels), weight)
        return cost[0].T

    def _add(self, f: Tensor, compat, kernel: int, normalization: int, names=None) -> None:
        """A kernel of features f (1, N, d)."""
        _member(KernelType, "kernel", kernel)
        how = NORMALIZATIONS[_member(NormalizationType, "normalization", normalization)]
        weight = Kernel(1, None, compat_weight(compat)).weight_tensor()
        check_weight(weight, self._labels)
        lattice = Lattice(f, names, first_axis=True)
        if how == "none":
            # Undivided, the sum of a kernel is what the lattice makes of it; pydensecrf's blur is
            # scaled to about 1, ours to the integral of the Gaussian.
            weight *= 1 / (1 + 2.0 ** -f.shape[2]) / lattice.gain
        ones = torch.ones_like(f[..., :1])
        self._filters.append(Filter(lattice, ones, how, self_term=True))
        self._weights.append(weight)


class DenseCRF2D(DenseCRF):
    """A fully connected CRF over the pixels of an image, with the two kernels of the papers.

    w, h: width and height, in this order; nlabels: number of labels, at least 2.
    Unary and Q are (nlabels, h * w), pixels row by row. Raises: ValueError for other numbers.
    """

    def __init__(self, w: int, h: int, nlabels: int):
        w, h = check_integer("w", w, 1), check_integer("h", h, 1)
        super().__init__(w * h, nlabels)
        self._size = h, w

    def addPairwiseGaussian(
        self,
        sxy: float | tuple[float, float],
        compat,
        kernel: int = DIAG_KERNEL,
        normalization: int = NORMALIZE_SYMMETRIC,
    ) -> None:
        """The kernel of the position alone (Kraehenbuehl and Koltun 2011, Eq. 3, second part).

        sxy: standard deviation in pixels, one number or (sx, sy). The rest, and what is raised, as
        for `addPairwiseEnergy`.
        """
        f = features(torch.zeros(1, 1, *self._size), Kernel(sxy))  # (1, N, 2)
        self._add(f, compat, kernel, normalization, ("sxy (x)", "sxy (y)"))

    def addPairwiseBilateral(
        self,
        sxy: float | tuple[float, float],
        srgb: float | tuple[float, float, float],
        rgbim: np.ndarray,
        compat,
        kernel: int = DIAG_KERNEL,
        normalization: int = NORMALIZE_SYMMETRIC,
    ) -> None:
        """The kernel of position and colour (Kraehenbuehl and Koltun 2011, Eq. 3, first part).

        sxy: standard deviation in pixels, one number or (sx, sy); srgb: of the colours in 0..255,
        one number or three. rgbim: uint8 (h, w, 3). The rest as for `addPairwiseEnergy`; images of
        other channels go there, by `create_pairwise_bilateral`.
        Raises: ValueError for another image, and as `addPairwiseEnergy`.
        """
        check_rgb("rgbim", rgbim)
        if rgbim.shape[:2] != self._size:
            turned = " (width and height exchanged?)" if rgbim.shape[1::-1] == self._size else ""
            raise ValueError(
                f"rgbim must be (h, w, 3) = {(*self._size, 3)}, got {rgbim.shape}{turned}"
            )
        pixels = torch.from_numpy(np.array(rgbim.transpose(2, 0, 1), order="C"))[None]
        names = ("sxy (x)", "sxy (y)", *(f"srgb (channel {c})" for c in range(3)))
        f = features(pixels, Kernel(sxy, srgb))  # (1, N, 5)
        self._add(f, compat, kernel, normalization, names)


def _floats(name: str, values: np.ndarray) -> Tensor:
    """A copy as float32 (rows, columns). ValueError for another number of axes, and no floats."""
    array = np.asarray(values)
    if array.ndim != 2 or array.dtype.kind != "f" or 0 in array.shape:
        raise ValueError(
            f"{name} must be floats of two axes, (rows, points), got {described(array)}; maps "
            "(C, H, W) need .reshape(C, -1)"
        )
    return torch.from_numpy(np.array(array, dtype=np.float32, order="C"))


def _member(kind: type[IntEnum], name: str, value: int) -> IntEnum:
    try:
        return kind(value)
    except ValueError:
        names = ", ".join(kind.__members__)
        raise ValueError(f"{name} must be one of {names}, got {value!r}") from None
