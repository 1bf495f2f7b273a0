"""The page of metrics: each number by `dlseg.metrics`, by counting pixels, and by its own sum."""

import ast
import math
import operator
import re

import numpy as np
import pytest

from dlseg.metrics import BoundaryF, ConfusionMatrix, ImageScores, TrimapCurve
from tests.chapters.tools import ROOT
from tests.metrics import oracles

PAGE = (ROOT / "chapters/A-metrics.md").read_text(encoding="utf-8")
CLASSES = 4
SECTIONS = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S))
ROW = re.compile(
    r"^\| `(\w+)`(?: of class (\d))?( of the matrix)? \|.*\| (.*?) \| ([\d.]+|NaN) \|$"
)


def maps(heading: str) -> np.ndarray:
    """The map that a page shows below a line."""
    block = re.search(rf"^{heading}:\n\n```text\n(.*?)```", PAGE, re.M | re.S)[1]
    return np.array([line.split() for line in block.splitlines()], dtype=np.int64)


A = maps("Labels of the picture A"), maps("Predictions for A")
B = maps("Labels of the picture B"), maps("Predictions for B")
BOTH = tuple(np.stack(pair) for pair in zip(A, B, strict=True))


def rows() -> list[tuple]:
    """Section, score, class or None, its sum, its number: of every row of a score."""
    found = []
    for section, text in SECTIONS.items():
        for line in text.splitlines():
            if row := ROW.match(line):
                place = "matrix" if row[3] else section
                found.append((place, row[1], row[2] and int(row[2]), row[4].strip("`"), row[5]))
    return found


ROWS = rows()


def used(metric, images) -> dict:
    """All scores of the metric after these images."""
    metric.update(*images)
    return metric.compute()


def counted(section: str) -> dict:
    """The same by counting pixels: `tests/metrics/oracles.py`."""
    if section == "Near void":
        near = np.array(oracles.near((A[0] == 255).tolist(), 1))
        return oracles.metrics(np.where(near, A[0], 255), A[1], CLASSES)
    if section == "Boundaries":
        scores = oracles.boundary_f(*A, CLASSES, 1)
        return {"boundary_f": scores, "mean_boundary_f": oracles.mean(scores)}
    if section == "Image by image":
        return oracles.images(*BOTH, CLASSES)
    ignored = (0,) if section == "Without a class" else ()
    return oracles.metrics(*(BOTH if section == "matrix" else A), CLASSES, ignored=ignored)


LIBRARY = {
    "Over the data set": lambda: used(ConfusionMatrix(CLASSES), A),
    "Without a class": lambda: used(ConfusionMatrix(CLASSES, ignored_classes=[0]), A),
    "Near void": lambda: used(TrimapCurve([1], CLASSES), A),
    "Boundaries": lambda: used(BoundaryF(CLASSES, tolerance=1), A),
    "Image by image": lambda: used(ImageScores(CLASSES), BOTH),
    "matrix": lambda: used(ConfusionMatrix(CLASSES), BOTH),
}
SIGNS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul}
SIGNS[ast.Div] = lambda a, b: a / b if b else math.nan


def summed(text: str) -> float:
    """The value of a sum of fractions."""

    def value(node: ast.expr) -> float:
        if isinstance(node, ast.Constant):
            return node.value
        return SIGNS[type(node.op)](value(node.left), value(node.right))

    return value(ast.parse(text, mode="eval").body)


def one(scores: dict, name: str, index: int | None) -> float:
    """A number among the scores; of a curve, that of its only width."""
    value = scores[name]
    return float(value if index is None else value[index])


@pytest.mark.parametrize(("section", "name", "index", "work", "number"), ROWS)
def test_a_number_in_three_ways(section, name, index, work, number):
    by_hand, expected = summed(work), one(counted(section), name, index)
    found = one(LIBRARY[section](), name, index)
    assert found == pytest.approx(expected, rel=1e-12, nan_ok=True)
    assert by_hand == pytest.approx(expected, rel=1e-12, nan_ok=True)
    assert number == ("NaN" if math.isnan(expected) else f"{expected:.3f}")


def test_every_score_is_on_the_page():
    for section, scores in LIBRARY.items():
        listed = {(name, index) for place, name, index, *_ in ROWS if place == section}
        wanted = set()
        for name, value in scores().items():
            many = range(CLASSES) if np.ndim(value) and len(value) == CLASSES else [None]
            wanted |= {(name, index) for index in many}
        if section == "Without a class":  # those of single classes stay
            wanted = {(name, index) for name, index in wanted if index is None}
        if section == "Image by image":  # Dice as IoU
            wanted = {(name, index) for name, index in wanted if name != "dice"}
        if section == "matrix":
            wanted = {("mean_iou", None)}
        assert listed == wanted, section


def test_the_counts_are_those_of_the_maps():
    table = [line.strip("| ").split(" | ") for line in SECTIONS["The picture"].splitlines()]
    cells = [row[1:] for row in table if len(row) == CLASSES + 2]
    numbers = [[int(cell) for cell in row] for row in cells if row[-1].isdecimal()]
    counts = np.array(oracles.counted(*A, CLASSES))
    assert np.array_equal([row[:-1] for row in numbers[:-1]], counts)
    assert [row[-1] for row in numbers] == [*counts.sum(1), counts.sum()]
    assert numbers[-1][:-1] == counts.sum(0).tolist()


def test_what_the_text_says():
    near = np.array(oracles.near((A[0] == 255).tolist(), 1)) & (A[0] != 255)
    assert (A[0][near].tolist(), A[1][near].tolist()) == ([1, 2, 2], [1, 2, 0])
    image = oracles.metrics(*B, CLASSES)
    assert image["iou"][:2] == [15 / 16, 0] and image["dice"][:2] == [30 / 31, 0]
    assert not (set(A[0].flat) | set(A[1].flat)) & {3}
    masked = np.where(A[0] == 255, 255, A[1]).tolist()
    places = [(y, x) for y in range(4) for x in range(4) if masked[y][x] == 0]
    drawn = [place for place in places if oracles.on_boundary(masked, *place)]
    true = [(y, x) for y in range(4) for x in range(4) if A[0][y][x] == 0]
    true = [place for place in true if oracles.on_boundary(A[0].tolist(), *place)]
    assert [p for p in drawn if all(math.dist(p, q) > 1 for q in true)] == [(3, 2)]
    for name, metric in (("boundary_f", BoundaryF(CLASSES)), ("iou", ImageScores(CLASSES))):
        assert name in metric.class_names and f"`{type(metric).__name__}`" in PAGE


def test_a_wrong_number_would_be_noticed():
    line = "| `iou` of class 2 | $a$ | `2 / (4 + 2 - 2)` | 0.501 |"
    assert ROW.match(line).groups() == ("iou", "2", None, "`2 / (4 + 2 - 2)`", "0.501")
    with pytest.raises(AssertionError):
        test_a_number_in_three_ways("Over the data set", "iou", 2, "2 / (4 + 2 - 2)", "0.501")
    with pytest.raises(AssertionError):
        test_a_number_in_three_ways("Over the data set", "iou", 2, "2 / (4 + 2)", "0.500")
