"""What is fuzzed of arithmetic, layers, data, metrics and pictures: a row each.

A row is a public function and a generator for each of its arguments; it may raise ValueError alone.
"""

from collections.abc import Iterator
from random import Random

import numpy as np
import torch

from dlseg import arithmetic, data, inference, layers, metrics
from dlseg.arithmetic import Field, Graph, Layer
from tests.fuzz.generators import always, arrays, flag, listed, number, one_of, size, tensors, whole
from tests.fuzz.harness import Target

STRIDES = one_of(8, 16, 32, odd=size)


def row(function, *makers, share: float = 1.0, name: str = "", draws: bool = False) -> Target:
    """A function with one generator for each of its arguments; it may raise ValueError."""

    def make(rng: Random) -> tuple:
        return tuple(maker(rng) for maker in makers)

    def call(values: tuple, _folder) -> None:
        result = function(*values)
        if isinstance(result, Iterator):
            list(result)

    return Target(name or function.__qualname__, make, call, of=function, share=share, draws=draws)


def layer(rng: Random) -> Layer:
    """A layer that can be, of small numbers."""
    return Layer(rng.randint(1, 5), rng.randint(1, 3), rng.randint(0, 3), rng.randint(1, 4))


def a_field(rng: Random) -> Field:
    """The field of some stack."""
    return Field(rng.randint(1, 99), rng.randint(0, 32), rng.randint(0, 50))


# Arithmetic.


def make_layer(*numbers):
    """A layer of any numbers, and all its methods."""
    own = Layer(*numbers)
    own.window(9), own.taps(3), own.reads(0, 9), own.output_size(9)


def grow(size, steps):
    """A graph of these steps, one after the other, each merged with an earlier map perhaps."""
    graph = Graph(size)
    for index, (kind, numbers, merged) in enumerate(steps):
        name = graph.add(f"n{index}", kind(*numbers))
        if merged:
            name = graph.add(f"m{index}", arithmetic.Merge(), name, "input")
        graph.region(name, 0), graph.whole_image(name), graph.extents(name), graph.field(name)


def steps(rng: Random) -> list:
    """Kinds of operations with numbers for each."""
    kinds = (
        (Layer, 4),
        (Layer, 4),
        (arithmetic.Crop, 3),
        (arithmetic.Pad, 2),
        (arithmetic.AdaptivePool, 1),
        (arithmetic.Resize, 1),
        (arithmetic.Transposed, 5),
        (arithmetic.Whole, 0),
    )
    chosen = [rng.choice(kinds) for _ in range(rng.randint(1, 4))]
    return [(kind, [size(rng) for _ in range(n)], rng.random() < 0.3) for kind, n in chosen]


small = one_of(1, 2, 3, 5, 8, odd=size)
small_rate = one_of(1, 2, 3, 5, odd=one_of(0, -1, 2.5, True))
ARITHMETIC = [
    row(arithmetic.effective_kernel, whole, whole),
    row(arithmetic.output_size, whole, whole, whole, whole, whole),
    row(arithmetic.same_padding, whole, whole),
    row(arithmetic.taps, whole, size, size, size, size),
    row(make_layer, size, size, whole, whole, name="Layer"),
    row(arithmetic.coverage, listed(size), size),
    row(arithmetic.coverage_2d, listed(small_rate, 0, 3), small_rate),
    row(arithmetic.holes, listed(size), size),
    row(arithmetic.path_spread, listed(layer)),
    row(arithmetic.middle_part, listed(number), number),
    row(arithmetic.hdc_distances, listed(whole)),
    row(arithmetic.no_holes, listed(whole)),
    row(arithmetic.valid_tap_fractions, size, whole, size),
    row(arithmetic.stack_fields, listed(layer)),
    row(arithmetic.field_closed_form, listed(layer)),
    row(arithmetic.field_backward, listed(layer)),
    row(Field.region, a_field, whole, whole),
    row(arithmetic.conv_parameters, whole, whole, whole),
    row(arithmetic.conv_multiply_adds, whole, whole, whole, whole, whole),
    row(arithmetic.depthwise_parameters, whole, whole, whole),
    row(arithmetic.separable_parameters, whole, whole, whole, whole),
    row(arithmetic.separable_multiply_adds, *[whole] * 6),
    row(arithmetic.inverted_residual_parameters, whole, whole, whole, whole),
    row(arithmetic.inverted_residual_multiply_adds, *[whole] * 6),
    row(arithmetic.plan_stages, listed(whole), STRIDES, one_of("previous", "whole")),
    row(arithmetic.to_atrous, listed(layer), whole),
    row(arithmetic.round_channels, number, whole),
    row(arithmetic.resnet, one_of(18, 50, 101, odd=whole), STRIDES),
    row(arithmetic.tensorflow_same, listed(layer), whole),
    row(grow, size, steps, name="Graph", share=2),
]

# Layers, metrics, data, inference: arrays.

images, batch = arrays(None, None, 3), tensors(None, 3, None, None)
labels, label_batch = arrays(None, None, high=3.9), tensors(2, 5, 6, dtype=torch.int64, high=3)
kernels_2d = tensors(2, 3, 3, 3, high=1)
window = (tensors(1, 3, None, None), kernels_2d, size, size, size)
palette = one_of(data.PALETTE, odd=arrays(256, 3))


def one_pair(rng: Random) -> tuple[np.ndarray, np.ndarray]:
    """An image with its labels, of one size mostly."""
    height, width = rng.randint(1, 9), rng.randint(1, 9)
    return arrays(height, width, 3)(rng), arrays(height, width, high=4)(rng)


def transformed(pair, low, high, side, share, seed):
    """All transforms, one after the other."""
    kinds = data.RandomScale(low, high), data.RandomCrop(side), data.RandomFlip(share)
    both = data.Compose(
        [*kinds, data.RandomScaleCrop(*kinds[:2]), data.ColourJitter(share, share, share)]
    )
    both(*pair, np.random.default_rng(seed))


def confused(classes, ignore, ignored, labels, predictions):
    """A confusion matrix and all that is read off it."""
    matrix = metrics.ConfusionMatrix(classes, ignore, ignored)
    matrix.update(labels, predictions)
    matrix.merge(matrix).compute()
    matrix.reset()


def trimapped(widths, classes, ignore, source, labels, predictions):
    """Scores in bands around boundaries."""
    curve = metrics.TrimapCurve(widths, classes, ignore, source)
    curve.update(labels, predictions)
    curve.compute()


def scored(kind, classes, ignore, tolerance, indices, labels, predictions):
    """Scores of images, and the worst of them."""
    options = {"tolerance": tolerance} if kind is metrics.BoundaryF else {}
    scores = kind(classes, ignore, **options)
    scores.update(labels, predictions, indices)
    scores.compute(), metrics.per_image(scores, name=scores.names[0])


def separable(channels, *options):
    """A separable convolution, at work."""
    layers.SeparableConv2d(channels, *options)(torch.zeros(2, channels, 9, 9))


label_arrays = arrays(4, 5, high=3)
ARRAYS = [
    row(layers.output_shape, *window),
    row(layers.atrous_taps, *window),
    row(layers.atrous_conv2d, *window),
    row(layers.atrous_interleave, *window),
    row(layers.insert_zeros, kernels_2d, size),
    row(layers.upsample, batch, listed(whole, 2, 2), flag),
    row(separable, *[size] * 5, flag, flag, name="SeparableConv2d", draws=True),
    row(
        confused,
        small,
        size,
        one_of((), (1,), odd=listed(size)),
        label_arrays,
        label_arrays,
        name="ConfusionMatrix",
        share=2,
    ),
    row(
        confused,
        small,
        size,
        always(()),
        label_batch,
        label_batch,
        name="ConfusionMatrix of tensors",
    ),
    row(
        scored,
        one_of(metrics.ImageScores, metrics.BoundaryF, odd=always(metrics.BoundaryF)),
        small,
        one_of(255, odd=size),
        one_of(0.1, 1, 3, odd=number),
        one_of(None, (7,), odd=listed(size)),
        label_arrays,
        label_arrays,
        name="scores of images",
        share=2,
    ),
    row(
        trimapped,
        listed(size, 1, 3),
        small,
        one_of(255, odd=size),
        one_of("void", "labels"),
        label_arrays,
        label_arrays,
        name="TrimapCurve",
        share=2,
    ),
    row(metrics.boundary, labels, one_of(255, odd=size), one_of("void", "labels")),
    row(metrics.band, arrays(None, None, dtype="?", high=1.5), size),
    row(lambda pair: data.to_tensors(*pair), one_pair, name="to_tensors"),
    row(transformed, one_pair, number, number, whole, number, always(0), name="transforms"),
    row(data.voc_palette, one_of(21, 256, odd=size)),
    row(data.labels_from_colours, images, palette),
    row(data.to_ids, labels),
    row(data.to_train_ids, labels),
    row(data.draw_scene, always(0), one_of("train", "val"), one_of(48, odd=size), share=0.2),
    row(lambda pair, colours: inference.overlay(*pair, colours), one_pair, palette, name="overlay"),
    row(inference.shares, labels),
    row(inference.legend, labels, listed(one_of("cat", "dog"), 4, 6), palette, share=0.3),
    row(inference.tile_weights, size, size, size),
    row(inference.check_tile, whole, whole),
    row(inference.check_scales, listed(number)),
]
FUNCTIONS = [*ARITHMETIC, *ARRAYS]
