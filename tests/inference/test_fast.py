"""Networks made ready for inference: the same outputs, whatever was folded and replaced."""

from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlseg.backbones import VGG16, ResNet
from dlseg.inference import fast, prepare, probabilities
from dlseg.inference.convolutions import OneDNN, ShiftedDepthwise, Winograd
from dlseg.inference.folding import fold, watch
from dlseg.models import (
    FCN,
    DeepLabV1,
    DeepLabV2,
    DeepLabV3,
    DeepLabV3Cascade,
    DeepLabV3Plus,
    MultiScale,
    torchvision_deeplabv3,
)
from tests.peers import distance, load_torchvision, randomise
from tests.sampling import sampled

TOLERANCE = 1e-4  # what `prepare` promises in float32
# In float64 whatever is wrong shows, and rounding does not: small random networks magnify it.
EXACT = 1e-10


def image(*size, batch=1, dtype=torch.float32):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, 3, *size, generator=generator, dtype=dtype)


@pytest.fixture
def always(monkeypatch):
    """Every convolution gives way to the last of its alternatives, slow as they may be here."""

    def seconds(layers, x, rounds=4):
        for layer in layers.values():
            layer(x)
        return {name: float(len(layers) - place) for place, name in enumerate(layers)}

    monkeypatch.setattr(fast, "seconds", seconds)


def resnet(depth=50, output_stride=16, **options):
    return ResNet(output_stride, depth=depth, width=0.125, **options)


MODELS = {
    "fcn": lambda: FCN(resnet(18, 32), 5),
    "v1": lambda: DeepLabV1("vgg16", 5, width=0.125),
    "v1 batch norm, msc": lambda: DeepLabV1(
        "vgg16_bn", 5, width=0.125, released=True, msc="concat"
    ),
    "v2 vgg": lambda: DeepLabV2("vgg16_bn", 5, width=0.125),
    "v2 resnet": lambda: DeepLabV2("resnet50", 5, width=0.125),
    "v2 scales": lambda: MultiScale(DeepLabV2("resnet18", 5, width=0.125)),
    "v3": lambda: DeepLabV3(resnet(multi_grid=(1, 2, 4), stem="beta"), 5, channels=16),
    "v3 aux": lambda: torchvision_deeplabv3("resnet50", 5, width=0.125, aux=True),
    "v3 mobilenet": lambda: DeepLabV3("mobilenetv2", 5, width=0.25, atrous_rates=()),
    "v3 separable": lambda: DeepLabV3(
        "mobilenetv2", 5, output_stride=8, width=0.25, convolution="separable"
    ),
    "v3 cascade": lambda: DeepLabV3Cascade(
        "resnet18", 5, output_stride=64, width=0.125, multi_grid=(1, 2)
    ),
    "v3+ xception": lambda: DeepLabV3Plus("xception65", 5, width=0.125, convolution="separable"),
    "v3+ separable": lambda: DeepLabV3Plus(
        "mobilenetv2", 5, output_stride=8, width=0.25, convolution="separable"
    ),
    "v3+, whole": lambda: DeepLabV3Plus(resnet(18, 8, first_unit="whole"), 5, channels=16),
}
# One of each family, and what is left whole; the others at night.
FEW = ("v1 batch norm, msc", "v2 scales", "v3 aux", "v3 separable", "v3+ xception")
A_FEW = sampled(MODELS, FEW)
# Batch norms that stay: the auxiliary head's, which `forward` does not run, and all of a network
# whose layers run once for each scale.
LEFT = {"v3 aux": 1, "v2 scales": 20}


def built(name):
    torch.manual_seed(0)
    model = MODELS[name]()
    randomise(model, 65)
    return model.eval()


def norms(model):
    return sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())


def kinds(model):
    return {type(module) for module in model.modules()}


@pytest.mark.parametrize("name", A_FEW)
def test_same_logits(name, always):
    model = built(name).double()
    copy = prepare(model, image(65, 49, dtype=torch.float64))
    assert norms(copy) == LEFT.get(name, 0)
    assert kinds(copy) & {Winograd, ShiftedDepthwise}
    with torch.inference_mode():
        for size, batch in (((65, 49), 1), ((40, 72), 2)):  # another size and number too
            x = image(*size, batch=batch, dtype=torch.float64)
            assert distance(copy(x), model(x)) < EXACT


@pytest.mark.parametrize("name", A_FEW)
def test_same_logits_in_float32(name, always):
    model, x = built(name), image(65, 49)
    copy = prepare(model, x)
    assert OneDNN in kinds(copy)
    with torch.inference_mode():
        assert distance(copy(x), model(x)) < TOLERANCE


def test_scores_and_attributes_stay(always):
    model, x = built("v3+ separable"), image(65, 65)
    copy = prepare(model, x)
    assert isinstance(copy, DeepLabV3Plus) and copy.output_stride == 8 and copy.num_classes == 5
    with torch.inference_mode():
        assert distance(copy.scores(x), model.scores(x)) < TOLERANCE
    assert distance(probabilities(copy, x, flip=True), probabilities(model, x, flip=True)) < 1e-4


def test_torchvision(always):
    """A network of others, whose output is a dictionary."""
    build = load_torchvision().models.segmentation.deeplabv3_mobilenet_v3_large
    torch.manual_seed(0)
    peer = build(weights=None, weights_backbone=None, num_classes=5)
    randomise(peer)
    x = image(65, 65)
    copy = prepare(peer, x)
    assert norms(copy) == 0 and kinds(copy) >= {OneDNN, Winograd}
    with torch.inference_mode():
        assert distance(copy(x)["out"], peer(x)["out"]) < TOLERANCE


def test_what_is_measured_is_the_same_too():
    model, x = built("v3+ separable"), image(65, 65)
    with torch.inference_mode():
        assert distance(prepare(model, x)(x), model(x)) < TOLERANCE


def test_the_model_is_left_as_it_is():
    model, x = built("v3").train(), image(33, 33, batch=2)
    before = deepcopy(model.state_dict())
    modes = [module.training for module in model.modules()]
    copy = prepare(model, x)
    assert {key: value.tolist() for key, value in before.items()} == {
        key: value.tolist() for key, value in model.state_dict().items()
    }
    assert [module.training for module in model.modules()] == modes
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not any(parameter.requires_grad for parameter in copy.parameters())
    assert not any(module.training for module in copy.modules())
    for module in (*model.modules(), *copy.modules()):
        assert not module._forward_hooks and not module._forward_pre_hooks
    model(x).sum().backward()  # still trains


def test_maps_are_in_channels_last_order():
    copy = prepare(built("fcn"), image(33, 33))
    with torch.inference_mode():
        last = copy.backbone(image(33, 33)).last
    assert last.is_contiguous(memory_format=torch.channels_last) and not last.is_contiguous()


class Parts(nn.Module):
    """Two convolutions, two batch norms, and a forward pass given as a function."""

    def __init__(self, run, track=True):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 1, bias=False)
        self.norm, self.other = nn.BatchNorm2d(3, track_running_stats=track), nn.BatchNorm2d(3)
        self.run = run

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self, x)


def both(part, x):
    y = part.first(x)
    return part.norm(y) + y


def returned(part, x):
    y = part.first(x)
    return part.norm(y), y


def seen_through_a_view(part, x):
    y = part.first(x)
    return part.norm(y) * y.flatten(2).mean(2)[..., None, None]


FOLDED = {
    "right behind": (lambda part, x: part.norm(part.first(x)), 1),
    "two pairs": (lambda part, x: part.other(part.second(part.norm(part.first(x)))), 2),
    "pairs against the order of definition": (
        lambda part, x: part.norm(part.second(part.other(part.first(x)))),
        2,
    ),
    "before": (lambda part, x: part.first(part.norm(x)), 0),
    "something in between": (lambda part, x: part.norm(F.relu(part.first(x))), 0),
    "something in between, in place": (lambda part, x: part.norm(part.first(x).relu_()), 0),
    "something beside": (both, 0),
    "returned as well": (returned, 0),
    "seen through a view": (seen_through_a_view, 0),
    "another convolution beside": (
        lambda part, x: part.norm(y := part.first(x)) + part.second(y),
        0,
    ),
    "convolution twice": (lambda part, x: part.norm(part.first(part.first(x))), 0),
    "norm twice": (lambda part, x: part.norm(part.first(x)) + part.norm(part.second(x)), 0),
    "both twice": (lambda part, x: part.norm(part.first(part.norm(part.first(x)))), 0),
    "convolution as a function": (
        lambda part, x: part.norm(F.conv2d(x, part.first.weight)) + part.first(x).mean(),
        0,
    ),
}


@pytest.mark.parametrize("name", FOLDED)
def test_batch_norm_is_folded_only_where_nothing_else_reads(name):
    run, count = FOLDED[name]
    model, x = Parts(run), image(9, 9, batch=2)
    model.train()(x)
    randomise(model, 9)
    copy = deepcopy(model)
    assert fold(copy, watch(copy, x)) == count
    assert norms(copy) == 2 - count
    with torch.inference_mode():
        torch.testing.assert_close(copy(x), model(x), rtol=1e-4, atol=1e-5)


def test_batch_norm_without_statistics_is_not_folded():
    model = Parts(FOLDED["right behind"][0], track=False).eval()
    assert fold(model, watch(model, image(9, 9))) == 0


def test_a_layer_at_two_places_is_replaced_at_both():
    layers = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))
    model = nn.ModuleDict({"a": layers, "b": nn.ModuleList([layers[0]])})
    model.forward = lambda x: layers(x)
    model.eval()
    assert fold(model, watch(model, image(9, 9))) == 1
    assert model["b"][0] is layers[0] and isinstance(layers[1], nn.Identity)


def test_clearly_faster_is_a_tenth_at_least(monkeypatch):
    """And equal layers on equal maps are timed once."""
    calls, times = [], {"": 1.0}

    def seconds(layers, x, rounds=4):
        calls.append((layers[""].dilation[0], tuple(x.shape)))
        return times

    monkeypatch.setattr(fast, "seconds", seconds)
    model = nn.Sequential(*(nn.Conv2d(6, 6, 3, 1, rate, rate, 6) for rate in (4, 4, 2)))
    uses = watch(model, torch.zeros(1, 6, 9, 9))
    for share, expected in ((0.91, []), (0.89, [ShiftedDepthwise] * 3)):
        calls.clear()
        times["shifted"] = share
        found = fast.faster_convolutions(uses)
        assert [type(layer) for layer in found.values()] == expected
        assert calls == [(4, (1, 6, 9, 9)), (2, (1, 6, 9, 9))]
    assert list(found) == list(model)


def test_layers_are_timed_on_the_largest_map_they_get(monkeypatch):
    sizes = []
    monkeypatch.setattr(fast, "seconds", lambda layers, x: sizes.append(x.shape[2:]) or {"": 0.0})
    layer = nn.Conv2d(3, 3, 1)
    model = nn.Module()
    model.forward = lambda x: layer(x[..., 2:, :]) + layer(x[..., 2:]).mean() + layer(x).sum()
    model.layer = layer
    fast.faster_convolutions(watch(model, torch.zeros(1, 3, 8, 9)))
    assert sizes == [(8, 9)]


def test_alternatives():
    wide, narrow = torch.Size((1, 8, 65, 65)), torch.Size((1, 8, 9, 9))

    def names(shape, *arguments, **options):
        return list(fast.alternatives(nn.Conv2d(8, 8, *arguments, **options), shape))

    assert names(wide, 3, padding=4, dilation=4) == ["Winograd 3", "Winograd 4"]
    assert names(wide, 3, padding=12, dilation=12) == ["Winograd 3"]
    assert names(narrow, 3, padding=12, dilation=12) == []  # more products than it saves
    assert names(torch.Size((1, 8, 2, 4)), 3, padding=1) == []  # just half as many are too many
    assert names(wide, 3, padding=2, dilation=2, groups=8) == ["shifted"]
    assert names(wide, 3, padding=1, groups=8) == []  # PyTorch is fast where the rate is 1
    assert names(wide, 1) == ["oneDNN"]
    assert names(wide, 3, 2, 1) == names(wide, 1, 2) == names(wide, 7, padding=3) == []


def test_half_precision_is_prepared_in_single_precision_first(always):
    """Outputs differ by what a number of 8 bits is off; the prepared copy can be converted."""
    model, x = built("fcn"), image(33, 33)
    with pytest.raises(ValueError, match=r"images must be float32 or float64, got torch.bfloat16"):
        prepare(model.bfloat16(), x.bfloat16())
    assert norms(prepare(model.float(), x).bfloat16()) == 0


def test_outputs_that_differ_are_an_error(monkeypatch):
    model, x = built("fcn"), image(33, 33)
    monkeypatch.setattr(fast, "TOLERANCE", 1e-12)
    with pytest.raises(RuntimeError, match=r"with batch norm folded .* differ by .*use the model"):
        prepare(model, x)
    with pytest.raises(RuntimeError, match="differ by nan"):
        fast.check_same(nn.Identity(), torch.full((1,), torch.nan), torch.ones(1), "here")


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
def test_the_difference_is_a_share_of_the_largest_value(size):
    x = size * image(5, 5)
    fast.check_same(nn.Identity(), x * (1 + 0.5 * TOLERANCE), x, "here")
    with pytest.raises(RuntimeError, match=r"differ by 2.0e-04 of their"):
        fast.check_same(nn.Identity(), x * (1 + 2 * TOLERANCE), x, "here")


def test_control_flow_that_depends_on_values_is_refused():
    model = Parts(lambda part, x: part.first(x) if x.sum() > 0 else x)
    with pytest.raises(ValueError, match="the model's path depends on the values of the image"):
        prepare(model, image(9, 9))


def test_bad_images():
    with pytest.raises(ValueError, match="images must be floats of shape"):
        prepare(built("fcn"), torch.zeros(3, 9, 9))


def test_backbone_alone(always):
    """Outputs that are tuples of maps."""
    model, x = VGG16(8, batch_norm=True, width=0.125).eval(), image(64, 64)
    randomise(model, 64)
    with torch.inference_mode():
        assert distance(prepare(model, x)(x).last, model(x).last) < TOLERANCE
