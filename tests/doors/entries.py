"""The public entries, each a call with good arguments: the table of `test_doors`."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

from dlseg import backbones, crf, data, inference, inspect, layers, metrics, models, training
from dlseg.crf import pydensecrf
from dlseg.doors import logits_of
from dlseg.models import relatives

GENERATOR = torch.Generator().manual_seed(0)
IMAGES = torch.randn(2, 3, 33, 35, generator=GENERATOR)
MAPS = torch.randn(2, 3, 6, 7, generator=GENERATOR)
SQUARE = torch.rand(2, 5, 5, generator=GENERATOR)
FEATURES = torch.randn(2, 9, 3, generator=GENERATOR)
PICTURE = torch.randint(0, 256, (2, 3, 6, 7), generator=GENERATOR, dtype=torch.uint8)
LABELS = torch.randint(0, 3, (2, 6, 7), generator=GENERATOR)
LABELS[0, 0, :3] = 255
KERNELS = [crf.Kernel(3, 13, 2.0), crf.Kernel(2, None, 1.0)]


@dataclass(frozen=True)
class Entry:
    """A public name, a call of it with keywords, and for each keyword its kind and good value.

    also: words that name an argument in a message beside its own name. passes: conditions that are
    right there although they are refused elsewhere, for a reason of the entry's own.
    """

    name: str
    call: Callable
    arguments: dict[str, tuple[str, object]]
    also: str = ""
    passes: tuple[str, ...] = ()


def pointwise(classes: int = 3) -> nn.Module:
    torch.manual_seed(0)
    return nn.Conv2d(3, classes, 1).eval()


class Data:
    """Two pictures of three classes."""

    classes, num_classes, ignore_index = ("a", "b", "c"), 3, 255

    def __init__(self, labels: Tensor = LABELS):
        self.labels = labels

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int):
        labels = first(self.labels, index)
        return rgb(PICTURE, index), labels if labels is None else labels.astype(np.uint8)


def first(x: Tensor | None, index: int = 0) -> np.ndarray | None:
    """One of a batch as an array."""
    return None if x is None else np.asarray(x[min(index, len(x)) :][:1].squeeze(0))


def rgb(x: Tensor | None, index: int = 0) -> np.ndarray | None:
    """One of a batch of images as an array with the channels last."""
    return first(x if x is None else x.movedim(-3, -1), index)


NETWORKS = {
    "fcn-resnet18": 8, "deeplabv1-vgg16": 8, "deeplabv2-resnet18": 8, "deeplabv3-resnet18": 16,
    "deeplabv3-mobilenetv2": 16, "deeplabv3plus-xception65": 16, "fcn-mobilenetv3_large": 16,
    "torchvision-deeplabv3-resnet50": 16,
}  # fmt: skip
RELATIVES = {
    "SkipFCN": ("vgg16",), "SegNet": ("vgg16",), "LRR": ("vgg16",), "DilatedNet": ("vgg16",),
    "ParseNet": ("resnet18",), "PSPNet": ("resnet18",), "RefineNet": ("resnet18",), "UNet": (),
}  # fmt: skip


@cache
def network(name: str, classes: int = 3) -> nn.Module:
    """One of the networks by name, as narrow as it can be, in eval mode."""
    torch.manual_seed(0)
    if name in RELATIVES:
        model = getattr(relatives, name)(*RELATIVES[name], num_classes=classes, width=0.05)
    else:
        model = models.build_model(models.describe(name, classes, NETWORKS[name], 0.05))
    return model.eval()


def forward(name: str) -> Callable:
    def call(x):
        with torch.no_grad():
            return network(name)(x)

    return call


def counts(labels, predictions, num_classes=3, ignore_index=255) -> Tensor:
    matrix = metrics.ConfusionMatrix(num_classes, ignore_index)
    matrix.update(labels, predictions)
    return torch.cat([matrix.matrix.flatten().double(), matrix.iou()])


def curve(labels, predictions, num_classes=3, ignore_index=255) -> dict:
    found = metrics.TrimapCurve([2, 1], num_classes, ignore_index)
    found.update(labels, predictions)
    return found.mean_iou()


def image_by_image(kind: type, labels, predictions, num_classes=3) -> dict:
    scores = kind(num_classes)
    scores.update(labels, predictions)
    return scores.compute()


RECIPE = training.Recipe(iterations=1, batch_size=2, crop_size=33, scale=(1, 1))


def trained(labels) -> Tensor:
    model = deepcopy(network("fcn-resnet18"))
    return torch.tensor(training.train(model, Data(labels), RECIPE).losses)


def refined(unary, image, method="lattice", inputs="logits") -> Tensor:
    return crf.DenseCRF(KERNELS, 2, method=method, inputs=inputs)(unary, image)


def by_pydensecrf(image, unary) -> np.ndarray:
    """By the names of pydensecrf."""
    named = pydensecrf.DenseCRF2D(7, 6, 3)
    if unary is not None:
        unary = unary.reshape(len(unary), int(np.prod(unary.shape[1:])))
    named.setUnaryEnergy(unary)
    named.addPairwiseBilateral(3, 13, image, 2)
    return named.inference(2)


def refined_by(**sizes) -> Callable:
    def call(**changed):
        kernel = crf.Kernel(**(sizes | changed))
        return crf.DenseCRF([kernel], 2)(MAPS, PICTURE)

    return call


FLOAT, LABEL, IMAGE = ("floats", MAPS), ("labels", LABELS), ("images", IMAGES)
PIXELS, P = ("pictures", PICTURE), ("floats", MAPS.softmax(1))
VECTOR = {"x": ("floats", MAPS)}
ONE = {"x": ("images", IMAGES[:1])}
WEIGHT = torch.randn(2, 3, 3, 3, generator=GENERATOR)
PROPAGATES = ("NaN", "inf")  # one number in, and what it touches out: the value is right
AUTO = "unary image colours sxy srgb"
ATROUS = {"rate": ("integer", 2), "stride": ("integer", 1), "padding": ("integer", 2)}
KERNEL = {"sxy": ("sigma", 3.0), "srgb": ("sigma", 13.0), "weight": ("number", 2.0)}
EVALUATED = {"model": ("model", pointwise())}
ENTRIES = [
    # Networks
    # To look at every value at every forward would cost too much: NaN comes out as NaN.
    *(Entry("models.build_model", forward(n), ONE, "image", PROPAGATES) for n in NETWORKS),
    *(Entry(f"relatives.{n}", forward(n), ONE, "image", PROPAGATES) for n in RELATIVES),
    Entry(
        "models.describe",
        lambda num_classes, output_stride: models.build_model(
            models.describe("fcn-resnet18", num_classes, output_stride, 0.05)
        ).classifier.weight.new_zeros(num_classes, output_stride),
        {"num_classes": ("integer", 3), "output_stride": ("integer", 16)},
    ),
    *(
        Entry(
            f"backbones.{name}",
            lambda output_stride, name=name: (
                getattr(backbones, name)(output_stride, width=0.05).output_stride
            ),
            {"output_stride": ("integer", 16)},
        )
        for name in ("ResNet", "MobileNetV2", "MobileNetV3", "VGG16", "Xception")
    ),
    *(
        Entry(name, lambda x, make=make: make()(x), ONE, "image", PROPAGATES)
        for name, make in (
            ("models.MultiScale", lambda: models.MultiScale(network("fcn-resnet18"))),
            ("relatives.ImagePyramid", lambda: relatives.ImagePyramid(network("fcn-resnet18"))),
        )
    ),
    Entry(
        "relatives.CRFasRNN",
        lambda x: relatives.CRFasRNN(network("fcn-resnet18")).eval()(x),
        ONE,
        "image unary",
    ),
    Entry(
        "models.MultiScale",
        lambda scale: models.MultiScale(network("fcn-resnet18"), (1, scale))(IMAGES).detach(),
        {"scale": ("number", 0.5)},
    ),
    # Inference and evaluation
    Entry(
        "inference.probabilities",
        lambda model, images: inference.probabilities(model, images, (1, 0.5), flip=True),
        EVALUATED | {"images": IMAGE},
        "logits image",
    ),
    Entry(
        "inference.tiled_probabilities",
        lambda model, images, tile, overlap: inference.tiled_probabilities(
            model, images, tile, overlap
        ),
        EVALUATED | {"images": IMAGE, "tile": ("integer", 20), "overlap": ("integer", 4)},
        "logits image",
        passes=("ten digits",),  # a tile larger than the image takes it whole
    ),
    Entry(
        "inference.label_image",
        lambda model, tile, overlap: inference.label_image(model, rgb(PICTURE), tile, overlap),
        EVALUATED | {"tile": ("integer", 20), "overlap": ("integer", 4)},
        "logits",
        passes=("ten digits", "None"),  # a tile larger than the image, or no number, takes it whole
    ),
    Entry(
        "inference.prepare",
        lambda model, images: logits_of(inference.prepare(model, images)(images)),
        EVALUATED | {"images": ("images", IMAGES[:1, :, :8, :8])},
        "logits image",
    ),
    Entry(
        "training.evaluate",
        lambda model: training.evaluate(model, Data()).matrix,
        EVALUATED,
        "logits",
    ),
    Entry(
        "training.evaluate",
        lambda labels: training.evaluate(pointwise(), Data(labels)).matrix,
        {"labels": ("bytes", LABELS)},
        passes=("negative",),  # the data set makes uint8 of them
    ),
    Entry(
        "inference.frames",
        lambda model: next(inference.frames(model, [rgb(PICTURE)])).labels,
        EVALUATED,
        "logits",
    ),
    # Metrics
    Entry(
        "metrics.ConfusionMatrix",
        counts,
        {
            "labels": LABEL,
            "predictions": ("labels", LABELS.clamp(max=2)),
            "num_classes": ("integer", 3),
        },
        "labels predictions",
    ),
    Entry(
        "metrics.TrimapCurve",
        curve,
        {"labels": LABEL, "predictions": ("labels", LABELS.clamp(max=2))},
        "predictions",
        passes=("another class list", "negative"),  # without void there is no band
    ),
    *(
        Entry(
            f"metrics.{kind.__name__}",
            lambda kind=kind, **given: image_by_image(kind, **given),
            {
                "labels": LABEL,
                "predictions": ("labels", LABELS.clamp(max=2)),
                "num_classes": ("integer", 3),
            },
            "labels predictions",
        )
        for kind in (metrics.ImageScores, metrics.BoundaryF)
    ),
    Entry(
        "metrics.boundary",
        lambda labels, source="labels": metrics.boundary(labels, 255, source),
        {"labels": LABEL},
        passes=("another class list", "negative", "other size"),  # any integers have boundaries
    ),
    Entry(
        "metrics.band",
        lambda width: metrics.band(LABELS == 1, width),
        {"width": ("integer", 12)},
        "widths",
    ),
    # Training
    Entry("training.train", trained, {"labels": ("bytes", LABELS)}, passes=("negative",)),
    Entry(
        "training.TrainingPictures",
        lambda labels: training.TrainingPictures(Data(labels), RECIPE)[0][1],
        {"labels": ("bytes", LABELS)},
        "label",
        passes=("negative",),
    ),
    Entry(
        "training.segmentation_loss",
        lambda maps, labels, ignore_index=255: training.segmentation_loss(
            (maps,), labels, ignore_index
        ),
        {"maps": FLOAT, "labels": LABEL},
        "maps",
        passes=(*PROPAGATES, "no batch", "other size"),  # a loss that is NaN stops the training
    ),
    Entry(
        "training.shrink_labels",
        lambda labels: training.shrink_labels(labels, (3, 4)),
        {"labels": LABEL},
        passes=("another class list", "negative", "other size"),
    ),
    Entry(
        "relatives.auxiliary_loss",
        lambda labels: relatives.auxiliary_loss(MAPS, MAPS + 1, labels),
        {"labels": LABEL},
    ),
    Entry(
        "training.ScoreMaps",
        lambda model: training.ScoreMaps(model, "upsampled", 3)(IMAGES)[0],
        EVALUATED,
        "logits",
        passes=("NaN", "infinity"),  # the loss tells
    ),
    # CRF
    *(
        Entry(
            "crf.DenseCRF",
            lambda unary, image, m=method: refined(unary, image, m),
            {"unary": FLOAT, "image": PIXELS},
            AUTO,
        )
        for method in ("lattice", "bridged", "exact")
    ),
    Entry(
        "crf.DenseCRF",
        lambda unary: refined(unary, PICTURE, inputs="probabilities"),
        {"unary": P},
        "unary image probabilities",
    ),
    Entry(
        "crf.DenseCRF",
        lambda iterations: crf.DenseCRF(KERNELS, iterations)(MAPS, PICTURE),
        {"iterations": ("integer", 2)},
    ),
    Entry(
        "crf.Kernel", refined_by(sxy=3.0, srgb=13.0, weight=2.0), KERNEL, AUTO, ("negative",)
    ),  # a weight below 0 rewards disagreement
    Entry("crf.smoothness", lambda sxy: refined_by(sxy=3.0)(sxy=sxy), {"sxy": KERNEL["sxy"]}),
    Entry(
        "crf.mean_field_progress",
        lambda unary, image: torch.tensor(
            [[r.energy, r.free_energy] for r in crf.mean_field_progress(unary, image, KERNELS, 2)]
        ),
        {"unary": FLOAT, "image": PIXELS},
        AUTO,
    ),
    Entry(
        "crf.lattice_mean_field",
        lambda unary, image: crf.lattice_mean_field(
            unary, image, [(3, 13, 2.0), (2, None, 1.0)], 2
        ),
        {"unary": ("unary", MAPS[0]), "image": ("pixels", PICTURE[0].movedim(0, 2))},
        AUTO,
    ),
    Entry(
        "crf.dense_crf",
        lambda image, probabilities: crf.dense_crf(rgb(image), first(probabilities), 2),
        {"image": PIXELS, "probabilities": ("arrays", MAPS.softmax(1))},
        AUTO + " probabilities",
    ),
    Entry(
        "pydensecrf.DenseCRF2D",
        lambda image, unary: by_pydensecrf(rgb(image), first(unary)),
        {"image": PIXELS, "unary": ("arrays", MAPS)},
        "rgbim unary",
        passes=("inf",),  # rules a label out
    ),
    Entry(
        "crf.features",
        lambda image: crf.features(image, KERNELS[0]),
        {"image": PIXELS},
        AUTO,
    ),
    Entry(
        "crf.build_filter",
        lambda image: crf.build_filter(image, KERNELS[0])(torch.ones(2, 42, 1)),
        {"image": PIXELS},
        AUTO,
    ),
    Entry(
        "crf.unary_from_probabilities",
        crf.unary_from_probabilities,
        {"probabilities": P, "clip": ("number", 1e-3)},
        passes=("no batch", "no pixel", "no row"),
    ),
    Entry(
        "crf.unary_from_labels",
        crf.unary_from_labels,
        {"labels": LABEL, "num_classes": ("integer", 3), "confidence": ("number", 0.7)},
        passes=("other size",),
    ),
    Entry(
        "crf.iou_score",
        lambda labels: crf.iou_score(
            [(MAPS[0], PICTURE[0], None if labels is None else labels[:1].squeeze(0))], 1
        )(KERNELS),
        {"labels": LABEL},
    ),
    Entry(
        "crf.labelling_energy",
        lambda labels: crf.labelling_energy(
            labels,
            MAPS,
            [crf.kernel_matrix(crf.features(PICTURE, KERNELS[0])).matmul],
            [torch.tensor(2.0)],
        ),
        {"labels": ("labels", LABELS.clamp(max=2))},
    ),
    Entry("crf.normalise", crf.normalise, {"matrix": ("rows", SQUARE)}, passes=PROPAGATES),
    Entry(
        "crf.attention_filter",
        crf.attention_filter,
        {"features": ("rows", FEATURES), "values": ("rows", FEATURES + 1)},
        passes=PROPAGATES,
    ),
    Entry(
        "crf.free_energy",
        lambda q, unary: crf.free_energy(q, unary, [], []),
        {"q": P, "unary": FLOAT},
        passes=PROPAGATES,
    ),
    Entry(
        "crf.kernel_matrix",
        crf.kernel_matrix,
        {"features": ("rows", FEATURES)},
        passes=PROPAGATES,
    ),
    # Layers
    *(
        Entry(
            f"layers.{call.__name__}",
            lambda x, call=call, **window: call(
                x, WEIGHT.to(x) if isinstance(x, Tensor) else WEIGHT, **window
            ),
            VECTOR | ATROUS,
            "expected size",
            passes=PROPAGATES,
        )
        for call in (layers.atrous_taps, layers.atrous_conv2d, layers.atrous_interleave)
    ),
    *(
        Entry(
            f"layers.{call.__name__}",
            lambda weight, call=call: call(MAPS, weight, padding=1),
            {"weight": ("rows", WEIGHT)},
            passes=PROPAGATES,
        )
        for call in (layers.atrous_taps, layers.atrous_conv2d, layers.atrous_interleave)
    ),
    Entry(
        "layers.insert_zeros",
        lambda weight: layers.insert_zeros(weight, 2),
        {"weight": ("rows", WEIGHT)},
        passes=(*PROPAGATES, "bool", "complex"),  # any numbers may have zeros between them
    ),
    Entry(
        "layers.upsample",
        lambda x: layers.upsample(x, (13, 15)),
        VECTOR,
        passes=PROPAGATES,
    ),
    # Inspect: any model
    *(
        Entry(
            f"inspect.{call.__name__}",
            lambda size, call=call: call(pointwise(), size),
            {"size": ("integer", 12)},
            "input_size",
        )
        for call in (inspect.receptive_field, inspect.cost)
    ),
    *(
        Entry(
            f"inspect.{name}",
            lambda call=call, **window: call(pointwise(), (8, 9), **window),
            arguments,
            "unit",
            passes=("ten digits",),
        )
        for name, call, arguments in (
            (
                "gradient_support",
                lambda m, s, row: inspect.gradient_support(m, s, (row, 1)).rows,
                {"row": ("integer", 3)},
            ),
            (
                "effective_field",
                inspect.effective_field,
                {"samples": ("integer", 2), "seed": ("integer", 1)},
            ),
        )
    ),
    # Pictures
    Entry(
        "inference.overlay",
        lambda labels: inference.overlay(rgb(PICTURE), first(labels), data.voc_palette()),
        {"labels": LABEL},
        passes=("another class list",),
    ),
    Entry(
        "data.labels_from_colours",
        lambda image: data.labels_from_colours(rgb(image), data.voc_palette()),
        {"image": ("pictures", torch.zeros_like(PICTURE))},
        passes=("integers in 0/1", "no pixel", "no row"),
    ),
    Entry("data.voc_palette", data.voc_palette, {"size": ("integer", 21)}),
    Entry(
        "data.RandomCrop",
        lambda size, ignore_index: data.RandomCrop(size, ignore_index=ignore_index)(
            *Data()[0], np.random.default_rng(0)
        )[1],
        {"size": ("integer", 9), "ignore_index": ("integer", 7)},
        passes=("ten digits",),
    ),
    Entry(
        "data.to_tensors",
        lambda image: data.to_tensors(rgb(image), np.zeros((6, 7), np.uint8))[0],
        {"image": PIXELS},
    ),
    Entry(
        "layers.SeparableConv2d",
        lambda **numbers: tuple(layers.SeparableConv2d(**numbers).conv_dw.weight.shape),
        {
            "in_channels": ("integer", 3),
            "out_channels": ("integer", 4),
            "kernel_size": ("integer", 3),
            "rate": ("integer", 2),
            "stride": ("integer", 2),
        },
        passes=("ten digits",),
    ),
    Entry(
        "layers.insert_zeros",
        lambda rate: layers.insert_zeros(WEIGHT, rate),
        {"rate": ("integer", 2)},
    ),
    Entry(
        "inference.legend",
        lambda labels: inference.legend(first(labels), ["a"] * 256, data.voc_palette()),
        {"labels": LABEL},
        passes=("another class list", "other size"),
    ),
]
