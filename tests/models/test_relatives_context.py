"""Relatives that look wider: PSPNet, ParseNet, context module, CRF-as-RNN, image pyramid."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dlseg.backbones import VGG16
from dlseg.crf import DenseCRF, Kernel, appearance, smoothness
from dlseg.inspect import receptive_field
from dlseg.layers import atrous_taps, upsample
from dlseg.models import FCN, DeepLabV1, ImagePooling, MultiScale, ScoreMap, with_aux
from dlseg.models.relatives import (
    ContextModule,
    CRFasRNN,
    DilatedNet,
    ImagePyramid,
    L2Norm,
    ParseNet,
    PSPNet,
    PyramidPooling,
    auxiliary_loss,
)
from dlseg.models.relatives.context import RATES
from tests.backbones.counting import parameters, without_weights


def noise(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def image(*size, batch=1):
    return noise(batch, 3, *size, seed=1)


# PSPNet


def pyramid(channels=8, bins=(1, 2, 3, 6)):
    torch.manual_seed(0)
    pooling = PyramidPooling(channels, bins).eval()
    for norm in (level[2] for level in pooling.levels):
        norm.running_mean.normal_()
        norm.bias.data.normal_()
    return pooling


def means_by_hand(x, bins):
    """Means over bins x bins cells; a cell that ends inside a unit takes all of it."""
    height, width = x.shape[2:]
    rows = [slice(i * height // bins, math.ceil((i + 1) * height / bins)) for i in range(bins)]
    columns = [slice(j * width // bins, math.ceil((j + 1) * width / bins)) for j in range(bins)]
    cells = [[x[:, :, r, c].mean((2, 3)) for c in columns] for r in rows]
    return torch.stack([torch.stack(row, 2) for row in cells], 2)


@pytest.mark.parametrize("bins", [(1, 2, 3, 6), (1,), (2, 3)])
@pytest.mark.parametrize("size", [(12, 12), (9, 14)])
def test_pyramid_by_brute_force(bins, size):
    pooling, x = pyramid(12, bins), noise(2, 12, *size)
    expected = [x]
    for level, n in zip(pooling.levels, bins, strict=True):
        conv, norm = level[1], level[2]
        y = torch.einsum("bchw,dc->bdhw", means_by_hand(x, n), conv.weight[:, :, 0, 0])
        y = (y - norm.running_mean[:, None, None]) / (1 + norm.eps) ** 0.5
        expected.append(upsample(F.relu(y + norm.bias[:, None, None]), size))
    with torch.no_grad():
        torch.testing.assert_close(pooling(x), torch.cat(expected, 1))


def test_one_bin_is_the_image_pooling_of_deeplab_v3():
    level, x = pyramid(8, (1, 2, 3, 6)).levels[0], noise(2, 8, 5, 7)
    deeplab = ImagePooling(8, 2).eval()
    deeplab.load_state_dict(level.state_dict())
    with torch.no_grad():
        assert torch.equal(level(x), deeplab(x))
        assert torch.equal(pyramid()(x)[:, 8:10], deeplab(x))


def test_channels_of_pspnet():
    """2048, four levels of a quarter each, 4096 joined."""
    model = without_weights(lambda: PSPNet("resnet101", output_stride=8))
    assert [level[1].out_channels for level in model.pyramid.levels] == [512] * 4
    assert model.classifier[0].in_channels == 4096
    assert (model.backbone.output_stride, model.output_stride) == (8, 8)
    pooling = 4 * (2048 * 512 + 2 * 512)
    assert parameters(model.pyramid) == pooling
    assert parameters(model.classifier) == 9 * 4096 * 512 + 2 * 512 + 512 * 21 + 21


def test_auxiliary_head_learns_from_block3():
    torch.manual_seed(0)
    model = PSPNet("resnet18", 4, output_stride=8, width=0.1, aux=True)
    x = image(40, 33, batch=2)
    logits, aux = with_aux(model, x)
    assert logits.shape == aux.shape == (2, 4, 40, 33)
    aux.square().sum().backward()
    assert all(p.grad is None for p in model.backbone.layer4.parameters())
    assert all(p.grad.abs().max() > 0 for p in model.backbone.layer3.parameters())
    with torch.no_grad():
        model.eval()
        assert torch.equal(with_aux(model, x)[0], model(x))


def test_auxiliary_loss_counts_four_tenths():
    logits, aux = noise(2, 3, 4, 5), noise(2, 3, 4, 5, seed=1)
    labels = torch.randint(0, 3, (2, 4, 5), generator=torch.Generator().manual_seed(2))
    labels[0, 0, 0] = 255
    known = labels != 255

    def mean(maps):
        p = maps.log_softmax(1).gather(1, labels.clamp(max=2)[:, None])[:, 0]
        return -p[known].mean()

    torch.testing.assert_close(auxiliary_loss(logits, aux, labels), mean(logits) + 0.4 * mean(aux))
    torch.testing.assert_close(auxiliary_loss(logits, aux, labels, 0), mean(logits))


# ParseNet


def test_normalised_vectors_have_the_length_of_the_scale():
    norm, x = L2Norm(5, 7.0), noise(2, 5, 3, 4)
    torch.testing.assert_close(norm(x).norm(dim=1), torch.full((2, 3, 4), 7.0))
    torch.testing.assert_close(norm(1000 * x), norm(x))
    cosine = F.cosine_similarity(norm(x), x, dim=1)
    torch.testing.assert_close(cosine, torch.ones_like(cosine))
    assert torch.equal(norm(torch.zeros(1, 5, 2, 2)), torch.zeros(1, 5, 2, 2))


def test_each_channel_learns_its_scale():
    norm, x = L2Norm(3, 1.0), noise(1, 3, 2, 2)
    norm.scale.data = torch.tensor([1.0, 2.0, 3.0])
    torch.testing.assert_close(
        norm(x) / F.normalize(x, dim=1), norm.scale[:, None, None] * torch.ones_like(x)
    )
    norm(x).sum().backward()
    torch.testing.assert_close(norm.scale.grad, F.normalize(x, dim=1).sum((0, 2, 3)))


def parsenet(normalise=True):
    torch.manual_seed(0)
    return ParseNet("resnet18", 4, output_stride=8, width=0.1, normalise=normalise).eval()


def test_context_without_normalisation_is_a_bias_for_the_image():
    """One linear layer on both is the plain head plus the classifier of the mean: late fusion."""
    model, x = parsenet(normalise=False), image(40, 48)
    channels = model.backbone.channels
    local, wide = model.classifier.weight[:, :channels], model.classifier.weight[:, channels:]
    with torch.no_grad():
        y = model.backbone(x).last
        bias = F.conv2d(y.mean((2, 3), keepdim=True), wide)  # (1, 4, 1, 1)
        torch.testing.assert_close(
            model.scores(x), F.conv2d(y, local, model.classifier.bias) + bias
        )


def test_every_place_knows_the_whole_image():
    """Where a plain head at stride 8 sees 435 pixels."""
    report = receptive_field(ScoreMap(without_weights(parsenet)), 801)
    assert report.whole_image
    plain = receptive_field(
        ScoreMap(without_weights(FCN, "resnet18", 4, output_stride=8, width=0.1)), 801
    )
    assert (plain.size, plain.whole_image) == (435, False)


def test_normalisation_forgets_how_large_the_maps_are():
    """Features a thousand times larger change nothing, and without normalisation everything."""

    class Louder(nn.Module):
        def __init__(self, backbone):
            super().__init__()
            self.backbone, self.channels = backbone, backbone.channels
            self.output_stride = backbone.output_stride

        def forward(self, x):
            low_level, last = self.backbone(x)
            return type(self.backbone(x))(low_level, 1000 * last)

    x = image(40, 48)
    for normalise in (True, False):
        model = parsenet(normalise)
        with torch.no_grad():
            quiet = model.scores(x)
            model.backbone = Louder(model.backbone)
            same = torch.allclose(model.scores(x), quiet, rtol=1e-4, atol=1e-5)
        assert same == normalise


# The context module


@pytest.mark.parametrize("kind", ["basic", "large"])
def test_fields_of_table_1(kind):
    report = receptive_field(ContextModule(3, kind), (3, 80, 80))
    sizes = [row.size for row in report.layers if row.operation.startswith("conv")]
    assert sizes == [3, 5, 9, 17, 33, 65, 67, 67]
    assert (report.stride, report.start) == (1, 0)


def test_channels_and_parameters_of_table_1():
    basic, large = ContextModule(5), without_weights(ContextModule, 5, "large")
    assert [conv.out_channels for conv in basic.layers[::2]] == [5] * 8
    assert [conv.out_channels for conv in large.layers[::2]] == [10, 10, 20, 40, 80, 160, 160, 5]
    assert parameters(ContextModule(21)) == 64 * 21**2 + 8 * 21  # 64 C^2, and the biases
    assert [conv.dilation[0] for conv in basic.layers[::2]] == [*RATES, 1]


def test_basic_module_starts_as_the_identity():
    x = noise(2, 4, 9, 13).abs()
    assert torch.equal(ContextModule(4)(x), x)


def test_its_relus_cut_off_what_is_negative():
    x = noise(2, 4, 9, 13)
    assert torch.equal(ContextModule(4)(x), F.relu(x))


def test_large_module_starts_as_the_identity_but_for_its_noise():
    x = noise(1, 4, 9, 13).abs()
    torch.testing.assert_close(ContextModule(4, "large", noise=0)(x), x)
    torch.manual_seed(0)
    y = ContextModule(4, "large")(x)
    assert not torch.allclose(y, x, rtol=1e-3)
    assert (y - x).abs().max() < 0.5 * x.abs().max()


def test_module_is_a_stack_of_atrous_convolutions():
    torch.manual_seed(0)
    module, x = ContextModule(2), noise(1, 2, 5, 6)
    convs = module.layers[::2]
    for conv in convs:
        nn.init.kaiming_normal_(conv.weight)
        nn.init.normal_(conv.bias)
    y = F.pad(x, [33] * 4)
    for conv, rate in zip(convs, [*RATES, 1], strict=True):
        y = atrous_taps(y, conv.weight, rate) + conv.bias[:, None, None]
        y = y if conv is convs[-1] else F.relu(y)
    with torch.no_grad():
        torch.testing.assert_close(module(x), y)


def test_front_end_has_no_late_pools():
    """380 pixels; DeepLab's 7x7 at rate 4, which keeps the pools, sees 404."""
    front = without_weights(DilatedNet, "vgg16", context=None)
    assert receptive_field(ScoreMap(front), 64).size == 380
    assert (
        receptive_field(ScoreMap(without_weights(DeepLabV1, "vgg16", variant="7x7")), 64).size
        == 404
    )
    report = receptive_field(ScoreMap(without_weights(DilatedNet, "vgg16")), 64)
    assert (report.size, report.stride, report.start) == (380 + 66 * 8, 8, 3.5)
    assert sum(isinstance(m, nn.MaxPool2d) for m in front.modules()) == 3
    assert set(front.backbone.state_dict()) == set(VGG16(8).state_dict())
    assert parameters(front) == 134_346_581  # as DeepLab-7x7 and FCN-32s


def test_context_starts_from_the_front_end():
    torch.manual_seed(0)
    model, x = DilatedNet("vgg16", 4, width=0.02).eval(), image(40, 33)
    with torch.no_grad():
        front = model.front_end(x)
        assert front.shape == (1, 4, 5, 5)
        assert torch.equal(model.scores(x), F.relu(front))
        nn.init.normal_(model.context.layers[2].weight)
        assert not torch.equal(model.scores(x), F.relu(front))


# CRF-as-RNN

KERNELS = (smoothness(1, 1), appearance(4, 20, 2))


class Linear(nn.Module):
    """The least network: a 3x3 convolution, at stride 1."""

    def __init__(self, num_classes=3):
        super().__init__()
        torch.manual_seed(0)
        self.backbone = nn.Identity()
        self.conv = nn.Conv2d(3, num_classes, 3, padding=1)
        self.num_classes, self.output_stride = num_classes, 1

    def scores(self, x):
        return self.conv(self.backbone(x))

    forward = scores


def crf_net(kernels=KERNELS, **options):
    return CRFasRNN(Linear(), kernels, method="exact", **options)


@pytest.mark.parametrize("method", ["lattice", "exact"])
@pytest.mark.parametrize(("training", "iterations"), [(True, 5), (False, 10)])
def test_it_starts_as_the_dense_crf_on_the_logits(training, iterations, method):
    net, x = CRFasRNN(Linear(), KERNELS, method=method).train(training), image(9, 11)
    with torch.no_grad():
        logits, colours = net.model(x), net.colours(x)
        crf = DenseCRF(KERNELS, iterations, "after", method=method, trim=0)
        torch.testing.assert_close(net(x).exp(), crf(logits, colours))
        fewer = DenseCRF(KERNELS, iterations - 1, "after", method=method, trim=0)
        assert not torch.allclose(fewer(logits, colours), net(x).exp(), rtol=1e-5)


def test_log_of_q_is_a_logit():
    net, x = crf_net().eval(), image(9, 11)
    with torch.no_grad():
        y = net(x)
        torch.testing.assert_close(y.softmax(1), y.exp())
        none = crf_net(iterations=(0, 0))
        torch.testing.assert_close(none(x), net.model(x).log_softmax(1))
        assert torch.equal(none.scores(x), none.model.scores(x))


def test_colours_come_back():
    colours = torch.randint(0, 256, (2, 3, 4, 5), generator=torch.Generator().manual_seed(0))
    net = crf_net(mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))
    normalised = (colours / 255 - net.mean) / net.std
    assert torch.equal(net.colours(normalised), colours.to(torch.uint8))
    assert net.colours(torch.full((1, 3, 2, 2), 9.0)).max() == 255


def one_number(net, name, index):
    return dict(net.named_parameters())[name].data.view(-1)[index : index + 1]


@pytest.mark.parametrize(
    "name", ["model.conv.weight", "model.conv.bias", "crf.weights.0", "crf.weights.1"]
)
def test_gradients_reach_network_and_crf(name):
    """Through five iterations, as finite differences say."""
    net, x = crf_net().double().train(), image(6, 7).double()
    labels = torch.randint(0, 3, (1, 6, 7), generator=torch.Generator().manual_seed(1))

    def loss():
        return F.cross_entropy(net(x), labels)

    loss().backward()
    gradient = dict(net.named_parameters())[name].grad.flatten()
    for index in (0, 1):
        number, step = one_number(net, name, index), 1e-5
        with torch.no_grad():
            number += step
            above = loss()
            number -= 2 * step
            below = loss()
            number += step
        slope = (above - below) / (2 * step)
        assert slope.abs() > 1e-5
        torch.testing.assert_close(gradient[index], slope, rtol=1e-5, atol=1e-8)


def test_penalties_need_not_be_symmetric():
    net = crf_net()
    assert [tuple(w.shape) for w in net.crf.weights] == [(3, 3), (3, 3)]
    potts = 2 * (1 - torch.eye(3))
    assert torch.equal(net.crf.weights[1].data, potts)
    x, labels = image(9, 11), torch.zeros(1, 9, 11, dtype=torch.int64)
    F.cross_entropy(net(x), labels).backward()
    gradient = net.crf.weights[1].grad
    assert not torch.allclose(gradient, gradient.T)


def test_a_kernel_per_class_is_taken_as_a_start():
    net = crf_net((Kernel(2, None, (1.0, 2.0, 3.0)),)).eval()
    assert torch.equal(net.crf.weights[0].data, -torch.diag(torch.tensor([1.0, 2.0, 3.0])))


# The image pyramid


def narrow():
    torch.manual_seed(0)
    return FCN("resnet18", 4, width=0.1).eval()


def test_maximum_is_the_multi_scale_of_deeplab_v2():
    model, x = narrow(), image(64, 48)
    with torch.no_grad():
        ours, theirs = ImagePyramid(model, fusion="max").scores(x), MultiScale(model).scores(x)
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_mean_gives_each_scale_its_say():
    model, x = narrow(), image(64, 48)
    with torch.no_grad():
        *maps, mean = ImagePyramid(model, (0.5, 1)).scores(x)
        half = upsample(model.scores(upsample(x, (32, 24))), (4, 3))
        torch.testing.assert_close(maps[1], model.scores(x))
        torch.testing.assert_close(mean, (half + maps[1]) / 2)
        assert torch.equal(ImagePyramid(model, (0.5, 1))(x), upsample(mean, (64, 48)))


def test_one_set_of_weights():
    model = narrow()
    assert parameters(ImagePyramid(model)) == parameters(model)
