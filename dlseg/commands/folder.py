"""Many pictures for `dlseg predict`: files, folders, clips; stopped and resumed without loss.

Each file is written aside and renamed, the legend of a picture last. Whatever stops the command, a
picture has all of its files, or `--resume` labels it again.
"""

import errno
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby
from pathlib import Path

import numpy as np
from tqdm import tqdm

from dlseg.checks import CommandError
from dlseg.commands.inputs import find_files, is_video
from dlseg.commands.shared import one_line, told
from dlseg.data import (
    DataError,
    Decoded,
    Fault,
    check_no_map,
    frame_numbers,
    printable,
    read_pictures,
)
from dlseg.inference import count_frames, read_video
from dlseg.paths import make_folder

KINDS = ("index", "palette", "overlay", "legend")  # files of a picture, in the order of writing
# Bytes of a name. Most file systems take 255; what is written aside under it has 50 more.
LONGEST = 180
BAD_NAME = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL)


@dataclass(frozen=True)
class Picture:
    """A picture to come: what its files begin with, and where it is; `frame` counts from 0."""

    name: str
    path: Path
    frame: int | None = None


def find_pictures(given: list[Path], out: Path) -> list[Picture]:
    """The pictures meant, see `find_files`; frames of a clip in their order.

    What a folder has beside is told on standard error. Pictures are named by their files without
    the end, or with it where two differ in it alone.
    Raises CommandError as `find_files`, and where two would have the same name.
    """
    files, remarks = find_files(given)
    for file in files:
        if os.path.realpath(file.parent) == os.path.realpath(out):
            raise CommandError(f"--out {out} is the folder of {printable(file)}; choose another")
    stems = Counter(file.stem for file in files)
    pictures = [
        picture
        for file in files
        for picture in _pictures_in(
            file, _fitting(file.stem if stems[file.stem] < 2 else file.name)
        )
    ]
    earlier: dict[str, Path] = {}
    for picture in pictures:
        there = earlier.setdefault(picture.name, picture.path)
        if there != picture.path:
            two = f"{printable(there)} and {printable(picture.path)}"
            raise CommandError(f"{two} have one name; predict them apart, with an --out for each")
    for remark in remarks:
        print(remark, file=sys.stderr)
    return pictures


def unfinished(pictures: list[Picture], out: Path, checkpoint: Path) -> list[Picture]:
    """Those without all their files in `out`, or whose files are older than the checkpoint's."""
    waiting = [picture for picture in pictures if not _is_done(picture, out, checkpoint)]
    if len(waiting) < len(pictures):
        print(f"{len(pictures) - len(waiting)} of {len(pictures)} are done already", flush=True)
    return waiting


def read_all(
    pictures: list[Picture], faults: list[str], max_pixels: float
) -> Iterator[tuple[Picture, Decoded | np.ndarray]]:
    """Each with its pixels, one in memory at a time.

    One that cannot be read is left out; what is wrong with it is added to `faults`. max_pixels: as
    for `dlseg.data.read_image`.
    """
    for path, group in groupby(pictures, key=lambda picture: picture.path):
        try:
            yield from _read(path, list(group), max_pixels)
        except DataError as error:
            faults.append(str(error))
        except MemoryError:
            remedy = "close other programs, or make it smaller"
            faults.append(f"{printable(path)}: not enough memory to decode it; {remedy}")


def _read(
    path: Path, group: list[Picture], max_pixels: float
) -> Iterator[tuple[Picture, Decoded | np.ndarray]]:
    """The pictures of one file. DataError where it cannot be read, or behind what can."""
    if not is_video(path):
        check_no_map(path)
        frames = None if group[0].frame is None else [picture.frame for picture in group]
        yield from zip(group, read_pictures(path, frames, max_pixels), strict=True)
        return
    wanted = {picture.frame: picture for picture in group}
    for number, image in read_video(path, None if None in wanted else wanted.keys(), max_pixels):
        if number in wanted:  # a broken one has none, and its fault comes first
            yield wanted.pop(number), image
    if wanted:
        remedy = "copy the file again"
        raise DataError(Fault(path, f"{len(wanted)} of its frames were not found again", remedy))


def predict_all(
    images: Iterable[tuple[Picture, Decoded | np.ndarray]],
    count: int,
    out: Path,
    predict: Callable[[Picture, Decoded | np.ndarray], str],
    faults: list[str],
) -> None:
    """Call `predict` for each picture with its pixels and print what it returns, behind a bar.

    A CommandError that it raises is added to `faults`, as is a name that the file system refuses,
    and the next picture comes. Interrupted, it says how far it came. Raises CommandError where
    `out` cannot be written.
    """
    done = 0

    def advice() -> str:
        return f"{done} of {count} are in {printable(out)}; the same command with --resume goes on"

    with told(advice), one_line(OSError, start=f"cannot write to {out}: "):
        make_folder(out)
        # disable=None: no bar unless standard error is a terminal
        for picture, image in tqdm(images, total=count, desc="predicting", disable=None):
            try:
                say(f"{printable(out / picture.name)}: {predict(picture, image)}")
                done += 1
            except CommandError as error:
                faults.append(str(error))
            except OSError as error:
                if error.errno not in BAD_NAME:
                    raise
                name = printable(picture.name)
                faults.append(f"{name}: {error.strerror}; give its file another name")


def report_faults(faults: list[str], count: int) -> None:
    """CommandError, one line, if there are faults."""
    if len(faults) == 1 == count:
        raise CommandError(faults[0])
    if faults:
        raise CommandError(f"{len(faults)} of {count} could not be done: {'; '.join(faults)}")


def say(text: str) -> None:
    """Print a line, with escapes for what the terminal cannot show."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    tqdm.write(text.encode(encoding, "backslashreplace").decode(encoding))


def _pictures_in(path: Path, name: str) -> list[Picture]:
    """One, or the frames of a clip, or the pages; what is wrong with the file is told later."""
    try:
        numbers = range(count_frames(path)) if is_video(path) else frame_numbers(path)
    except (DataError, MemoryError):
        return [Picture(name, path)]
    if len(numbers) == 1 and not is_video(path):
        return [Picture(name, path)]
    return [Picture(f"{name}-{number:05}", path, number) for number in numbers]


def _fitting(name: str) -> str:
    """The name, or where it is too long its beginning and a number of its own."""
    content = os.fsencode(name)
    if len(content) <= LONGEST:
        return name
    return content[:LONGEST].decode(errors="ignore") + "-" + sha256(content).hexdigest()[:8]


def _is_done(picture: Picture, out: Path, checkpoint: Path) -> bool:
    files = [out / f"{picture.name}-{kind}.png" for kind in KINDS]
    newest = max(path.stat().st_mtime for path in (checkpoint, picture.path) if path.exists())
    return all(file.exists() and file.stat().st_mtime >= newest for file in files)
