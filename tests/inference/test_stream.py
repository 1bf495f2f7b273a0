"""The frame loop: labels, latencies, and what it leaves alone."""

from statistics import median

import numpy as np
import pytest
import torch
from torch import nn

from dlseg.data import to_tensors
from dlseg.inference import stream
from dlseg.inference.stream import frames
from tests.inference.toys import Watched, convolutions

MODEL = convolutions(2).float()


def pictures(count, height=20, width=31):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (height, width, 3), np.uint8) for _ in range(count)]


def test_labels_of_each_image_in_order():
    images = [*pictures(3), *pictures(1, 33, 17)]
    found = list(frames(MODEL, images))
    assert [frame.number for frame in found] == [0, 1, 2, 3]
    for image, frame in zip(images, found, strict=True):
        x, _ = to_tensors(image, np.zeros(image.shape[:2], np.uint8))
        assert frame.labels.dtype == np.uint8
        np.testing.assert_array_equal(frame.labels, MODEL(x[None])[0].argmax(0))


def test_mean_and_deviation_of_the_training():
    image = pictures(1)
    (plain,), (other,) = frames(MODEL, image), frames(MODEL, image, mean=(0, 0, 0), std=(1, 1, 1))
    x = torch.from_numpy(image[0]).permute(2, 0, 1)[None] / 255
    np.testing.assert_array_equal(other.labels, MODEL(x)[0].argmax(0))
    assert not np.array_equal(plain.labels, other.labels)


def test_latencies_and_their_rolling_median(monkeypatch):
    """A clock that gives the frames 5, 1, 9, 2 and 3 seconds, and their caller 100 each."""
    lengths = [5, 1, 9, 2, 3]
    ticks = iter([tick for i, s in enumerate(lengths) for tick in (100 * i, 100 * i + s)])
    monkeypatch.setattr(stream, "perf_counter", lambda: next(ticks))
    found = list(frames(MODEL, pictures(5), window=3))
    assert [frame.seconds for frame in found] == lengths
    medians = [median(lengths[max(0, i - 2) : i + 1]) for i in range(5)]
    assert [frame.median for frame in found] == medians == [5, 3, 5, 2, 3]


def test_an_image_is_taken_only_when_its_labels_are_wanted():
    taken = []
    loop = frames(MODEL, (taken.append(i) or image for i, image in enumerate(pictures(3))))
    assert taken == []
    next(loop)
    assert taken == [0]


def test_the_caller_keeps_modes_and_gradients_between_frames():
    model = Watched(nn.Sequential(nn.BatchNorm2d(3), MODEL))
    for _ in frames(model, pictures(2)):
        assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
        assert model.training and model.model[0].training
    assert [call[1:] for call in model.calls] == [(False, False)] * 2


def test_bad_window_and_bad_image():
    with pytest.raises(ValueError, match="window must be an integer >= 1, got 0"):
        next(frames(MODEL, pictures(1), window=0))
    with pytest.raises(ValueError, match="image must be uint8"):
        next(frames(MODEL, [np.zeros((8, 8, 3))]))
