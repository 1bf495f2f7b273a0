"""torchmetrics and scikit-learn beside `dlseg.metrics`: equal, and where they are not, in what."""

import math

import numpy as np
import pytest
import torch
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import f1_score, jaccard_score

from dlseg.metrics import ConfusionMatrix, ImageScores
from tests.peers import load_torchmetrics

CLASSES, VOID = 6, 255  # class 5 is nowhere, class 4 in one image alone


@pytest.fixture(scope="module")
def peer():
    return load_torchmetrics()


def batch(void=True):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, (4, 20, 30))
    labels[0, :9] = 4
    predictions = np.where(rng.random(labels.shape) < 0.7, labels, rng.integers(0, 4, labels.shape))
    if void:
        labels[rng.random(labels.shape) < 0.1] = VOID
    return torch.from_numpy(labels), torch.from_numpy(predictions)


def fed(metric, labels, predictions):
    """Two batches, as a loop over a data set gives them."""
    for part in (slice(0, 3), slice(3, 4)):
        metric.update(predictions[part], labels[part])  # their order
    return metric.compute().double()


def ours(make=ConfusionMatrix, void=True, **options):
    labels, predictions = batch(void)
    metric = make(CLASSES, **options)
    for part in (slice(0, 3), slice(3, 4)):
        metric.update(labels[part], predictions[part])
    return metric.compute()


def near(first, second):
    return first == pytest.approx(second, rel=1e-6, nan_ok=True)  # theirs is float32


@pytest.mark.parametrize(
    ("name", "kind", "average"),
    [
        ("mean_iou", "MulticlassJaccardIndex", "macro"),
        ("iou", "MulticlassJaccardIndex", "none"),
        ("frequency_weighted_iou", "MulticlassJaccardIndex", "weighted"),
        ("mean_dice", "MulticlassF1Score", "macro"),
        ("dice", "MulticlassF1Score", "none"),
        ("pixel_accuracy", "MulticlassAccuracy", "micro"),
        ("mean_accuracy", "MulticlassAccuracy", "macro"),
    ],
)
def test_over_the_data_set(peer, name, kind, average):
    metric = getattr(peer.classification, kind)(CLASSES, average=average, ignore_index=VOID)
    found, theirs = ours()[name], fed(metric, *batch())
    if average == "none":
        assert math.isnan(found[5]) and theirs[5] == 0  # a class that is nowhere: they print 0
        found, theirs = found[:5], theirs[:5]
    assert near(np.asarray(found), theirs.numpy())  # and leave it out of the mean, as we do


def test_dice_over_the_data_set_and_image_by_image(peer):
    labels, predictions = batch(void=False)  # it knows no void
    for level, make in (("global", ConfusionMatrix), ("samplewise", ImageScores)):
        options = {"aggregation_level": level, "input_format": "index"}
        mean = fed(
            peer.segmentation.DiceScore(CLASSES, **options, average="macro"), labels, predictions
        )
        assert near(ours(make, void=False)["mean_dice"], float(mean))
    each = peer.segmentation.DiceScore(
        CLASSES, average="none", aggregation_level="global", input_format="index"
    )
    theirs = fed(each, labels, predictions)
    assert near(ours(void=False)["dice"].tolist(), theirs.tolist()) and math.isnan(theirs[5])


def test_iou_of_each_class_image_by_image(peer):
    labels, predictions = batch(void=False)
    options = {"input_format": "index", "per_class": True}
    theirs = fed(peer.segmentation.MeanIoU(CLASSES, **options), labels, predictions)
    found = ours(ImageScores, void=False)
    assert theirs[5] == -1 and math.isnan(found["iou"][5])  # a class that is nowhere
    assert near(found["iou"][:5].tolist(), theirs[:5].tolist())
    assert near(found["mean_class_iou"], float(theirs[:5].mean()))


def test_their_mean_over_images_and_classes_at_once_is_another_number(peer):
    """Every pair of image and class weighs alike there; here every image does."""
    labels, predictions = batch(void=False)
    theirs = fed(peer.segmentation.MeanIoU(CLASSES, input_format="index"), labels, predictions)
    pairs = []
    for label, prediction in zip(labels, predictions, strict=True):
        image = ConfusionMatrix(CLASSES)
        image.update(label, prediction)
        pairs += [value for value in image.iou().tolist() if not math.isnan(value)]
    assert near(float(theirs), sum(pairs) / len(pairs))
    assert not near(float(theirs), ours(ImageScores, void=False)["mean_iou"])


def test_without_the_background(peer):
    labels, predictions = batch(void=False)
    metric = peer.segmentation.DiceScore(
        CLASSES,
        include_background=False,
        average="macro",
        aggregation_level="global",
        input_format="index",
    )
    found = ours(void=False, ignored_classes=[0])
    assert near(found["mean_dice"], float(fed(metric, labels, predictions)))


def test_an_ignored_class_of_theirs_is_our_void(peer):
    """torchmetrics' ignore_index within the classes leaves its pixels out."""
    labels, predictions = batch(void=False)
    metric = peer.classification.MulticlassJaccardIndex(CLASSES, ignore_index=0)
    found = ours(void=False, ignore_index=0)
    assert near(found["mean_iou"], float(fed(metric, labels, predictions)))
    assert not near(ours(void=False, ignored_classes=[0])["mean_iou"], found["mean_iou"])


def test_a_class_that_is_nowhere_pulls_the_mean_of_scikit_learn_down():
    labels, predictions = batch()
    kept = labels != VOID
    for score, name in ((jaccard_score, "mean_iou"), (f1_score, "mean_dice")):
        with pytest.warns(UndefinedMetricWarning):
            theirs = score(labels[kept], predictions[kept], labels=range(CLASSES), average="macro")
        assert near(theirs, ours()[name] * 5 / 6)
        there = score(labels[kept], predictions[kept], labels=range(5), average="macro")
        assert near(there, ours()[name])


def test_reset_and_merge_as_there(peer):
    """torchmetrics: `merge_state` and `reset`."""
    labels, predictions = batch()
    halves = []
    for part in (slice(0, 2), slice(2, 4)):
        pair = (
            peer.classification.MulticlassJaccardIndex(CLASSES, ignore_index=VOID),
            ConfusionMatrix(CLASSES),
        )
        pair[0].update(predictions[part], labels[part])
        pair[1].update(labels[part], predictions[part])
        halves.append(pair)
    (theirs, mine), others = halves
    theirs.merge_state(others[0])
    mine.merge(others[1])
    assert near(mine.compute()["mean_iou"], float(theirs.compute()))
    for metric in (theirs, mine):
        metric.reset()
        metric.update(torch.tensor([1, 2]), torch.tensor([1, 2]))
    assert mine.mean_iou() == float(theirs.compute()) == 1
