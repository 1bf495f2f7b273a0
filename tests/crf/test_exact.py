"""The brute force itself: against loops over pixels, and its two ways against each other."""

import math

import pytest
import torch

from dlseg.crf.energy import mean_field_progress
from dlseg.crf.exact import (
    ExactFilter,
    attention_filter,
    kernel_matrix,
    mean_field_steps,
    normalise,
)
from dlseg.crf.kernels import NORMALIZATIONS, Kernel, appearance, features, smoothness
from tests.crf.toys import exact_matrices, mean_field, random_case

EXACT = {"rtol": 0, "atol": 1e-12}


def test_kernel_matrix_is_the_formula():
    _, image = random_case(size=(3, 4))
    matrix = kernel_matrix(features(image, Kernel((5, 2), 60), torch.float64))[0]
    for i in range(12):
        for j in range(12):
            (y, x), (v, u) = divmod(i, 4), divmod(j, 4)
            colours = (image[0, :, y, x].double() - image[0, :, v, u]).square().sum().item()
            place = (x - u) ** 2 / 5**2 + (y - v) ** 2 / 2**2
            expected = math.exp(-place / 2 - colours / (2 * 60**2))
            assert matrix[i, j].item() == pytest.approx(expected, rel=1e-12)


def loops(unary, image, kernels, iterations, self_term):
    """Algorithm 1 of Kraehenbuehl and Koltun 2011, one number at a time; Potts, not normalised."""
    _, classes, height, width = unary.shape
    count = height * width
    u = unary[0].reshape(classes, count).T.tolist()
    matrices = [
        (kernel_matrix(features(image, kernel, torch.float64))[0].tolist(), kernel.weight)
        for kernel in kernels
    ]

    def softmax(energies):
        powers = [math.exp(-energy) for energy in energies]
        return [power / sum(powers) for power in powers]

    q = [softmax(row) for row in u]
    for _ in range(iterations):
        new = []
        for i in range(count):
            energies = []
            for label in range(classes):
                cost = u[i][label]
                for matrix, weight in matrices:
                    for j in range(count):
                        if self_term or j != i:
                            other = sum(q[j][m] for m in range(classes) if m != label)
                            cost += weight * matrix[i][j] * other
                energies.append(cost)
            new.append(softmax(energies))
        q = new
    return torch.tensor(q, dtype=torch.float64).T.reshape(1, classes, height, width)


@pytest.mark.parametrize("self_term", [True, False])
def test_mean_field_is_algorithm_1(self_term):
    unary, image = random_case(size=(3, 3))
    kernels = [appearance(2, 80, 0.7), smoothness(1, 0.4)]
    result = mean_field(unary, image, kernels, 4, "none", self_term)
    torch.testing.assert_close(result, loops(unary, image, kernels, 4, self_term), **EXACT)


def test_a_matrix_of_penalties_and_its_two_short_forms():
    unary, image = random_case()

    def refined(weight):
        return mean_field(unary, image, [Kernel(3, 60, weight)], 5)

    identity = torch.eye(3, dtype=torch.float64)
    torch.testing.assert_close(refined(2.0), refined(2 * (1 - identity)), **EXACT)
    gains = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    torch.testing.assert_close(refined(gains), refined(-torch.diag(gains)), **EXACT)
    torch.testing.assert_close(refined(2.0), refined([2.0, 2.0, 2.0]), **EXACT)
    # Row l holds what label l pays: a label that pays beside every other one disappears.
    rows = torch.zeros(3, 3)
    rows[2] = 50
    assert refined(rows)[:, 2].max() < refined(rows.T)[:, 2].max() / 10


@pytest.mark.parametrize("self_term", [True, False])
@pytest.mark.parametrize("how", NORMALIZATIONS)
def test_attention_is_the_matrix(how, self_term):
    _, image = random_case(batch=2, size=(8, 9))
    f = features(image, appearance(4, 60), torch.float64)
    values = torch.randn(2, 72, 5, dtype=torch.float64)
    matrix = normalise(kernel_matrix(f), how, self_term)
    apply = ExactFilter(f, how, self_term)
    torch.testing.assert_close(apply(values), matrix @ values, **EXACT)
    torch.testing.assert_close(apply.transpose(values), matrix.mT @ values, **EXACT)


@pytest.mark.parametrize("channels", [1, 2, 150])
def test_attention_for_few_and_many_channels_in_single_precision(channels):
    _, image = random_case(size=(12, 15))
    f = features(image, appearance())
    values = torch.rand(1, 180, channels)
    expected = kernel_matrix(f.double()) @ values.double()
    # A logit of size |f|^2 is rounded, and its error becomes the relative error of exp.
    largest = (f - f.mean(1)).square().sum(-1).max().item()
    rtol = largest * torch.finfo(torch.float32).eps
    assert rtol < 1e-4
    torch.testing.assert_close(attention_filter(f, values).double(), expected, rtol=rtol, atol=0)


def test_the_four_normalisations():
    matrix = kernel_matrix(torch.rand(1, 20, 2, dtype=torch.float64) * 3)
    one = torch.ones(1, 20, dtype=torch.float64)
    assert torch.equal(normalise(matrix, "none"), matrix)
    torch.testing.assert_close(normalise(matrix, "after").sum(2), one, **EXACT)
    torch.testing.assert_close(normalise(matrix, "before").sum(1), one, **EXACT)
    symmetric = normalise(matrix, "symmetric")
    torch.testing.assert_close(symmetric, symmetric.mT, **EXACT)
    # n^1/2 is its eigenvector with eigenvalue 1.
    root = matrix.sum(2).sqrt()
    torch.testing.assert_close((symmetric @ root[..., None])[..., 0], root, **EXACT)


def test_without_self_term_only_the_diagonal_is_gone():
    matrix = kernel_matrix(torch.rand(2, 9, 2))
    for how in NORMALIZATIONS:
        full, bare = (normalise(matrix, how, self_term) for self_term in (True, False))
        assert not bare.diagonal(dim1=1, dim2=2).any()
        away = ~torch.eye(9, dtype=torch.bool)
        assert torch.equal(full[:, away], bare[:, away])


def test_exact_matrices_are_one_per_kernel():
    _, image = random_case()
    kernels = [smoothness(), appearance()]
    matrices = exact_matrices(image, kernels, "after", dtype=torch.float64)
    assert [matrix.shape for matrix in matrices] == [(1, 42, 42)] * 2
    assert matrices[0].dtype == torch.float64
    expected = normalise(kernel_matrix(features(image, kernels[1], torch.float64)), "after")
    assert torch.equal(matrices[1], expected)


def test_steps_begin_with_the_softmax_and_end_with_the_result():
    unary, image = random_case(batch=2)
    kernel = Kernel(2, 50, 3)
    matrices = exact_matrices(image, [kernel], dtype=torch.float64)
    weights = [kernel.weight_tensor(torch.float64)]
    pixels = unary.flatten(2).mT
    filters = [matrix.matmul for matrix in matrices]
    steps = list(mean_field_steps(pixels, filters, weights, 4))
    assert len(steps) == 5
    torch.testing.assert_close(steps[0], (-pixels).softmax(-1), **EXACT)
    torch.testing.assert_close(
        steps[4].mT.reshape(2, 3, 6, 7), mean_field(unary, image, [kernel], 4)
    )


def test_gradients_of_the_oracle_and_of_attention():
    unary, image = random_case(size=(2, 3))
    (matrix,) = exact_matrices(image, [Kernel(2, 90)], dtype=torch.float64)
    weight = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
    pixels = unary.flatten(2).mT.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda u, w: list(mean_field_steps(u, [matrix.matmul], [w], 3))[-1], (pixels, weight)
    )
    # The exact filter has what the lattice has not: a gradient to the features, so to the sigmas.
    f = features(image, Kernel(2, 90), torch.float64).requires_grad_()
    values = torch.rand(1, 6, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(attention_filter, (f, values))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"normalization": "both"}, "normalization must be one of none, before, after, symmetric"),
        ({"iterations": -1}, "iterations must be an integer >= 0"),
        ({"iterations": 2.5}, "iterations must be an integer >= 0"),
        ({"unary": torch.zeros(3, 6, 7)}, "unary must be floats"),
        ({"unary": torch.zeros(1, 3, 6, 7, dtype=torch.long)}, "got torch.int64"),
        ({"unary": torch.zeros(1, 3, 6, 7).half()}, "^the unary must be float32 or float64, got"),
        ({"unary": torch.zeros(1, 1, 6, 7)}, "^the unary must have two classes or more"),
        ({"iterations": 10_001}, "iterations must be an integer <= 10000"),
        ({"unary": torch.zeros(1, 3, 6, 8)}, "same batch and size"),
        ({"unary": torch.zeros(2, 3, 6, 7)}, "same batch and size"),
        ({"unary": torch.full((1, 3, 6, 7), math.inf)}, "unary must be finite, got 126 values"),
        ({"image": torch.zeros(3, 6, 7)}, "the image must be"),
        ({"kernels": [Kernel(3, weight=[1, 2])]}, "weight has 2 classes, the unary has 3"),
    ],
)
def test_clear_errors(change, message):
    unary, image = random_case()
    arguments = {"unary": unary, "image": image, "kernels": [appearance()], **change}
    with pytest.raises(ValueError, match=message):
        mean_field_progress(**arguments)


@pytest.mark.parametrize("shape", [(3, 3), (1, 2, 3), (1, 2, 3, 3)])
def test_what_is_no_matrix_is_not_normalised(shape):
    with pytest.raises(ValueError, match=r"must be floats \(B, N, N\), got torch.float32"):
        normalise(torch.ones(shape))
