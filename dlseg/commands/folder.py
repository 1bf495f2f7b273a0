"""Many pictures for `dlseg predict`: files, folders, clips; stopped and resumed without loss.

Each file is written aside and renamed, the legend of a picture last. Whatever stops the command, a
picture has all of its files, or `--resume` labels it again.
"""

import errno
import os
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby
from pathlib import Path

from tqdm import tqdm

from dlseg.checks import CommandError
from dlseg.commands.shared import one_line, told
from dlseg.data import DataError, Decoded, frame_numbers, printable, read_pictures
from dlseg.paths import make_folder

# Ends of the names of files that are taken out of a folder; a file that is named may have any.
COMMON = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".gif", ".webp")
SUFFIXES = (*COMMON, ".apng", ".jfif", ".jpe")
OTHERS = (".avif", ".dng", ".exr", ".heic", ".heif", ".jp2", ".jxl", ".pdf", ".psd", ".svg")
VIDEOS = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpg", ".webm")
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
    """The pictures meant by files and folders, those of a folder by name, frames in their order.

    What a folder has beside is told on standard error. Pictures are named by their files without
    the end, or with it where two differ in it alone.
    Raises CommandError where there is none, for a video, and where two would have the same name.
    """
    remarks: list[str] = []
    files = list(dict.fromkeys(file for path in given for file in _files_at(path, remarks)))
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
) -> Iterator[tuple[str, Decoded]]:
    """(name, picture) of each, one in memory at a time.

    One that cannot be read is left out; what is wrong with it is added to `faults`. max_pixels: as
    for `dlseg.data.read_image`.
    """
    for path, group in groupby(pictures, key=lambda picture: picture.path):
        group = list(group)
        frames = None if group[0].frame is None else [picture.frame for picture in group]
        try:
            decoded = read_pictures(path, frames, max_pixels)
            for picture, image in zip(group, decoded, strict=True):
                yield picture.name, image
        except DataError as error:
            faults.append(str(error))
        except MemoryError:
            remedy = "close other programs, or make it smaller"
            faults.append(f"{printable(path)}: not enough memory to decode it; {remedy}")


def predict_all(
    images: Iterable[tuple[str, Decoded]],
    count: int,
    out: Path,
    predict: Callable[[str, Decoded], str],
    faults: list[str],
) -> None:
    """Call `predict` for each (name, image) and print what it returns, behind a progress bar.

    A CommandError that it raises is added to `faults`, as is a name that the file system refuses,
    and the next image comes. Interrupted, it says how far it came. Raises CommandError where `out`
    cannot be written.
    """
    done = 0

    def advice() -> str:
        return f"{done} of {count} are in {printable(out)}; the same command with --resume goes on"

    with told(advice), one_line(OSError, start=f"cannot write to {out}: "):
        make_folder(out)
        # disable=None: no bar unless standard error is a terminal
        for name, image in tqdm(images, total=count, desc="predicting", disable=None):
            try:
                _say(f"{printable(out / name)}: {predict(name, image)}")
                done += 1
            except CommandError as error:
                faults.append(str(error))
            except OSError as error:
                if error.errno not in BAD_NAME:
                    raise
                faults.append(f"{printable(name)}: {error.strerror}; give its file another name")


def report_faults(faults: list[str], count: int) -> None:
    """CommandError, one line, if there are faults."""
    if len(faults) == 1 == count:
        raise CommandError(faults[0])
    if faults:
        raise CommandError(f"{len(faults)} of {count} could not be done: {'; '.join(faults)}")


def _say(text: str) -> None:
    """Print a line, with escapes for what the terminal cannot show."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    tqdm.write(text.encode(encoding, "backslashreplace").decode(encoding))


def _files_at(path: Path, remarks: list[str]) -> list[Path]:
    """The file, or the pictures of the folder. CommandError for no file, none and a video."""
    with one_line(OSError, start=f"{printable(path)} cannot be looked at: "):
        if path.is_dir():
            return _pick(path, sorted(path.iterdir()), remarks)
        if not path.exists():
            raise CommandError(f"{printable(path)}: there is no such file")
    if path.suffix.lower() in VIDEOS:
        make = f"mkdir -p frames && ffmpeg -i {shlex.quote(str(path))} frames/%06d.png"
        raise CommandError(f"{printable(path)} is a video: predict the folder frames, from: {make}")
    return [path]


def _pick(folder: Path, inside: list[Path], remarks: list[str]) -> list[Path]:
    """The pictures of a folder; what else it has goes to `remarks`. CommandError for none."""
    left = Counter(kind for kind in map(_kind, inside) if kind not in SUFFIXES)
    files = [file for file in inside if _kind(file) in SUFFIXES]
    if not files:
        also = f" (but {_listed(left)})" if left else ""
        raise CommandError(f"{printable(folder)} holds no {', '.join(COMMON)} file{also}")
    if left:
        remarks.append(f"{printable(folder)}: left out {_listed(left)}")
    return files


def _kind(path: Path) -> str:
    """The end of a file's name, or what else it is."""
    if path.is_dir():
        return "folder"
    if path.name.startswith("."):
        return "hidden file"
    return printable(path.suffix.lower()) or "file without an end"


def _listed(left: Counter) -> str:
    """How many there are of each kind, and how to have those that are pictures."""
    text = ", ".join(f"{count} {kind}" for kind, count in sorted(left.items()))
    remedies = {
        "name a folder to have its pictures": "folder" in left,
        "save other pictures as PNG": not left.keys().isdisjoint(OTHERS),
        "name a video to be told how to take its frames": not left.keys().isdisjoint(VIDEOS),
    }
    return "; ".join([text, *(remedy for remedy, fits in remedies.items() if fits)])


def _pictures_in(path: Path, name: str) -> list[Picture]:
    """One, or the frames of a clip, or the pages; what is wrong with the file is told later."""
    try:
        numbers = frame_numbers(path)
    except (DataError, MemoryError):
        return [Picture(name, path)]
    if len(numbers) == 1:
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
