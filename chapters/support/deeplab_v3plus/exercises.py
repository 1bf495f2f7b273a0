"""Exercises of chapter 11."""

import numpy as np
import torch
from torch import Tensor

from dlseg.book import Exercise, in_pairs
from dlseg.layers import upsample
from support.deeplab_v3plus.pictures import placed


def _up(number: int, by: int) -> int:
    return -(-number // by)


map_sides = Exercise(
    solution=lambda side, output_stride: (_up(side, output_stride), _up(side, 4), side),
    because="Strides round up, the decoder takes the size of the shallow map, and the last stretch "
    "that of the image. So 513 goes to 33, to 129 and back to 513.",
    cases=((513, 16), (513, 8), (512, 16), (321, 32), (769, 16)),
    mistakes=in_pairs(
        lambda n, os: (n // os, n // 4, n),
        "Every layer of stride 2 rounds up: 513 pixels make 33 deep units, not 32.",
        lambda n, os: (_up(n, os), 4 * _up(n, os), n),
        "A fixed factor of 4 fits output stride 16 alone, and even there makes 132 of 33. The "
        "decoder stretches to the size of the shallow map, whatever it is.",
        lambda n, os: (_up(n, os), _up(n, 4), 4 * _up(n, 4)),
        "The last stretch ends at the size of the image: 513, not 4 x 129 = 516.",
        lambda n, os: (_up(n, os), _up(n, os), n),
        "That is v3: the scores are as coarse as the deep map. The decoder works on the shallow "
        "one.",
    ),
)


def _decoder(side: int, projection: int, given=None, kernel=9, first=None) -> int:
    given = 256 + projection if given is None else given
    first = 256 * projection if first is None else first
    return side**2 * (first + kernel * given * 256 + kernel * 256 * 256)


decoder_multiply_adds = Exercise(
    solution=lambda side, projection: _decoder(side, projection),
    because="On a map of 129 x 129 with 48 channels that is 0.204 + 11.656 + 9.815 = 21.675 "
    "billion, most of it for the two 3x3.",
    cases=((129, 48), (129, 8), (65, 48), (129, 256)),
    mistakes=in_pairs(
        lambda n, p: _decoder(n, p, given=256),
        "The first 3x3 reads both maps together: 256 channels and the projected ones.",
        lambda n, p: _decoder(n, p, first=0),
        "You left out the 1x1 convolution, which makes few channels of the 256 shallow ones at "
        "every place.",
        lambda n, p: _decoder(n, p, kernel=1),
        "A 3x3 convolution multiplies nine values of each channel at each place.",
        lambda n, p: _decoder(1, p),
        "Those are the weights. Each is used once at every place of the map.",
        lambda n, p: _decoder(n, p, given=256 + 256),
        "The shallow map is projected before it is joined: it brings few channels, not all 256.",
    ),
)


def _maps(seed: int, fine: tuple[int, int], coarse: tuple[int, int]) -> tuple:
    """A deep map, a shallow one, and two small convolutions as functions."""
    generator = torch.Generator().manual_seed(seed)
    deep = torch.randn(2, 4, *coarse, generator=generator, dtype=torch.float64)
    shallow = torch.randn(2, 6, *fine, generator=generator, dtype=torch.float64)
    few = torch.randn(3, 6, generator=generator, dtype=torch.float64)
    mixed = torch.randn(5, 7, generator=generator, dtype=torch.float64)

    def project(x: Tensor) -> Tensor:
        return torch.einsum("bchw,dc->bdhw", x, few).clamp(min=0)

    def layers(x: Tensor) -> Tensor:
        return torch.einsum("bchw,dc->bdhw", x, mixed).clamp(min=0)

    return deep, shallow, project, layers


def _join(deep, shallow, project, layers):
    few = project(shallow)
    return layers(torch.cat([upsample(deep, few.shape[2:]), few], dim=1))


def _swapped(deep, shallow, project, layers):
    few = project(shallow)
    return layers(torch.cat([few, upsample(deep, few.shape[2:])], dim=1))


def _shrunk(deep, shallow, project, layers):
    few = project(upsample(shallow, deep.shape[2:]))
    return layers(torch.cat([deep, few], dim=1))


def _late(deep, shallow, project, layers):
    few = project(shallow)
    low = torch.nn.functional.adaptive_avg_pool2d(few, deep.shape[2:])
    return upsample(layers(torch.cat([deep, low], dim=1)), few.shape[2:])


def _nearest(deep, shallow, project, layers):
    few = project(shallow)
    large = torch.nn.functional.interpolate(deep, few.shape[2:])
    return layers(torch.cat([large, few], dim=1))


decoder = Exercise(
    solution=_join,
    because="Project, stretch to the size of the shallow map, join, convolve: four lines, and the "
    "whole novelty of v3+.",
    cases=(_maps(0, (9, 9), (3, 3)), _maps(1, (17, 9), (5, 3)), _maps(2, (8, 12), (2, 3))),
    mistakes=in_pairs(
        _swapped,
        "The deep map comes first. The other order is as good a network, but the weights of one "
        "are wrong in the other, without an error.",
        _shrunk,
        "You shrank the shallow map to the size of the deep one. Its edges are lost before "
        "anybody has looked at them.",
        _late,
        "You joined on the coarse map and stretched afterwards, so the result is as smooth as "
        "before.",
        _nearest,
        "The stretch is bilinear; yours repeats the nearest unit.",
    ),
)


def _placed(unit, units, size, align_corners) -> float:
    return float(placed(units, size, align_corners)[unit])


place = Exercise(
    solution=_placed,
    because="Aligned, 33 units on 513 pixels stand on every 16th, where they looked. Not aligned, "
    "512 pixels shift all units by the same 7.5.",
    cases=((0, 33, 513, True), (5, 33, 513, False), (31, 32, 512, True), (7, 32, 512, False)),
    mistakes=in_pairs(
        lambda i, n, s, a: i * (s - 1) / (n - 1),
        "That is right where corners are aligned. Else a unit is a square of size / units pixels, "
        "and lies at its middle.",
        lambda i, n, s, a: _placed(i, n, s, False),
        "That is right where corners are not aligned. Where they are, unit 0 lies on pixel 0 and "
        "the last on the last.",
        lambda i, n, s, a: i * s / n if a else (i + 0.5) * s / n - 0.5,
        "With aligned corners n units have n - 1 steps between them, and the pixels size - 1.",
        lambda i, n, s, a: i * (s - 1) / (n - 1) if a else (i + 0.5) * s / n,
        "The middle of pixel 0 is 0, its left edge -0.5: take half a pixel off.",
    ),
)


def _light(classes: int, backbone=320, channels=256, norm=True, bias=True, pool=1) -> int:
    weights = (1 + pool) * backbone * channels + (1 + pool) * channels * channels
    norms = 2 * channels * (2 + pool) if norm else 0
    return weights + norms + channels * classes + (classes if bias else 0)


light_head = Exercise(
    solution=_light,
    because="For 21 classes 301,845, which makes 2,113,557 with the 1,811,712 of MobileNetV2: the "
    "2.11 M of its paper.",
    cases=((21,), (19,), (10,)),
    mistakes=in_pairs(
        lambda c: _light(c, norm=False),
        "Batch norm has a scale and a shift for each channel: 512 numbers behind each of the "
        "three convolutions.",
        lambda c: _light(c, bias=False),
        "The classifier has a bias for each class: it is the only convolution without batch norm.",
        lambda c: _light(c, pool=0),
        "You left out the image pooling branch: 320 to 256 like the other, and the projection "
        "then reads 512 channels.",
        lambda c: _light(c, backbone=1280),
        "The head sits on the map of 320 channels; the 1x1 to 1280 belongs to the classifier of "
        "ImageNet and is left away.",
        lambda c: _light(c) - 256 * 256,
        "The projection reads both branches: 512 to 256.",
    ),
)


def _scene(seed: int) -> tuple:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 3, (8, 9))
    labels[generator.random((8, 9)) < 0.15] = 255
    before, after = (generator.integers(0, 3, (8, 9)) for _ in range(2))
    before[labels == 0], after[labels == 1] = 0, 1
    return labels, before, after, generator.random((8, 9)) < 0.5


def _gain(labels, before, after, inside) -> float:
    inside = inside & (labels != 255)
    return float((after == labels)[inside].mean() - (before == labels)[inside].mean())


gain = Exercise(
    solution=_gain,
    because="Only labelled pixels of the band count, and both answers are scored on the same ones.",
    cases=tuple(_scene(seed) for seed in range(3)),
    mistakes=in_pairs(
        lambda t, a, b, m: float((b == t)[m].mean() - (a == t)[m].mean()),
        "Void pixels count as wrong in yours. They have no true label: leave them out.",
        lambda t, a, b, m: _gain(t, a, b, np.ones_like(m)),
        "That is the gain on the whole picture. Score the band alone.",
        lambda t, a, b, m: _gain(t, b, a, m),
        "The sign is turned around: after less before.",
        lambda t, a, b, m: float((a != b)[m & (t != 255)].mean()),
        "That is the share of pixels that changed; some of them got worse.",
    ),
)
