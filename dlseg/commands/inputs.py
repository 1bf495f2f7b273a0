"""Which files `dlseg predict` is given: files, folders, patterns, a list on standard input."""

import os
import sys
from collections import Counter
from collections.abc import Iterator
from glob import glob, has_magic
from pathlib import Path

from dlseg.checks import CommandError, need
from dlseg.commands.shared import one_line
from dlseg.data import printable
from dlseg.paths import check_path

# Ends of the names of files that are taken out of a folder; a file that is named may have any.
COMMON = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".gif", ".webp")
SUFFIXES = (*COMMON, ".apng", ".jfif", ".jpe")
OTHERS = (".avif", ".dng", ".exr", ".heic", ".heif", ".jp2", ".jxl", ".pdf", ".psd", ".svg")
VIDEOS = (
    *(".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4"),
    *(".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".webm", ".wmv"),
)
LIST = Path("-")  # in place of a file: their names come by standard input


def is_video(path: Path) -> bool:
    """Whether a file is a video by its name; it is another thing than a clip that Pillow reads."""
    return path.suffix.lower() in VIDEOS


def find_files(given: list[Path]) -> tuple[list[Path], list[str]]:
    """The files meant by files, folders, patterns and `-`, each once; of a folder by name.

    Returns: the files, and remarks on what a folder, or a pattern, has beside.
    Raises CommandError where there is none, and for a video where nothing can read it.
    """
    remarks: list[str] = []
    listed = [path for name in given for path in (_listed_names() if name == LIST else [name])]
    files = list(dict.fromkeys(file for path in listed for file in _files_at(path, remarks)))
    if any(is_video(file) for file in files):
        need("av", "video")
    return files, remarks


def _listed_names() -> Iterator[Path]:
    """Paths on standard input, one a line, or up to a zero byte each where there is one."""
    stream = getattr(sys.stdin, "buffer", None)
    content = b"" if stream is None else stream.read()
    names = content.split(b"\0") if b"\0" in content else content.splitlines()
    paths = [os.fsdecode(name) for name in names if name.strip()]
    if not paths:
        raise CommandError("standard input names no file; - reads one path a line from it")
    for path in paths:
        with one_line(ValueError):
            yield check_path("the path", path)


def _files_at(path: Path, remarks: list[str]) -> list[Path]:
    """The file, or the pictures of the folder or pattern. CommandError for no file, and none."""
    with one_line(OSError, start=f"{printable(path)} cannot be looked at: "):
        if path.is_dir():
            return _pick(printable(path), sorted(path.iterdir()), SUFFIXES, remarks)
        if path.exists():
            return [path]
        if has_magic(str(path)):
            return _pick(printable(path), _matching(path), SUFFIXES + VIDEOS, remarks)
    raise CommandError(f"{printable(path)}: there is no such file")


def _matching(pattern: Path) -> list[Path]:
    """What fits a pattern, ** any folders, sorted; hidden files need a dot in it, as in a shell.

    Of the ways to one file, as by a symlink to a folder above it, the shortest counts.
    """
    found = sorted(map(Path, glob(str(pattern), recursive=True)))
    if "**" in pattern.parts:  # what is in its folders is among them
        found = [path for path in found if not path.is_dir()]
    if not found:
        raise CommandError(f"{printable(pattern)} fits no file")
    ways: dict[str, Path] = {}
    for path in sorted(found, key=lambda path: len(path.parts)):
        ways.setdefault(os.path.realpath(path), path)
    return sorted(ways.values())


def _pick(source: str, inside: list[Path], ends: tuple[str, ...], remarks: list[str]) -> list[Path]:
    """The files with one of the ends; what else there is goes to `remarks`. CommandError for none.

    source: what they come from, for messages.
    """
    left = Counter(kind for kind in map(_kind, inside) if kind not in ends)
    files = [file for file in inside if _kind(file) in ends]
    if not files:
        also = f" (but {_told(left)})" if left else ""
        raise CommandError(f"{source} holds no {', '.join(COMMON)} file{also}")
    if left:
        remarks.append(f"{source}: left out {_told(left)}")
    return files


def _kind(path: Path) -> str:
    """The end of a file's name, or what else it is."""
    if path.is_dir():
        return "folder"
    if path.name.startswith("."):
        return "hidden file"
    return printable(path.suffix.lower()) or "file without an end"


def _told(left: Counter) -> str:
    """How many there are of each kind, and how to have those that are pictures."""
    text = ", ".join(f"{count} {kind}" for kind, count in sorted(left.items()))
    remedies = {
        "name a folder, or 'FOLDER/**', to have its pictures": "folder" in left,
        "save other pictures as PNG": not left.keys().isdisjoint(OTHERS),
        "name a video to have its frames": not left.keys().isdisjoint(VIDEOS),
    }
    return "; ".join([text, *(remedy for remedy, fits in remedies.items() if fits)])
