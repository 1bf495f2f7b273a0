"""What every row of BACKBONES promises: a new row is tested here, and no test is edited for it."""

from inspect import Parameter, signature

import pytest
import torch
from torch import nn

from dlseg.backbones import BACKBONES, PUBLISHED, make_backbone
from dlseg.inspect import cost
from tests.backbones.counting import multiply_adds, parameters, without_weights
from tests.peers import distance, load_torchvision, randomise
from tests.sampling import sampled

WIDTH = 0.05
SIZES = ((64, 64), (65, 65), (81, 70))  # even, and odd with both ways to round
every = pytest.mark.parametrize("name", BACKBONES)
PUBLISHED_NAMES = [name for name, row in BACKBONES.items() if row.published]
published = pytest.mark.parametrize("name", PUBLISHED_NAMES)
# One of each kind every time, the others at night.
KINDS = {row.kind: name for name, row in reversed(BACKBONES.items())}
a_few = pytest.mark.parametrize("name", sampled(BACKBONES, KINDS.values()))


def image(*size, dtype=torch.float32, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1, 3, *size, dtype=dtype, generator=generator)


def on_meta(name, output_stride=16, width=1.0, **options):
    row = BACKBONES[name]
    return without_weights(row.make, output_stride, width=width, **row.options, **options)


class Held(nn.Module):
    """In the place of a mean over the whole map, which has no rate: ones, whatever the map."""

    def forward(self, x):
        return x.new_ones(*x.shape[:2], 1, 1)


def hold_means(model: nn.Module) -> nn.Module:
    """`model`, its means over whole maps (of squeeze-and-excitation) held fixed."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.AdaptiveAvgPool2d):
                setattr(module, name, Held())
    return model


@every
def test_signature(name):
    """`Name(output_stride, *, ...)`: at most 8 options, width and weights among them."""
    stride, *options = signature(BACKBONES[name].make).parameters.values()
    assert (stride.name, stride.default) == ("output_stride", 16)
    assert {option.kind for option in options} == {Parameter.KEYWORD_ONLY}
    names = [option.name for option in options]
    assert len(names) <= 8 and names[-1] == "num_classes"
    assert names[names.index("width") + 1] == "weights"
    assert all(option.default is not Parameter.empty for option in options)


@every
def test_dense_map_holds_the_strided_one(name):
    """Of the map at output stride 8 every fourth unit, at 16 every second, is one of that at 32."""
    torch.manual_seed(0)
    coarse = hold_means(make_backbone(name, 32, WIDTH)).double()
    randomise(coarse, 64)
    dense = {os: hold_means(make_backbone(name, os, WIDTH)).double().eval() for os in (16, 8)}
    for model in dense.values():
        model.load_state_dict(coarse.state_dict())
    for size in SIZES:
        x = image(*size, dtype=torch.float64)
        with torch.no_grad():
            expected = coarse(x)
            for output_stride, model in dense.items():
                found, step = model(x), 32 // output_stride
                assert distance(found.last[:, :, ::step, ::step], expected.last) <= 1e-10
                assert torch.equal(found.low_level, expected.low_level)
    assert expected.last.std() > 0


@every
@pytest.mark.parametrize("output_stride", [8, 16, 32])
def test_maps_are_as_the_attributes_say(name, output_stride):
    for width in (1.0, 0.25):
        model = on_meta(name, output_stride, width)
        assert (model.output_stride, model.low_level_stride) == (output_stride, 4)
        low_level, last = model(torch.empty(2, 3, 512, 257, device="meta"))
        assert low_level.shape[:2] == (2, model.low_level_channels)
        assert last.shape[:2] == (2, model.channels)
        for y, stride in ((low_level, 4), (last, output_stride)):
            for units, pixels in zip(y.shape[2:], (512, 257), strict=True):
                # VGG's unpadded pools lose the rest, and dense ones their margin.
                assert -(-pixels // stride) - (24 // stride + 1) <= units <= -(-pixels // stride)


@every
def test_width_scales_the_channels(name):
    wide, narrow = on_meta(name), on_meta(name, width=0.25)
    assert narrow.channels == wide.channels / 4
    assert 8 <= narrow.low_level_channels <= wide.low_level_channels / 4 + 8
    assert 10 < parameters(wide) / parameters(narrow) < 17
    assert list(wide.state_dict()) == list(narrow.state_dict())


@a_few
def test_output_stride_costs_work_and_no_parameters(name):
    models = [on_meta(name, output_stride, 0.25) for output_stride in (32, 16, 8)]
    assert len({parameters(model) for model in models}) == 1
    work = [multiply_adds(model, 129) for model in models]
    assert work == sorted(work) and work[0] < work[2]
    paid = cost(models[1], 129)
    assert (paid.multiply_adds, paid.parameters) == (work[1], parameters(models[1]))


@published
def test_names_and_shapes_are_those_of_the_published_file(name):
    """With the classifier all of torchvision's, without it all but the file's head."""
    row = PUBLISHED[BACKBONES[name].published]
    peer = without_weights(getattr(load_torchvision().models, row.name), weights=None)
    theirs = {key: value.shape for key, value in peer.state_dict().items()}
    whole = on_meta(name, num_classes=1000).state_dict()
    assert {key: value.shape for key, value in whole.items()} == theirs
    ours = {key: value.shape for key, value in on_meta(name).state_dict().items()}
    assert ours == {k: shape for k, shape in theirs.items() if not k.startswith(row.head)}
    assert set(ours) < set(theirs)


@pytest.mark.parametrize("name", sampled(PUBLISHED_NAMES, ("resnet18", "vgg16", "mobilenetv2")))
def test_scores_are_those_of_torchvision(name):
    """At output stride 32, the same weights and statistics."""
    torch.manual_seed(0)
    peer = getattr(load_torchvision().models, BACKBONES[name].published)(weights=None)
    randomise(peer, 64)
    ours = on_meta(name, 32, num_classes=1000)
    ours.load_state_dict(peer.state_dict(), assign=True)
    with torch.no_grad():
        assert distance(ours.classify(image(65, 97)), peer(image(65, 97))) <= 1e-5


@published
def test_published_weights_load_with_and_without_classifier(name, monkeypatch):
    with torch.device("meta"):
        state = on_meta(name, num_classes=1000).state_dict()
    asked = []
    monkeypatch.setattr(
        "dlseg.backbones.weights.load_published",
        lambda name, **_: asked.append(name) or dict(state),
    )
    for options in ({}, {"num_classes": 1000}):
        on_meta(name, weights="imagenet", **options)
        assert asked.pop() == BACKBONES[name].published
    with pytest.raises(ValueError, match=r"need width=1.0, got 0.5; drop weights"):
        on_meta(name, width=0.5, weights="imagenet")


def test_a_row_without_file_says_so():
    for name, row in BACKBONES.items():
        if row.published is None:
            with pytest.raises(ValueError, match="drop weights, or load a state dict"):
                make_backbone(name, weights="imagenet")


@every
def test_every_parameter_gets_a_gradient(name):
    torch.manual_seed(0)
    row = BACKBONES[name]
    model = row.make(16, width=WIDTH, num_classes=3, **row.options)
    x = torch.cat([image(40, 33), image(40, 33, seed=2)])
    scores = model.classify(x)
    assert scores.shape == (2, 3)
    scores.square().sum().backward()
    assert all(values.grad is not None for values in model.parameters())
    assert model.eval()(image(32, 32)).last.isfinite().all()


@every
def test_bad_input_says_what_to_do(name):
    model = on_meta(name, width=WIDTH)
    cases = (
        (lambda: on_meta(name, 12), "^output_stride must be 8, 16 or 32, got 12"),
        (lambda: on_meta(name, width=0), "^width must be a number above 0, up to 100, got 0"),
        (
            lambda: on_meta(name, width=float("inf")),
            "^width must be a number above 0, up to 100, got i",
        ),
        (lambda: on_meta(name, num_classes=0), "^num_classes must be an integer >= 1, got 0"),
        (
            lambda: on_meta(name, weights="coco"),
            "^weights must be one of None, imagenet",
        ),
        (lambda: model(torch.empty(1, 1, 32, 32)), r"\(B, 3, H, W\), got .*\(1, 1, 32, 32\)"),
        (lambda: model(torch.empty(3, 32, 32)), r"\(B, 3, H, W\), got .*\(3, 32, 32\)"),
        (lambda: model(torch.empty(1, 3, 0, 32)), r"\(B, 3, H, W\), got .*\(1, 3, 0, 32\)"),
        (lambda: model.classify(torch.empty(1, 3, 32, 32)), "build it with num_classes=1000"),
    )
    for call, message in cases:
        with pytest.raises(ValueError, match=message):
            call()


def test_by_name_or_as_a_module():
    assert parameters(make_backbone("resnet18", 8, 0.1)) == parameters(
        on_meta("resnet18", 8, width=0.1)
    )
    module = make_backbone("resnet18", width=0.1)
    assert module.output_stride == 16 and make_backbone(module) is module
    for given in ({"output_stride": 16}, {"width": 0.5}, {"weights": "imagenet"}):
        with pytest.raises(ValueError, match=r"backbone given by name; give them to the ResNet"):
            make_backbone(module, **given)
    with pytest.raises(ValueError, match="no backbone is called 'vgg19'; there are resnet18, "):
        make_backbone("vgg19")
