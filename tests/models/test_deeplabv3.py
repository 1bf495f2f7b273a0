"""DeepLab v3: counts, branches, image pooling, output strides, and the cascade of blocks."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dlseg.backbones import MobileNetV2, ResNet
from dlseg.inspect import receptive_field
from dlseg.layers import atrous_taps
from dlseg.models import (
    ASPP,
    FCN,
    DeepLabV3,
    DeepLabV3Cascade,
    ImagePooling,
    ScoreMap,
    at_output_stride,
    cascade_plans,
    scaled_rates,
)
from tests.backbones.counting import multiply_adds, parameters, without_weights
from tests.peers import randomise

NETWORKS = {  # parameters, 10^9 multiply-adds at 513 x 513 and output stride 16 and 8
    "resnet50": (lambda os: ResNet(os), 39_048_533, (50.44, 166.16)),
    "resnet101": (lambda os: ResNet(os, depth=101), 58_040_661, (71.06, 246.18)),
    "beta": (
        lambda os: ResNet(os, depth=101, stem="beta", style="slim"),
        58_164_437,
        (76.05, 252.25),
    ),
}
WIDTH = 0.1


def narrow(output_stride=16, depth=18, seed=0, **options):
    torch.manual_seed(seed)
    options = {"channels": 8, "atrous_rates": (2, 4, 6)} | options
    return DeepLabV3(ResNet(output_stride, depth=depth, width=WIDTH), 4, **options)


def narrow_cascade(output_stride=16, seed=0, **options):
    torch.manual_seed(seed)
    return DeepLabV3Cascade("resnet18", 4, output_stride=output_stride, width=WIDTH, **options)


def image(*size, batch=1):
    return torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(1))


def scores_of(model, x):
    with torch.no_grad():
        return model.eval().scores(x)


def rates(block):
    """Of the 3x3 convolutions of a bottleneck stage."""
    return [unit.conv2.dilation[0] for unit in block]


# Counts


@pytest.mark.parametrize("name", NETWORKS)
def test_parameters_and_multiply_adds(name):
    build, count, billions = NETWORKS[name]
    for output_stride, expected in zip((16, 8), billions, strict=True):
        model = without_weights(lambda os=output_stride: DeepLabV3(build(os)))
        assert parameters(model) == count
        assert round(multiply_adds(model, 513) / 1e9, 2) == expected


@pytest.mark.parametrize(
    ("options", "count", "printed", "billions"),
    [
        ({"atrous_rates": ()}, 2_113_557, 2.11, (2.741, 8.826)),
        ({}, 4_523_541, 4.52, (5.364,)),
        ({"convolution": "separable"}, 2_568_021, None, ()),
    ],
)
def test_mobilenetv2(options, count, printed, billions):
    """MobileNetV2, table 7: two branches, and dense ASPP; nobody printed the separable one."""

    def build(output_stride):
        return without_weights(lambda: DeepLabV3(MobileNetV2(output_stride), **options))

    assert parameters(build(16)) == count
    for output_stride, expected in zip((16, 8), billions, strict=False):
        assert round(multiply_adds(build(output_stride), 513) / 1e9, 3) == expected
    assert printed is None or round(count / 1e6, 2) == printed


def test_count_that_the_papers_print_for_resnet101_is_that_of_the_beta_stem():
    assert round(NETWORKS["beta"][1] / 1e6, 2) == 58.16  # MobileNetV2, table 7
    assert round(NETWORKS["resnet101"][1] / 1e6, 2) != 58.16


# Branches


def test_rates_follow_the_output_stride():
    for output_stride, expected in ((8, [12, 24, 36]), (16, [6, 12, 18]), (32, [3, 6, 9])):
        model = without_weights(lambda os=output_stride: DeepLabV3("resnet18", output_stride=os))
        branches = model.classifier[0].convs
        assert [conv[0].dilation[0] for conv in branches[1:4]] == expected
        assert [conv[0].padding[0] for conv in branches[1:4]] == expected
    with pytest.raises(ValueError, match="3 makes no whole rate at output_stride=32: take even"):
        scaled_rates((2, 3), 32)


@pytest.mark.parametrize("convolution", ["plain", "separable"])
@pytest.mark.parametrize("branch", range(5))
def test_each_branch_reaches_the_scores(convolution, branch):
    """Also that each reads its input: some implementations returned inside their loop."""
    model = narrow(convolution=convolution)
    randomise(model)
    x = image(65, 65)
    before = scores_of(model, x)
    parts = model.classifier[0].convs[branch].modules()
    *_, last = (part for part in parts if isinstance(part, nn.Conv2d))
    with torch.no_grad():
        last.weight.neg_()
    changed = (scores_of(model, x) - before).abs().amax((0, 2, 3))
    assert changed.min() > 1e-3 * before.abs().max()


def normalised(y, norm):
    """BN in eval mode, by its formula."""
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    shift = norm.bias - norm.running_mean * scale
    return y * scale[:, None, None] + shift[:, None, None]


def test_pyramid_by_hand():
    """Each branch tap by tap, the mean over the map, all five side by side, and the projection."""
    torch.manual_seed(0)
    aspp, x = ASPP(6, (1, 2, 5), 4), torch.randn(2, 6, 9, 11)
    randomise(nn.Sequential(nn.Conv2d(3, 6, 1), aspp), 9)
    maps = []
    for (conv, norm, _), rate in zip(aspp.convs[:4], (0, 1, 2, 5), strict=True):
        maps.append(normalised(atrous_taps(x, conv.weight, max(rate, 1), padding=rate), norm))
    _, conv, norm, _ = aspp.convs[4]
    mean = torch.einsum("bc,dc->bd", x.mean((2, 3)), conv.weight[:, :, 0, 0])
    maps.append(normalised(mean[:, :, None, None].repeat(1, 1, 9, 11), norm))
    joined = torch.cat([y.clamp(min=0) for y in maps], dim=1)
    conv, norm, *_ = aspp.project
    expected = normalised(torch.einsum("bchw,dc->bdhw", joined, conv.weight[:, :, 0, 0]), norm)
    with torch.no_grad():
        torch.testing.assert_close(aspp(x), expected.clamp(min=0))


def test_field_without_image_pooling_is_that_of_the_largest_rate():
    """427 pixels of torchvision's ResNet-50, and 18 units of 16 pixels more on either side."""
    for output_stride in (16, 8):
        backbone = partial(ResNet, output_stride)
        model = without_weights(lambda b=backbone: DeepLabV3(b(), image_pooling=False))
        assert receptive_field(ScoreMap(model), 129).size == 427 + 2 * 18 * 16


def test_image_pooling_sees_the_whole_image():
    model = narrow(atrous_rates=())
    randomise(model)
    x, lit = image(513, 33), image(513, 33)
    lit[:, :, 500:] += 3.0  # farther from the first unit than any field of ResNet-18, 435 pixels
    changed = (scores_of(model, lit) - scores_of(model, x))[:, :, :2].abs().max()
    assert changed > 1e-3
    blind = narrow(atrous_rates=(), image_pooling=False)
    randomise(blind)
    assert torch.equal(scores_of(blind, lit)[:, :, :2], scores_of(blind, x)[:, :, :2])


def test_upsampling():
    x = image(41, 56)
    for align_corners in (False, True):
        model = narrow(align_corners=align_corners).eval()
        with torch.no_grad():
            expected = F.interpolate(model.scores(x), (41, 56), None, "bilinear", align_corners)
            assert torch.equal(model(x), expected)


def test_dropout_is_behind_the_projection():
    aspp, x = ASPP(8, (1,), 8), torch.randn(2, 8, 5, 5)
    assert aspp.project[3].p == 0.1
    aspp.project[3].p = 1.0
    assert aspp(x).abs().max() == 0
    assert aspp.eval()(x).abs().max() > 0


def test_scores_start_small():
    model = narrow(channels=256)
    assert model.classifier[-1].bias.abs().max() == 0
    assert abs(model.classifier[-1].weight.std() - 0.01) < 1e-3


# A batch of one image


def test_batch_of_one_says_what_to_do():
    """PyTorch's own words name neither the pool nor a way out."""
    message = (
        "of a batch of 1 image.*at least 2 images per device .drop_last=True.*model.eval.*"
        "freeze batch norm.*nn.SyncBatchNorm.*image_pooling=False"
    )
    with pytest.raises(ValueError, match=message):
        narrow().train()(image(65, 65))


def test_remedies_for_a_batch_of_one():
    x = image(65, 65)
    assert narrow().train()(image(65, 65, batch=2)).isfinite().all()
    assert narrow().eval()(x).isfinite().all()
    assert narrow(image_pooling=False).train()(x).isfinite().all()
    frozen = narrow().train()
    for module in frozen.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    assert frozen(x).isfinite().all()
    synchronised = nn.SyncBatchNorm.convert_sync_batchnorm(ImagePooling(8, 8))
    with pytest.raises(
        (ValueError, RuntimeError)
    ) as caught:  # it asks for a GPU or a process group
        synchronised(torch.randn(1, 8, 4, 4))
    assert "image_pooling" not in str(caught.value)


# Output strides


@pytest.mark.parametrize("dense", [16, 8])
def test_dense_scores_hold_the_coarse_ones(dense):
    """Strides became rates, in ASPP too: the same weights, and every second or fourth unit."""
    options = {"atrous_rates": (2, 4, 6), "image_pooling": False}
    coarse = narrow(32, **options).double()
    randomise(coarse)
    model = at_output_stride(coarse, lambda os: narrow(os, seed=1, **options), dense)
    x, step = image(97, 129).double(), 32 // dense
    torch.testing.assert_close(scores_of(model, x)[:, :, ::step, ::step], scores_of(coarse, x))


def test_trained_at_16_evaluated_at_8():
    coarse = narrow(16).double()
    randomise(coarse)
    dense = at_output_stride(coarse, lambda os: narrow(os, seed=1), 8)
    assert (dense.output_stride, dense.training) == (8, False)
    assert all(torch.equal(dense.state_dict()[k], v) for k, v in coarse.state_dict().items())
    assert next(dense.parameters()).dtype == torch.float64
    assert next(dense.parameters()).data_ptr() != next(coarse.parameters()).data_ptr()
    assert at_output_stride(coarse.train(), narrow, 8).training
    x = image(65, 65).double()
    assert scores_of(dense, x).shape[2:] == (9, 9) and scores_of(coarse, x).shape[2:] == (5, 5)


def test_changing_the_stride_of_another_network():
    with pytest.raises(ValueError, match=r"build\(8\) made a network with output_stride=16; give"):
        at_output_stride(narrow(16), lambda _: narrow(16), 8)
    with pytest.raises(RuntimeError, match="size mismatch"):
        at_output_stride(narrow(16), lambda os: narrow(os, channels=16), 8)


# Training


# Cascade


def test_blocks_of_the_cascade_are_copies_of_block4():
    """Each adds as many weights: 1x1, 3x3 and 1x1 of 512, three times, behind 2048 channels."""
    unit = 2048 * 512 + 9 * 512 * 512 + 512 * 2048 + 2 * (512 + 512 + 2048)
    counts = [
        parameters(without_weights(DeepLabV3Cascade, "resnet50", blocks=last))
        for last in (4, 5, 6, 7)
    ]
    assert counts == [counts[0] + blocks * 3 * unit for blocks in range(4)]
    assert counts[0] == parameters(without_weights(FCN, "resnet50"))


@pytest.mark.parametrize(
    ("output_stride", "expected"),
    [
        (8, [4, 8, 16, 32]),
        (16, [2, 4, 8, 16]),  # figure 3 of the paper
        (32, [1, 2, 4, 8]),
        (64, [1, 1, 2, 4]),
        (128, [1, 1, 1, 2]),
        (256, [1, 1, 1, 1]),
    ],
)
def test_rates_of_the_blocks(output_stride, expected):
    model = without_weights(DeepLabV3Cascade, "resnet50", output_stride=output_stride)
    blocks = [model.backbone.layer4, *model.blocks]
    assert [rates(block)[-1] for block in blocks] == expected
    x = torch.empty(1, 3, 513, 257, device="meta")
    rows, columns = 512 // output_stride + 1, 256 // output_stride + 1
    assert model.scores(x).shape == (1, 21, rows, columns)
    assert model(x).shape == (1, 21, 513, 257)
    assert model.output_stride == output_stride


def test_multi_grid():
    """Section 3.2.1: unit rates (1, 2, 4) make 2, 4, 8 of block4 at output stride 16."""
    model = without_weights(DeepLabV3Cascade, "resnet50", multi_grid=(1, 2, 4))
    blocks = [model.backbone.layer4, *model.blocks]
    assert [rates(block) for block in blocks] == [[r, 2 * r, 4 * r] for r in (2, 4, 8, 16)]


@pytest.mark.parametrize("dense", [8, 16, 64, 128])
def test_dense_cascade_holds_the_coarse_one(dense):
    coarse = narrow_cascade(256).double()
    randomise(coarse, 257)
    model = at_output_stride(coarse, lambda os: narrow_cascade(os, seed=1), dense)
    x, step = image(257, 257).double(), 256 // dense
    expected = scores_of(coarse, x)
    assert expected.shape[2:] == (2, 2)
    torch.testing.assert_close(scores_of(model, x)[:, :, ::step, ::step], expected)


def test_field_of_the_cascade():
    """427 pixels of block4, and three 3x3 of each further block; the output stride is no matter."""
    sizes = set()
    for output_stride in (16, 256):
        model = without_weights(DeepLabV3Cascade, "resnet50", output_stride=output_stride)
        sizes.add(receptive_field(ScoreMap(model), 65).size)
    assert sizes == {427 + 2 * (32 + 2 * 64) + 2 * (64 + 2 * 128) + 2 * (128 + 2 * 256)}


def test_block4_alone_is_the_plain_head():
    cascade, plain = narrow_cascade(blocks=4), FCN("resnet18", 4, width=WIDTH)
    plain.load_state_dict(cascade.state_dict())
    x = image(65, 65)
    with torch.no_grad():
        assert torch.equal(cascade.eval()(x), plain.eval()(x))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: narrow(convolution="dense"),
            "convolution must be one of plain, separable, got 'dense'",
        ),
        (lambda: narrow(atrous_rates=(6, 0)), "rate of atrous_rates must be an integer >= 1, got"),
        (lambda: narrow(channels=0), "channels must be an integer >= 1, got 0"),
        (lambda: ASPP(4, (0,)), "rate must be an integer >= 1, got 0"),
        (lambda: DeepLabV3Cascade("vgg16", width=0.1), "needs a ResNet, got VGG16"),
        (lambda: narrow().eval()(torch.zeros(3, 8, 8)), r"image \(B, 3, H, W\), got .*\(3, 8, 8\)"),
        (lambda: cascade_plans(8, 16), "blocks must be an integer <= 7, got 8"),
        (lambda: cascade_plans(3, 16), "blocks must be an integer >= 4, got 3"),
        (lambda: cascade_plans(5, 128), "must be one of 8, 16, 32, 64, got 128"),
        (lambda: cascade_plans(7, 4), "must be one of 8, 16, 32, 64, 128, 256, got 4"),
        (lambda: narrow_cascade(multi_grid=(1, 2, 1)), "a unit rate for each of the 2 units"),
    ],
)
def test_bad_input_says_what_to_do(call, message):
    with pytest.raises(ValueError, match=message):
        call()
