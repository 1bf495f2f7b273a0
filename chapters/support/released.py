"""Google's trained DeepLab v3 on photographs: what it says, in many settings, and it itself.

What the chapters show is committed: assets/results/photographs holds a map of labels, a PNG, for
every photograph and setting, the scores of a photograph before they are stretched, and figures.
`python assets/experiments/photographs.py` makes them of the released weights. Where the weights are
at hand (`dlseg fetch deeplabv3-mobilenetv2-voc`), `labels` computes too, and holds the one against
the other; what is shown is the same either way.
"""

import json
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor

from dlseg import inference, metrics
from dlseg.book import find_root
from dlseg.crf import PRESETS, DenseCRF
from dlseg.data import MEAN, PHOTOGRAPHS, STD, VOC_CLASSES, normalise, photograph, traced
from dlseg.fetch import at_hand
from dlseg.models import RELEASED, DeepLabV3, released_network

NAME, HALF = "deeplabv3-mobilenetv2-voc", "deeplabv3-mobilenetv2-half-voc"
CLASSED = ("horse", "camera", "astronaut", "cat", "hopper")  # their masks have a class
FRONT = ("camera", "cat", "astronaut")  # what the book opens with
MOSAIC = ("camera", "cat", "astronaut", "hopper")  # from the upper left to the lower right
TILE, OVERLAP = 512, 128
# Units whose gradient is kept: photograph, place in it (down, across, of 1) and class of the score.
LOOKING = {
    "horse": (0.45, 0.45, "horse"),
    "cat": (0.5, 0.4, "cat"),
    "camera": (0.35, 0.3, "person"),
}
RESULTS = "assets/results/photographs"
VOID, BAND = 255, 4  # a label; pixels on either side of an edge
SAME = 0.998  # of the labels; another processor rounds otherwise where two scores are nearly equal
SCALES = (0.25, 0.5, 0.75, 1.5, 2)


def here() -> bool:
    """Whether the weights are on this machine and can be read, so that nothing is fetched."""
    return at_hand(RELEASED[NAME].weights.file) is not None and find_spec("tflite") is not None


@cache
def network(output_stride: int = 16) -> DeepLabV3:
    """The trained network at output stride 32, 16, 8 or 4, with the same weights."""
    if output_stride != 4:
        return released_network(NAME, output_stride)
    model = released_network(NAME, 8)
    depthwise = [m for m in model.backbone.features[4:].modules() if getattr(m, "groups", 1) > 1]
    for layer in depthwise:  # the first loses its stride, all behind it get twice their rate
        if layer is depthwise[0]:
            layer.stride = (1, 1)
        else:
            layer.dilation = layer.padding = tuple(2 * rate for rate in layer.dilation)
    model.output_stride = 4
    return model


@cache
def half_network() -> DeepLabV3:
    """The one with half as many channels in its backbone, at output stride 16."""
    return released_network(HALF)


def mosaic() -> np.ndarray:
    """Four photographs as one, uint8 (1025, 1025, 3), each cut to a square of 513 pixels."""
    whole = np.zeros((1025, 1025, 3), np.uint8)
    for place, name in enumerate(MOSAIC):
        square = ImageOps.fit(Image.fromarray(photograph(name)), (513, 513))
        top, left = (512 * index for index in divmod(place, 2))
        whole[top : top + 513, left : left + 513] = square
    return whole


def square(name: str) -> np.ndarray:
    """A photograph squeezed to a square, uint8 (513, 513, 3), as Google's own runtime takes it."""
    return np.array(Image.fromarray(photograph(name, None)).resize((513, 513), Image.BILINEAR))


def mosaic_labels() -> dict[str, np.ndarray]:
    """Labels of the mosaic, uint8 (1025, 1025), taken "whole" and in "tiles" of TILE pixels."""
    x = normalise(mosaic())[None]
    with torch.no_grad():
        found = {
            "whole": network()(x),
            "tiles": inference.tiled_probabilities(network(), x, TILE, OVERLAP),
        }
    return {how: y.argmax(1)[0].numpy().astype(np.uint8) for how, y in found.items()}


def looks(name: str, what: str) -> np.ndarray:
    """How much each pixel of a photograph moves one number: the gradient's size, float (H, W).

    what: "unit", the sum of a unit's channels in the backbone's last map, or "score", that of a
    class at the same place; see LOOKING.
    """
    down, across, kind = LOOKING[name]
    x = image(name).requires_grad_()
    y = network().backbone(x).last if what == "unit" else network().scores(x)
    row, column = (
        round(part * (side - 1)) for part, side in zip((down, across), y.shape[2:], strict=True)
    )
    channels = slice(None) if what == "unit" else VOC_CLASSES.index(kind)
    y[0, channels, row, column].sum().backward()
    return x.grad[0].abs().sum(0).numpy()


# What can be done with an image (1, 3, H, W), as networks take it: logits (1, 21, H, W).


def at(output_stride: int) -> Callable[[Tensor], Tensor]:
    """The logits at this output stride."""
    return lambda x: network(output_stride)(x)


def refined(output_stride: int) -> Callable[[Tensor], Tensor]:
    """The marginals of DeepLab v1's dense CRF upon these logits."""

    def run(x: Tensor) -> Tensor:
        return DenseCRF(PRESETS["deeplab-v1"], 10)(at(output_stride)(x), colours(x))

    return run


def colours(x: Tensor) -> Tensor:
    """What `normalise` was given, (1, 3, H, W), 0 to 255."""
    mean, std = (torch.tensor(v)[:, None, None] for v in (MEAN, STD))
    return ((x * std + mean) * 255).round()


def with_pool(x: Tensor, pooled: Tensor | None = None) -> Tensor:
    """The logits of x with another vector (1, 256, 1, 1) in the place of the pooled one.

    None: zeros.
    """
    model = network()
    aspp, classifier = model.classifier
    last = model.backbone(x).last
    branch, pool = (conv(last) for conv in aspp.convs)
    pool = torch.zeros_like(pool) if pooled is None else pooled.expand_as(pool)
    return stretched(classifier(aspp.project(torch.cat([branch, pool], 1))), x)


def pool_of(x: Tensor) -> Tensor:
    """The pooled vector of an image, (1, 256, 1, 1)."""
    model = network()
    return model.classifier[0].convs[1](model.backbone(x).last)[:, :, :1, :1]


def stretched(scores: Tensor, x: Tensor) -> Tensor:
    """Coarse scores bilinearly at the size of x, corners upon corners, as the authors do."""
    return F.interpolate(scores, x.shape[2:], mode="bilinear", align_corners=True)


def scaled(factor: float) -> Callable[[Tensor], Tensor]:
    """The probabilities of the image at another size, near the factor, brought back."""

    def run(x: Tensor) -> Tensor:
        size = [16 * round(factor * side / 16) + 1 for side in x.shape[2:]]
        small = F.interpolate(x, size, mode="bilinear", antialias=factor < 1)
        return F.interpolate(network()(small), x.shape[2:], mode="bilinear").softmax(1)

    return run


def largest(x: Tensor) -> Tensor:
    """The largest probability at three sizes, as DeepLab v2 fuses them."""
    return torch.stack([scaled(factor)(x) for factor in (0.5, 0.75, 1.0)]).amax(0)


def smaller(x: Tensor) -> Tensor:
    """The image without its last row and column: 16 k pixels a side instead of 16 k + 1."""
    y = network()(x[:, :, :-1, :-1])
    return F.pad(y, (0, 1, 0, 1), mode="replicate")


def unaligned(x: Tensor) -> Tensor:
    """The scores stretched as torchvision does, pixels upon pixels."""
    return F.interpolate(network().scores(x), x.shape[2:], mode="bilinear")


def misread(change: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """The logits where the network gets wrong numbers: `change` of the colours 0 to 255.

    What it should get is (v - 128) / 128.
    """
    mean, std = (torch.tensor(v)[:, None, None] for v in (MEAN, STD))

    def run(x: Tensor) -> Tensor:
        right = (change(colours(x)) + 1) * 128  # colours that come out as the wrong numbers
        return network()((right / 255 - mean) / std)

    return run


def normalised(v: Tensor) -> Tensor:
    """ImageNet's normalisation of colours (1, 3, H, W), 0 to 255."""
    mean, std = (torch.tensor(value)[:, None, None] for value in (MEAN, STD))
    return (v / 255 - mean) / std


SETTINGS: dict[str, Callable[[Tensor], Tensor]] = {
    **{f"os{stride}": at(stride) for stride in (32, 16, 8, 4)},
    **{f"crf{stride}": refined(stride) for stride in (32, 16, 8)},
    "pool0": with_pool,
    **{f"scale{factor:g}": scaled(factor) for factor in SCALES},
    "max": largest,
    "smaller": smaller,
    "unaligned": unaligned,
    "bgr": misread(lambda v: v.flip(1) / 128 - 1),
    "zero-to-one": misread(lambda v: v / 255),
    "imagenet": misread(normalised),
    "raw": misread(lambda v: v),
    "half": lambda x: half_network()(x),
}


def compute(name: str, setting: str) -> np.ndarray:
    """The labels of a photograph, uint8 (H, W), by the network itself.

    setting: a key of SETTINGS, or "pool-NAME" with the pooled vector of another photograph.
    """
    x = image(name)
    with torch.no_grad():
        if setting.startswith("pool-"):
            logits = with_pool(x, pool_of(image(setting.removeprefix("pool-"))))
        else:
            logits = SETTINGS[setting](x)
    return logits.argmax(1)[0].numpy().astype(np.uint8)


def image(name: str) -> Tensor:
    """A photograph as networks take it, (1, 3, H, W)."""
    return normalise(photograph(name))[None]


def settings() -> list[str]:
    """All that is committed of every photograph."""
    return [*SETTINGS, *(f"pool-{name}" for name in PHOTOGRAPHS)]


def committed(name: str, setting: str = "os16") -> np.ndarray:
    """The labels of a photograph in a setting, uint8 (H, W), as they are kept."""
    with Image.open(path(name, setting)) as file:
        return np.array(file)


def labels(name: str, setting: str = "os16") -> np.ndarray:
    """The same; where the weights are at hand, the network is run, and must say so too.

    Raises RuntimeError where more than one label of 500 is another one.
    """
    found = committed(name, setting)
    if here() and (same := (compute(name, setting) == found).mean()) < SAME:
        raise RuntimeError(
            f"{name}, {setting}: {same:.4f} of the labels are as committed; run: python "
            "assets/experiments/photographs.py"
        )
    return found


def scores_of(labels: np.ndarray, name: str) -> tuple[float, float]:
    """IoU of a photograph's class, and the share that is right within BAND pixels of its edge.

    labels: uint8 (H, W), of the photograph `name`, which has a traced mask. Void counts in neither;
    the band, which is where the mask has its rim of void, takes the mask without it.
    """
    truth, sharp = traced(name), traced(name, rim=0)
    value, counts = truth[truth != VOID].max(), truth != VOID
    right, true = labels == value, truth == value
    iou = (right & true).sum() / ((right | true) & counts).sum()
    near = metrics.band(metrics.boundary(sharp, source="labels"), BAND).numpy() & (sharp != VOID)
    return iou, (labels == sharp)[near].mean()


def figures(name: str, setting: str = "os16") -> dict:
    """What was measured of that map: "iou" of the photograph's class and "band", the accuracy near
    its edge, where it has a mask; "shares" of the classes; "seconds" on one thread.
    """
    text = (find_root() / RESULTS / "figures.json").read_text(encoding="utf-8")
    return json.loads(text)["of"][name][setting]


def runtime(name: str) -> dict:
    """What Google's own runtime says of a photograph, beside our network: see
    assets/experiments/runtime.py, which has measured it.
    """
    text = (find_root() / RESULTS / "runtime.json").read_text(encoding="utf-8")
    return json.loads(text)["of"][name]


def shares(labels: np.ndarray) -> list[tuple[str, float]]:
    """The classes of a map and their shares, the largest first."""
    found = inference.shares(labels)
    return [(VOC_CLASSES[label], share) for label, share in found.items()]


def scores(name: str, output_stride: int = 16) -> Tensor:
    """The logits before they are stretched, (1, 21, H/os, W/os), as they are kept."""
    with np.load(find_root() / RESULTS / "scores.npz") as file:
        return torch.from_numpy(file[f"{name}-{output_stride}"].astype(np.float32))


def kept_looks(name: str, what: str) -> np.ndarray:
    """The square root of `looks`, 1 at the most, at every second pixel, as it is kept."""
    with np.load(find_root() / RESULTS / "fields.npz") as file:
        return file[f"{name}-{what}"].astype(float)


def path(name: str, setting: str) -> Path:
    """Where the map of a photograph and a setting is kept."""
    return find_root() / RESULTS / f"{name}-{setting}.png"
