"""How `dlseg predict` draws labels, and the table of their shares."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from dlseg import inference
from dlseg.aside import new_file
from dlseg.checks import CommandError, check_share
from dlseg.commands.shared import one_line
from dlseg.data import read_label

LISTED = 30  # classes at most that a message names
DIGITS = 6  # of a share: a pixel of a megapixel


@dataclass(frozen=True)
class Drawing:
    """palette: uint8 (256, 3). strength, shown: as `overlay` takes them."""

    palette: np.ndarray
    strength: float = 0.5
    shown: frozenset[int] | None = None

    def over(self, image: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """The overlay, uint8 (H, W, 3)."""
        return inference.overlay(image, labels, self.palette, self.strength, self.shown)


def check_strength(value: float) -> None:
    """CommandError unless --strength is a share."""
    with one_line(ValueError):
        check_share("--strength", value)


def shown_labels(text: str | None, classes: Sequence[str]) -> frozenset[int] | None:
    """The labels of --show, names or numbers separated by commas; None: all.

    CommandError, with those that are near, for what is neither.
    """
    if text is None:
        return None
    return frozenset(_label(name.strip(), classes) for name in text.split(","))


def _label(name: str, classes: Sequence[str]) -> int:
    lower = [one.casefold() for one in classes]
    if name.casefold() in lower:
        return lower.index(name.casefold())
    if name.isascii() and name.isdecimal() and int(name) < len(classes):
        return int(name)
    near = get_close_matches(name.casefold(), lower, cutoff=0.5)
    known = [classes[lower.index(one)] for one in near] or list(classes[:LISTED])
    more = ", ..." if not near and len(classes) > LISTED else ""
    start = f"--show: there is no class {name!r}"
    raise CommandError(
        f"{start}; {'near it' if near else 'there'} are {', '.join(known)}{more}, or the numbers "
        f"0 to {len(classes) - 1}"
    )


class Table:
    """The share of each class in each picture, for a file: CSV, or JSON by its end.

    path: of the file. classes: the names of labels 0, 1, ...
    """

    def __init__(self, path: Path, classes: Sequence[str]):
        unique = len(set(classes)) == len(classes)
        self.path, self.rows = path, {}
        self.classes = list(classes) if unique else [f"{i} {n}" for i, n in enumerate(classes)]

    def add(self, name: str, found: Mapping[int, float]) -> None:
        """A picture, by the share of each label that it shows."""
        row = np.zeros(len(self.classes))
        row[list(found)] = list(found.values())
        self.rows[name] = row.round(DIGITS)

    def write(self, names: Iterable[str], done: Path | None = None) -> None:
        """The file, with a row for each of the names that is known, in their order.

        done: the folder of earlier results; what this run left out is counted in their index PNG.
        Raises CommandError where one cannot be read or the file not be written.
        """
        names = list(names)
        for name in names if done else ():
            if name not in self.rows and (file := done / f"{name}-index.png").exists():
                with one_line(ValueError):
                    labels = read_label(file, len(self.classes), None, float("inf"))
                    self.add(name, inference.shares(labels))
        rows = [(name, self.rows[name].tolist()) for name in names if name in self.rows]
        with one_line(OSError, start=f"cannot write to {self.path}: "), new_file(self.path) as file:
            text = self._json(rows) if self.path.suffix.lower() == ".json" else self._csv(rows)
            file.write(text.encode("utf-8", "backslashreplace"))

    def _csv(self, rows: list[tuple[str, list[float]]]) -> str:
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(["name", *self.classes])
        writer.writerows([name, *shares] for name, shares in rows)
        return text.getvalue()

    def _json(self, rows: list[tuple[str, list[float]]]) -> str:
        named = [
            {"name": name, "shares": dict(zip(self.classes, shares, strict=True))}
            for name, shares in rows
        ]
        return json.dumps(named, indent=1, ensure_ascii=False) + "\n"


def table_of(path: Path | None, classes: Sequence[str]) -> Table | None:
    """The table for --shares. CommandError for a name of another kind; None where it is None."""
    if path is None:
        return None
    if path.suffix.lower() not in (".csv", ".json") or path.is_dir():
        raise CommandError(f"--shares writes a file that ends in .csv or .json, got {path}")
    return Table(path, classes)
