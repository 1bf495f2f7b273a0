"""Google's released DeepLab v3 in our network, against their own runtime, photograph by photograph.

What needs the trained weights is skipped where they are not at hand: in the cache of torchvision,
or in a folder that DLSEG_SEED names. Nothing is fetched here.
"""

import socket

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from dlseg.backbones import MobileNetV2
from dlseg.commands.main import main
from dlseg.data import PHOTOGRAPHS, VOC_CLASSES, normalise, photograph
from dlseg.fetch import at_hand
from dlseg.models import RELEASED, DeepLabV3, released, released_network, released_weights
from dlseg.models.lite import Convolution, read_convolutions
from dlseg.models.released import AuthorsMobileNetV2, fill
from dlseg.training import load_network
from tests.peers import distance

NAMES = ("deeplabv3-mobilenetv2-voc", "deeplabv3-mobilenetv2-half-voc")
SIDE = 513  # the runtime's file takes squares of this size alone
UNSURE = "coffee"  # a table, a bottle or nothing of the 21: most of its pixels are near a tie


def published(name: str):
    """The file of a released network; the test is skipped where it is not at hand."""
    pytest.importorskip("tflite", reason="tflite is not installed: pip install -e '.[read]'")
    weights = RELEASED[name].weights
    path = at_hand(weights.file)
    if path is None:
        pytest.skip(f"{weights.file} is not at hand: dlseg fetch {name}")
    return path


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    def refuse(*_arguments, **_options):
        raise AssertionError("a test reached out")

    monkeypatch.setattr(socket, "create_connection", refuse)


@pytest.fixture(scope="module", params=NAMES)
def name(request):
    """A released network, by its name."""
    published(request.param)
    return request.param


@pytest.fixture(scope="module")
def network(name):
    return released_network(name)


def square(photo: str) -> np.ndarray:
    pytest.importorskip("skimage", reason="scikit-image is not installed: pip install -e '.[read]'")
    return np.array(
        Image.fromarray(photograph(photo, None)).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    )


def logits(model, image: np.ndarray) -> torch.Tensor:
    with torch.inference_mode():
        return model(normalise(image)[None])[0]


@pytest.fixture(scope="module")
def runtime(name):
    """Google's own: an image to its labels."""
    peer = pytest.importorskip(
        "ai_edge_litert.interpreter", reason="ai-edge-litert is not installed: make parity"
    )
    interpreter = peer.Interpreter(str(published(name)), num_threads=1)
    interpreter.allocate_tensors()
    (entry,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert entry["quantization"] == (1 / 128, 128) and result["shape"].tolist() == [1, SIDE, SIDE]

    def labels(image):
        interpreter.set_tensor(entry["index"], image[None])
        interpreter.invoke()
        return interpreter.get_tensor(result["index"])[0]

    labels.interpreter = interpreter
    return labels


@pytest.mark.parametrize("photo", PHOTOGRAPHS)
def test_labels_are_those_of_the_authors_runtime(network, runtime, photo, record_property):
    """All of them where the two best logits differ by more than 1, and nearly all elsewhere."""
    image = square(photo)
    found, theirs = logits(network, image), runtime(image)
    best = found.topk(2, dim=0).values
    sure = (best[0] - best[1] > 1).numpy()
    same = found.argmax(0).numpy() == theirs
    record_property("same", f"{same.mean():.4f} of all, {sure.mean():.3f} sure")
    assert same[sure].all() and sure.any()
    least = 0.99 if network.backbone.low_level_channels == 24 else 0.97
    assert same.mean() > (least if photo != UNSURE else 0.8)


@pytest.fixture(scope="module")
def steps(name):
    """Every convolution that the runtime has run on the cat: input, weights, bias and output.

    Each is (values, size of a step, smallest, largest number that can be written).
    """
    peer = pytest.importorskip("ai_edge_litert.interpreter")
    interpreter = peer.Interpreter(
        str(published(name)),
        experimental_op_resolver_type=peer.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], square("cat")[None])
    interpreter.invoke()
    entries = {entry["index"]: entry for entry in interpreter.get_tensor_details()}

    def meant(index):
        scale, zero = entries[index]["quantization"]
        values = torch.from_numpy((interpreter.get_tensor(index).astype(np.float64) - zero) * scale)
        return values, scale, -zero * scale, (255 - zero) * scale

    operators = [op for op in interpreter._get_ops_details() if "CONV_2D" in op["op_name"]]
    return [[meant(i) for i in (*op["inputs"], *op["outputs"])] for op in operators]


def test_weights_are_those_the_runtime_holds(name, steps):
    """Another program's reading of the file, number by number."""
    found = read_convolutions(published(name))
    assert len(found) == len(steps) == 55
    for ours, (_, (weight, *_), (bias, *_), _) in zip(found, steps, strict=True):
        depthwise = ours.weight.shape[1] == 1
        weight = weight.permute((3, 0, 1, 2) if depthwise else (0, 3, 1, 2)).float()
        assert torch.equal(ours.weight, weight) and torch.equal(ours.bias, bias.float())


def test_each_layer_alone_is_the_runtimes_but_for_rounding(network, steps):
    """Given the runtime's own map, each convolution's next one is less than a step away."""
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    convs = read_convolutions(published(NAMES[network.backbone.low_level_channels != 24]))
    furthest = []
    for layer, conv, ((x, *_), _, _, (y, step, low, high)) in zip(
        layers, convs, steps, strict=True
    ):
        weight, bias = conv.weight.double(), conv.bias.double()
        found = F.conv2d(
            x.permute(0, 3, 1, 2),
            weight,
            bias,
            layer.stride,
            layer.padding,
            layer.dilation,
            layer.groups,
        )
        found = found.clamp(low, high)  # ReLU6 is the range of the numbers
        furthest.append(((found - y.permute(0, 3, 1, 2)).abs().max() / step).item())
    assert max(furthest) < 1.01, furthest
    assert max(furthest[:10]) > 0.4  # a test of nothing would find 0


def test_the_same_weights_at_output_stride_8_hold_the_map_of_16(network, name):
    """Every second unit of the backbone's denser map; the trained counterpart of drawn weights."""
    dense, image = released_network(name, 8), normalise(square("cat"))[None]
    with torch.inference_mode():
        coarse, fine = network.backbone(image).last, dense.backbone(image).last
    assert fine.shape[2:] == (65, 65)
    assert distance(fine[:, :, ::2, ::2], coarse) < 1e-5


def test_load_network_takes_the_name(network, name):
    model, entries = load_network(name)
    image = square("horse")
    assert torch.equal(logits(model, image), logits(network, image))
    assert entries["extra"]["classes"] == list(VOC_CLASSES) and not model.training
    assert load_network(name, 8)[0].output_stride == 8


def test_a_command_labels_a_photograph(name, tmp_path, capsys):
    Image.fromarray(photograph("cat")).save(tmp_path / "cat.png")
    words = ["predict", tmp_path / "cat.png", "--checkpoint", name, "--out", tmp_path / "out"]
    assert main([*map(str, words), "--device", "cpu"]) == 0
    assert "cat: cat " in capsys.readouterr().out
    with Image.open(tmp_path / "out/cat-index.png") as labels:
        assert set(np.unique(labels)) == {0, VOC_CLASSES.index("cat")}


# Without weights


def test_the_authors_range_of_colours():
    """What they take, (v - 128) / 128, and not its neighbours."""
    torch.manual_seed(0)
    ours = AuthorsMobileNetV2(16, width=0.25).eval()
    theirs = MobileNetV2(16, width=0.25).eval()
    theirs.load_state_dict(ours.state_dict())
    colours = torch.randint(0, 256, (1, 3, 65, 49), dtype=torch.uint8)
    image = normalise(colours[0].permute(1, 2, 0).numpy())[None]
    with torch.no_grad():
        for found, expected in zip(ours(image), theirs((colours - 128.0) / 128), strict=True):
            assert distance(found, expected) < 1e-5


def test_other_convolutions_are_refused():
    model = DeepLabV3(AuthorsMobileNetV2(width=0.25), 3, atrous_rates=(), channels=8)
    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    good = [Convolution("", m.weight.detach() + 1, torch.ones(m.out_channels)) for m in layers]
    fill(model, good)
    assert torch.equal(layers[3].weight, good[3].weight)
    for wrong in (good[:-1], [*good[:4], *good[5:], good[4]]):
        with pytest.raises(ValueError, match="not the convolutions of this network"):
            fill(model, wrong)


def test_names_that_do_not_exist():
    with pytest.raises(ValueError, match="name must be one of deeplabv3-mobilenetv2-voc"):
        released_network("deeplabv3")


def drawn(width: float = 0.25) -> DeepLabV3:
    """A network in the authors' range, of weights and statistics by lot."""
    torch.manual_seed(0)
    model = DeepLabV3(AuthorsMobileNetV2(16, width=width), atrous_rates=()).eval()
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.uniform_(-1, 1)
            norm.running_var.uniform_(0.5, 2)
    return model


def test_weights_for_an_ordinary_network_have_the_range_within(monkeypatch):
    """The first layer computes the same but where its windows reach over the border."""
    monkeypatch.setattr(released, "released_network", lambda name: drawn())
    plain = DeepLabV3(MobileNetV2(16, width=0.25), atrous_rates=()).eval()
    plain.load_state_dict(released_weights("any"))
    theirs, x = drawn(), torch.randn(1, 3, 64, 96)
    ours = plain.backbone.features[0](x)
    mean, std = (torch.tensor(v)[:, None, None] for v in (released._MEAN, released._STD))
    expected = theirs.backbone.features[0]((x * std + mean) * (255 / 128) - 1)
    torch.testing.assert_close(ours[..., 1:, 1:], expected[..., 1:, 1:], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(ours[..., 0, :], expected[..., 0, :], atol=1e-4)


def test_released_weights_in_an_ordinary_network_label_as_the_released_one(name, network):
    """Away from a tie: the border's other grey moves few logits."""
    if "half" in name:
        pytest.skip("its channels are not those of an ordinary network")
    plain = DeepLabV3(MobileNetV2(16), atrous_rates=(), align_corners=True).eval()
    plain.load_state_dict(released_weights(name))
    image = square("cat")
    expected, found = logits(network, image), logits(plain, image)
    best = expected.topk(2, 0).values
    sure = best[0] - best[1] > 1
    assert sure.float().mean() > 0.4
    assert (found.argmax(0) == expected.argmax(0))[sure].float().mean() > 0.999
