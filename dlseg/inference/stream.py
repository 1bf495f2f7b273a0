"""A frame loop: images that come one by one, each labelled before the next is looked at."""

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain
from statistics import median
from time import perf_counter
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from dlseg.checks import check_integer
from dlseg.data import MEAN, STD, normalise
from dlseg.doors import logits_of
from dlseg.inspect import evaluating


class Frame(NamedTuple):
    """One labelled image.

    number: from 0. labels: uint8 (H, W). seconds: its latency, from the image in hand to the labels
    in the main memory. median: of the latencies of the last few frames, this one included.
    """

    number: int
    labels: np.ndarray
    seconds: float
    median: float


def frames(
    model: nn.Module,
    images: Iterable[np.ndarray],
    window: int = 30,
    mean: tuple[float, ...] = MEAN,
    std: tuple[float, ...] = STD,
) -> Iterator[Frame]:
    """Label images as they come; the next is not asked for before the caller wants its labels.

    model: images (1, 3, H, W) to logits (1, C, H, W), in any mode, which it keeps.
    images: uint8 (H, W, 3) RGB, of any sizes. window: frames of the rolling median; the first ones
    after the start are slow, and a median forgets them. mean, std: as in training.
    Raises ValueError unless window >= 1, and for an image of another kind.
    """
    recent = deque(maxlen=check_integer("window", window, 1))
    for number, image in enumerate(images):
        start = perf_counter()
        labels = label_frame(model, image, mean, std)
        recent.append(perf_counter() - start)
        yield Frame(number, labels, recent[-1], median(recent))


def label_frame(
    model: nn.Module,
    image: np.ndarray,
    mean: tuple[float, ...] = MEAN,
    std: tuple[float, ...] = STD,
) -> np.ndarray:
    """The label of the largest logit of each pixel, uint8 (H, W); arguments of `frames`.

    It is what `label_image` gives for the whole image, up to ties, without its softmax.
    """
    x = normalise(image, mean, std)  # (3, H, W)
    # Entered for every frame: across a `yield` both would reach into the caller's own code.
    device = next(chain(model.parameters(), model.buffers()), torch.empty(0)).device
    with evaluating(model), torch.no_grad():
        logits = logits_of(model(x[None].to(device)))  # (1, C, H, W)
    check_integer("the model's number of classes", logits.shape[1], 1, 256)
    return logits[0].argmax(0).byte().cpu().numpy()  # the copy waits for a GPU to finish
