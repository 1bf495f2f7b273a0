"""Encoders of timm as backbones: shapes, strides, and one set of weights at all of them."""

import sys

import pytest
import torch
from torch import nn

from dlseg.backbones import TIMM, TimmBackbone, kind_of, make_backbone
from dlseg.models import FCN, DeepLabV3, DeepLabV3Plus, build_model, describe
from tests.backbones.counting import without_weights
from tests.peers import distance, load_timm, randomise
from tests.sampling import sampled

timm = load_timm()
# Name: channels at stride 4 and of the last map; output strides at which the dense map holds that
# of stride 32, the means of squeezes held fixed. resnet50d has means of 2 x 2 in its shortcuts,
# whose windows timm does not spread, ConvNeXt windows of 2 x 2, which at 8 read elsewhere.
ENCODERS = {
    "test_convnext": (24, 64, (16,)),
    "test_efficientnet": (24, 64, (16, 8)),
    "resnet18": (64, 512, (16, 8)),
    "convnext_atto": (40, 320, (16,)),
    "efficientnet_b0": (24, 320, (16, 8)),
    "mobilenetv3_large_100": (24, 960, (16, 8)),
    "regnety_004": (48, 440, (16, 8)),
    "repvgg_a0": (48, 1280, (16, 8)),
    "xception65": (128, 2048, (16, 8)),
    "resnet50d": (256, 2048, (16,)),
    "convnext_tiny": (96, 768, (16,)),
}
OFTEN = ("test_convnext", "test_efficientnet", "resnet18")  # the first two are timm's small ones
SQUEEZES = ("SqueezeExcite", "SEModule")


def image(*size):
    return torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(1))


def encoder(name: str, output_stride: int, like: nn.Module | None = None) -> nn.Module:
    """In eval mode, its squeezes left out, with the weights of `like`."""
    torch.manual_seed(0)
    model = TimmBackbone(name, output_stride)
    for module in model.modules():
        if type(module).__name__ in SQUEEZES:
            module.forward = lambda x: x
    if like is None:
        randomise(model, 64)
    else:
        model.load_state_dict(like.state_dict())
    return model.eval()


@pytest.mark.parametrize("name", sampled(ENCODERS, OFTEN))
def test_maps_are_as_the_attributes_say(name):
    low_level_channels, channels, _ = ENCODERS[name]
    for output_stride in (8, 16, 32):
        model = without_weights(make_backbone, f"{TIMM}{name}", output_stride).eval()
        assert (model.output_stride, model.low_level_stride) == (output_stride, 4)
        assert (model.low_level_channels, model.channels) == (low_level_channels, channels)
        low_level, last = model(torch.empty(2, 3, 128, 96, device="meta"))
        assert low_level.shape == (2, low_level_channels, 32, 24)
        assert last.shape == (2, channels, 128 // output_stride, 96 // output_stride)


@pytest.mark.parametrize("name", sampled(ENCODERS, OFTEN))
def test_dense_map_holds_the_strided_one(name):
    """At output stride 16 every second unit is one of 32, where timm's rates say so at 8 too."""
    coarse, x = encoder(name, 32), image(64, 96)
    with torch.no_grad():
        expected = coarse(x)
        for output_stride in (16, 8):
            found, step = encoder(name, output_stride, coarse)(x), 32 // output_stride
            assert torch.equal(found.low_level, expected.low_level)
            difference = distance(found.last[:, :, ::step, ::step], expected.last)
            assert difference < 1e-4 if output_stride in ENCODERS[name][2] else difference > 0.1
    assert expected.last.std() > 0


def test_the_maps_are_those_of_timm():
    torch.manual_seed(0)
    ours = TimmBackbone("resnet18", 8)
    randomise(ours, 64)
    theirs = timm.create_model("resnet18", features_only=True, output_stride=8).eval()
    theirs.load_state_dict(ours.body.state_dict())
    x = image(65, 97)
    with torch.no_grad():
        maps, found = theirs(x), ours(x)
    assert torch.equal(found.low_level, maps[1]) and torch.equal(found.last, maps[4])


@pytest.mark.parametrize(
    ("name", "low_level", "last"), [("densenet121", 256, 1024), ("pvt_v2_b0", 32, 256)]
)
def test_what_has_one_output_stride_says_which(name, low_level, last):
    """And is one of 32, whatever its rates might have been."""
    with torch.device("meta"):
        model = TimmBackbone(name, 32)
        assert (model.low_level_channels, model.channels) == (low_level, last)
        for output_stride in (8, 16):
            words = rf"timm's {name} cannot .* output_stride must be 32, got {output_stride}"
            with pytest.raises(ValueError, match=words):
                TimmBackbone(name, output_stride)


def test_bad_input_says_what_to_do():
    for call, words in (
        (lambda: TimmBackbone("resnet19"), r"timm .* has no 'resnet19'; it has resn"),
        (lambda: TimmBackbone("hf-hub:some/body"), r"timm .* has no 'hf-hub:some/body'"),
        (lambda: TimmBackbone("local-dir:/x"), r"timm .* has no 'local-dir:/x'"),
        (lambda: TimmBackbone("resnet18", 4), "output_stride must be one of 8, 16, 32, got 4"),
        (lambda: TimmBackbone("resnet18", weights="coco"), "weights must be one of None, imagenet"),
        (lambda: make_backbone("timm:resnet18", width=0.5), "timm:resnet18 has width 1.0 alone"),
        (lambda: TimmBackbone("vit_small_patch16_224"), "no map .* at stride 4; .* 16, 16, 16"),
        (lambda: TimmBackbone("swin_tiny_patch4_window7_224"), "take a convolutional network"),
        (lambda: build_model(describe("deeplabv1-timm:resnet18", 3)), "no network is called"),
    ):
        with torch.device("meta"), pytest.raises(ValueError, match=words):
            call()
    with pytest.raises(ValueError, match=r"\(B, 3, H, W\), got .*\(1, 1, 32, 32\)"):
        without_weights(TimmBackbone, "resnet18")(torch.empty(1, 1, 32, 32, device="meta"))


def test_without_timm_the_line_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(
        ModuleNotFoundError, match=r"timm is not installed.*run: pip install .*timm"
    ):
        TimmBackbone("resnet18")


def test_published_weights_are_asked_for_only_by_name(monkeypatch):
    asked, create = [], timm.create_model

    def ask(name, pretrained=False, **options):
        asked.append((name, pretrained))
        return create(name, **options)

    monkeypatch.setattr(timm, "create_model", ask)
    with torch.device("meta"):
        TimmBackbone("resnet18", 8)
        assert not any(pretrained for _, pretrained in asked)
        TimmBackbone("resnet18.a1_in1k", 8, weights="imagenet")
    assert asked[-1] == ("resnet18.a1_in1k", True) and asked[-2][1] is False


@pytest.mark.parametrize("make", [FCN, DeepLabV3, DeepLabV3Plus])
def test_heads_on_them(make):
    """Each head, at the paper's 513 pixels and odd sizes."""
    with torch.device("meta"):
        model = make("timm:convnext_tiny", 5, output_stride=16).eval()
        assert model.output_stride == 16 and kind_of("timm:convnext_tiny") == "timm"
        for size in ((513, 513), (65, 98)):
            assert model(torch.empty(1, 3, *size)).shape == (1, 5, *size)
    family = {FCN: "fcn", DeepLabV3: "deeplabv3", DeepLabV3Plus: "deeplabv3plus"}[make]
    named = build_model(describe(f"{family}-timm:resnet18", 5, 32))
    named.train()(torch.cat([image(40, 33), image(40, 33)])).square().sum().backward()
    assert all(values.grad is not None for values in named.parameters())
