"""The metrics by their definitions, pixel by pixel and in plain numbers."""

import math


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


def metrics(labels, predictions, num_classes, ignore_index=255):
    """The five metrics, from intersections and unions of sets of pixels."""
    sets = per_class(labels, predictions, num_classes, ignore_index)
    total = sum(len(labelled) for _, labelled, _ in sets)
    iou = [ratio(len(both), len(one | two)) for both, one, two in sets]
    weighted = [
        len(labelled) * value for (_, labelled, _), value in zip(sets, iou, strict=True) if labelled
    ]
    return {
        "pixel_accuracy": ratio(sum(len(both) for both, _, _ in sets), total),
        "mean_accuracy": mean([ratio(len(both), len(one)) for both, one, _ in sets]),
        "iou": iou,
        "mean_iou": mean(iou),
        "frequency_weighted_iou": ratio(sum(weighted), total),
    }


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
