"""Exercises of chapter 16."""

import math

import numpy as np

from dlseg.book import Exercise, in_pairs

_RED, _BLACK, _WHITE = (200, 0, 0), (0, 0, 0), (224, 224, 192)
_COLOURS = np.array([_BLACK, _RED, (0, 90, 200)], np.uint8)


def _painted(labels: list[list[int]]) -> np.ndarray:
    return _COLOURS[np.array(labels)]


def _from_colours(mask: np.ndarray, colours: np.ndarray) -> np.ndarray:
    return (mask[:, :, None] == colours).all(3).argmax(2)


from_colours = Exercise(
    solution=_from_colours,
    because="A label is the place of its colour in the list; all three channels must agree.",
    cases=tuple(
        (_painted(labels), _COLOURS) for labels in ([[0, 1], [2, 1]], [[2, 2, 0]], [[1], [0], [2]])
    ),
    mistakes=in_pairs(
        lambda mask, colours: mask[:, :, 0],
        "That is the red channel. Red 200 is no class.",
        lambda mask, colours: mask.mean(2).astype(int),
        "Grey levels are no labels: look each colour up in the list.",
        lambda mask, colours: (mask[:, :, None] == colours).any(3).argmax(2),
        "One equal channel is not enough: black and blue share the red channel.",
        lambda mask, colours: (mask[:, :, None] == colours).all(3).max(2),
        "You say whether there is such a colour. Say which.",
    ),
)


def _split(names: list[str], held_out: str) -> list[int]:
    return [i for i, name in enumerate(names) if name.split("_")[0] != held_out]


_FRAMES = ["0001TP_006690", "0006R0_f00930", "0016E5_00390", "0016E5_07959", "Seq05VD_f00000"]
by_drive = Exercise(
    solution=_split,
    because="All frames of one drive lie on one side. What was seen in training is no test.",
    cases=((_FRAMES, "0016E5"), (_FRAMES, "0006R0"), (["a_1", "ab_1", "a_2", "b_a"], "a")),
    mistakes=in_pairs(
        lambda names, held_out: list(range(4 * len(names) // 5)),
        "Neighbours in a list are neighbours on the road: hold out the whole drive.",
        lambda names, held_out: [i for i, n in enumerate(names) if n.startswith(held_out)],
        "Those are the pictures to test on. Return the ones to train on.",
        lambda names, held_out: [i for i, n in enumerate(names) if held_out not in n],
        "A drive's name may be part of another name. Compare what stands before the first _.",
        lambda names, held_out: [i for i, n in enumerate(names) if not n.startswith(held_out)],
        "Another drive's name may begin in the same way. Compare all that stands before the _.",
    ),
    order="free",
)


def _weights(counts: list[int]) -> np.ndarray:
    shares = np.array(counts) / np.sum(counts)
    return np.sqrt(np.median(shares) / shares)


weights = Exercise(
    solution=_weights,
    because="A class of median frequency weighs 1; one that is a hundred times rarer weighs 10.",
    cases=(([9000, 90, 10, 900, 1],), ([4, 1],), ([50, 50, 25, 100],)),
    mistakes=in_pairs(
        lambda counts: np.median(counts) / np.array(counts),
        "Without the root: this is full balancing, which asks as much of a rare class as of all "
        "the rest.",
        lambda counts: np.sqrt(np.array(counts) / np.median(counts)),
        "Upside down: rare classes must weigh more, not less.",
        lambda counts: np.sqrt(np.mean(counts) / np.array(counts)),
        "That is the mean. One large class would lift all weights; take the median.",
        lambda counts: 1 / np.sqrt(np.array(counts) / np.sum(counts)),
        "The right proportions, but the weights are too large: a class of median frequency "
        "should weigh 1.",
    ),
)


def _worst(matrices: list[np.ndarray]) -> list[int]:
    return sorted(range(len(matrices)), key=lambda i: _mean_iou(matrices[i]))


def _mean_iou(matrix: np.ndarray, absent: float = math.nan) -> float:
    right = np.diag(matrix)
    union = matrix.sum(0) + matrix.sum(1) - right
    each = np.where(union > 0, right / np.maximum(union, 1), absent)
    return float(np.nanmean(each))


_MATRICES = [
    np.array([[90, 0, 0], [0, 0, 0], [0, 0, 10]]),
    np.array([[80, 10, 0], [5, 5, 0], [0, 0, 0]]),
    np.array([[70, 0, 5], [0, 10, 0], [10, 0, 5]]),
    np.array([[99, 0, 0], [0, 0, 0], [1, 0, 0]]),
]
worst = Exercise(
    solution=_worst,
    because="A class that is neither there nor found has no IoU, and must not count as 0.",
    cases=((_MATRICES,), (_MATRICES[::-1],), (_MATRICES[1:3],)),
    mistakes=in_pairs(
        lambda matrices: sorted(
            range(len(matrices)), key=lambda i: np.diag(matrices[i]).sum() / matrices[i].sum()
        ),
        "That ranks by pixels that are right. A picture of much ground looks good whatever lies "
        "on it.",
        lambda matrices: sorted(range(len(matrices)), key=lambda i: _mean_iou(matrices[i], 0)),
        "A class that a picture does not have, and that is not found there, counts as 0 with you.",
        lambda matrices: sorted(range(len(matrices)), key=lambda i: _mean_iou(matrices[i], 1)),
        "A class that a picture does not have, and that is not found there, counts as 1 with you.",
        lambda matrices: _worst(matrices)[::-1],
        "The best comes first with you.",
    ),
)


def _bytes(pictures: int, height: int, width: int) -> int:
    deep, shallow = (-(-height // stride) * -(-width // stride) for stride in (16, 4))
    return 4 * pictures * (80 * deep + 8 * shallow)


memory = Exercise(
    solution=_bytes,
    because="Two maps of each picture, 80 channels at stride 16 and 8 at stride 4 for the decoder.",
    cases=((76, 145, 193), (1, 513, 513), (10, 33, 65)),
    mistakes=in_pairs(
        lambda n, h, w: _bytes(n, h, w) // 4,
        "You counted numbers. A float32 has 4 bytes.",
        lambda n, h, w: 4 * n * 80 * -(-h // 16) * -(-w // 16),
        "The decoder needs the low-level map too.",
        lambda n, h, w: 4 * n * (80 * (h // 16) * (w // 16) + 8 * (h // 4) * (w // 4)),
        "Round up: 145 pixels make 10 units at stride 16.",
    ),
)


def _baseline(counts: list[int]) -> float:
    counts = np.array(counts)
    return counts.max() / counts.sum() / np.count_nonzero(counts)


baseline = Exercise(
    solution=_baseline,
    because="The answered class has its share as IoU, every other class that occurs has 0.",
    cases=(([930, 30, 25, 5, 10],), ([50, 50],), ([6, 0, 18],)),
    mistakes=in_pairs(
        lambda counts: max(counts) / sum(counts),
        "That is the pixel accuracy, and the IoU of that one class. The mean is over all classes.",
        lambda counts: max(counts) / sum(counts) / len(counts),
        "A class of which there is no pixel has no IoU: it does not count in the mean.",
        lambda counts: 1 / np.count_nonzero(counts),
        "The answer is wrong at all other pixels, and they are part of the union.",
        lambda counts: max(counts) / sum(counts) / (np.count_nonzero(counts) - 1),
        "The class that is always answered counts in the mean too.",
    ),
)
