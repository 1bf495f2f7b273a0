"""The Gaussian on the grid against the formula: shifted copies, or splines."""

import pytest
import torch

from dlseg.crf.exact import kernel_matrix
from dlseg.crf.fast.spatial import Grid, gaussian_taps, spline
from dlseg.crf.kernels import Kernel, features

# (sx, sy): both exact, one of each, both by splines, a wide one
SIGMAS = [(0.5, 1.0), (1.9, 3.0), (2.0, 2.0), (3.0, 3.0), (4.7, 3.1)]
SIZE = (41, 52)


def exact(size, sigma, batch=1):
    image = torch.zeros(batch, 1, *size, dtype=torch.float64)
    return kernel_matrix(features(image, Kernel(sigma)))


def random_values(*shape, seed=0, dtype=torch.float64):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("sigma", SIGMAS, ids=str)
def test_messages_are_exact_up_to_a_third_of_a_percent(sigma):
    values = random_values(1, SIZE[0] * SIZE[1], 3)
    matrix = exact(SIZE, sigma)
    expected = matrix @ values
    result = Grid(1, SIZE, sigma, torch.float64)(values)
    assert (result - expected).norm() < 3e-3 * expected.norm()
    n = matrix.sum(-1, keepdim=True).sqrt()
    grid = Grid(1, SIZE, sigma, torch.float64)
    grid.normalise()
    expected = matrix @ (values / n) / n
    assert (grid(values) - expected).norm() < 3e-3 * expected.norm()


def test_below_two_pixels_it_is_exact_up_to_the_tails():
    values = random_values(1, SIZE[0] * SIZE[1], 2)
    expected = exact(SIZE, (1.5, 1.0)) @ values
    result = Grid(1, SIZE, (1.5, 1.0), torch.float64)(values)
    torch.testing.assert_close(result, expected, rtol=1e-4, atol=0)


@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("sigma", SIGMAS, ids=str)
def test_the_matrix_is_symmetric_positive_and_knows_its_diagonal(sigma, normalised):
    size = (13, 16)
    grid = Grid(1, size, sigma, torch.float64)
    if normalised:
        before = grid(torch.eye(208, dtype=torch.float64)[None])[0]
        grid.normalise()
    matrix = grid(torch.eye(208, dtype=torch.float64)[None])[0]
    torch.testing.assert_close(matrix, matrix.T)
    torch.testing.assert_close(grid.diagonal().flatten(), matrix.diagonal())
    assert matrix.min() >= 0
    assert torch.linalg.eigvalsh(matrix).min() > -1e-3  # the cut tails leave a little
    if normalised:
        n = before.sum(1)
        torch.testing.assert_close(matrix, before / (n[:, None] * n).sqrt())


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (30, 1), (2, 3), (1, 5)])
def test_single_pixels_rows_and_columns(size):
    values = random_values(1, size[0] * size[1], 2)
    expected = exact(size, (3.0, 3.0)) @ values
    result = Grid(1, size, (3.0, 3.0), torch.float64)(values)
    assert (result - expected).norm() < 0.012 * expected.norm()


def test_a_batch_is_its_images_one_by_one():
    values = random_values(3, SIZE[0] * SIZE[1], 4)
    together = Grid(3, SIZE, (3.0, 1.0), torch.float64)(values)
    alone = Grid(1, SIZE, (3.0, 1.0), torch.float64)
    for image in range(3):
        torch.testing.assert_close(together[image], alone(values[image : image + 1])[0])


def test_single_precision_and_many_channels():
    values = random_values(2, SIZE[0] * SIZE[1], 40)
    for sigma in ((1.0, 1.0), (3.0, 3.0)):
        expected = Grid(2, SIZE, sigma, torch.float64)(values)
        result = Grid(2, SIZE, sigma, torch.float32)(values.float())
        torch.testing.assert_close(result.double(), expected, rtol=1e-5, atol=1e-4)


def test_taps_reach_four_sigmas_or_the_end():
    assert len(gaussian_taps(1.0, 100)) == 5
    assert len(gaussian_taps(1.0, 3)) == 3
    assert gaussian_taps(2.0, 100)[2] == pytest.approx(0.6065306597)


def test_splines_add_to_one_and_have_variance_a_third():
    x = torch.arange(-3, 4, dtype=torch.float64)
    for shift in (0.0, 0.3, 0.77):
        assert spline(x + shift).sum().item() == pytest.approx(1)
        moment = (spline(x + shift) * (x + shift) ** 2).sum().item()
        assert moment == pytest.approx(1 / 3)
