"""Relatives that bring back resolution: FCN, U-Net, SegNet, RefineNet and LRR, idea by idea."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dlseg.arithmetic import Layer, stack_fields, vgg16
from dlseg.backbones import VGG16
from dlseg.inspect import receptive_field
from dlseg.layers import upsample
from dlseg.models import ScoreMap
from dlseg.models.relatives import (
    LRR,
    ChainedResidualPooling,
    RefineNet,
    ResidualConvUnit,
    SegNet,
    SkipFCN,
    UNet,
    crop_offsets,
    laplacian_pyramid,
    reconstruct,
    uncertainty,
)
from dlseg.models.relatives.fcn import OUTPUT_STRIDES, Doubling
from dlseg.models.relatives.refinenet import MultiResolutionFusion
from dlseg.models.relatives.unet import check_side, crop_middle, mirrored
from dlseg.models.relatives.vgg_maps import enlarged, pad_to_multiple, pooled_maps
from tests.backbones.counting import parameters, without_weights


def noise(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def image(*size):
    return noise(1, 3, *size, seed=1)


def convolutions(module):
    return [m for m in module.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]


# FCN


def fcn(output_stride, seed=0):
    torch.manual_seed(seed)
    return SkipFCN("vgg16", 3, output_stride=output_stride, width=0.02).eval()


def test_parameters_of_fcn():
    """FCN-32s has those of DeepLab-7x7 (DeepLab v1, table 2), which is the same layers, dense."""
    pool4, pool3, doubling = 512 * 21 + 21, 256 * 21 + 21, 21 * 21 * 4 * 4
    added = {32: 0, 16: pool4 + doubling, 8: pool4 + pool3 + 2 * doubling}
    for output_stride, more in added.items():
        model = without_weights(SkipFCN, "vgg16", output_stride=output_stride)
        assert parameters(model) == 134_346_581 + more


def test_doubling_starts_as_bilinear_upsampling():
    x = noise(2, 3, 4, 5)
    torch.testing.assert_close(Doubling(3)(x), upsample(x, (8, 10)))


def test_each_fcn_begins_as_the_one_before():
    coarse, x = fcn(32), image(64, 96)
    with torch.no_grad():
        scores = coarse.scores(x)  # (1, 3, 2, 3)
        for output_stride in (16, 8):
            finer = fcn(output_stride, seed=5)
            finer.load_state_dict(coarse.state_dict(), strict=False)
            scores = upsample(scores, [2 * side for side in scores.shape[2:]])
            torch.testing.assert_close(finer.scores(x), scores)


def test_fusion_is_a_sum_of_three_scores():
    """FCN-8s of all three maps is what each of them gives alone, added up."""
    model, x = fcn(8), image(64, 64)
    parts = [model.classifier, *model.skips]
    with torch.no_grad():
        for seed, conv in enumerate(parts):
            conv.weight.copy_(noise(*conv.weight.shape, seed=seed))
        whole, alone = model.scores(x), []
        weights = [conv.weight.clone() for conv in parts]
        for kept in range(3):
            for number, conv in enumerate(parts):
                conv.weight.copy_(weights[number] * (number == kept))
            alone.append(model.scores(x))
    assert all(scores.abs().max() > 1e-3 for scores in alone)
    torch.testing.assert_close(sum(alone), whole)


class Pool(nn.Module):
    """The map of one pool of FCN's backbone."""

    def __init__(self, number):
        super().__init__()
        self.backbone, self.number = VGG16(32), number

    def forward(self, x):
        return pooled_maps(self.backbone, x)[self.number - 1]


def test_maps_of_fcn_lie_on_each_other():
    """Unit i of stride s is the middle of pixels s i to s i + s - 1, so none has to be cropped."""
    for number, stride, field in ((3, 8, 44), (4, 16, 100), (5, 32, 212)):
        report = receptive_field(without_weights(Pool, number), 256)
        assert (report.start, report.stride, report.size) == ((stride - 1) / 2, stride, field)
    report = receptive_field(ScoreMap(without_weights(SkipFCN, "vgg16", output_stride=32)), 256)
    assert (report.start, report.stride, report.size) == (15.5, 32, 404)


@pytest.mark.parametrize(
    ("output_stride", "offsets"), [(32, (19,)), (16, (5, 27)), (8, (5, 9, 31))]
)
def test_crop_offsets_are_those_of_the_released_networks(output_stride, offsets):
    assert crop_offsets(output_stride) == offsets


@pytest.mark.parametrize("output_stride", OUTPUT_STRIDES)
@pytest.mark.parametrize("padding", [1, 81, 100])
def test_cropped_maps_meet(output_stride, padding):
    """Follow the centres through the original's layers, its deconvolutions and its crops."""
    pools, fc7 = original_starts(padding)
    *crops, last = crop_offsets(output_stride, padding)
    start, stride = fc7, 32
    for crop in crops:
        stride //= 2
        start -= 1.5 * stride  # deconvolution, kernel 4, stride 2, no padding
        assert pools[stride] + crop * stride == start
    assert start - (stride - 0.5) + last == 0  # deconvolution, kernel 2 strides; pixel 0


def original_starts(padding):
    """Centres of the first units of the pools, by stride, and of fc7, in pixels of the image."""
    layers = [Layer(3, 1, padding), *vgg16()[1:]]
    fields = stack_fields(layers)
    pools = {field.stride: field.start for field, layer in zip(fields, layers, strict=False)}
    return pools, stack_fields([*layers, Layer(7)])[-1].start


def test_padding_and_cutting_off():
    x = pad_to_multiple(image(33, 64), 32)
    assert x.shape == (1, 3, 64, 64) and torch.equal(x[:, :, :33], image(33, 64))
    assert enlarged(noise(1, 2, 8, 8), 8, (33, 64)).shape == (1, 2, 33, 64)


# U-Net


def test_parameters_and_sizes_of_unet():
    model = without_weights(UNet, num_classes=2, in_channels=1)
    assert parameters(model) == 31_030_658
    assert len(convolutions(model)) == 23
    assert model.scores(torch.empty(1, 1, 572, 572, device="meta")).shape == (1, 2, 388, 388)


def valid_result(side):
    """Step by step: pixels that come out of a U-Net of valid convolutions, None where it fails."""
    for _ in range(4):
        side -= 4
        if side <= 0 or side % 2:
            return None
        side //= 2
    side -= 4
    for _ in range(4):
        side = 2 * side - 4
        if side <= 0:
            return None
    return side


def test_sides_that_fit():
    for side in range(1, 700):
        result = valid_result(side)
        if result is None:
            with pytest.raises(ValueError, match=f"at least 188, got {side}: give"):
                check_side(side, valid=True)
        else:
            check_side(side, valid=True)
            assert result == side - 184


@pytest.mark.parametrize("side", [188, 204, 396, 572])
def test_valid_sizes(side):
    model = without_weights(UNet, 2, width=0.1)
    scores = model.scores(torch.empty(1, 3, side, 188, device="meta"))
    assert scores.shape == (1, 2, side - 184, 4)


@pytest.mark.parametrize(
    ("valid", "side", "message"),
    [
        (True, 570, "needs sides of 16 k [+] 12 pixels, at least 188, got 570: give 556 or 572"),
        (True, 187, "got 187: give 188, or call the model itself"),
        (False, 40, "needs sides of 16 k pixels, at least 16, got 40: give 32 or 48"),
        (False, 5, "got 5: give 16, or call"),
    ],
)
def test_other_sizes_say_what_fits(valid, side, message):
    model = without_weights(UNet, valid=valid, width=0.1)
    with pytest.raises(ValueError, match=message):
        model.scores(torch.empty(1, 3, side, side, device="meta"))


@pytest.mark.parametrize("valid", [True, False])
@pytest.mark.parametrize("size", [(1, 1), (4, 17), (97, 64)])
def test_any_image_gets_logits(valid, size):
    model = without_weights(UNet, 2, valid=valid, width=0.1)
    assert model(torch.empty(1, 3, *size, device="meta")).shape == (1, 2, *size)


@pytest.mark.parametrize("size", [(1, 2), (3, 5), (9, 4)])
def test_mirror_goes_on_for_ever(size):
    x = noise(2, 3, *size)
    ends = [(0, 0), (0, 0), (11, 7), (11, 20)]
    expected = np.pad(x.numpy(), ends, mode="reflect")
    assert np.array_equal(mirrored(x, 11, [7, 20]).numpy(), expected)


def test_valid_scores_know_no_border():
    """16 pixels further, the same scores: nothing at the border of the image was invented."""
    torch.manual_seed(0)
    model, x = UNet(width=0.1).eval(), image(204, 220)
    with torch.no_grad():
        torch.testing.assert_close(model.scores(x[..., 16:]), model.scores(x)[..., 16:])


def test_cropped_maps_of_unet_lie_on_the_doubled_ones():
    """With layers that take means, and means for pools, each map holds its own coordinates."""
    model = UNet(2, in_channels=1, width=0.1).double()
    for conv in convolutions(model):
        nn.init.constant_(conv.weight, 1 / conv.in_channels)
        if isinstance(conv, nn.Conv2d) and conv.kernel_size == (3, 3):
            conv.weight.data /= 9
    model.backbone.pool = nn.AvgPool2d(2)
    columns = torch.arange(188.0).double().expand(1, 1, 188, 188)
    with torch.no_grad():
        *_, skip, y = model.backbone(columns)
        doubled = model.doublings[0](y)  # each unit twice
        torch.testing.assert_close(F.avg_pool2d(crop_middle(skip, doubled)[:, :1], 2), y[:, :1])


# SegNet


def only_pools():
    """A SegNet without convolutions: five pools down, five unpools up."""
    model = SegNet("vgg16_bn", 3, width=0.01).eval()
    model.backbone.features = nn.Sequential(*(nn.MaxPool2d(2) for _ in range(5)))
    for number in range(5):
        model.stages[number] = nn.Identity()
    return model


def kept_maxima(x):
    """By hand: of each 32 x 32 block and channel, the largest value at its place; else zeros."""
    kept = torch.zeros_like(x)
    for channel in range(x.shape[1]):
        for row in range(0, x.shape[2], 32):
            for column in range(0, x.shape[3], 32):
                block = x[0, channel, row : row + 32, column : column + 32]
                i, j = divmod(int(block.argmax()), 32)
                kept[0, channel, row + i, column + j] = block[i, j]
    return kept


def test_values_return_to_where_they_were_found():
    x = image(64, 96)
    assert torch.equal(only_pools()(x), kept_maxima(x))


@pytest.mark.parametrize("size", [(32, 33), (50, 70), (63, 32)])
def test_odd_sizes_lose_no_pixel(size):
    torch.manual_seed(0)
    assert SegNet("vgg16_bn", 4, width=0.1).eval()(image(*size)).shape == (1, 4, *size)


def test_layers_of_segnet():
    """13 convolutions of VGG-16 down, under its names, and 13 up in reverse."""
    model = without_weights(SegNet, "vgg16_bn")
    down = [(conv.in_channels, conv.out_channels) for conv in convolutions(model.backbone)]
    up = [(conv.in_channels, conv.out_channels) for conv in convolutions(model.stages)]
    assert len(down) == 13
    assert up == [*[(b, a) for a, b in reversed(down[1:])], (64, 21)]
    assert set(model.backbone.state_dict()) == set(VGG16(32, batch_norm=True).state_dict())
    assert [type(layer) for layer in model.stages[-1]][-1] is nn.Conv2d
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == 25
    without = without_weights(SegNet, "vgg16")
    assert parameters(model) - parameters(without) == sum(2 * n.num_features for n in norms)


# RefineNet


def delta(conv):
    """Weights that hand on each channel."""
    nn.init.zeros_(conv.weight)
    nn.init.zeros_(conv.bias)
    for channel in range(conv.out_channels):
        conv.weight.data[channel, channel, 1, 1] = 1


def test_residual_unit_adds_a_correction():
    unit, x = ResidualConvUnit(3), noise(1, 3, 6, 7)
    inside = unit.conv2(F.relu(unit.conv1(F.relu(x))))
    torch.testing.assert_close(unit(x) - x, inside)
    nn.init.zeros_(unit.conv2.weight)
    nn.init.zeros_(unit.conv2.bias)
    assert torch.equal(unit(x), x)


@pytest.mark.parametrize("pools", [1, 2, 3])
def test_chain_of_pools_is_a_pyramid_of_windows(pools):
    """A 5x5 pool of a 5x5 pool is a 9x9 pool: 5, 9, 13 units, for the price of 5 each."""
    chain, x = ChainedResidualPooling(2, pools), noise(1, 2, 15, 16)
    for conv in chain.convs:
        delta(conv)
    y = F.relu(x)
    windows = [F.max_pool2d(y, size, 1, size // 2) for size in (5, 9, 13)[:pools]]
    torch.testing.assert_close(chain(x), y + sum(windows))


def test_field_of_the_chain():
    report = receptive_field(ChainedResidualPooling(2), 40)
    assert (report.size, report.aligned) == (1 + 2 * (4 + 2), True)


def test_fusion_adds_maps_of_several_sizes():
    torch.manual_seed(0)
    fusion, maps = MultiResolutionFusion([2, 3], 4), (noise(1, 2, 8, 6), noise(1, 3, 4, 3))
    fine, coarse = (conv(x) for conv, x in zip(fusion.convs, maps, strict=True))
    torch.testing.assert_close(fusion(maps), fine + upsample(coarse, (8, 6)))


def test_all_four_maps_reach_refinenet():
    torch.manual_seed(0)
    model, x = RefineNet("resnet18", 3, width=0.1, channels=8).eval(), image(64, 64)
    with torch.no_grad():
        before = model.scores(x)
        assert before.shape == (1, 3, 16, 16)
        for conv in model.reduce:
            kept = conv.weight.clone()
            conv.weight.zero_()
            assert (model.scores(x) - before).abs().max() > 1e-4
            conv.weight.copy_(kept)


def test_channels_of_refinenet():
    """512 in the deepest block, 256 in the others."""
    model = without_weights(lambda: RefineNet("resnet50"))
    assert [conv.in_channels for conv in model.reduce] == [256, 512, 1024, 2048]
    assert [conv.out_channels for conv in model.reduce] == [256, 256, 256, 512]
    fused = [[c.in_channels for c in block.fusion.convs] for block in model.blocks]
    assert fused == [[256, 512], [256, 256], [256, 256]]
    assert model.scores(torch.empty(1, 3, 97, 64, device="meta")).shape == (1, 21, 25, 16)


# LRR


@pytest.mark.parametrize("levels", [1, 2, 4])
def test_laplacian_pyramid_is_exact(levels):
    x = noise(2, 3, 16, 24, dtype=torch.float64)
    parts = laplacian_pyramid(x, levels)
    assert [part.shape[2] for part in parts] == [16 >> n for n in reversed(range(levels))]
    torch.testing.assert_close(reconstruct(parts)[-1], x)
    torch.testing.assert_close(parts[0], F.avg_pool2d(x, 2 ** (levels - 1)))


def test_pyramid_wants_sides_that_halve():
    with pytest.raises(ValueError, match="3 levels need sides of 4 k pixels, got"):
        laplacian_pyramid(noise(1, 1, 8, 6), 3)


def contrast(logits, window):
    """By hand: largest minus smallest probability of each class in the square around a unit."""
    p, margin = logits.softmax(1), window // 2
    result = torch.empty_like(p)
    for i in range(p.shape[2]):
        for j in range(p.shape[3]):
            rows = slice(max(0, i - margin), i + margin + 1)
            columns = slice(max(0, j - margin), j + margin + 1)
            square = p[:, :, rows, columns].flatten(2)
            result[:, :, i, j] = square.amax(2) - square.amin(2)
    return result


@pytest.mark.parametrize("window", [1, 3, 5])
def test_uncertainty_by_brute_force(window):
    logits = noise(2, 3, 7, 8)
    torch.testing.assert_close(uncertainty(logits, window), contrast(logits, window))


def boundary(size=16):
    """Logits that are sure of class 0 on the left and of class 1 on the right."""
    left = (torch.arange(size) < size // 2).float()
    return 100 * torch.stack([left, 1 - left])[None, :, None].expand(1, 2, size, size).contiguous()


def test_gate_is_open_at_boundaries_only():
    gate = uncertainty(boundary(), 5)[0, 0, 8]
    assert gate.tolist() == [0] * 6 + [1] * 4 + [0] * 6


def test_corrections_count_only_where_the_coarse_answer_is_disputed():
    coarse, correction = boundary(8), noise(1, 2, 16, 16)
    free, gated = (reconstruct([coarse, correction], window)[1] for window in (None, 5))
    start = upsample(coarse, (16, 16))
    torch.testing.assert_close(free, start + correction)
    assert torch.equal(gated[..., :4], start[..., :4])
    assert (gated[..., 6:10] - start[..., 6:10]).abs().min() > 1e-4


def test_lrr_reconstructs_from_three_pools():
    torch.manual_seed(0)
    model, x = LRR("vgg16", 3, window=None, width=0.1).eval(), image(64, 96)
    for conv in model.predictions:
        nn.init.normal_(conv.weight)
    with torch.no_grad():
        maps = model.scores(x)
        pool3, pool4, pool5 = pooled_maps(model.backbone, x)[2:]
        parts = [f(y) for f, y in zip(model.predictions, (pool5, pool4, pool3), strict=True)]
        middle_map = upsample(parts[0], (4, 6)) + parts[1]
        expected = [parts[0], middle_map, upsample(middle_map, (8, 12)) + parts[2]]
        for ours, wanted in zip(maps, expected, strict=True):
            torch.testing.assert_close(ours, wanted)
        model.window = 5
        assert not torch.equal(model.scores(x)[-1], maps[-1])
