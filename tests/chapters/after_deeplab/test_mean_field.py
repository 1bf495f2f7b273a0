"""A step of mean field by attention against the exact dense CRF, and against loops."""

import numpy as np
import pytest
import torch
from torch import nn

from dlseg.crf import DenseCRF, Kernel, features, kernel_matrix, normalise
from dlseg.inspect import gradient_support
from support.after_deeplab.mean_field import kernel_attention, mean_field_step

KERNELS = (Kernel(4.0, 20.0, 3.0), Kernel(2.0, None, 1.5))


def drawn(height=6, width=7, classes=3):
    torch.manual_seed(0)
    image = (255 * torch.rand(1, 3, height, width)).round().double()
    return torch.randn(1, classes, height, width).double(), image


def pixels(maps):
    return maps[0].flatten(1).mT  # (N, C)


def test_steps_are_those_of_the_dense_crf():
    """Kernel by kernel divided by its sum; ten steps, each from the one before."""
    logits, image = drawn()
    crf = DenseCRF(KERNELS, 10, "after", method="exact", trim=0)
    f = [features(image, kernel, torch.float64)[0] for kernel in KERNELS]
    unary, weights = -pixels(logits), [kernel.weight for kernel in KERNELS]
    q, worst = unary.neg().softmax(1), 0.0
    for step, expected in enumerate(crf.double().steps(logits, image)):
        if step:
            q = mean_field_step(q, unary, f, weights)
        worst = max(worst, float((q - pixels(expected.detach())).abs().max()))
    assert worst < 1e-12
    assert (q - unary.neg().softmax(1)).abs().max() > 0.1  # something happened


def test_attention_weights_are_the_kernel_divided_by_its_sum():
    _, image = drawn()
    f = features(image, KERNELS[0], torch.float64)
    matrix = normalise(kernel_matrix(f), "after")[0]
    weights = kernel_attention(f[0], torch.eye(len(matrix)).double())
    assert (weights - matrix).abs().max() < 1e-12


def test_one_step_by_loops():
    logits, image = drawn(3, 4)
    f = features(image, KERNELS[1], torch.float64)[0].numpy()
    unary = -pixels(logits)
    q = unary.neg().softmax(1)
    expected = np.zeros(q.shape)
    for i in range(len(q)):
        k = np.array([np.exp(-((f[i] - f[j]) ** 2).sum() / 2) for j in range(len(q))])
        message = sum(k[j] / k.sum() * q[j].numpy() for j in range(len(q)))
        # Potts: what disagrees costs, so that all labels but the own one are counted.
        cost = unary[i].numpy() + 1.5 * (message.sum() - message)
        expected[i] = np.exp(-cost) / np.exp(-cost).sum()
    found = mean_field_step(q, unary, [torch.from_numpy(f)], [1.5]).numpy()
    assert np.abs(found - expected).max() < 1e-12


class Step(nn.Module):
    """A step on maps (1, C, H, W), for its field; positions alone."""

    def forward(self, x):
        f = features(x.new_zeros(1, 3, *x.shape[2:]), Kernel(3.0), x.dtype)[0]
        q = mean_field_step(pixels(x).softmax(1), -pixels(x), [f], [2.0])
        return q.mT.view_as(x)[:, :1]


def test_every_pixel_sees_every_pixel():
    assert gradient_support(Step(), (2, 9, 8), (0, 0)).mask.all()


@pytest.mark.parametrize("shift", [0.0, 1000.0])
def test_only_differences_of_features_count(shift):
    _, image = drawn()
    f = features(image, KERNELS[0], torch.float64)[0]
    q = torch.rand(len(f), 3).double()
    assert torch.allclose(kernel_attention(f + shift, q), kernel_attention(f, q), atol=1e-8)
