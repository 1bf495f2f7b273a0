"""What is fuzzed of the CRF, networks, training and exercises: a row each, as in `functions`."""

import inspect
import math
from functools import cache
from random import Random

import numpy as np
import torch
from torch import nn

from dlseg import checks, crf, fetch, inference, models, training
from dlseg.backbones import BACKBONES, make_backbone
from dlseg.book import Exercise, in_pairs
from dlseg.crf import pydensecrf
from dlseg.inspect import cost, effective_field, from_layers, gradient_support, receptive_field
from tests.fuzz.functions import STRIDES, batch, label_batch, layer, row, small
from tests.fuzz.generators import (
    always,
    arrays,
    flag,
    listed,
    number,
    one_of,
    probabilities,
    size,
    tensors,
    whole,
    word,
)


def kernel(rng: Random) -> crf.Kernel:
    """A kernel that can be, of small numbers, with colours or without."""
    colours = rng.choice((None, 13.0, 5.0, (10.0, 20.0, 30.0)))
    return crf.Kernel(rng.choice((3.0, (2.0, 4.0))), colours, rng.choice((1.0, 4.0)))


# The CRF.

maps = tensors(1, 3, 4, 5)
scores = tensors(1, None, 4, 5, high=3)
softmax = probabilities(None, 4, 5)
NORMALIZATIONS = one_of(*crf.NORMALIZATIONS)


def refined(kernels, iterations, normalization, inputs, method, trim, unary, image):
    """Q of the module."""
    crf.DenseCRF(kernels, iterations, normalization, True, inputs, method, trim)(unary, image)


def by_pydensecrf(width, height, unary, image, sizes, compat, kinds):
    """Q by the names of pydensecrf, and what else they give."""
    named = pydensecrf.DenseCRF2D(width, height, 2)
    named.setUnaryEnergy(unary)
    named.addPairwiseGaussian(sizes[0], compat, *kinds)
    named.addPairwiseBilateral(*sizes, image, compat, *kinds)
    step, *rest = named.startInference()
    named.stepInference(step, *rest)
    named.klDivergence(named.inference(2))


def labelled(labels, classes, trust, zero_unsure):
    """A unary of labels by the names of pydensecrf, and one of itself."""
    pydensecrf.unary_from_softmax(
        np.exp(-pydensecrf.unary_from_labels(labels, classes, trust, zero_unsure))
    )


weight = one_of(1.0, 3.0, (1.0, 2.0), odd=number)
CRF = [
    row(crf.Kernel, one_of(3, (2.0, 4.0), odd=number), one_of(None, 13, odd=number), weight),
    row(crf.features, maps, kernel),
    row(crf.unary_from_probabilities, softmax, one_of(1e-5, odd=number)),
    row(
        crf.unary_from_labels,
        label_batch,
        one_of(4, odd=size),
        one_of(0.7, odd=number),
        one_of(255, None, odd=size),
    ),
    row(
        refined,
        listed(kernel, 0, 2),
        one_of(1, 2, odd=size),
        NORMALIZATIONS,
        one_of("logits", "probabilities"),
        one_of("lattice", "exact", "bridged"),
        one_of(0, 0.01, odd=number),
        scores,
        maps,
        name="DenseCRF",
        share=1.5,
    ),
    row(
        crf.dense_crf,
        arrays(4, 5, 3),
        probabilities(None, 4, 5, as_tensor=False),
        one_of(1, 3, odd=size),
        one_of(80, 3, odd=number),
        one_of(13, 5, odd=number),
        one_of(10, None, odd=number),
        share=1.5,
    ),
    row(
        by_pydensecrf,
        one_of(5, odd=size),
        one_of(4, odd=size),
        arrays(2, 20, dtype="f4", high=3),
        arrays(4, 5, 3),
        listed(one_of(3, 13, odd=number), 2, 2),
        one_of(2, (-1.0, -2.0), ((0, 1), (1, 0)), odd=number),
        listed(one_of(0, 1, 2, odd=small), 2, 2),
        name="pydensecrf.DenseCRF2D",
    ),
    row(
        labelled,
        arrays(4, 5, high=2.9),
        one_of(2, odd=size),
        one_of(0.7, odd=number),
        flag,
        name="pydensecrf.unary_from_labels",
        share=0.5,
    ),
    row(
        lambda *given: pydensecrf.create_pairwise_bilateral(*given),
        listed(number, 2, 2),
        one_of(13, odd=number),
        arrays(4, 5, 3),
        one_of(2, -1, odd=size),
        name="create_pairwise_bilateral",
        share=0.5,
    ),
    row(crf.mean_field_progress, scores, maps, listed(kernel, 0, 2), small, NORMALIZATIONS),
    row(
        lambda values, rounds: crf.search_kernels(lambda _: 0.5, crf.Ranges(*values), rounds),
        listed(listed(number, 1, 2), 3, 3),
        one_of(1, 2, odd=size),
        name="search_kernels",
        share=0.3,
    ),
    row(crf.normalise, tensors(1, 4, 4, high=1), NORMALIZATIONS, flag),
    row(crf.attention_filter, tensors(1, 5, 3), tensors(1, 5, None), share=0.5),
    row(crf.free_energy, softmax, scores, always(()), always(()), share=0.5),
]

# Networks, what they see, and how they are trained.


@cache
def network() -> nn.Module:
    """The smallest network there is."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return models.build_model(models.describe("fcn-resnet18", 3, 32, 0.0625)).eval()


class Toy(nn.Module):
    """A network of one convolution, with the attributes that training asks for."""

    def __init__(self):
        super().__init__()
        self.backbone, self.num_classes, self.output_stride = nn.Conv2d(3, 3, 1), 3, 1

    def forward(self, images):
        """Logits."""
        return self.backbone(images)


@cache
def _load_tracing() -> None:
    """Let PyTorch import what it needs to look at a network, before a call is watched."""
    receptive_field(nn.Conv2d(3, 3, 1), 9), cost(nn.Conv2d(3, 3, 1), 9)


def stack(rng: Random) -> nn.Sequential:
    """A network of a few layers."""
    kinds = (
        lambda: nn.Conv2d(3, 3, rng.randint(1, 3), rng.randint(1, 2), rng.randint(0, 2)),
        lambda: nn.MaxPool2d(rng.randint(1, 3), rng.randint(1, 2)),
        lambda: nn.Upsample(scale_factor=2),
        lambda: nn.ReLU(),
    )
    with torch.random.fork_rng():
        _load_tracing()
        torch.manual_seed(0)
        last = rng.choice((nn.AdaptiveAvgPool2d(rng.randint(1, 3)), nn.Flatten(), nn.ReLU()))
        return nn.Sequential(*(rng.choice(kinds)() for _ in range(rng.randint(1, 3))), last)


def recipe(rng: Random) -> dict:
    """Fields of a recipe, each of some value."""
    names = list(inspect.signature(training.Recipe).parameters)
    makers = (size, number, flag, word, listed(number, 0, 3), one_of("sgd", "poly", "shrunk"))
    return {name: rng.choice(makers)(rng) for name in rng.sample(names, rng.randint(0, 4))}


WIDTHS = one_of(0.0625, odd=one_of(0, -1.0, math.nan, math.inf, 1e-300, 1e300))
input_size = one_of(9, 16, (9, 12), (3, 9, 9), odd=size)
loss_maps = listed(tensors(2, 3, None, None, high=1), 1, 2)
NETWORKS = [
    row(
        lambda *values: models.build_model(models.describe(*values)),
        one_of("fcn-resnet18", "deeplabv3-mobilenetv2", "deeplabv1-vgg16_bn"),
        one_of(3, odd=size),
        STRIDES,
        WIDTHS,
        one_of(None, 8, odd=size),
        one_of(None, (), (2, 4), odd=size),
        name="build_model",
        share=0.3,
        draws=True,
    ),
    row(
        make_backbone,
        one_of(*[name for name in BACKBONES if name != "xception65"]),
        STRIDES,
        WIDTHS,
        share=0.2,
        draws=True,
    ),
    row(lambda x: network()(x), tensors(1, 3, None, None), name="a network", share=0.5),
    row(models.scaled_rates, one_of((6, 12, 18), odd=listed(size)), STRIDES),
    row(inference.probabilities, always(Toy()), batch, listed(number, 0, 2), flag, share=0.3),
    row(inference.tiled_probabilities, always(Toy()), batch, size, size, share=0.5),
    row(receptive_field, stack, input_size, share=0.5),
    row(gradient_support, stack, input_size, one_of(None, (0, 0), (1, 2)), share=0.5),
    row(effective_field, stack, input_size, one_of(1, odd=size), share=0.3),
    row(cost, stack, input_size, share=0.5),
    row(from_layers, listed(layer, 0, 3), draws=True),
    row(lambda fields: training.Recipe(**fields), recipe, name="Recipe", share=2),
    row(
        training.learning_rate,
        lambda rng: training.Recipe(schedule=rng.choice(("poly", "step", "constant"))),
        whole,
    ),
    row(training.poly, size, size, number, number),
    row(training.step, size, number, size, number),
    row(training.shrink_labels, label_batch, listed(whole, 2, 2)),
    row(training.segmentation_loss, loss_maps, label_batch),
    row(training.dice_loss, tensors(2, 3, None, None, high=1), label_batch),
    row(training.focal_loss, tensors(2, 3, None, None, high=1), label_batch, always(255), number),
    row(training.lovasz_loss, tensors(2, 3, None, None, high=1), label_batch),
    row(fetch.Checksum, one_of("md5", "sha256"), one_of("0" * 32, "0" * 8)),
    row(checks.check_integer, word, whole, size, size),
]


# The exercises, whose answers are a reader's.


class Stubborn:
    """An object that nothing can be asked."""

    def __eq__(self, other):
        raise RuntimeError("no")

    __hash__ = None

    def __repr__(self):
        return "stubborn"


def answer(rng: Random) -> object:
    """What a reader may give."""
    answers = (3, 3.0, "3", "", None, ..., [], [1, [2]], (1, 2), {1}, {"a": 1}, np.nan, Stubborn())
    functions = (lambda x: x, lambda: 1, lambda x: None, lambda x: 1 / 0, print, int, Stubborn)
    makers = (arrays(None), arrays(2, 2), tensors(None))
    return rng.choice((*answers, *functions, *(maker(rng) for maker in makers)))


def asked(solution, cases, mistakes, given) -> None:
    """The verdict of an exercise, which never raises."""
    repr(Exercise(solution, "so", in_pairs(*mistakes), cases).check(given))


EXERCISES = [
    row(
        asked,
        one_of(3, (1, 2), np.arange(3), "a", odd=always(7)),
        always(()),
        one_of((), (4, "hint"), odd=always((4, "hint"))),
        answer,
        name="Exercise of a value",
        share=2,
    ),
    row(
        asked,
        always(lambda x: [x, x]),
        one_of(((1,), (2,)), ((np.arange(3),),), odd=always(((5,),))),
        always((lambda x: [x], "hint")),
        answer,
        name="Exercise of a function",
        share=2,
    ),
]
NETWORK_FUNCTIONS = [*CRF, *NETWORKS, *EXERCISES]
