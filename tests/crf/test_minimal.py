"""The printed CRF: short, right, and pydensecrf's equal."""

import ast
import inspect

import numpy as np
import pytest
import torch

from dlseg.book.source import without_guards
from dlseg.crf import minimal
from dlseg.crf.exact import kernel_matrix
from dlseg.crf.kernels import Kernel
from tests.crf.toys import coarse_logits, load_pydensecrf, mean_field, photograph, random_case

KERNELS = [(3, None, 3.0), (80, 13, 10.0)]


def test_at_most_60_lines_of_code():
    source = without_guards(inspect.getsource(minimal))
    prose = {
        line
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.Module) and ast.get_docstring(node)
        for line in range(node.body[0].lineno, node.body[0].end_lineno + 1)
    }
    lines = source.splitlines()
    code = [line for number, line in enumerate(lines, 1) if line.strip() and number not in prose]
    code = [line for line in code if " import check_" not in line]  # of the guards
    assert len(code) <= 60
    imported = {line.split()[1].split(".")[0] for line in code if "import " in line}
    assert imported == {"torch"}


@pytest.mark.parametrize("d", range(1, 9))
def test_a_pixel_is_the_weighted_mean_of_its_corners(d):
    f = 5 * torch.randn(50, d, generator=torch.Generator().manual_seed(d))
    keys, weights, steps = minimal.simplex(f)
    assert keys.shape == weights.shape == (50, d + 1)
    assert (weights >= -1e-6).all()
    torch.testing.assert_close(weights.sum(1), torch.ones(50))
    assert steps.sum() == 0  # once along each axis leads back
    # All d + 1 corners differ, and each is one step along one axis from the one before.
    differences = keys.diff(dim=1)
    assert torch.isin(differences, steps).all()
    assert (differences.sort(1).values.diff(dim=1) != 0).all()


def test_equal_points_share_a_simplex_and_moved_by_a_lattice_vector_too():
    f = torch.rand(20, 2) * 4
    keys, weights, _ = minimal.simplex(torch.cat([f, f]))
    assert torch.equal(keys[:20], keys[20:])
    assert torch.equal(weights[:20], weights[20:])


def test_too_many_corners_for_a_key():
    f = torch.tensor([[0.0] * 8, [1e4] * 8])
    with pytest.raises(ValueError, match="along each of 8 axes are too many; widen the sigmas"):
        minimal.simplex(f)


@pytest.mark.parametrize("d", [1, 2, 3, 5])
def test_the_filter_is_nearly_the_gaussian(d):
    """Smooth values in dense features; the normalised message is off by less than 6 %."""
    generator = torch.Generator().manual_seed(d)
    f = torch.rand(3000, d, generator=generator) * 3
    values = torch.stack([f[:, 0], 3 - f[:, -1]], 1)
    matrix = kernel_matrix(f[None])[0]
    root = matrix.sum(1, keepdim=True).rsqrt()
    exact = root * (matrix @ (root * values))
    result = minimal.gaussian_filter(minimal.lattice(f, 1.0), values)
    assert (result - exact).norm() < 0.06 * exact.norm()


def test_close_to_the_exact_crf_on_a_photograph():
    image = photograph((48, 40))
    unary = -coarse_logits(image, 4).log_softmax(1)
    kernels = [Kernel(*kernel) for kernel in KERNELS]
    exact = mean_field(unary, image, kernels)[0]
    result = minimal.lattice_mean_field(unary[0], image[0].permute(1, 2, 0), KERNELS)
    torch.testing.assert_close(result.sum(0), torch.ones(48, 40))
    agreement = (result.argmax(0) == exact.argmax(0)).double().mean()
    assert agreement >= 0.978  # what pydensecrf reaches on crops of this size
    assert (exact.argmax(0) != unary[0].argmin(0)).double().mean() > 2 * (1 - agreement)


def test_no_weight_is_the_softmax_and_one_pixel_works():
    unary, image = random_case(size=(1, 1), dtype=torch.float32)
    kernels = [(3, None, 3.0), (80, 13, 0.0)]
    result = minimal.lattice_mean_field(unary[0], image[0].permute(1, 2, 0), kernels[1:])
    torch.testing.assert_close(result, (-unary[0]).softmax(0))
    alone = minimal.lattice_mean_field(unary[0], image[0].permute(1, 2, 0), kernels)
    expected = mean_field(unary, image, [Kernel(*kernel) for kernel in kernels])
    torch.testing.assert_close(alone, expected[0])


@pytest.mark.parametrize("kernels", [KERNELS, [(1, None, 3.0), (67, 3, 4.0)]])
def test_equals_pydensecrf(kernels):
    densecrf = load_pydensecrf()
    image = photograph((120, 100))
    unary = -coarse_logits(image, 21).log_softmax(1)[0].contiguous()
    pixels = image[0].permute(1, 2, 0).contiguous()
    peer = densecrf.DenseCRF2D(100, 120, 21)
    peer.setUnaryEnergy(unary.numpy().reshape(21, -1))
    (smooth, _, w), (sxy, srgb, weight) = kernels
    peer.addPairwiseGaussian(sxy=smooth, compat=w)
    peer.addPairwiseBilateral(sxy=sxy, srgb=srgb, rgbim=pixels.numpy(), compat=weight)
    expected = torch.from_numpy(np.array(peer.inference(10)).reshape(21, 120, 100))
    result = minimal.lattice_mean_field(unary, pixels, kernels)
    assert (result.argmax(0) == expected.argmax(0)).double().mean() >= 0.9999
    assert (result - expected).abs().max() < 5e-4
    assert (result - expected).abs().mean() < 1e-6
