"""The classes of data of one's own, from the lists that people and programs write.

classes.txt     a name a line, the first is label 0; perhaps with a colour: `road 128 64 128`,
                `road,128,64,128`; a line that begins with # is none
class_names.txt, labels.txt   as labelme has them; its first line `__ignore__` is no class
labelmap.txt    as CVAT has it: `road:128,64,128::`
class_dict.csv  `name,r,g,b`, with this line above
_classes.csv    `0, road`, as Roboflow has it

A last line `void` or `ignore` is no class, but the label (and the colour) that counts nowhere.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dlseg.data.faults import DataError, Fault, place_of
from dlseg.data.own.names import key_of

_FILES = """classes.txt class_names.txt labelmap.txt label_map.txt labels.txt class_dict.csv
_classes.csv label_colors.txt"""
FILES = tuple(_FILES.split())
MOST = 255  # a label is a byte, and one is for void
VOID = 255
_VOIDS = ("void", "ignore", "__ignore__", "_ignore_", "unlabelled", "unlabeled")
_NUMBER = r"(\d{1,3})"
_MAP = re.compile(rf"^(.+?):(?:{_NUMBER},{_NUMBER},{_NUMBER})?:[^:]*:[^:]*$")
_COLOUR_LAST = re.compile(rf"^(.+?)[\s,;:]+{_NUMBER}[\s,;]+{_NUMBER}[\s,;]+{_NUMBER}$")
_COLOUR_FIRST = re.compile(rf"^()?{_NUMBER}[\s,;]+{_NUMBER}[\s,;]+{_NUMBER}[\s,;]+(.+)$")
_HEADER = re.compile(r"^(name\W+r\W+g\W+b|pixel value\W+class)$", re.IGNORECASE)

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Classes:
    """Names in the order of their labels, their colours or None, and what stands for void.

    void: the label that counts nowhere. void_colour: its colour in masks of colours, or None.
    source: where all that comes from, in words.
    """

    names: tuple[str, ...]
    colours: tuple[Colour, ...] | None = None
    void: int = VOID
    void_colour: Colour | None = None
    source: str = ""


def find_classes(folders: list[Path]) -> Path | None:
    """The first list of classes in one of some folders."""
    for folder in folders:
        for name in FILES:
            if (folder / name).is_file():
                return folder / name
    return None


def read_classes(path: str | Path) -> Classes:
    """The classes of a file, see above.

    Raises DataError where there is none, it is no text, names a class or colour twice, gives a
    colour to some lines alone, or has more than 255 names.
    """
    path = place_of(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
        raise DataError(Fault(path, problem, "write it, a class a line")) from error
    except UnicodeDecodeError as error:
        problem, remedy = "the list is no text in UTF-8", "save it as UTF-8, a class a line"
        raise DataError(Fault(path, problem, remedy)) from error
    lines = [key_of(line.strip()) for line in text.splitlines()]
    lines = [line for line in lines if line and line[0] != "#" and not _HEADER.match(line)]
    rows = [_row(line) for line in _unnumbered(lines)]
    if rows and rows[0][0] == "__ignore__":  # labelme's label -1, which its masks have as 255
        del rows[0]
    return _checked(path, rows)


def named(names: Sequence[str], source: str) -> Classes:
    """Classes of these names, without colours. ValueError for what is no names, DataError as above.

    source: what to call them in words.
    """
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"classes must be names, or the path of a list, got {names!r}")
    return replace(_checked(Path(source), [(name, None) for name in names]), source=source)


def _unnumbered(lines: list[str]) -> list[str]:
    """Lines `0: road`, `1: sky` and so on without their numbers."""
    parts = [re.fullmatch(r"(\d+)\s*[:,;.\s]\s*(\D.*)", line) for line in lines]
    if all(parts) and [int(part[1]) for part in parts] == list(range(len(parts))):
        return [part[2] for part in parts]
    return lines


def _row(line: str) -> tuple[str, Colour | None]:
    """Name and colour of a line."""
    if found := _MAP.match(line) or _COLOUR_LAST.match(line):
        name, *colour = found.groups()
    elif found := _COLOUR_FIRST.match(line):
        _, *colour, name = found.groups()
    else:
        return line, None
    if colour[0] is None or max(map(int, colour)) > 255:
        return (name, None) if colour[0] is None else (line, None)
    return name.strip(), tuple(map(int, colour))


def _checked(path: Path, rows: list[tuple[str, Colour | None]]) -> Classes:
    void, void_colour = VOID, None
    if len(rows) > 1 and rows[-1][0].casefold() in _VOIDS:
        void, void_colour = len(rows) - 1, rows.pop()[1]
    names, colours = [name for name, _ in rows], [colour for _, colour in rows]
    given = [colour for colour in (*colours, void_colour) if colour is not None]
    for values, kind in ((names, "the class"), (given, "the colour")):
        if twice := next((value for value in values if values.count(value) > 1), None):
            raise DataError(Fault(path, f"has {kind} {twice} twice", "keep one line of each"))
    unfit = [name for name in names if not name or not name.isprintable() or len(name) > 200]
    if not names or len(names) > MOST or unfit:
        problem = f"has {len(names)} names of classes" if not unfit else "has a name that is none"
        raise DataError(Fault(path, problem, f"write 1 to {MOST} names, each on a line"))
    bare = next((name for name, colour in rows if colour is None), None)
    if given and bare is not None:
        remedy = "give all classes a colour, or none"
        raise DataError(Fault(path, f"the class {bare} has no colour, and others have", remedy))
    return Classes(
        tuple(names), tuple(colours) if given else None, void, void_colour, source=path.name
    )
