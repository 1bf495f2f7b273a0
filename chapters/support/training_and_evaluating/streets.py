"""Chapter 13: the ideas on CamVid's streets, beside the drawn scenes."""

from collections.abc import Sequence
from typing import NamedTuple

from dlseg.book import BLUE, GREEN, INK, Picture, from_figure, new_figure
from support.results import Paired, curves, load, points_per_seed

V3, V3PLUS = "rates 2, 4, 6, pooling", "decoder"
FOUR = "rates 3, 6, 9, 12"


class Idea(NamedTuple):
    """words: what is changed. drawn, street: file of results, arm with it, arm without."""

    words: str
    drawn: tuple[str, str, str]
    street: tuple[str, str]


IDEAS = (
    Idea(
        "stride 8 for 16, in training",
        ("comparison", "v3, output stride 8", "v3"),
        ("stride 8, rates 2, 4, 6", "rates 2, 4, 6"),
    ),
    Idea(
        "stride 8 for 16, in evaluation",
        ("v3-train16-eval8", "the same, moved by 4 pixels", "trained and evaluated at 16"),
        ("rates 2, 4, 6, evaluated at 8", "rates 2, 4, 6"),
    ),
    Idea("several rates beside 1x1", ("trains", FOUR, "1x1"), ("rates 2, 4, 6", "1x1")),
    Idea("image pooling", ("trains", f"{FOUR}, image pooling", FOUR), (V3, "rates 2, 4, 6")),
    Idea("the decoder of v3+", ("comparison", "v3+", "v3"), (V3PLUS, V3)),
    Idea(
        "a CRF behind v3",
        ("v1-crf", "v3, output stride 8 + CRF", "v3, output stride 8"),
        (f"{V3} + CRF", V3),
    ),
    Idea("a CRF behind v3+", ("v1-crf", "v3+ + CRF", "v3+"), (f"{V3PLUS} + CRF", V3PLUS)),
)
MEASURES = {
    "mean IoU": "mean_iou",
    "mean IoU of pole, sign, pedestrian": "thin_iou",
    "mean IoU within 2 pixels of a boundary": "trimap_iou/2",
    "right pixels of small things (8 px)": "found_by_side/0-8",
    "right pixels of large things (32 px)": "found_by_side/32-240",
}
ARMS = (
    "1x1",
    "1x1, pooling",
    "rates 2, 4, 6",
    V3,
    "rates 6, 12, 18",
    "stride 8, 1x1",
    "stride 8, rates 2, 4, 6",
    f"{V3} + CRF",
    V3PLUS,
    f"{V3PLUS} + CRF",
    "whole, random weights",
    "whole",
)


def gains(idea: Idea, measure: str = "mean_iou") -> tuple[Paired, Paired]:
    """What the idea brings on drawn pictures and on streets, seed by seed."""
    name, *drawn = idea.drawn
    return load(name).compare(*drawn, measure), load("streets").compare(*idea.street, measure)


def worlds_picture() -> Picture:
    """The gain of each idea in both worlds, a point for each seed."""
    figure, axes = new_figure(1, 2, width=9, height=3.4)
    words = []
    for row, idea in enumerate(IDEAS):
        pair = gains(idea)
        for axis, one, colour, marker in zip(axes, pair, (BLUE, GREEN), "os", strict=True):
            axis.plot(
                one.differences,
                [row] * len(one.differences),
                linestyle="none",
                marker=marker,
                color=colour,
                alpha=0.7,
            )
            middle = one.spread.median
            axis.plot([middle, middle], [row - 0.3, row + 0.3], "-", color=INK, marker="")
        words.append(f"{idea.words}: drawn {pair[0].spread}, streets {pair[1].spread}")
    for axis, title in zip(axes, ("drawn pictures, 10 seeds", "streets, 5 seeds"), strict=True):
        axis.axvline(0, color=INK, linewidth=1, linestyle=":")
        axis.set(title=title, xlabel="gain in mean IoU", yticks=range(len(IDEAS)), yticklabels=[])
        axis.set_ylim(len(IDEAS) - 0.5, -0.5)
    axes[0].set_yticklabels([idea.words for idea in IDEAS])
    return from_figure(figure, f"Gain in mean IoU, a point for each seed. {'; '.join(words)}.")


def arms_picture(measure: str = "mean IoU", arms: Sequence[str] = ARMS) -> Picture:
    """One measure of the ways to train and to look, a point for each seed."""
    figure, axes = new_figure(width=7, height=3.6)
    said = points_per_seed(axes, load("streets"), MEASURES[measure], arms, title=measure)
    return from_figure(figure, f"CamVid, {measure}, a point for each seed. {said}.")


def where_picture(arms: Sequence[str] = ("1x1", V3, V3PLUS)) -> Picture:
    """Near and far from boundaries, and by the size of a thing."""
    runs = load("streets")
    figure, axes = new_figure(1, 2, width=9, height=3.2)
    curves(axes[0], runs, "trimap_iou", arms)
    axes[0].set(xlabel="at most so many pixels from a boundary", ylabel="mean IoU")
    curves(axes[1], runs, "found_by_side", arms)
    axes[1].set(xlabel="side of the thing, pixels", ylabel="share of its pixels right")
    axes[1].set(title="cars, pedestrians, cyclists")
    axes[1].get_legend().remove()
    words = []
    for arm in arms:
        near, size = (runs.curve(arm, name) for name in ("trimap_iou", "found_by_side"))
        words.append(
            f"{arm}: "
            + ", ".join(f"{part} px {one.median:.2f}" for part, one in near.items())
            + "; by side "
            + ", ".join(f"{part} px {one.median:.2f}" for part, one in size.items())
        )
    return from_figure(figure, f"Medians and ranges over five seeds. {'. '.join(words)}.")


def drives_table() -> str:
    """Trained on frames of the drive that is scored, and on as many of other drives."""
    runs = load("streets")
    lines = [f"{'':24} {'the same drive':24} {'other drives':24} lost"]
    for arm in ("1x1, pooling", V3, V3PLUS):
        both = [f"{arm}, {drive}" for drive in ("own drive", "other drives")]
        own, other = (runs.median_and_range(one, "mean_iou") for one in both)
        lost = runs.compare(*both, "mean_iou").spread
        lines.append(f"{arm:24} {own!s:24} {other!s:24} {lost.median:.3f}")
    return "\n".join(lines)


def costs_table(arms: Sequence[str] = ARMS) -> str:
    """What one training of each took; what was only looked at in another way took none."""
    runs = load("streets")
    lines = [f"{'':26} {'mean IoU':24} seconds to train, one thread"]
    for arm in arms:
        seconds = runs.median_and_range(arm, "seconds").median
        if seconds:
            lines.append(f"{arm:26} {runs.median_and_range(arm, 'mean_iou')!s:24} {seconds:6.0f}")
    return "\n".join(lines)
