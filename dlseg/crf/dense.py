"""The fully connected CRF as a torch module: mean field with fast, differentiable messages.

Kraehenbuehl and Koltun 2011, Algorithm 1; as layers of a network, Zheng et al. 2015 (CRF-RNN).
"""

from collections.abc import Iterator, Sequence

from torch import Tensor, nn

from dlseg.checks import check_choice, check_integer, check_number
from dlseg.crf.exact import MOST_ITERATIONS, check_unary
from dlseg.crf.fast.filtering import METHODS, build_filter
from dlseg.crf.fast.updates import PairUpdate, ProductUpdate, SoftmaxUpdate, begin
from dlseg.crf.kernels import NORMALIZATIONS, Kernel, check_classes
from dlseg.crf.unary import check_probabilities

INPUTS = ("logits", "probabilities")

Update = SoftmaxUpdate | ProductUpdate | PairUpdate


class DenseCRF(nn.Module):
    """Refines a segmentation so that near pixels of like colour agree.

    kernels: one or more `Kernel`; their weights become the parameters `weights`, in this order.
    iterations: of mean field. normalization, self_term: of the kernels, see `Filter`.
    inputs: what the unary is, "logits" or "probabilities".
    method: "lattice" (fast), "bridged" (for an srgb of 5 or less: nearer to the truth, and slower),
    or "exact" (all pairs of pixels, for small images).
    trim: labels that are improbable everywhere send no messages, as long as that is proved to
    move at most `trim` of Q in one iteration (see `ProductUpdate`); 0 keeps all labels.
    Raises: ValueError for no kernel, or another normalization, inputs, method or number.
    """

    def __init__(
        self,
        kernels: Sequence[Kernel],
        iterations: int = 10,
        normalization: str = "symmetric",
        self_term: bool = True,
        inputs: str = "logits",
        method: str = "lattice",
        trim: float = 0.01,
    ):
        super().__init__()
        check_choice("normalization", normalization, NORMALIZATIONS)
        check_choice("inputs", inputs, INPUTS)
        check_choice("method", method, METHODS)
        check_number("trim", trim, 0, 1)
        if not kernels or not all(isinstance(kernel, Kernel) for kernel in kernels):
            raise ValueError(f"kernels must be a list of one or more Kernel, got {kernels!r}")
        if not 0 <= trim < 1:
            raise ValueError(f"trim must be at least 0 and below 1, got {trim}")
        self.kernels, self.trim = tuple(kernels), trim
        self.iterations = check_integer("iterations", iterations, 0, MOST_ITERATIONS)
        self.normalization, self.self_term = normalization, self_term
        self.inputs, self.method = inputs, method
        self.weights = nn.ParameterList(kernel.weight_tensor() for kernel in kernels)

    def forward(self, unary: Tensor, image: Tensor) -> Tensor:
        """Q after all iterations.

        unary: (B, C, H, W) logits or probabilities, C >= 2, float32 or float64.
        image: (B, 3, H, W) uint8, or floats in 0..255, or any feature image (B, F, H, W).
        Returns: (B, C, H, W) of the unary's dtype, sums of 1 over the labels. Differentiable with
        respect to the unary and the weights.
        Raises: ValueError for shapes that do not fit, NaN, colours or probabilities out of range, a
        sigma too small for the lattice, or a weight with another number of classes.
        """
        update = self.prepare(unary, image)
        for _ in range(self.iterations):
            update.step()
        return update.result()

    def steps(self, unary: Tensor, image: Tensor) -> Iterator[Tensor]:
        """Q before the first iteration (the softmax), then after each one; arguments of `forward`.

        Yields: iterations + 1 times (B, C, H, W).
        """
        update = self.prepare(unary, image)
        yield update.result()
        for _ in range(self.iterations):
            update.step()
            yield update.result()

    def prepare(self, unary: Tensor, image: Tensor) -> Update:
        """The start of mean field: all checks made, all filters built. Arguments of `forward`."""
        check_unary(unary, image, self.iterations)
        if self.inputs == "probabilities":
            check_probabilities(unary)
        weights = [weight.to(unary.dtype) for weight in self.weights]
        for weight in weights:
            check_classes(weight, unary.shape[1])
        options = self.normalization, self.self_term, self.method, unary.dtype
        filters = [build_filter(image, kernel, *options) for kernel in self.kernels]
        return begin(unary, self.inputs, filters, weights, self.trim)
