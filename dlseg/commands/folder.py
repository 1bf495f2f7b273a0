"""Many pictures for `dlseg predict`: files, folders, clips; stopped and resumed without loss.

Each file is written aside and renamed, the legend of a picture last. Whatever stops the command, a
picture has all of its files, or `--resume` labels it again.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from dlseg.checks import CommandError
from dlseg.commands.shared import one_line
from dlseg.data import DataError, Fault, read_image

SUFFIXES = (".jpg", ".jpeg", ".png")
CLIPS, CLIP_FORMATS = (".gif", ".webp"), ("GIF", "WEBP")  # of one frame or more
VIDEOS = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpg", ".webm")
KINDS = ("index", "palette", "overlay", "legend")  # files of a picture, in the order of writing


@dataclass(frozen=True)
class Picture:
    """A picture to come: what its files begin with, and where it is; `frame` counts from 0."""

    name: str
    path: Path
    frame: int | None = None


def find_pictures(given: list[Path], out: Path) -> list[Picture]:
    """The pictures meant by files and folders, those of a folder by name, frames in their order.

    Raises CommandError where there is none, for a video, and where two would have the same name.
    """
    pictures = [picture for path in given for picture in _pictures_at(path)]
    earlier: dict[str, Path] = {}
    for picture in pictures:
        path = picture.path
        if path.parent.resolve() == out.resolve():
            raise CommandError(f"--out {out} is the folder of {path}; choose another")
        if picture.name in earlier:
            there = earlier[picture.name]
            raise CommandError(f"{there} and {path} have one name; predict them apart")
        earlier[picture.name] = path
    for path in earlier.values():
        if not path.exists():
            raise CommandError(f"{path}: there is no such file")
    return pictures


def unfinished(pictures: list[Picture], out: Path, checkpoint: Path) -> list[Picture]:
    """Those without all their files in `out`, or whose files are older than the checkpoint's."""
    waiting = [picture for picture in pictures if not _is_done(picture, out, checkpoint)]
    if len(waiting) < len(pictures):
        print(f"{len(pictures) - len(waiting)} of {len(pictures)} are done already", flush=True)
    return waiting


def read_all(pictures: list[Picture], faults: list[str]) -> Iterator[tuple[str, np.ndarray]]:
    """(name, uint8 (H, W, 3)) of each picture, one in memory at a time.

    One that cannot be read is left out; what is wrong with it is added to `faults`.
    """
    for path, group in groupby(pictures, key=lambda picture: picture.path):
        group = list(group)
        try:
            if group[0].frame is None:
                yield group[0].name, read_image(path)
            else:
                yield from _frames(path, group)
        except DataError as error:
            faults.append(str(error))


def predict_all(
    images: Iterable[tuple[str, np.ndarray]],
    count: int,
    out: Path,
    predict: Callable[[str, np.ndarray], str],
    faults: list[str],
) -> None:
    """Call `predict` for each (name, image) and print what it returns, behind a progress bar.

    A CommandError that it raises is added to `faults`, and the next image comes. Interrupted, it
    says how far it came. Raises CommandError where `out` cannot be written.
    """
    done = 0
    try:
        with one_line(OSError, start=f"cannot write to {out}: "):
            out.mkdir(parents=True, exist_ok=True)
            # disable=None: no bar unless standard error is a terminal
            for name, image in tqdm(images, total=count, desc="predicting", disable=None):
                try:
                    tqdm.write(f"{out / name}: {predict(name, image)}")
                    done += 1
                except CommandError as error:
                    faults.append(str(error))
    except KeyboardInterrupt:
        state = f"stopped: {done} of {count} are in {out}"
        print(f"dlseg: {state}; the same command with --resume goes on", file=sys.stderr)
        raise


def report_faults(faults: list[str], count: int) -> None:
    """CommandError, one line, if there are faults."""
    if len(faults) == 1 == count:
        raise CommandError(faults[0])
    if faults:
        raise CommandError(f"{len(faults)} of {count} could not be done: {'; '.join(faults)}")


def _pictures_at(path: Path) -> Iterator[Picture]:
    suffix = path.suffix.lower()
    if path.is_dir():
        kinds = (*SUFFIXES, *CLIPS)
        inside = sorted(file for file in path.iterdir() if file.suffix.lower() in kinds)
        if not inside:
            raise CommandError(f"{path} holds no {', '.join(kinds)} file")
        for file in inside:
            yield from _pictures_at(file)
    elif suffix in VIDEOS:
        command = f"ffmpeg -i {path.name} frames/%06d.png"
        raise CommandError(f"{path} is a video: predict a folder of its frames, made by {command}")
    elif suffix in CLIPS:
        count = _count_frames(path)
        numbered = (f"{path.stem}-{frame:05}" for frame in range(count))
        yield from (Picture(name, path, frame) for frame, name in enumerate(numbered))
    else:
        yield Picture(path.stem, path)


def _is_done(picture: Picture, out: Path, checkpoint: Path) -> bool:
    files = [out / f"{picture.name}-{kind}.png" for kind in KINDS]
    newest = max(path.stat().st_mtime for path in (checkpoint, picture.path) if path.exists())
    return all(file.exists() and file.stat().st_mtime >= newest for file in files)


def _count_frames(path: Path) -> int:
    try:
        with Image.open(path, formats=CLIP_FORMATS) as clip:
            return clip.n_frames
    except FileNotFoundError as error:
        raise CommandError(f"{path}: there is no such file") from error
    except Exception as error:  # there is no end to what damaged bytes can raise
        raise CommandError(f"{path} is neither GIF nor WebP, or damaged: {error}") from error


def _frames(path: Path, pictures: list[Picture]) -> Iterator[tuple[str, np.ndarray]]:
    with Image.open(path, formats=CLIP_FORMATS) as clip:
        for picture in pictures:
            try:
                clip.seek(picture.frame)
                image = np.array(clip.convert("RGB"))
            except Exception as error:  # as above
                problem = f"frame {picture.frame} is damaged: {error}"
                raise DataError(Fault(path, problem, "make the file again")) from error
            yield picture.name, image
