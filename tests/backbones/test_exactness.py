"""Atrous needs no new weights: the dense map holds the strided one, number for number.

Of the map at output stride 16 every second unit, and of that at 8 every fourth, is a unit of the
map at 32 (DeepLab v3, section 3.1), if the layer that loses its stride keeps the rate before.
"""

import pytest
import torch

from dlseg.backbones import VGG16, ResNet, Xception
from tests.peers import distance, randomise

SIZES = (64, 65, 81)  # even, and odd with both ways to round
NETWORKS = {
    "stride on 1x1": lambda stride: ResNet(stride, style="caffe", width=0.1),
    "stride on last unit": lambda stride: ResNet(stride, style="slim", width=0.1),
    "beta stem": lambda stride: ResNet(stride, stem="beta", width=0.1),
    "xception41": lambda stride: Xception(stride, depth=41, width=0.05),
    "xception71": lambda stride: Xception(stride, depth=71, width=0.05),
    "resnet18": lambda stride: ResNet(stride, depth=18),
    "resnet50": lambda stride: ResNet(stride),
}


def strided(build, seed=0):
    torch.manual_seed(seed)
    model = build(32).double()
    randomise(model, size=33)
    return model


def same_weights(model, other):
    other.load_state_dict(model.state_dict(), assign=True)
    return other.eval()


def on_meta(build, stride):
    with torch.device("meta"):
        return build(stride)


def image(size):
    generator = torch.Generator().manual_seed(size)
    return torch.randn(1, 3, size, size, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("name", list(NETWORKS)[:5])
def test_dense_map_holds_the_strided_one(name):
    build = NETWORKS[name]
    coarse = strided(build)
    dense = {stride: same_weights(coarse, on_meta(build, stride)) for stride in (16, 8)}
    with torch.no_grad():
        for size in SIZES:
            x = image(size)
            expected = coarse(x)
            for stride, model in dense.items():
                found, step = model(x), 32 // stride
                assert distance(found.last[:, :, ::step, ::step], expected.last) <= 1e-10
                assert torch.equal(found.low_level, expected.low_level)


@pytest.mark.parametrize("size", [128, 129, 161])
def test_dense_map_holds_the_strided_one_at_larger_sizes(size):
    coarse = strided(NETWORKS["resnet18"])
    dense = same_weights(coarse, on_meta(NETWORKS["resnet18"], 8))
    with torch.no_grad():
        found, expected = dense(image(size)).last[:, :, ::4, ::4], coarse(image(size)).last
    assert distance(found, expected) <= 1e-10


@pytest.mark.parametrize("depth", [18, 50])
def test_the_whole_stage_at_the_new_rate_makes_another_map(depth):
    coarse = strided(lambda stride: ResNet(stride, depth=depth))
    with torch.no_grad():
        expected = coarse(image(65)).last
        for stride in (16, 8):
            whole = on_meta(lambda stride: ResNet(stride, depth=depth, first_unit="whole"), stride)
            found, step = same_weights(coarse, whole)(image(65)).last, 32 // stride
            assert distance(found[:, :, ::step, ::step], expected) > 0.05


def test_multi_grid_makes_another_map():
    coarse = strided(NETWORKS["resnet50"])
    grid = same_weights(coarse, on_meta(lambda s: ResNet(s, multi_grid=(1, 2, 4)), 16))
    with torch.no_grad():
        assert distance(grid(image(65)).last[:, :, ::2, ::2], coarse(image(65)).last) > 0.05


def test_released_pools_are_exact_at_16_but_not_at_8():
    """pool5 of the released DeepLab v1 has stride 1 and no holes, though conv5 has rate 2."""
    coarse = strided(lambda stride: VGG16(stride, pool_size=3))
    distances = {}
    for stride in (16, 8):
        dense = same_weights(coarse, on_meta(lambda s: VGG16(s, pool_size=3), stride))
        with torch.no_grad():
            found = dense(image(65)).last[:, :, :: 32 // stride, :: 32 // stride]
            distances[stride] = distance(found, coarse(image(65)).last)
    assert distances[16] <= 1e-10
    assert distances[8] > 0.05
