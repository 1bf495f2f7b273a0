"""OCR, k-means cross-attention and masked attention against loops, scikit-learn and PyTorch."""

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.metrics import pairwise_distances_argmin
from torch import nn

from dlseg.inspect import gradient_support, receptive_field
from support.after_deeplab.regions import (
    ObjectContext,
    kmeans_step,
    masked_attention,
    region_vectors,
)


def softmax(values):
    e = np.exp(values - values.max())
    return e / e.sum()


def test_region_vectors_by_loops():
    torch.manual_seed(0)
    features, scores = torch.randn(1, 4, 3, 5).double(), torch.randn(1, 2, 3, 5).double()
    for k in range(2):
        weights = softmax(scores[0, k].numpy())
        for c in range(4):
            expected = (weights * features[0, c].numpy()).sum()
            assert float(region_vectors(features, scores)[0, k, c]) == pytest.approx(expected)
    sure = torch.full((1, 2, 3, 5), -50.0).double()
    sure[0, 0, :, :2], sure[0, 1, :, 2:] = 50, 50
    means = region_vectors(features, sure)[0]
    assert torch.allclose(means[0], features[0, :, :, :2].mean((1, 2)))
    assert torch.allclose(means[1], features[0, :, :, 2:].mean((1, 2)))


def block(layer, vectors):
    """A 1x1 with BN and ReLU on vectors (N, C), by NumPy."""
    conv, bn = layer[0], layer[1]
    y = vectors @ conv.weight[:, :, 0, 0].numpy().T
    y = (y - bn.running_mean.numpy()) / np.sqrt(bn.running_var.numpy() + bn.eps)
    return np.maximum(y * bn.weight.numpy() + bn.bias.numpy(), 0)


def test_object_context_by_loops():
    torch.manual_seed(1)
    layer = ObjectContext(4, 5, 3).double().eval()
    features, scores = torch.randn(1, 4, 3, 5).double(), torch.randn(1, 2, 3, 5).double()
    with torch.no_grad():
        for norm in (one for one in layer.modules() if isinstance(one, nn.BatchNorm2d)):
            norm.running_mean.normal_(0, 0.3)
            norm.running_var.uniform_(0.5, 2)
        pixels = features[0].flatten(1).mT.numpy()  # (N, 4)
        regions = region_vectors(features, scores)[0].numpy()  # (2, 4)
        query, key = block(layer.query, pixels), block(layer.key, regions)
        weights = [softmax(q @ key.T / np.sqrt(3)) for q in query]
        context = np.stack(weights) @ block(layer.value, regions)
        joined = np.concatenate([block(layer.up, context), pixels], 1)
        expected = block(layer.project, joined).T.reshape(5, 3, 5)
        found = layer(features, scores)[0].numpy()
    assert np.abs(found - expected).max() < 1e-12


class Both(nn.Module):
    """OCR behind one 3x3 convolution that makes features and scores."""

    def __init__(self):
        super().__init__()
        self.stem, self.context = nn.Conv2d(2, 6, 3, padding=1), ObjectContext(4, 3, 3)

    def forward(self, x):
        y = self.stem(x)
        return self.context(y[:, :4], y[:, 4:])


def test_object_context_sees_the_whole_picture():
    assert gradient_support(Both(), (2, 11, 9)).mask.all()
    with pytest.raises(ValueError, match="cannot follow"):
        receptive_field(Both(), (2, 11, 9))


def unit(vectors):
    return vectors / vectors.norm(dim=1, keepdim=True)


def test_a_step_of_kmeans_against_scikit_learn():
    """On vectors of length 1 the likest centre is the nearest one; means instead of sums."""
    torch.manual_seed(2)
    pixels, centres = unit(torch.randn(60, 3).double()), unit(torch.randn(4, 3).double())
    added, nearest = kmeans_step(centres, pixels, pixels)
    means = (added - centres) / nearest.bincount(minlength=4)[:, None]
    assert np.array_equal(nearest, pairwise_distances_argmin(pixels, centres))
    peer = KMeans(4, init=centres.numpy(), n_init=1, max_iter=1, tol=0).fit(pixels.numpy())
    assert np.abs(means.numpy() - peer.cluster_centers_).max() < 1e-12


def test_every_pixel_has_one_centre():
    centres, keys = torch.eye(3).double(), torch.rand(20, 3).double()
    values = torch.ones(20, 1).double()
    added, nearest = kmeans_step(torch.zeros(3, 1).double(), torch.zeros(20, 1).double(), values)
    assert added.sum() == 20 and (nearest == 0).all()  # the first of equals
    assert (kmeans_step(centres, keys, keys)[1] == keys.argmax(1)).all()


def test_masked_attention_by_loops_and_by_pytorch():
    torch.manual_seed(3)
    queries, keys, values = (torch.randn(n, 4).double() for n in (3, 10, 10))
    mask = torch.randn(3, 10).double()
    mask[1] = -1.0  # sees nothing, and so everything
    found = masked_attention(queries, keys, values, mask)
    for q in range(3):
        seen = [n for n in range(10) if mask[q, n] >= 0] or list(range(10))
        weights = softmax(np.array([float(queries[q] @ keys[n]) / 2 for n in seen]))
        expected = sum(w * values[n].numpy() for w, n in zip(weights, seen, strict=True))
        assert np.abs(found[q].numpy() - expected).max() < 1e-12
    allowed = (mask >= 0) | (mask < 0).all(1, keepdim=True)
    batch = (part[None, None] for part in (queries, keys, values))
    peer = nn.functional.scaled_dot_product_attention(*batch, attn_mask=allowed[None, None])[0, 0]
    assert (found - peer).abs().max() < 1e-12


def test_a_query_is_blind_outside_its_mask():
    torch.manual_seed(4)
    queries, keys = torch.randn(2, 4).double(), torch.randn(9, 4).double()
    values = torch.randn(9, 4).double().requires_grad_()
    mask = torch.full((2, 9), -1.0)
    mask[0, 2:5] = 1.0
    gradient = torch.autograd.grad(masked_attention(queries, keys, values, mask)[0].sum(), values)
    assert gradient[0].any(1).tolist() == [2 <= n < 5 for n in range(9)]
