"""Drawings of the chapter on deployment: frames in time, gains, latencies, seams."""

import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.ticker import LogLocator, NullFormatter

from dlseg.book import (
    BLUE,
    FAINT,
    ORANGE,
    SKY,
    Picture,
    find_root,
    from_figure,
    from_svg,
    new_figure,
    svg,
)
from support import released
from support.maps import coloured, panels
from support.results import Results

FILE = "assets/results/deployment.json"
QUEUE, NEWEST = "every frame in turn", "the newest frame"
POLICIES = (QUEUE, NEWEST)
SHOWN = 15  # frames of the timeline
UNTIL = 600  # ms of the timeline
LEVELS = (1e-12, 1e-6, 1e-3, 1e-1)  # of differences between probabilities
LEFT, RIGHT, WIDTH = 104, 24, 820  # pixels


class Work(NamedTuple):
    """One labelled frame: its number, and when its computation begins and ends, in ms."""

    frame: int
    begin: int
    end: int


def schedule(latency: int, interval: int, count: int, policy: str = NEWEST) -> list[Work]:
    """Which of `count` frames are labelled and when; frame k is there at k * interval.

    latency: ms for one frame. policy: of POLICIES. With NEWEST, whoever is free takes the newest
    frame, or waits for the next; the frames in between are never looked at.
    """
    done, frame, free = [], 0, 0
    while frame < count:
        begin = max(free, frame * interval)
        free = begin + latency
        done.append(Work(frame, begin, free))
        frame = frame + 1 if policy == QUEUE else max(frame + 1, free // interval)
    return done


def timeline(latency: int = 50, interval: int = 33, policy: str = QUEUE) -> Picture:
    """Frames as they come and as they are labelled, with the age of each result."""
    done = schedule(latency, interval, SHOWN, policy)
    seen = {work.frame for work in done}
    scale = (WIDTH - LEFT - RIGHT) / UNTIL
    drawn = [svg.text(10, 66, "frames come", size=12), svg.text(10, 118, "labelled", size=12)]
    for frame in range(SHOWN):
        x = LEFT + frame * interval * scale
        drawn.append(svg.line(x, 50, x, 72, colour=BLUE if frame in seen else FAINT, thick=2.5))
        drawn.append(svg.text(x + 3, 62, str(frame), size=11))
    for work in (work for work in done if work.begin < UNTIL):
        x, width = LEFT + work.begin * scale, (min(work.end, UNTIL) - work.begin) * scale
        drawn.append(svg.rect(x, 98, width - 1.5, 30, fill=SKY, stroke=BLUE))
        if width > 16:
            drawn.append(svg.text(x + width / 2, 118, str(work.frame), size=12, anchor="middle"))
    title = f"{policy}: {latency} ms a frame, one every {interval} ms: {_ages(done, interval)}"
    drawn.append(svg.text(10, 24, title, size=13))
    labelled = ", ".join(str(work.frame) for work in done)
    return from_svg(svg.document(WIDTH, 146, drawn), f"{title}. Labelled: {labelled}.")


def results(part: str) -> dict:
    """A part of what benchmarks/deployment.py measured: "grid", "steps" or "onnx"."""
    content = json.loads((find_root() / FILE).read_text(encoding="utf-8"))
    if part not in content:
        raise ValueError(f"{FILE} has no part {part!r}; it has {', '.join(content)}")
    return content[part]


def grid_picture(grid: dict) -> Picture:
    """Latency and multiply-adds of the small network over its output stride, a curve per width."""
    figure, axes = new_figure(1, 2, height=3.0)
    widths = sorted({row["width"] for row in grid["rows"]})
    sentences = []
    for width in widths:
        rows = [row for row in grid["rows"] if row["width"] == width]
        rows.sort(key=lambda row: -row["output_stride"])
        low, high = ([row["ms"][place] for row in rows] for place in (1, 2))
        middle = [row["ms"][0] for row in rows]
        error = np.abs(np.array([low, high]) - middle)
        axes[0].errorbar(range(3), middle, error, capsize=3, label=f"width {width:g}")
        adds = [row["backbone_multiply_adds"] / 1e9 for row in rows]
        axes[1].plot(range(3), adds, label=f"width {width:g}")
        sentences.append(f"width {width:g}: {', '.join(f'{value:g}' for value in middle)} ms")
    for one, label in zip(axes, ("ms per image", "G multiply-adds"), strict=True):
        one.set(xlabel="output stride", ylabel=label, yscale="log")
        one.set_xticks(range(3), ["32", "16", "8"])
        one.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        one.yaxis.set_major_formatter("{x:g}")
        one.yaxis.set_minor_formatter(NullFormatter())
    axes[1].legend(loc="center left", bbox_to_anchor=(1, 0.5))
    side = f"{grid['size']} x {grid['size']} pixels"
    return from_figure(figure, f"At {side}, output stride 32, 16, 8. {'; '.join(sentences)}.")


def accuracy_picture(runs: Results) -> Picture:
    """Mean IoU over the time for one scene, both on the same scenes, a curve per width.

    runs: of the experiment "mobilenet", whose arms are called "width W, stride S". Bars of error
    run over the seeds.
    """
    figure, axes = new_figure(width=6.4, height=3.2)
    sentences = []
    for width in sorted({arm.partition(",")[0] for arm in runs.arms}):
        arms = [arm for arm in runs.arms if arm.startswith(f"{width},")]
        scores = [runs.median_and_range(arm, "mean_iou") for arm in arms]
        ms = [1e3 * runs.median_and_range(arm, "seconds_per_image").median for arm in arms]
        error = [[s.median - s.low for s in scores], [s.high - s.median for s in scores]]
        axes.errorbar(ms, [score.median for score in scores], error, capsize=3, label=width)
        for arm, x, score in zip(arms, ms, scores, strict=True):
            look = {"textcoords": "offset points", "ha": "center"}
            axes.annotate(arm.rpartition(" ")[2], (x, score.low), (0, -14), **look)
            sentences.append(f"{arm}: {score} at {x:.1f} ms")
    side = f"{runs.content['test']['size']} x {runs.content['test']['size']} pixels"
    axes.set(xlabel=f"ms for a scene of {side}", ylabel="mean IoU", ylim=(0, None))
    axes.legend(loc="lower right")
    return from_figure(figure, f"Mean IoU over time, scenes of {side}. {'; '.join(sentences)}.")


def gains(steps: dict, network: str) -> Picture:
    """How much faster each way is than plain inference_mode: median and range, a row per way."""
    ways = steps["networks"][network]
    figure, axes = new_figure(height=0.9 + 0.33 * len(ways))
    sentences = []
    for row, (way, measured) in enumerate(ways.items()):
        middle, low, high = measured["gain"]
        axes.plot([low, high], [row, row], color=FAINT, linewidth=5, marker="", linestyle="-")
        axes.plot([middle], [row], color=ORANGE if middle < 1 else BLUE, linestyle="", marker="o")
        look = {"textcoords": "offset points", "va": "center", "backgroundcolor": "white"}
        axes.annotate(f"{middle:.2f}", (high, row), (8, 0), **look)
        sentences.append(f"{way} {middle:.2f} ({low:.2f} to {high:.2f})")
    axes.axvline(1, color=FAINT, linewidth=1, zorder=0)
    axes.set_yticks(range(len(ways)), list(ways))
    axes.set(ylim=(len(ways) - 0.5, -0.5), xlabel="times as fast as inference_mode", title=network)
    axes.margins(x=0.12)
    return from_figure(
        figure, f"{network}, times as fast as inference_mode: {'; '.join(sentences)}."
    )


def rolling_latency(loop: Sequence) -> Picture:
    """The latency of each frame and the rolling median; loop: of `dlseg.inference.stream.Frame`."""
    figure, axes = new_figure(height=2.6)
    numbers = [frame.number for frame in loop]
    axes.plot(numbers, [1e3 * frame.seconds for frame in loop], linestyle="", label="one frame")
    axes.plot(numbers, [1e3 * frame.median for frame in loop], marker="", label="rolling median")
    axes.set(xlabel="frame", ylabel="ms", ylim=(0, None))
    axes.legend(loc="lower right")  # latencies lie well above 0
    alt = f"Latencies of {len(loop)} frames; the last rolling median is "
    return from_figure(figure, f"{alt}{1e3 * loop[-1].median:.1f} ms.")


def seams(difference: np.ndarray, title: str) -> Picture:
    """How far the tiles' probabilities are from the whole image's, in five steps of brightness.

    difference: (S, S).
    """
    steps = np.digitize(difference, LEVELS) / len(LEVELS)  # (S, S), 0: nothing
    largest = "none" if difference.max() < LEVELS[0] else f"at most {difference.max():.1g}"
    label = f"{title}: {largest}"
    alt = f"The difference between tiles and whole picture, {label}."
    return panels([coloured(steps, 0, 1)], [label], alt)


def rounding(photos: Sequence[str]) -> Picture:
    """How far the maps of Google's runtime are from ours, convolution by convolution."""
    figure, axes = new_figure(height=3.2)
    for photo, look in zip(photos, ("-", "--", ":"), strict=True):
        apart = [100 * value for value in released.runtime(photo)["layers"]]
        axes.plot(range(1, len(apart) + 1), apart, look, linewidth=1.2, marker="", label=photo)
    middle = np.median([released.runtime(photo)["layers"] for photo in photos], axis=0) * 100
    linear = np.arange(2, 51, 3)  # the last convolution of each block
    axes.plot(linear + 1, middle[linear], "o", label="linear bottlenecks, median")
    axes.set(xlabel="convolution", ylabel="apart, % of the map", ylim=(0, None))
    axes.legend(ncols=4, loc="upper center", bbox_to_anchor=(0.5, 1.2))
    alt = (
        f"How far the maps of Google's runtime are from ours: {middle[0]:.1f}% behind the first "
        f"convolution, {middle[linear].mean():.1f}% on average at the {len(linear)} linear "
        f"bottlenecks, {np.delete(middle, linear)[1:].mean():.1f}% elsewhere, "
        f"{middle[-1]:.1f}% at the scores."
    )
    return from_figure(figure, alt)


def _ages(done: list[Work], interval: int) -> str:
    ages = [work.end - work.frame * interval for work in done]
    old = f"{min(ages)} to {max(ages)}" if min(ages) < max(ages) else f"{ages[0]}"
    return f"labels {old} ms old; {SHOWN - len(done)} of {SHOWN} frames not looked at"
