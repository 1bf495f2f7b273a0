"""The metrics by their definitions, pixel by pixel and in plain numbers."""

import math

import numpy as np


def counted(labels, predictions, num_classes, ignore_index=255):
    """counts[i][j]: labelled pixels of true class i predicted as j."""
    counts = [[0] * num_classes for _ in range(num_classes)]
    for true, predicted in zip(labels.flat, predictions.flat, strict=True):
        if true != ignore_index:
            counts[true][predicted] += 1
    return counts


def per_class(labels, predictions, num_classes, ignore_index=255):
    """(true positives, labelled, predicted) of each class, by sets of pixels."""
    labels, predictions = labels.flatten().tolist(), predictions.flatten().tolist()
    kept = [place for place, true in enumerate(labels) if true != ignore_index]
    sets = []
    for index in range(num_classes):
        labelled = {place for place in kept if labels[place] == index}
        predicted = {place for place in kept if predictions[place] == index}
        sets.append((labelled & predicted, labelled, predicted))
    return sets


def metrics(labels, predictions, num_classes, ignore_index=255, ignored=()):
    """All metrics, from intersections and unions of sets of pixels."""
    sets = per_class(labels, predictions, num_classes, ignore_index)
    total = sum(len(labelled) for _, labelled, _ in sets)
    kept = [index for index in range(num_classes) if index not in ignored]
    iou = [ratio(len(both), len(one | two)) for both, one, two in sets]
    dice = [ratio(2 * len(both), len(one) + len(two)) for both, one, two in sets]
    weighted = [len(sets[index][1]) * iou[index] for index in kept if sets[index][1]]
    return {
        "pixel_accuracy": ratio(sum(len(both) for both, _, _ in sets), total),
        "mean_accuracy": mean([ratio(len(sets[c][0]), len(sets[c][1])) for c in kept]),
        "iou": iou,
        "mean_iou": mean([iou[c] for c in kept]),
        "frequency_weighted_iou": ratio(sum(weighted), sum(len(sets[c][1]) for c in kept)),
        "dice": dice,
        "mean_dice": mean([dice[c] for c in kept]),
    }


def images(labels, predictions, num_classes, ignored=()):
    """Means over images of what `metrics` says of each."""
    each = [
        metrics(*pair, num_classes, ignored=ignored)
        for pair in zip(labels, predictions, strict=True)
    ]
    found = {name: mean([image[name] for image in each]) for name in ("mean_iou", "mean_dice")}
    for name in ("iou", "dice"):
        found[name] = [mean([image[name][c] for image in each]) for c in range(num_classes)]
        kept = [value for c, value in enumerate(found[name]) if c not in ignored]
        found[f"mean_class_{name}"] = mean(kept)
    return found


def on_boundary(values, y, x, ignore_index=255):
    """Whether a pixel touches one of another class."""
    height, width = len(values), len(values[0])
    around = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
    inside = [values[v][u] for v, u in around if 0 <= v < height and 0 <= u < width]
    own = values[y][x]
    return own != ignore_index and any(other not in (own, ignore_index) for other in inside)


def boundary_f(labels, predictions, num_classes, reach, ignore_index=255):
    """F of each class of one image: every pair of boundary pixels is measured."""
    predictions = np.where(labels == ignore_index, ignore_index, predictions).tolist()
    labels = labels.tolist()
    places = [(y, x) for y in range(len(labels)) for x in range(len(labels[0]))]
    scores = []
    for index in range(num_classes):
        true, found = (
            [(y, x) for y, x in places if m[y][x] == index and on_boundary(m, y, x, ignore_index)]
            for m in (labels, predictions)
        )
        shares = []
        for one, other in ((true, found), (found, true)):
            close = [p for p in one if any(math.dist(p, q) <= reach for q in other)]
            shares.append(ratio(len(close), len(one)))
        recall, precision = shares
        if not true and not found:
            scores.append(math.nan)
        elif not true or not found or not recall + precision:
            scores.append(0.0)
        else:
            scores.append(2 * precision * recall / (precision + recall))
    return scores


def near(mask, width):
    """The pixels at most `width` away from a pixel of the mask: every pair is measured."""
    height, breadth = len(mask), len(mask[0])
    marked = [(y, x) for y in range(height) for x in range(breadth) if mask[y][x]]
    return [
        [any((y - v) ** 2 + (x - u) ** 2 <= width**2 for v, u in marked) for x in range(breadth)]
        for y in range(height)
    ]


def ratio(part, whole):
    return part / whole if whole else math.nan


def mean(values):
    there = [value for value in values if not math.isnan(value)]
    return ratio(sum(there), len(there))
