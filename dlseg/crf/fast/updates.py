"""One iteration of mean field, twice: as the softmax it is, and as a product that is faster.

    Q_i(l) = softmax_l(log P_i(l) - penalty_i(l))         any weights, differentiable
    Q_i(l) = P_i(l) exp(m_i(l)) / Z_i                     Potts, no gradients

With Potts weights w_k >= 0 the penalty is -m_i(l) = -sum_k w_k (K_k Q)_i(l) up to a term that all
labels share. m lies between 0 and s = max_i sum_k w_k (K_k 1)_i, which is small, so that exp(m)
needs no maximum subtracted; and labels whose message hardly matters can be left out.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from dlseg.crf.fast.filtering import Filter
from dlseg.crf.kernels import penalty, to_maps, to_pixels

LARGEST_MESSAGE = 60.0  # exp(60) is far from the largest float32, even 150 times over
SMALLEST = 1e-30  # stands for a probability of 0, which has no logarithm


class SoftmaxUpdate:
    """Mean field for any weights: (), (C,) or (C, C) each. Gradients flow.

    logits: (B, C, H, W). filters: one per kernel. weights: one per filter.
    """

    def __init__(self, logits: Tensor, filters: Sequence[Filter], weights: Sequence[Tensor]):
        self.logits, self.filters, self.weights = logits, filters, weights
        self.q = logits.softmax(1)

    def step(self) -> None:
        """One iteration, all pixels at once."""
        q = to_pixels(self.q).contiguous()  # (B, N, C)
        pairs = zip(self.filters, self.weights, strict=True)
        cost = sum(penalty(kernel(q), weight) for kernel, weight in pairs)
        self.q = (self.logits - to_maps(cost, self.logits.shape[2:])).softmax(1)

    def result(self) -> Tensor:
        """Q, (B, C, H, W)."""
        return self.q


class ProductUpdate:
    """Mean field for Potts weights >= 0, without gradients, and with trimmed labels.

    Trimming. Let P_i(l) <= t for a label l at all pixels i. All messages are >= 0, so Z_i >= 1 and
    Q_i(l) <= t exp(m_i(l)), while m_i(l) <= s max_j Q_j(l). By induction over the iterations
    m_i(l) <= mu, where mu = s t exp(mu) is the smaller root; there is one if s t <= 1/e. A set of
    such labels that send no messages (and keep P / Z) therefore changes Q_i, in one iteration, by a
    total variation of at most the sum of their P_i(l) (exp(mu) - 1), because it takes no more than
    that from a Z_i >= 1. The least probable labels are trimmed as long as this sum is at most
    `trim` at all pixels; which ones is decided for every image alone.

    probabilities: (B, C, H, W). filters, weights: one per kernel, weights () >= 0.
    total: (B, N, 1), the message sum_k w_k K_k 1. trim: see above.
    """

    def __init__(self, probabilities: Tensor, filters, weights, total: Tensor, trim: float):
        self.filters, self.weights = filters, [float(weight) for weight in weights]
        self.p = probabilities
        self.live = ~trimmed(probabilities, total.amax((1, 2)), trim)  # (B, C)
        self.labels = self.live.any(0).nonzero().view(-1)  # L of them
        self.live = self.live[:, self.labels, None, None]
        kept = probabilities[:, self.labels] * self.live
        self.start = to_pixels(kept).contiguous()  # (B, N, L)
        self.rest = (1 - kept.sum(1)).clamp_(min=0).flatten()  # (B N,)
        self.z, self.q = torch.ones_like(self.rest), self.start

    def step(self) -> None:
        """One iteration, all pixels at once."""
        e = messages(self.filters, self.weights, self.q).exp_().mul_(self.start)
        e = e.view(len(self.z), -1)  # (B N, L)
        self.z = torch.addmv(self.rest, e, e.new_ones(e.shape[1]))
        self.q = e.div_(self.z[:, None]).view(self.start.shape)

    def result(self) -> Tensor:
        """Q, (B, C, H, W)."""
        size = self.p.shape[2:]
        out = self.p / self.z.view(-1, 1, *size)
        out[:, self.labels] = torch.where(self.live, to_maps(self.q, size), out[:, self.labels])
        return out


class PairUpdate:
    """Mean field for two labels, Potts, without gradients: one channel, d = Q(1) - Q(0).

    The messages are linear: m(1) - m(0) = sum_k w_k K_k d. And d = tanh(x / 2) if the logits of the
    two labels differ by x.
    probabilities: (B, 2, H, W). filters, weights: as for `ProductUpdate`.
    """

    def __init__(self, probabilities: Tensor, filters, weights):
        self.filters, self.weights = filters, [float(weight) for weight in weights]
        self.size = probabilities.shape[2:]
        p = to_pixels(probabilities)  # (B, N, 2)
        self.bias = p[..., 1:].log() - p[..., :1].log()  # plus or minus infinity is welcome
        self.x = self.bias  # (B, N, 1)
        self.d = (p[..., 1:] - p[..., :1]).contiguous()

    def step(self) -> None:
        """One iteration, all pixels at once."""
        self.x = messages(self.filters, self.weights, self.d).add_(self.bias)
        self.d = (self.x / 2).tanh_()

    def result(self) -> Tensor:
        """Q, (B, 2, H, W)."""
        x = to_maps(self.x, self.size)
        return torch.cat([-x, x], 1).sigmoid_()


def messages(filters: Sequence[Filter], weights: Sequence[float], q: Tensor) -> Tensor:
    """sum_k w_k K_k q, a new tensor of the shape of q (B, N, L)."""
    total = filters[0](q).mul_(weights[0])
    for kernel, weight in zip(filters[1:], weights[1:], strict=True):
        total.add_(kernel(q), alpha=weight)
    return total


def trimmed(probabilities: Tensor, strongest: Tensor, trim: float) -> Tensor:
    """Which labels need not send messages, (B, C), by the bound of `ProductUpdate`.

    probabilities: (B, C, H, W). strongest: (B,), s of each image. trim: the bound; 0 for no label.
    """
    largest = probabilities.flatten(2).amax(2)  # (B, C), t
    slope = strongest[:, None].double() * largest  # s t
    mu = torch.zeros_like(slope)
    for _ in range(64):  # to the smaller root; the error halves at least each time, if s t < 0.3
        mu = (slope * mu.exp()).clamp(max=1)
    growth = mu.expm1()
    growth[slope > 0.3] = math.inf
    growth.scatter_(1, largest.argmax(1, keepdim=True), math.inf)  # somebody must speak
    order = largest.argsort(1)
    bound = (largest * growth).gather(1, order).cumsum(1)  # of the least probable labels together
    silent = torch.zeros_like(slope, dtype=torch.bool).scatter_(1, order, bound <= trim)
    possible = growth.isfinite()
    if trim > 0 and not torch.equal(silent, possible):
        # The largest P of the labels are at different pixels: look at the sum at each pixel.
        some = (growth * possible).nan_to_num().to(probabilities.dtype)  # (B, C)
        sums = torch.einsum("bchw,bc->bhw", probabilities, some).amax((1, 2))
        silent = torch.where((sums <= trim)[:, None], possible, silent)
    return silent


def begin(
    unary: Tensor, inputs: str, filters: Sequence[Filter], weights: Sequence[Tensor], trim: float
) -> SoftmaxUpdate | ProductUpdate | PairUpdate:
    """The quickest update that gives the right result.

    unary: (B, C, H, W), inputs: "logits" or "probabilities"; the rest as for the updates.
    """
    learning = torch.is_grad_enabled() and any(x.requires_grad for x in (unary, *weights))
    if not learning and all(weight.dim() == 0 and weight >= 0 for weight in weights):
        p = unary.softmax(1) if inputs == "logits" else unary / unary.sum(1, keepdim=True)
        if p.shape[1] == 2:
            return PairUpdate(p, filters, weights)
        ones = p.new_ones(p.shape[0], p.shape[2] * p.shape[3], 1)
        total = messages(filters, [float(weight) for weight in weights], ones)
        if total.max() <= LARGEST_MESSAGE:
            return ProductUpdate(p, filters, weights, total, trim)
    logits = unary if inputs == "logits" else unary.clamp(min=SMALLEST).log()
    return SoftmaxUpdate(logits, filters, weights)
