"""The lattice: its simplices, its matrix against brute force, its keys, its transpose."""

import itertools

import pytest
import torch

from dlseg.crf.exact import kernel_matrix
from dlseg.crf.fast import vertices
from dlseg.crf.fast.lattice import Lattice, bridge_keys, neighbours
from dlseg.crf.fast.vertices import axes, barycentric, elevate, locate

DIMENSIONS = range(1, 9)


def cloud(*shape, seed=0, dtype=torch.float64, width=3.0):
    """Features: random points in a cube of `width` sigmas."""
    generator = torch.Generator().manual_seed(seed)
    return width * torch.rand(*shape, generator=generator, dtype=dtype) - width / 3


def matrix_of(lattice, batch, n):
    return lattice(torch.eye(n, dtype=torch.float64).expand(batch, n, n))


def vertices_of(corner, order):
    """The vertices (d + 1, d + 1, n) of each simplex: the corner, then one axis more at a time."""
    steps = torch.nn.functional.one_hot(axes(order).long(), len(corner)).permute(0, 2, 1)
    return torch.cat([corner[None], corner + steps[:-1].cumsum(0)])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("d", DIMENSIONS)
def test_a_point_is_the_weighted_mean_of_its_vertices(d, dtype):
    points = cloud(d, 200, width=20, dtype=dtype)
    y = elevate(points)
    corner, order, low, high = locate(points)
    weights = barycentric(order, dtype)
    assert weights.min() >= 0
    torch.testing.assert_close(weights.sum(0), torch.ones(200, dtype=dtype))
    mean = (vertices_of(corner, order) * weights[:, None]).sum(0)
    tolerance = 1e-5 if dtype == torch.float32 else 1e-13
    # The same up to a multiple of (1, ..., 1), which leads to the same place.
    shift = mean - y
    torch.testing.assert_close(shift, shift[:1].expand_as(y), rtol=0, atol=tolerance)
    digits = corner[:-1] - corner[-1]
    assert (digits.amin(1).tolist(), digits.amax(1).tolist()) == (low, high)


@pytest.mark.parametrize("d", DIMENSIONS)
def test_elevation_keeps_angles_and_scales_by_the_root_of_two_thirds(d):
    y = elevate(torch.eye(d, dtype=torch.float64))
    torch.testing.assert_close(y.T @ y, torch.eye(d, dtype=torch.float64) * 2 / 3)
    torch.testing.assert_close(y.sum(0), torch.zeros(d, dtype=torch.float64))


@pytest.mark.parametrize("d", [1, 2, 3])
def test_the_whole_is_as_wide_as_the_gaussian_and_holds_as_much(d):
    """Splat on a dense grid: sum and variance of the messages of one pixel in the middle."""
    reach, spacing = 3.5, 0.25 if d < 3 else 0.5
    line = torch.arange(-reach, reach + 1e-9, spacing, dtype=torch.float64)
    points = torch.cartesian_prod(*[line] * d).reshape(1, -1, d)
    values = torch.zeros(1, points.shape[1], 1, dtype=torch.float64)
    values[0, points.shape[1] // 2] = 1
    message = Lattice(points + 0.1)(values)[0]  # (N, 1)
    total = message.sum().item() * spacing**d
    assert total == pytest.approx((2 * torch.pi) ** (d / 2), rel=0.02)
    variance = (message * points[0].square()).sum(0) / message.sum()
    torch.testing.assert_close(variance, torch.ones(d, dtype=torch.float64), rtol=0, atol=0.12)


@pytest.mark.parametrize("d", DIMENSIONS)
def test_near_the_exact_filter_where_pixels_are_dense(d):
    """Points on a surface in d dimensions, as the pixels of a photograph are."""
    t = torch.linspace(0, 1, 24, dtype=torch.float64)
    v, u = torch.meshgrid(t, t, indexing="ij")
    waves = [u, v, *(torch.sin(3 * u + k) * torch.cos(2 * v - k) / 3 for k in range(6))]
    points = 3 * torch.stack([wave.flatten() for wave in waves[:d]], -1)[None]
    values = torch.stack([u.flatten(), (u > 0.5).double().flatten()], -1)[None]
    matrix, lattice = kernel_matrix(points), Lattice(points)
    expected = matrix @ values / matrix.sum(-1, keepdim=True)
    result = lattice(values) / lattice(torch.ones_like(values[..., :1]))
    assert (result - expected).norm() < 0.05 * expected.norm()


@pytest.mark.parametrize("bridges", [False, True])
@pytest.mark.parametrize("d", DIMENSIONS)
def test_transpose_is_the_transposed_matrix(d, bridges):
    lattice = Lattice(cloud(2, 30, d), bridges=bridges)
    transposed = lattice.transpose(torch.eye(30, dtype=torch.float64).expand(2, 30, 30))
    torch.testing.assert_close(matrix_of(lattice, 2, 30).mT, transposed)


def test_the_matrix_is_not_symmetric():
    matrix = matrix_of(Lattice(cloud(1, 60, 5)), 1, 60)
    assert (matrix - matrix.mT).abs().max() > 1e-3
    assert matrix.min() >= 0


@pytest.mark.parametrize("bridges", [False, True])
@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("d", DIMENSIONS)
def test_the_diagonal_is_that_of_the_matrix(d, normalised, bridges):
    lattice = Lattice(cloud(2, 25, d, seed=d), bridges=bridges)
    if normalised:
        lattice.normalise()
    diagonal = matrix_of(lattice, 2, 25).diagonal(dim1=1, dim2=2)
    torch.testing.assert_close(lattice.diagonal()[..., 0], diagonal)


def test_normalised_on_both_sides():
    lattice = Lattice(cloud(2, 40, 5))
    matrix = matrix_of(lattice, 2, 40)
    n = matrix.sum(-1)
    lattice.normalise()
    expected = matrix / (n[:, :, None] * n[:, None, :]).sqrt()
    torch.testing.assert_close(matrix_of(lattice, 2, 40), expected)


def test_a_batch_is_its_images_one_by_one():
    points = torch.cat([cloud(1, 50, 5, seed=seed, width=1 + seed) for seed in range(3)])
    values = cloud(3, 50, 4)
    together = Lattice(points)(values)
    for image in range(3):
        alone = Lattice(points[image : image + 1])(values[image : image + 1])
        torch.testing.assert_close(together[image], alone[0], rtol=0, atol=1e-14)
    assert Lattice(points[:1].expand(4, 50, 5)).size == 4 * Lattice(points[:1]).size


def test_the_same_every_time_and_for_one_column_alone():
    points, values = cloud(1, 300, 5, dtype=torch.float32), cloud(1, 300, 3, dtype=torch.float32)
    first, second = Lattice(points), Lattice(points)
    assert torch.equal(first(values), second(values))
    for column in range(3):  # one column goes another way
        alone = first(values[..., column : column + 1])
        torch.testing.assert_close(alone, first(values)[..., column : column + 1])


def test_both_sorts_give_the_same_lattice(monkeypatch):
    points, values = cloud(2, 200, 5), cloud(2, 200, 3)
    packed = Lattice(points)
    monkeypatch.setattr(vertices, "KEY_BITS", 20)  # room for the key, not for the number too
    monkeypatch.setattr(vertices, "sort_packed", None)  # nobody may call it
    plain = Lattice(points)
    assert torch.equal(packed.slice.indices, plain.slice.indices)
    torch.testing.assert_close(packed(values), plain(values))


def test_long_keys_are_sorted_without_their_number():
    """Keys of 60 bits leave no room for the number of the pixel."""
    points = cloud(1, 40, 5)
    points[0, 0] = 4000.0
    far = Lattice(points)
    near = Lattice(points[:, 1:])
    values = cloud(1, 39, 2)
    padded = torch.cat([torch.zeros(1, 1, 2, dtype=torch.float64), values], 1)
    torch.testing.assert_close(far(padded)[:, 1:], near(values))


def test_vertices_are_counted_once():
    points = cloud(1, 300, 2)
    corner, order, *_ = locate(points[0].T)
    v = vertices_of(corner, order).long()
    canonical = (v - v[:, -1:]).permute(0, 2, 1).reshape(-1, 3)
    assert Lattice(points).size == len(canonical.unique(dim=0))


def test_neighbours_against_a_search_by_hand():
    keys = torch.tensor([3, 4, 9, 10, 11, 17])
    for stride, size in itertools.product((1, 6, -1, -6, 7), [6]):
        table = neighbours(keys, stride).tolist()
        known = {key: row for row, key in enumerate(keys.tolist())}
        for row, key in enumerate(keys.tolist()):
            expected = [row, known.get(key + stride, size), known.get(key - stride, size)]
            assert table[row] == expected
        assert table[size] == [size] * 3


def test_bridges_are_missing_vertices_with_three_neighbours():
    lattice, bridged = (Lattice(cloud(1, 60, 3), bridges=bridges) for bridges in (False, True))
    entered, _, strides = vertices.sorted_entries(cloud(1, 60, 3), ["x", "y", "z"])
    keys = entered.key.unique()
    present = set(keys.tolist())
    steps = [sign * stride for stride in strides for sign in (1, -1)]
    around = {key + step for key in present for step in steps} - present
    expected = [key for key in around if sum(key - step in present for step in steps) >= 3]
    assert bridge_keys(keys, strides).tolist() == sorted(expected)
    assert bridged.size == lattice.size + len(expected) > lattice.size


def test_bridges_bring_sparse_points_nearer_to_the_exact_filter():
    points = cloud(1, 400, 5, width=4)
    values = torch.ones(1, 400, 1, dtype=torch.float64)
    exact = kernel_matrix(points) @ values
    plain, bridged = ((Lattice(points, bridges=b)(values) - exact).norm() for b in (False, True))
    assert bridged < 0.7 * plain


def test_bridges_do_not_change_a_dense_lattice_much():
    line = torch.linspace(0, 3, 20, dtype=torch.float64)
    points = torch.cartesian_prod(line, line)[None]
    values = cloud(1, 400, 2)
    plain, bridged = (Lattice(points, bridges=b) for b in (False, True))
    inside = (points - 1.5).abs().amax(-1)[0] < 0.5
    torch.testing.assert_close(
        plain(values)[:, inside], bridged(values)[:, inside], rtol=2e-2, atol=0
    )


@pytest.mark.parametrize(
    ("points", "text"),
    [
        (torch.zeros(5, 3), r"features must be \(B, N, d\) with d in 1..8, got \(5, 3\)"),
        (torch.zeros(1, 5, 9), r"d in 1..8, got \(1, 5, 9\)"),
        (torch.zeros(1, 0, 3), "got"),
        (torch.zeros(1, 5, 3, dtype=torch.int64), "float32 or float64, got torch.int64"),
        (torch.eye(5)[None] * 1e5, r"feature 0 is too small .* run over 1e\+05 times that sigma"),
        (torch.tensor([[[0.0], [1e9]]]), r"run over 1e\+09 times .*; enlarge it"),
    ],
)
def test_clear_errors(points, text):
    with pytest.raises(ValueError, match=text):
        Lattice(points)


def test_the_error_names_the_sigma():
    points = cloud(1, 20, 5)
    points[..., 3] *= 1e6
    points[..., 4] *= 1e5
    with pytest.raises(ValueError, match="green is too small for the lattice"):
        Lattice(points, ["x", "y", "red", "green", "blue"])
