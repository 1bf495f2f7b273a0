"""Exercises of chapter 01."""

import numpy as np

from dlseg.book import Exercise, in_pairs


def _probabilities() -> np.ndarray:
    """Probabilities of 3 classes on 4 x 5 pixels, every sum 1, no two alike."""
    steps = np.arange(1, 61, dtype=float).reshape(3, 4, 5) * 37 % 61
    return steps / steps.sum(0)


labels = Exercise(
    solution=lambda probabilities: np.argmax(probabilities, 0),
    because="Each pixel takes the class that is most probable at its own place.",
    cases=((_probabilities(),), (_probabilities()[:2],), (_probabilities()[::-1],)),
    mistakes=in_pairs(
        lambda p: np.argmax(p, -1),
        "Classes are the first axis of (C, H, W), and your answer runs along the last one.",
        lambda p: np.max(p, 0),
        "That is how sure the winner is. The question is which class wins.",
        lambda p: (p > 0.5).astype(int),
        "One map per class came out. A pixel gets one label, and there may be no class above one "
        "half.",
        lambda p: np.argmin(p, 0),
        "That is the least probable class.",
    ),
)

_TRUE = np.array([[0, 0, 1, 1], [0, 2, 1, 255], [2, 2, 255, 1]])
_GUESS = np.array([[0, 1, 1, 1], [0, 2, 0, 1], [2, 0, 2, 1]])


def _count(true, guess, size, keep):
    matrix = np.zeros((size, size), int)
    for t, g in zip(true.ravel(), guess.ravel(), strict=True):
        if keep(t):
            matrix[t % size, g] += 1
    return matrix


confusion = Exercise(
    solution=lambda true, guess, size: _count(true, guess, size, lambda t: t != 255),
    because="One count per labelled pixel, at (true class, predicted class); void has no row.",
    cases=((_TRUE, _GUESS, 3), (_TRUE[:2, :3], _GUESS[:2, :3], 3), (_TRUE, _GUESS, 4)),
    mistakes=in_pairs(
        lambda t, g, n: _count(t, g, n, lambda v: v != 255).T,
        "Rows are the true classes, columns the predicted ones. You have them the other way round.",
        lambda t, g, n: _count(t, g, n, lambda v: True),
        "Pixels labelled 255 were counted too. They have no true class: leave them out.",
        lambda t, g, n: np.minimum(_count(t, g, n, lambda v: v != 255), 1),
        "Each pair of classes is counted once. `matrix[true, guess] += 1` on arrays does that: it "
        "adds 1 once per place, not once per pixel.",
        lambda t, g, n: np.diag(np.diag(_count(t, g, n, lambda v: v != 255))),
        "Only the pixels that are right were counted. The errors belong beside the diagonal.",
    ),
)

_MATRICES = (
    np.array([[50, 2, 3], [4, 20, 1], [0, 5, 10]]),
    np.array([[90, 0], [10, 0]]),
    np.array([[6, 1, 0], [2, 7, 0], [0, 0, 0]]),
)


def _ious(matrix):
    right = np.diag(matrix).astype(float)
    union = matrix.sum(0) + matrix.sum(1) - right
    return np.divide(right, union, out=np.full(len(right), np.nan), where=union > 0)


def _dice(matrix):
    right = np.diag(matrix).astype(float)
    total = matrix.sum(0) + matrix.sum(1)
    return float(
        np.nanmean(np.divide(2 * right, total, out=np.full(len(right), np.nan), where=total > 0))
    )


def _recall(matrix):
    total = matrix.sum(1).astype(float)
    right = np.diag(matrix).astype(float)
    return float(
        np.nanmean(np.divide(right, total, out=np.full(len(right), np.nan), where=total > 0))
    )


mean_iou = Exercise(
    solution=lambda matrix: float(np.nanmean(_ious(matrix))),
    because="Right pixels over the union of true and predicted ones, then the mean of the classes.",
    cases=tuple((matrix,) for matrix in _MATRICES),
    mistakes=in_pairs(
        lambda m: float(np.diag(m).sum() / m.sum()),
        "That is pixel accuracy. On the second matrix it is 0.9, though one class is never found.",
        _recall,
        "That divides by the true pixels only, which is mean accuracy. What was predicted wrongly "
        "belongs to the union as well.",
        _dice,
        "That is 2 x right / (true + predicted), known as Dice or F1. The union counts the common "
        "pixels once.",
        lambda m: float(np.nansum(_ious(m)) / len(m)),
        "A class that is neither labelled nor predicted has no IoU. You counted it as 0: leave it "
        "out of the mean.",
    ),
)

scores = Exercise(
    solution=lambda height, width, stride: -(-height // stride) * -(-width // stride),
    because="Every full or begun square of stride x stride pixels gets one score for each class.",
    cases=((96, 96, 32), (96, 96, 8), (500, 375, 32), (513, 513, 16), (65, 97, 16)),
    mistakes=in_pairs(
        lambda h, w, s: (h // s) * (w // s),
        "A begun square gets scores too: 500 pixels at stride 32 are 16 rows, not 15. Round up.",
        lambda h, w, s: h * w // s,
        "The stride divides rows and columns, so the number of units falls by its square.",
        lambda h, w, s: -(-h // s) + -(-w // s),
        "Rows times columns, not rows plus columns.",
        lambda h, w, s: s * s,
        "That is how many pixels share their scores.",
    ),
)

_EDGE = np.zeros((9, 11), bool)
_EDGE[4, 3:6] = _EDGE[1, 9] = True


def _near(edge, width, distance):
    rows, columns = np.indices(edge.shape)
    band = np.zeros(edge.shape, bool)
    for row, column in np.argwhere(edge):
        band |= distance(abs(rows - row), abs(columns - column)) <= width
    return band


band = Exercise(
    solution=lambda edge, width: _near(edge, width, np.hypot),
    because="A disc of that radius around every pixel of the edge, and all discs together.",
    cases=((_EDGE, 1), (_EDGE, 2), (_EDGE, 3), (_EDGE.T, 2)),
    mistakes=in_pairs(
        lambda edge, width: _near(edge, width, np.maximum),
        "Your band is a square around each pixel: along the diagonals it reaches 1.4 times too "
        "far.",
        lambda edge, width: _near(edge, width, np.add),
        "You count steps along rows and columns. The distance is the straight line.",
        lambda edge, width: _near(edge, width, np.hypot) & ~edge,
        "The edge itself has distance 0, so it belongs to the band.",
        lambda edge, width: _near(edge, width - 1e-6, np.hypot),
        "A pixel at exactly that distance belongs to the band: at most, not less than.",
    ),
)
