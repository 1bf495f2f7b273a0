"""Labels in bands of tiles against the probabilities of the whole image, summed up at once."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from dlseg.data import Decoded, normalise
from dlseg.inference import label_image, labelling, probabilities, tiled_probabilities
from tests.inference.toys import Watched, convolutions, pointwise

MODEL = convolutions(2).float()


def picture(height=40, width=33, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def whole(model, image, tile=None, overlap=None, scales=(1.0,), flip=False):
    """As it was done before: all probabilities in memory, then the largest of each pixel."""
    x = normalise(image)[None]
    if tile is None:
        scores = probabilities(model, x, scales, flip)
    else:
        scores = tiled_probabilities(model, x, tile, overlap, scales, flip)
    return scores[0].argmax(0).byte().numpy()


SIZES = st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(2, 20)).flatmap(
    lambda sizes: st.tuples(*map(st.just, sizes), st.integers(0, sizes[2] - 1))
)


@settings(deadline=None, max_examples=60)
@given(SIZES, st.integers(1, 40))
def test_bands_and_stripes_change_no_label(sizes, columns):
    """columns: how many there are in a stripe, if a tile is not wider."""
    height, width, tile, overlap = sizes
    image = picture(height, width)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(labelling, "OPEN", columns * 4 * 4 * min(tile, height))
        found = label_image(MODEL, image, tile, overlap)
    assert found.dtype == np.uint8
    assert np.array_equal(found, whole(MODEL, image, tile, overlap))


@pytest.mark.parametrize("tile", [None, 16])
def test_scales_and_mirror_images(tile):
    options = (tile, tile and 4, (0.5, 1.0, 1.5), True)
    assert np.array_equal(
        label_image(MODEL, picture(), *options), whole(MODEL, picture(), *options)
    )


def test_default_overlap_is_a_quarter():
    found = label_image(MODEL, picture(), 16)
    assert np.array_equal(found, whole(MODEL, picture(), 16, 4))
    assert not np.array_equal(found, whole(MODEL, picture(), 16, 0))


def test_a_decoded_picture_is_as_good_as_an_array():
    image = picture()
    turned = Decoded(Image.fromarray(np.rot90(image).copy()), orientation=6)
    assert np.array_equal(np.array(turned), image)
    assert np.array_equal(label_image(MODEL, turned, 16), label_image(MODEL, image, 16))


def test_each_tile_once_and_those_on_the_edge_of_a_stripe_twice(monkeypatch):
    model = Watched(pointwise().float())
    label_image(model, picture(10, 40), 10, 2)
    assert [call[0] for call in model.calls] == [(1, 3, 10, 10)] * 5
    model.calls.clear()
    monkeypatch.setattr(labelling, "OPEN", 20 * 10 * 4 * 4)  # 20 columns of 10 rows of 4 classes
    label_image(model, picture(10, 40), 10, 2)
    assert len(model.calls) == 5 + 1


def test_more_classes_than_a_byte_holds():
    assert label_image(nn.Conv2d(3, 256, 1), picture()).shape == (40, 33)
    with pytest.raises(ValueError, match="labels go up to 255, and the network has 257 classes"):
        label_image(nn.Conv2d(3, 257, 1), picture())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((8, 8), "overlap must be smaller than the tile"),
        ((0,), "tile must be an integer >= 1, got 0"),
        ((8, 2, ()), "scales must be positive"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        label_image(MODEL, picture(), *options)
    with pytest.raises(ValueError, match=r"image must be uint8 \(H, W, 3\)"):
        label_image(MODEL, torch.zeros(8, 8, 3).numpy())
    for empty in (picture()[:0], picture()[:, :0], None):
        with pytest.raises(ValueError, match=r"image must be uint8 \(H, W, 3\)"):
            label_image(MODEL, empty)
