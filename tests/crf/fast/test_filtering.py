"""Filters: four normalisations, with and without the self term, transpose and gradients."""

import itertools

import pytest
import torch

from dlseg.crf.fast.filtering import METHODS, build_filter
from dlseg.crf.kernels import MOST_SIGMAS, NORMALIZATIONS, appearance, smoothness
from tests.crf.toys import exact_matrices, random_case
from tests.sampling import sampled

KERNELS = {"appearance": appearance(20, 60, 1), "smoothness": smoothness(2, 1)}
CASES = list(itertools.product(KERNELS, NORMALIZATIONS, (True, False)))


def matrix_of(one, batch, n):
    return one(torch.eye(n, dtype=torch.float64).expand(batch, n, n))


def fast(name, how="symmetric", self_term=True, size=(6, 7), **options):
    _, image = random_case(batch=2, size=size)
    return build_filter(image, KERNELS[name], how, self_term, dtype=torch.float64, **options)


@pytest.mark.parametrize(("name", "how", "self_term"), CASES)
def test_normalised_is_the_raw_matrix_divided(name, how, self_term):
    raw = matrix_of(fast(name, "none"), 2, 42)
    n = raw.sum(-1)
    left = {"after": 1 / n, "symmetric": n.rsqrt()}.get(how, torch.ones_like(n))
    right = {"before": 1 / n, "symmetric": n.rsqrt()}.get(how, torch.ones_like(n))
    expected = left[:, :, None] * raw * right[:, None, :]
    if not self_term:
        expected = expected - torch.diag_embed(expected.diagonal(dim1=1, dim2=2))
    result = matrix_of(fast(name, how, self_term), 2, 42)
    torch.testing.assert_close(result, expected)
    assert result.min() > -1e-12  # no message is negative


@pytest.mark.parametrize(("name", "how", "self_term"), sampled(CASES, 6))
def test_the_transpose_and_gradients_of_any_order(name, how, self_term):
    one = fast(name, how, self_term, (3, 4))
    matrix = matrix_of(one, 2, 12)
    torch.testing.assert_close(matrix_of(one.transpose, 2, 12), matrix.mT)
    unary, _ = random_case(batch=2, classes=2, size=(3, 4))
    values = unary.flatten(2).mT.contiguous().requires_grad_()  # (2, 12, 2)
    assert torch.autograd.gradcheck(one, values)
    assert torch.autograd.gradcheck(one.transpose, values)
    assert torch.autograd.gradgradcheck(lambda x: one(x).square(), values)


@pytest.mark.parametrize("name", KERNELS)
def test_exact_is_the_matrix_of_the_formula(name):
    _, image = random_case(batch=2)
    one = fast(name, "after", False, method="exact")
    (expected,) = exact_matrices(image, [KERNELS[name]], "after", False, torch.float64)
    torch.testing.assert_close(matrix_of(one, 2, 42), expected)


def test_messages_need_no_graph_and_keep_nothing_for_it():
    one = fast("appearance")
    values = torch.rand(2, 42, 3, dtype=torch.float64)
    assert not one(values).requires_grad
    with torch.inference_mode():
        torch.testing.assert_close(one(values), one(values.clone()))
    values.requires_grad_()
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(saved.append, lambda x: x):
        one(values)
    assert not saved


def test_an_image_with_gradient_gives_none_to_it():
    image = (255 * torch.rand(1, 3, 6, 7)).requires_grad_()
    one = build_filter(image, KERNELS["appearance"])
    assert not one(torch.rand(1, 42, 2)).requires_grad


def test_clear_errors():
    _, image = random_case()
    with pytest.raises(ValueError, match=r"method must be one of lattice, .*, got 'gpu'"):
        build_filter(image, KERNELS["appearance"], method="gpu")
    for method in METHODS:
        with pytest.raises(ValueError, match="normalization must be one of"):
            build_filter(image, KERNELS["appearance"], "rows", method=method)
    with pytest.raises(ValueError, match=r"srgb is too small: the image runs over 2.5\de\+05"):
        build_filter(image, appearance(80, 1e-3))
    with pytest.raises(ValueError, match=r"sxy is too small: the image runs over \de\+09"):
        build_filter(image, appearance((80, 1e-9), 13))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("axis", [0, 1])
def test_a_position_of_too_many_sigmas_is_refused_by_every_method(axis, method):
    _, image = random_case(size=(6, 7))
    sigma = [3.0, 3.0]
    sigma[axis] = (6, 5)[axis] / MOST_SIGMAS  # of the last column, of the last row
    build_filter(image, smoothness(tuple(sigma)), method=method)
    sigma[axis] *= 0.99
    with pytest.raises(ValueError, match=r"sxy is too small: .* 6.62e\+04"):
        build_filter(image, smoothness(tuple(sigma)), method=method)
