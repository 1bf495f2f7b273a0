"""The energy by loops, -log Z by every labelling, and when mean field keeps its promise."""

import itertools
import math

import pytest
import torch

from dlseg.crf.energy import free_energy, labelling_energy, mean_field_progress, pairwise_energy
from dlseg.crf.exact import ExactFilter, mean_field_steps
from dlseg.crf.kernels import Kernel, appearance, compatibility, features, smoothness
from tests.crf.toys import coarse_logits, exact_matrices, mean_field, photograph, random_case

KERNELS = (smoothness(2, 1.5), appearance(3, 90, 2.0))
WEIGHTS = [torch.tensor(kernel.weight, dtype=torch.float64) for kernel in KERNELS]


def filters(image, self_term, kernels=KERNELS, how="symmetric"):
    matrices = exact_matrices(image, kernels, how, self_term, torch.float64)
    return [matrix.matmul for matrix in matrices]


def by_loops(labels, unary, image):
    """E(x) with a sum over the pairs of pixels, one number at a time."""
    x, u = labels.flatten().tolist(), unary[0].flatten(1).tolist()
    total = sum(u[label][i] for i, label in enumerate(x))
    for matrix, kernel in zip(
        exact_matrices(image, KERNELS, dtype=torch.float64), KERNELS, strict=True
    ):
        k = matrix[0].tolist()
        pairs = itertools.combinations(range(len(x)), 2)
        total += sum(kernel.weight * k[i][j] for i, j in pairs if x[i] != x[j])
    return total


@pytest.mark.parametrize("self_term", [True, False])
def test_energy_is_that_of_loops(self_term):
    unary, image = random_case(size=(3, 4))
    labels = torch.randint(0, 3, (1, 3, 4), generator=torch.Generator().manual_seed(1))
    # A Potts penalty is 0 between a pixel and itself, so the self term does not matter here.
    energy = labelling_energy(labels, unary, filters(image, self_term), WEIGHTS)
    assert energy.item() == pytest.approx(by_loops(labels, unary, image), rel=1e-12)


def test_energy_of_a_matrix_of_penalties():
    unary = torch.zeros(1, 2, 1, 2, dtype=torch.float64)
    image = torch.zeros(1, 3, 1, 2, dtype=torch.uint8)
    mu = torch.tensor([[1.0, 5.0], [3.0, 2.0]], dtype=torch.float64)
    apply = filters(image, False, [Kernel(1)], "none")
    k = math.exp(-0.5)
    for pair, penalty in (((0, 0), 1), ((1, 1), 2), ((0, 1), 4), ((1, 0), 4)):
        labels = torch.tensor(pair).reshape(1, 1, 2)
        # Each pair has both orders, mu(l, m) and mu(m, l), half each.
        result = labelling_energy(labels, unary, apply, [mu]).item()
        assert result == pytest.approx(k * penalty, rel=1e-12)
    with pytest.raises(ValueError, match="labels must be 0 to 1, got 2"):
        labelling_energy(torch.tensor([[[0, 2]]]), unary, apply, [mu])


def log_partition(unary, apply, weights):
    """log Z by writing down every labelling; filters without diagonal."""
    _, channels, *size = unary.shape
    every = torch.tensor(list(itertools.product(range(channels), repeat=math.prod(size))))
    return (-labelling_energy(every.reshape(-1, *size), unary, apply, weights)).logsumexp(0)


@pytest.mark.parametrize("seed", range(5))
def test_free_energy_is_the_divergence_and_never_below_minus_log_z(seed):
    unary, image = random_case(seed, classes=3, size=(2, 3))
    apply = filters(image, self_term=False)
    log_z = log_partition(unary, apply, WEIGHTS).item()
    # P(x) of all 3^6 labellings, and Q(x) as a product over the pixels.
    labellings = torch.tensor(list(itertools.product(range(3), repeat=6)))
    log_p = -labelling_energy(labellings.reshape(-1, 2, 3), unary, apply, WEIGHTS) - log_z
    assert log_p.exp().sum().item() == pytest.approx(1, rel=1e-12)
    start = (-unary).softmax(1)
    refined = mean_field(unary, image, KERNELS, 10, self_term=False)
    uniform = torch.full_like(start, 1 / 3)
    for q in (start, refined, uniform):
        each = q.flatten(2)[0].log()  # (3, 6)
        log_q = (
            each.T.expand(len(labellings), 6, 3).gather(2, labellings[..., None]).sum((1, 2))
        )  # (3^6,)
        divergence = (log_q.exp() * (log_q - log_p)).sum().item()
        free = free_energy(q, unary, apply, WEIGHTS).item()
        assert free == pytest.approx(divergence - log_z, rel=1e-9)
        assert free >= -log_z
        # The diagonal adds penalties, so the bound stays.
        assert free_energy(q, unary, filters(image, self_term=True), WEIGHTS).item() > free


def test_mean_field_is_exact_where_pixels_are_independent():
    unary, image = random_case(size=(2, 3))
    apply = filters(image, False)
    none = [torch.zeros((), dtype=torch.float64)] * 2
    log_z = log_partition(unary, apply, none)
    torch.testing.assert_close(free_energy((-unary).softmax(1), unary, apply, none)[0], -log_z)
    torch.testing.assert_close(log_z, (-unary).logsumexp(1).sum())


def free_energies(unary, image, kernels, self_term, iterations=12, how="symmetric"):
    apply = filters(image, self_term, kernels, how)
    weights = [kernel.weight_tensor(torch.float64) for kernel in kernels]
    size = unary.shape[2:]
    return torch.stack(
        [
            free_energy(pixels.mT.unflatten(2, size), unary, apply, weights)
            for pixels in mean_field_steps(unary.flatten(2).mT, apply, weights, iterations)
        ]
    )


@pytest.mark.parametrize("weight", [0.5, 3.0, 10.0, 60.0])
@pytest.mark.parametrize("how", ["none", "symmetric"])
def test_the_diagonal_kept_free_energy_never_rises(how, weight):
    """K symmetric, positive semidefinite, Potts: the update is the concave-convex step."""
    for seed in range(4):
        unary, image = random_case(seed, batch=3, classes=4)
        kernels = (smoothness(2, weight), appearance(4, 60, weight))
        result = free_energies(unary, image, kernels, self_term=True, how=how)  # (13, 3)
        slack = 1e-12 * result.abs().max()
        assert (result.diff(dim=0) <= slack).all()


def test_it_never_rises_on_a_photograph():
    image = photograph((30, 25))
    unary = -coarse_logits(image, 5).double()
    kernels = (smoothness(3, 3), appearance(80, 13, 10))
    result = free_energies(unary, image, kernels, self_term=True)
    assert (result.diff(dim=0) <= 1e-12 * result.abs().max()).all()
    assert result[0] - result[-1] > 100


def test_without_diagonal_two_pixels_swap_for_ever():
    """Each takes the other's opinion at once, and none keeps its own: the counter-example."""
    unary = torch.tensor([[0.0, 0.0], [0.4, -0.4]], dtype=torch.float64).reshape(1, 2, 1, 2)
    image = torch.zeros(1, 3, 1, 2, dtype=torch.uint8)
    kernels = [Kernel(1, weight=10.0)]  # k = exp(-1/2), so the pair is worth 6
    q = [mean_field(unary, image, kernels, n, "none", False)[0, 0, 0] for n in range(20, 24)]
    for now, then in itertools.pairwise(q):
        assert now[0] > 0.99 > 0.01 > now[1] or now[1] > 0.99 > 0.01 > now[0]
        torch.testing.assert_close(now.flip(0), then, rtol=0, atol=0.01)
    result = free_energies(unary, image, kernels, self_term=False, how="none")
    assert (result.diff(dim=0) > 0).any()
    # With the diagonal each keeps to what it has.
    settled = [mean_field(unary, image, kernels, n, "none", True)[0, 0, 0] for n in (20, 21)]
    torch.testing.assert_close(*settled)


def test_progress_is_the_numbers_by_matrices():
    unary, image = random_case(batch=2, classes=3)
    lines = mean_field_progress(unary, image, KERNELS, 3)
    assert [line.iteration for line in lines] == [0, 1, 2, 3]
    assert lines[0].changed == 0
    before = (-unary).argmax(1)
    for line in lines[1:]:
        q = mean_field(unary, image, KERNELS, line.iteration)
        apply = filters(image, True)
        labels = q.argmax(1)
        energy = labelling_energy(labels, unary, apply, WEIGHTS).sum().item()
        assert line.energy == pytest.approx(energy, rel=1e-12)
        free = free_energy(q, unary, apply, WEIGHTS).sum().item()
        assert line.free_energy == pytest.approx(free, rel=1e-12)
        assert line.changed == (labels != before).double().mean()
        before = labels
    assert lines[1].changed > 0


def test_pairwise_energy_takes_any_filter():
    unary, image = random_case()
    q = (-unary).softmax(1)
    by_attention = [ExactFilter(features(image, kernel, torch.float64)) for kernel in KERNELS]
    torch.testing.assert_close(
        pairwise_energy(q, by_attention, WEIGHTS),
        pairwise_energy(q, filters(image, True), [compatibility(weight, 3) for weight in WEIGHTS]),
    )
