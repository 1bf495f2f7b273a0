"""What a user of pydensecrf has: calls in the order in which its README and examples make them.

`run` is given a photograph, labels with some unknown, and probabilities; it gives back every array
and number that it comes by. The test runs this file as it is, and with other import lines.
"""

import numpy as np
import pydensecrf.densecrf as dcrf
from pydensecrf.utils import (
    create_pairwise_bilateral,
    create_pairwise_gaussian,
    unary_from_labels,
    unary_from_softmax,
)


def by_annotation(photo, marked, special):
    """Hard labels, 0 where nobody knows; kernels of pixels, or the same as features."""
    height, width = photo.shape[:2]
    count = int(marked.max())
    energy = unary_from_labels(marked, count, gt_prob=0.7, zero_unsure=True)
    options = {"kernel": dcrf.DIAG_KERNEL, "normalization": dcrf.NORMALIZE_SYMMETRIC}
    if special:
        crf = dcrf.DenseCRF2D(width, height, count)
        crf.setUnaryEnergy(energy)
        crf.addPairwiseGaussian(sxy=(3, 3), compat=3, **options)
        crf.addPairwiseBilateral(sxy=(80, 80), srgb=(13, 13, 13), rgbim=photo, compat=10, **options)
    else:
        crf = dcrf.DenseCRF(width * height, count)
        crf.setUnaryEnergy(energy)
        crf.addPairwiseEnergy(
            create_pairwise_gaussian(sdims=(3, 3), shape=photo.shape[:2]), compat=3, **options
        )
        values = create_pairwise_bilateral(sdims=(80, 80), schan=(13, 13, 13), img=photo, chdim=2)
        crf.addPairwiseEnergy(values, compat=10, **options)
    beliefs = crf.inference(5)
    best = np.argmax(beliefs, axis=0).reshape(photo.shape[:2])
    found = {"unary": energy, "labels": best, "beliefs": np.array(beliefs)}
    step, first, second = crf.startInference()
    distances = []
    for _ in range(5):
        distances.append(crf.klDivergence(step))
        crf.stepInference(step, first, second)
    return found | {"distances": np.array(distances), "steps": np.array(step)}


def by_network(photo, softmax, forms):
    """A network's softmax, and weights of every form; `forms` are (compat, normalization)."""
    height, width = photo.shape[:2]
    found = {}
    for number, (weight, division) in enumerate(forms):
        crf = dcrf.DenseCRF2D(width, height, len(softmax))
        crf.setUnaryEnergy(unary_from_softmax(softmax))
        if number == 0:
            found["alone"] = np.array(crf.inference(10))  # no kernel yet
        kind = getattr(dcrf, division)
        crf.addPairwiseGaussian(sxy=2, compat=weight, normalization=kind)
        crf.addPairwiseBilateral((20, 10), (30, 20, 25), photo, weight, normalization=kind)
        found[f"network {number}"] = np.array(crf.inference(5))
    return found


def other_channels(grey, softmax):
    """Two labels, and an image of one channel, which only features can take."""
    height, width = grey.shape[:2]
    crf = dcrf.DenseCRF2D(width, height, len(softmax))
    energy = unary_from_softmax(softmax, scale=0.9)
    crf.setUnary(dcrf.ConstUnary(energy))
    values = create_pairwise_bilateral(sdims=(10, 10), schan=(0.05,), img=grey, chdim=2)
    crf.addPairwiseEnergy(values, compat=10)
    step, first, second = crf.startInference()
    for _ in range(20):
        crf.stepInference(step, first, second)
    labels = np.argmax(step, axis=0).reshape(height, width)
    return {
        "values": values,
        "grey labels": labels,
        "grey": np.array(step),
        "distance": np.array(crf.klDivergence(step) / labels.size),
    }


def run(photo, marked, softmax, forms):
    found = {}
    for special in (True, False):
        for name, value in by_annotation(photo, marked, special).items():
            found[f"{name}, {'pixels' if special else 'features'}"] = value
    grey = photo.mean(2, keepdims=True).astype(np.float32) / 255
    pair = np.stack([softmax[0], 1 - softmax[0]])
    return found | by_network(photo, softmax, forms) | other_channels(grey, pair)
