"""`dlseg predict` from a video to a video: the overlay of each frame, and one legend for all."""

import sys
import time
from pathlib import Path

import numpy as np
from tqdm import tqdm

from dlseg import inference
from dlseg.checks import CommandError
from dlseg.commands.drawing import Drawing, Table
from dlseg.commands.inputs import VIDEOS, find_files, is_video
from dlseg.commands.labeller import Labeller, long_clip
from dlseg.commands.shared import one_line, told
from dlseg.data import printable, write_image
from dlseg.paths import make_folder


def is_clip(out: Path) -> bool:
    """Whether --out names a video. CommandError for another kind than MP4."""
    if out.suffix.lower() not in VIDEOS or out.is_dir():
        return False
    if out.suffix.lower() != ".mp4":
        raise CommandError(f"--out {out}: videos are written as .mp4; name one, or a folder")
    return True


def find_clip(given: list[Path], out: Path) -> Path:
    """The one video that is to be drawn. CommandError where there is another number of them."""
    files = find_files(given)[0] if given else []
    if len(files) != 1 or not (is_video(files[0]) or files[0].suffix.lower() == ".gif"):
        got = printable(files[0]) if len(files) == 1 else f"{len(files)} files"
        raise CommandError(f"--out {out} is a video: name one to draw, got {got}; or name a folder")
    if out.exists() and out.samefile(files[0]):
        raise CommandError(f"--out would overwrite {printable(out)}: choose another name")
    return files[0]


def legend_of(out: Path) -> Path:
    """Where the legend of the clip `out` is."""
    return out.with_name(f"{out.stem}-legend.png")


def is_drawn(clip: Path, out: Path, checkpoint: Path, table: Table | None) -> bool:
    """Whether all that belongs to a clip is there, and newer than it and the checkpoint."""
    files = [out, legend_of(out), *([table.path] if table else [])]
    newest = max(path.stat().st_mtime for path in (checkpoint, clip) if path.exists())
    return all(file.exists() and file.stat().st_mtime >= newest for file in files)


def draw_clip(
    clip: Path,
    labeller: Labeller,
    drawing: Drawing,
    classes: tuple[str, ...],
    table: Table | None,
) -> None:
    """Write the clip with its labels, its legend and the shares; print a line about it."""
    out, names, total = labeller.arguments.out, [], np.zeros(256)
    with one_line(ValueError):
        expected = inference.expected_frames(clip)
    bar = tqdm(total=expected or None, desc="predicting", unit=" frames", disable=None)

    def draw(image: np.ndarray) -> np.ndarray:
        names.append(f"{clip.stem}-{len(names):05}")
        with labeller.in_memory(names[-1], image):
            labels, _ = labeller(names[-1], image, long_clip(clip, expected))
            found = inference.shares(labels)
            drawn = drawing.over(image, labels)
        total[list(found)] += list(found.values())
        bar.update()
        if table:
            table.add(names[-1], found)
        return drawn

    advice = f"nothing of it is at {printable(out)}: a clip is written when it is whole"
    make_folder(out.parent)
    begin = time.perf_counter()
    with bar, told(lambda: advice), one_line(OSError, start=f"cannot write to {out}: "):
        with one_line(ValueError):
            made = inference.redraw_video(clip, out, draw, labeller.arguments.max_pixels * 1e6)
        speed = made.frames / (time.perf_counter() - begin)
        found = {int(i): total[i] / made.frames for i in np.argsort(-total) if total[i]}
        write_image(legend_of(out), inference.draw_legend(found, classes, drawing.palette))
    if table:
        table.write(names)
    for remark in made.remarks:
        print(f"{printable(clip)}: {remark}", file=sys.stderr)
    text = ", ".join(f"{classes[label]} {share:.1%}" for label, share in found.items())
    print(f"{printable(out)}: {_made(made)}, {speed:.2g} a second: {text}")


def _made(made: inference.Redrawn) -> str:
    height, width = made.size
    return f"{made.frames} frames of {width} x {height} pixels by {made.encoder}"
