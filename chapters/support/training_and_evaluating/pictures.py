"""Chapter 13: the papers' recipes as data, and what moved their scores."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from dlseg.book import BLUE, GREEN, ORANGE, RED, Picture, from_figure, new_figure
from dlseg.training import Recipe
from support.tables import paper_table


@dataclass(frozen=True)
class PaperRecipe:
    """How a paper trained its network on Pascal VOC 2012.

    recipe: all that `dlseg.training.train` needs; what the paper does not name is as in its
    published code. output_stride: while training. pictures: in the list it trained on. start: the
    weights it began with. source: section of the paper.
    """

    recipe: Recipe
    output_stride: int
    pictures: int
    start: str
    source: str

    @property
    def epochs(self) -> float:
        """How often each picture came, copies of rare ones not counted."""
        return self.recipe.iterations * self.recipe.batch_size / self.pictures

    @property
    def places(self) -> int:
        """Places with a loss in one step: of all crops, at one scale, void among them."""
        stride = self.output_stride if self.recipe.loss == "shrunk" else 1
        return self.recipe.batch_size * (-(-self.recipe.crop_size // stride)) ** 2


TRAINAUG, TRAINVAL = 10_582, 2_913
HARD = (2, 9, 11, 16, 18)  # bicycle, chair, diningtable, pottedplant, sofa
_V3 = Recipe(
    iterations=30_000,
    batch_size=16,
    crop_size=513,
    learning_rate=0.007,
    batch_norm_decay=0.9997,
    weight_decay=1e-4,
    scale=(0.5, 2.0),
)
PAPERS = {
    "v1": PaperRecipe(
        Recipe(
            iterations=6_000,
            batch_size=20,
            crop_size=306,
            learning_rate=0.001,
            schedule="step",
            step_size=2_000,
            step_factor=0.1,
            head_multiplier=10,
            weight_decay=5e-4,
            loss="shrunk",
        ),
        output_stride=8,
        pictures=TRAINAUG,
        start="ImageNet",
        source="DeepLab v1, section 5",
    ),
    "v2": PaperRecipe(
        Recipe(
            iterations=20_000,
            batch_size=10,
            accumulate=2,
            crop_size=321,
            learning_rate=2.5e-4,
            head_multiplier=10,
            head_bias_multiplier=20,
            weight_decay=5e-4,
            freeze_batch_norm=True,
            loss="shrunk",
            scale=(0.5, 1.5),
        ),
        output_stride=8,
        pictures=TRAINAUG,
        start="MS COCO",
        source="DeepLab v2, section 4.1, ResNet-101",
    ),
    "v3": PaperRecipe(_V3, 16, TRAINAUG, "ImageNet", "DeepLab v3, section 4.1"),
    "v3, test": PaperRecipe(
        replace(
            _V3,
            learning_rate=0.001,
            freeze_batch_norm=True,
            bootstrap_classes=HARD,
            bootstrap_copies=1,
        ),
        output_stride=8,
        pictures=TRAINVAL,
        start="v3",
        source="DeepLab v3, section 4.1",
    ),
    "v3+": PaperRecipe(
        replace(_V3, weight_decay=4e-5), 16, TRAINAUG, "ImageNet", "DeepLab v3+, section 4"
    ),
}


def recipe_table(names: Sequence[str]) -> str:
    """Fields of the recipes side by side, as lines of text, one column per paper of PAPERS.

    names: fields of `Recipe` or of `PaperRecipe`. Batch norm is "none" where the network has none.
    """
    rows = [["", *PAPERS]]
    for name in names:
        rows.append([name, *(_shown(paper, name) for paper in PAPERS.values())])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _shown(paper: PaperRecipe, name: str) -> str:
    if name == "freeze_batch_norm" and paper is PAPERS["v1"]:
        return "no norm"
    value = getattr(paper if hasattr(paper, name) else paper.recipe, name)
    if isinstance(value, float):
        return f"{value:.1f}" if name == "epochs" else f"{value:g}"
    return f"{value:,}" if name in ("iterations", "places", "pictures") else str(value)


# What a change was worth, as the papers print it: kind and name of the change, and below it the
# rows with it and without: paper, table and label of the row, then other values that single it out.
_CHANGES = """
network: one fc6: 3x3 at rate 12 for 4x4 at rate 4
    v1 2 DeepLab-LargeFOV | v1 2 DeepLab
network: four rates for one
    v2 3 ASPP-L | v2 3 LargeFOV
network: multi-grid
    v3 5 multi-grid (1,2,4) | v3 5 multi-grid (1,1,1)
network: image pooling
    v3 5 (1,2,4) and image pooling | v3 5 multi-grid (1,2,4)
network: Xception for ResNet-101
    v3plus 5; decoder=no; convolution=plain; views=one; evaluate=16 |
    v3plus 3; views=one; train=16; evaluate=16; decoder=no
network: a decoder
    v3plus 3; views=one; train=16; evaluate=16; decoder=yes |
    v3plus 3; views=one; train=16; evaluate=16; decoder=no
training: poly for step
    v2 2 poly; batch_size=30; iterations=6000 | v2 2 step
training: more and smaller steps
    v2 2 poly; iterations=20000 | v2 2 poly; batch_size=30; iterations=6000
training: random scales
    v2 4 + random scales 0.5 to 1.5 | v2 4 + first trained on COCO
training: batch norm with 16 pictures for 4
    v3 9; batch_size=16 | v3 9; batch_size=4
training: crops of 513 for 321
    v3 8 crop 513, BN tuned, logits upsampled | v3 8 crop 321
training: batch norm tuned, not frozen
    v3 8 crop 513, BN tuned, logits upsampled | v3 8 BN not tuned
training: loss at the size of the labels
    v3 8 crop 513, BN tuned, logits upsampled | v3 8 logits not upsampled
data: first on COCO (v2)
    v2 4 + first trained on COCO | v2 4 + three scales, maximum
data: first on COCO (v3)
    v3 6 the same, pretrained on COCO | v3 6 8, scales and flips
data: first on JFT, too
    v3plus 5; evaluate=16; decoder=yes; convolution=separable; views=one; pretrained=COCO, JFT |
    v3plus 5; evaluate=16; decoder=yes; convolution=separable; views=one; pretrained=COCO
evaluation: a CRF behind v2
    v2 4 + CRF | v2 4 ASPP in its place
evaluation: output stride 8 for 16
    v3 6 output stride 8 | v3 6 output stride 16
evaluation: several scales
    v3 6 8, several scales | v3 6 output stride 8
evaluation: mirror images
    v3 6 8, scales and flips | v3 6 8, several scales
"""
KINDS = {"network": BLUE, "training": ORANGE, "data": GREEN, "evaluation": RED}


@dataclass(frozen=True)
class Gain:
    """What one change was worth on Pascal VOC val: points of mIoU, printed in `source`."""

    kind: str
    what: str
    points: float
    source: str


def gains() -> list[Gain]:
    """The changes of the four papers that a table isolates, in the order of KINDS."""
    made = []
    for change in re.split(r"\n(?=\S)", _CHANGES.strip()):
        title, rows = change.split("\n", 1)
        kind, what = title.split(": ", 1)
        with_it, without = (_row(row) for row in " ".join(rows.split()).split(" | "))
        source = ", ".join(dict.fromkeys((with_it[1], without[1])))
        made.append(Gain(kind, what, round(with_it[0] - without[0], 2), source))
    return made


def _row(text: str) -> tuple[float, str]:
    """The mIoU in a row of `_CHANGES`, and its source in short."""
    first, *others = text.split("; ")
    paper, number, *label = first.split(" ", 2)
    where = dict(pair.split("=", 1) for pair in others)
    where = {key: int(value) if value.isdigit() else value for key, value in where.items()}
    if label:
        where["label"] = label[0]
    miou = float(paper_table(paper, number).value("miou", **where))
    return miou, f"{paper.replace('plus', '+')} T{number}"


def gains_picture() -> Picture:
    """One bar for each gain, coloured by its kind, the largest of a kind first."""
    rows = sorted(gains(), key=lambda gain: (list(KINDS).index(gain.kind), -gain.points))
    figure, axes = new_figure(width=8.6, height=5.6)
    drawn = axes.barh(
        range(len(rows)), [row.points for row in rows], color=[KINDS[row.kind] for row in rows]
    )
    labels = [f"{row.points:.2f}   {row.kind}, {row.source}" for row in rows]
    axes.bar_label(drawn, labels, padding=3, fontsize=8.5)
    axes.set(yticks=range(len(rows)), yticklabels=[row.what for row in rows])
    axes.set(xlabel="points of mIoU on Pascal VOC val", xlim=(0, 17.5))
    axes.invert_yaxis()
    listed = "; ".join(
        f"{kind}: " + ", ".join(f"{row.what} {row.points:.2f}" for row in rows if row.kind == kind)
        for kind in KINDS
    )
    return from_figure(figure, f"Points of mIoU that single changes were worth. {listed}.")
