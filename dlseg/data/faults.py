"""What is wrong with a file of a data set: where, what, and what to do about it."""

import os
from dataclasses import dataclass
from pathlib import Path

from dlseg.checks import described
from dlseg.paths import expanded, printable, unusable


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a data set.

    serious: False for a mere remark, with which one can train.
    """

    path: Path
    problem: str
    remedy: str
    serious: bool = True

    def __str__(self) -> str:
        return f"{printable(self.path)}: {self.problem}; {self.remedy}"


class DataError(ValueError):
    """A data set cannot be read; `fault` says where, why, and what to do."""

    def __init__(self, fault: Fault):
        super().__init__(fault)
        self.fault = fault


def place_of(path: str | Path) -> Path:
    """As `check_path` has it, of a path that somebody gives of data; DataError where it is none."""
    path = expanded(path)
    if wrong := unusable(path):
        shown = path if isinstance(path, str | os.PathLike) else described(path)
        raise DataError(Fault(Path(shown), *wrong))
    return Path(path)


def remark_count(path: Path, count: int, published: int | None) -> list[Fault]:
    """A remark where a list at `path` has another number of images than were published."""
    if published in (None, count):
        return []
    problem = f"{count} images, and {published} were published"
    return [Fault(path, problem, "nothing to do if this is a part, or data of your own", False)]
