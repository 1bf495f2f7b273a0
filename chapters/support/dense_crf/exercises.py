"""Exercises of chapter 07."""

from math import exp, log

import numpy as np

from dlseg.book import Exercise, in_pairs


def _bell(*ratios):
    return exp(-sum(ratio**2 for ratio in ratios) / 2)


def _penalty(apart, colours, w1, sa, sb, w2, sg):
    return w1 * _bell(apart / sa, colours / sb) + w2 * _bell(apart / sg)


pair_penalty = Exercise(
    solution=_penalty,
    because="One bell falls with distance and colour together, the other with distance alone.",
    cases=((5, 10, 5, 50, 10, 3, 3), (2, 40, 4, 67, 3, 3, 1), (30, 0, 10, 80, 13, 3, 3)),
    mistakes=in_pairs(
        lambda apart, colours, w1, sa, sb, w2, sg: (
            w1 * _bell(apart / sa) + w1 * _bell(colours / sb) + w2 * _bell(apart / sg)
        ),
        "Distance and colour belong to one exponential: both must be alike. A sum of two bells "
        "rewards either.",
        lambda apart, colours, w1, sa, sb, w2, sg: (
            w1 * exp(-((apart / sa) ** 2) - (colours / sb) ** 2) + w2 * exp(-((apart / sg) ** 2))
        ),
        "The 2 is missing: the square is divided by twice the squared sigma.",
        lambda apart, colours, w1, sa, sb, w2, sg: (
            w1 * exp(-apart / (2 * sa**2) - colours / (2 * sb**2)) + w2 * exp(-apart / (2 * sg**2))
        ),
        "Square the distances too, not only the sigmas.",
        lambda apart, colours, w1, sa, sb, w2, sg: w1 * _bell(apart / sa, colours / sb),
        "That is the appearance kernel. The smoothness kernel is missing.",
        lambda *values: -_penalty(*values),
        "A penalty is a positive energy: pairs that disagree pay.",
    ),
)


def _sigmoid(x):
    return 1 / (1 + exp(-x))


def _logit(p):
    return log(p / (1 - p))


def _dot(k, q):
    return sum(a * b for a, b in zip(k, q, strict=True))


mean_field_update = Exercise(
    solution=lambda p, k, q, w: _sigmoid(_logit(p) + w * (2 * _dot(k, q) - sum(k))),
    because="The log-odds of the pixel, plus w times what is said for A, less what is said for B.",
    cases=(
        (0.3, (0.8, 0.5), (0.9, 0.6), 2.0),
        (0.5, (1.0,), (0.2,), 1.5),
        (0.9, (0.1, 0.4, 0.7), (0.3, 0.2, 0.1), 4.0),
    ),
    mistakes=in_pairs(
        lambda p, k, q, w: _sigmoid(_logit(p) + w * _dot(k, q)),
        "That counts what is said for A. The neighbours also speak for B, with probabilities 1 - "
        "q.",
        lambda p, k, q, w: _sigmoid(w * (2 * _dot(k, q) - sum(k))),
        "The pixel's own opinion is missing. It stays in the sum at every iteration.",
        lambda p, k, q, w: _sigmoid(_logit(p) - w * (2 * _dot(k, q) - sum(k))),
        "The sign: a neighbour that believes in A makes A cheaper, so more likely.",
        lambda p, k, q, w: _sigmoid(_logit(p) + 2 * _dot(k, q) - sum(k)),
        "The weight w is missing.",
        lambda p, k, q, w: _dot(k, q) / sum(k),
        "That is the mean of the neighbours. Mean field adds messages to log-odds; it does not "
        "average.",
    ),
)


def _softmax(logits):
    power = np.exp(logits - logits.max(axis=1, keepdims=True))
    return power / power.sum(axis=1, keepdims=True)


_UNARY = np.array([[0.2, 1.5, 1.0], [2.0, 0.4, 0.9]])
_FILTERED = np.array([[0.1, 0.5, 0.4], [0.6, 0.9, 0.3]])
_POTTS = 1.0 - np.eye(3)
_LEARNED = np.array([[0.0, 1.0, 0.3], [2.0, 0.0, 0.5], [0.2, 0.1, 0.0]])

compatibility = Exercise(
    solution=lambda unary, filtered, mu: _softmax(-unary - filtered @ mu.T),
    because="Row l of mu says what l pays beside each label m; KQ says how much of m is there.",
    cases=((_UNARY, _FILTERED, _LEARNED), (_UNARY, _FILTERED, _POTTS)),
    mistakes=in_pairs(
        lambda unary, filtered, mu: _softmax(-unary - filtered @ mu),
        "Transpose mu: label l pays mu[l, m] for its neighbours m. Only a symmetric mu hides the "
        "difference.",
        lambda unary, filtered, mu: _softmax(-unary + filtered @ mu.T),
        "mu holds penalties: they add to the energy, and the softmax takes minus the energy.",
        lambda unary, filtered, mu: _softmax(-unary + filtered),
        "That is Potts with weight 1. A learned mu treats every pair of labels in its own way.",
        lambda unary, filtered, mu: _softmax(-filtered @ mu.T),
        "The unary is missing: it comes back at every iteration.",
        lambda unary, filtered, mu: _softmax((-unary - filtered @ mu.T).T).T,
        "Normalise over the labels of a pixel, not over the pixels.",
    ),
)

_KERNEL = np.array([[1.0, 0.8, 0.1], [0.8, 1.0, 0.0], [0.1, 0.0, 1.0]])
_PAIR = np.array([[1.0, 0.5], [0.5, 1.0]])


def _symmetric(kernel):
    n = kernel.sum(axis=1)
    return kernel / np.sqrt(n[:, None] * n[None, :])


def _without_self(kernel):
    n = kernel.sum(axis=1) - 1
    return kernel / np.sqrt(n[:, None] * n[None, :] + 1e-20)


normalisation = Exercise(
    solution=_symmetric,
    because="Each pair is divided by the root of both sums, so that K stays symmetric.",
    cases=((_KERNEL,), (_PAIR,)),
    mistakes=in_pairs(
        lambda kernel: kernel / kernel.sum(axis=1)[:, None],
        "That is 'after': rows add up to 1, but pixel 1 hears 2 otherwise than 2 hears 1.",
        lambda kernel: kernel / kernel.sum(axis=1)[None, :],
        "That is 'before': columns add up to 1. Share the division between both pixels.",
        lambda kernel: kernel / np.outer(kernel.sum(axis=1), kernel.sum(axis=1)),
        "The roots are missing: that divides twice.",
        lambda kernel: kernel / kernel.sum(axis=1).mean(),
        "One number for the whole picture leaves the pixels with many friends as loud as before.",
        _without_self,
        "n counts the pixel itself, with k = 1.",
    ),
)

lattice_corners = Exercise(
    solution=lambda d: (d + 1, d + 1, 2**d),
    because="A simplex has one corner more than dimensions; a cube doubles with each of them.",
    cases=((1,), (2,), (3,), (5,), (8,)),
    mistakes=in_pairs(
        lambda d: (d, d, 2**d),
        "A triangle lies in the plane, d = 2, and has 3 corners.",
        lambda d: (d + 1, d, 2**d),
        "The blurs follow the edges of the lattice. In the plane they have 3 directions, not 2.",
        lambda d: (2**d, d + 1, d + 1),
        "Right numbers, wrong order: it is the cube that has 2 to the d corners.",
        lambda d: (d + 1, d + 1, d**2),
        "A cube has 8 corners in space, d = 3: each dimension doubles them.",
    ),
)

survival = Exercise(
    solution=lambda w: _sigmoid(w),
    because="The log-odds of the pixel must be larger than the w that all others put against it.",
    cases=((1.0,), (3.0,), (10.0,)),
    mistakes=in_pairs(
        lambda w: 0.5,
        "That is enough alone. Here the others pull with a log-odds of w.",
        lambda w: _sigmoid(-w),
        "That is the probability left for the background.",
        lambda w: 1 - exp(-w),
        "Close for large w. Compare log-odds: log(P / (1 - P)) > w.",
        lambda w: w / (1 + w),
        "The odds P / (1 - P) must be larger than e to the w, not larger than w.",
    ),
)

rescaled = Exercise(
    solution=lambda sxy, srgb, weight, factor: (sxy * factor, srgb, weight),
    because="Only sxy is a length. Colours stay, and normalised messages do not count neighbours.",
    cases=((50, 10, 5, 0.5), (80, 13, 10, 0.256), (67, 3, 4, 2.0)),
    mistakes=in_pairs(
        lambda sxy, srgb, weight, factor: (sxy, srgb, weight),
        "sxy is measured in pixels, and pixels have grown: the same part of the scene is fewer of "
        "them.",
        lambda sxy, srgb, weight, factor: (sxy / factor, srgb, weight),
        "The other way: in a smaller picture the same part of the scene is fewer pixels wide.",
        lambda sxy, srgb, weight, factor: (sxy * factor, srgb * factor, weight),
        "A smaller picture has the same colours.",
        lambda sxy, srgb, weight, factor: (sxy * factor, srgb, weight / factor**2),
        "That would be needed without normalisation, where each neighbour adds its own k.",
        lambda sxy, srgb, weight, factor: (sxy * factor**2, srgb, weight),
        "The area changes with the square of the factor, a length does not.",
    ),
)
