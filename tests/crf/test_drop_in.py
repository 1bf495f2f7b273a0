"""The function for those who come from pydensecrf."""

import numpy as np
import pytest
import torch

from dlseg.crf import DenseCRF, appearance, dense_crf, smoothness, unary_from_probabilities
from tests.crf.toys import coarse_logits, load_pydensecrf, photograph

SIZE = (40, 36)


@pytest.fixture(scope="module")
def example():
    """Image (H, W, 3) uint8 and probabilities (3, H, W), as users of pydensecrf have them."""
    image = photograph(SIZE)
    p = coarse_logits(image, 3).softmax(1)[0].numpy()
    return image[0].permute(1, 2, 0).contiguous().numpy(), p


def by_hand(image, p, kernels, iterations=5, normalization="symmetric"):
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None]
    logits = -unary_from_probabilities(torch.from_numpy(p))[None]
    with torch.no_grad():
        return DenseCRF(kernels, iterations, normalization)(logits, pixels)[0].numpy()


def test_defaults_are_those_of_the_example(example):
    result = dense_crf(*example)
    assert result.dtype == np.float32
    assert result.shape == (3, *SIZE)
    expected = by_hand(*example, [smoothness(3, 3), appearance(80, 13, 10)])
    np.testing.assert_allclose(result, expected, atol=1e-5)
    assert (result.argmax(0) != example[1].argmax(0)).mean() > 0.01


def test_every_name_reaches_its_place(example):
    options = {"iterations": 3, "sxy": (20, 30), "srgb": (9, 8, 7), "compat": 4}
    others = {"sxy_gaussian": (2, 1), "compat_gaussian": 2, "normalization": "after"}
    kernels = [smoothness((2, 1), 2), appearance((20, 30), (9, 8, 7), 4)]
    expected = by_hand(*example, kernels, 3, "after")
    np.testing.assert_allclose(dense_crf(*example, **options, **others), expected, atol=1e-5)
    result = dense_crf(*example, compat=None)
    np.testing.assert_allclose(result, by_hand(*example, [smoothness()]), atol=1e-5)
    result = dense_crf(*example, compat_gaussian=None)
    np.testing.assert_allclose(result, by_hand(*example, [appearance()]), atol=1e-5)


COMPATS = {
    "number": 3.0,
    "vector": np.array([-1.0, -2.0, -3.0], dtype=np.float32),
    "matrix": np.array([[0, 1, 2], [3, 0, 1], [0.5, 0.2, 0]], dtype=np.float32),
}


@pytest.mark.parametrize("form", COMPATS)
@pytest.mark.parametrize("normalization", ["none", "before", "after", "symmetric"])
def test_the_same_as_pydensecrf(example, form, normalization):
    """Within what two approximations of one Gaussian differ by.

    A wrong sign would be off by more than 0.2, exchanged axes by more than 0.006. Where nothing is
    normalised, the approximations do not agree on the sum of the Gaussian either.
    """
    densecrf = load_pydensecrf()
    image, p = example
    kinds = {"none": "NO_NORMALIZATION"}
    kind = getattr(densecrf, kinds.get(normalization, f"NORMALIZE_{normalization.upper()}"))
    # Without normalisation messages add up over all pixels.
    compat = COMPATS[form] * (0.02 if normalization == "none" else 1)
    peer = densecrf.DenseCRF2D(SIZE[1], SIZE[0], 3)
    unary = -np.log(p.clip(1e-5, 1)).reshape(3, -1)
    peer.setUnaryEnergy(np.ascontiguousarray(unary, dtype=np.float32))
    peer.addPairwiseGaussian(sxy=(2, 4), compat=compat, normalization=kind)
    peer.addPairwiseBilateral((9, 4), (30, 20, 25), image, compat, normalization=kind)
    expected = np.array(peer.inference(5)).reshape(3, *SIZE)
    options = {"sxy": (9, 4), "srgb": (30, 20, 25), "sxy_gaussian": (2, 4)}
    result = dense_crf(
        image, p, 5, compat=compat, compat_gaussian=compat, normalization=normalization, **options
    )
    assert np.abs(result - expected).mean() < (0.02 if normalization == "none" else 0.001)
    assert np.abs(p - expected).mean() > 0.06
    assert (result.argmax(0) == expected.argmax(0)).mean() > 0.99


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": np.zeros((3, 4, 5), np.uint8)}, r"image must be uint8 \(H, W, 3\)"),
        ({"image": np.zeros((4, 5, 3))}, "got float64"),
        ({"probabilities": np.full((2, 20), 0.5)}, r"pydensecrf's \(C, H\*W\) needs a reshape"),
        ({"probabilities": np.ones((1, 4, 5), int)}, "probabilities must be floats"),
        ({"probabilities": np.full((2, 5, 4), 0.5)}, "one height and width"),
        ({"probabilities": np.full((2, 4, 5), 0.9)}, "sum to 1"),
        ({"compat": None, "compat_gaussian": None}, "one or more Kernel"),
        ({"compat": [1, 2, 3]}, "3 classes, the unary has 2"),
        ({"sxy": -3}, "sxy must be above 0"),
    ],
)
def test_clear_errors(change, message):
    arguments = {
        "image": np.zeros((4, 5, 3), np.uint8),
        "probabilities": np.full((2, 4, 5), 0.5),
        **change,
    }
    with pytest.raises(ValueError, match=message):
        dense_crf(**arguments)
