"""Tiles against the whole image, where the two must be equal, and where they need not be."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dlseg.inference import probabilities, tile_weights, tiled_probabilities
from tests.inference.toys import CLASSES, Watched, convolutions, images, pointwise

close = torch.testing.assert_close
TILINGS = st.tuples(st.integers(1, 60), st.integers(1, 20)).flatmap(
    lambda sizes: st.tuples(*map(st.just, sizes), st.integers(0, sizes[1] - 1))
)


@settings(deadline=None)  # of a busy machine
@given(TILINGS)
def test_weights_of_all_tiles_sum_to_one(sizes):
    side, tile, overlap = sizes
    total = torch.zeros(side, dtype=torch.float64)
    for start, weights in tile_weights(side, tile, overlap):
        assert weights.min() >= 0
        assert len(weights) == min(side, tile)
        total[start : start + len(weights)] += weights
    close(total, torch.ones(side, dtype=torch.float64))


@settings(deadline=None)  # of a busy machine
@given(TILINGS)
def test_tiles_cover_the_axis_with_the_overlap_asked_for(sizes):
    side, tile, overlap = sizes
    starts = [start for start, _ in tile_weights(side, tile, overlap)]
    ends = [start + min(side, tile) for start in starts]
    assert starts[0] == 0 and ends[-1] == side
    shared = [end - start for end, start in zip(ends, starts[1:], strict=False)]
    assert shared[:-1] == [overlap] * (len(starts) - 2)
    assert all(pixels >= overlap for pixels in shared)
    assert len(starts) <= max(1, -(-(side - overlap) // (tile - overlap)))  # none in vain


def test_weights_pass_in_a_straight_line_in_the_middle_half():
    (_, first), (start, second) = tile_weights(side=24, tile=16, overlap=8)
    assert start == 8
    assert first[:10].tolist() == [1] * 10 and first[14:].tolist() == [0, 0]
    assert first[10:14].tolist() == [7 / 8, 5 / 8, 3 / 8, 1 / 8]
    assert torch.equal(second, first.flip(0))


@settings(deadline=None)  # of a busy machine
@given(TILINGS)
def test_pointwise_network_is_reproduced(sizes):
    side, tile, overlap = sizes
    model, x = pointwise(), images(1, 7, side)
    close(tiled_probabilities(model, x, tile, overlap), probabilities(model, x))


@pytest.mark.parametrize("size", [(40, 33), (23, 64)])
def test_network_with_a_field_of_known_size(size):
    """Two 3x3 layers reach 2 pixels: equal everywhere with an overlap of 8, not with 4."""
    model, x = convolutions(2), images(2, *size)
    whole = probabilities(model, x)
    close(tiled_probabilities(model, x, 16, 8), whole)
    assert (tiled_probabilities(model, x, 16, 4) - whole).abs().max() > 1e-4


def test_outside_the_overlaps_an_overlap_as_large_as_the_reach_is_enough():
    model, x = convolutions(3), images(1, 12, 38)
    whole, parts = probabilities(model, x), tiled_probabilities(model, x, 14, 3)
    starts = [start for start, _ in tile_weights(38, 14, 3)]
    assert starts == [0, 11, 22, 24]
    overlaps = torch.zeros(38, dtype=torch.bool)
    for start, before in zip(starts[1:], starts, strict=False):
        overlaps[start : before + 14] = True
    close(parts[..., ~overlaps], whole[..., ~overlaps])
    assert (parts - whole)[..., overlaps].abs().max() > 1e-4


@pytest.mark.parametrize(("tile", "equal"), [(48, True), (46, False)])
def test_network_with_a_stride_needs_tiles_on_its_grid(tile, equal):
    """Stride 4 and bilinear upsampling reach 8 pixels at most, a quarter of the overlap."""
    torch.manual_seed(0)
    coarse = nn.Conv2d(3, CLASSES, 3, stride=4, padding=1)
    larger = nn.Upsample(scale_factor=4, mode="bilinear")
    model, x = nn.Sequential(coarse, larger).double(), images(1, 8, 80)
    found, whole = tiled_probabilities(model, x, tile, 32), probabilities(model, x)
    assert torch.allclose(found, whole, rtol=0, atol=1e-12) == equal


@pytest.mark.parametrize("tile", [20, 30, 500])
def test_a_tile_as_large_as_the_image_is_the_whole_image(tile):
    model, x = Watched(convolutions(2)), images(2, 20, 20)
    assert torch.equal(tiled_probabilities(model, x, tile, 4), probabilities(model, x))
    assert len(model.calls) == 2  # one tile, and the whole


def test_network_never_sees_more_than_a_tile():
    model = Watched(convolutions(1))
    found = tiled_probabilities(model, images(2, 50, 70), tile=16, overlap=4)
    assert found.shape == (2, CLASSES, 50, 70)
    assert {call[0] for call in model.calls} == {(2, 3, 16, 16)}


def test_scales_and_mirror_images_of_each_tile():
    model = Watched(pointwise())
    x = images(1, 1, 1).expand(-1, -1, 30, 20)
    close(tiled_probabilities(model, x, 16, 4, (0.5, 1.0), True), model.model(x).softmax(1))
    assert {call[0][2:] for call in model.calls} == {(8, 8), (16, 16)}
    assert len(model.calls) == 3 * 2 * 2 * 2


@pytest.mark.parametrize(
    ("tile", "overlap", "message"),
    [
        (8, 8, "overlap must be smaller than the tile, got overlap=8 and tile=8"),
        (0, 0, "tile must be an integer >= 1, got 0"),
        (8, -1, "overlap must be an integer >= 0, got -1"),
        (8.5, 2, "tile must be an integer >= 1, got 8.5"),
    ],
)
def test_bad_tiles(tile, overlap, message):
    with pytest.raises(ValueError, match=message):
        tiled_probabilities(pointwise(), images(), tile, overlap)


def test_bad_images_and_scales_and_side():
    with pytest.raises(ValueError, match="images must be floats"):
        tiled_probabilities(pointwise(), images()[0], 8, 2)
    with pytest.raises(ValueError, match="scales must be positive"):
        tiled_probabilities(pointwise(), images(), 8, 2, scales=(0,))
    with pytest.raises(ValueError, match="side must be an integer >= 1, got 0"):
        tile_weights(0, 8, 2)
