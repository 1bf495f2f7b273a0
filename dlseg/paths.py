"""Paths that somebody gives: looked at where they come in, and shown on one line; without torch."""

import errno
import os
from argparse import ArgumentTypeError
from pathlib import Path

from dlseg.checks import CommandError, described

LONGEST_NAME = 255  # bytes of a file's or folder's, in nearly all file systems


def printable(path: str | Path) -> str:
    """The path on one line that can be printed: line ends and undecodable bytes are escaped.

    Of more than 1000 characters the middle is left out.
    """
    text = str(path)
    text = text if len(text) <= 1000 else f"{text[:500]}...{text[-100:]}"
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text
    )


def expanded(path: str | Path) -> str | Path:
    """A path; a text that begins with ~ in the home folder: a shell leaves it so in voc:~/data."""
    try:
        return os.path.expanduser(path) if isinstance(path, str) else path
    except ValueError:  # of a character that no name can have: `unusable` tells
        return path


def unusable(path: str | Path) -> tuple[str, str] | None:
    """Why no file can be looked for at a path, and what to do; None: one can, be it there or not.

    A folder on the way that may not be entered is such a reason, beside names that cannot be.
    """
    if not isinstance(path, str | os.PathLike):
        return f"must be a text or a Path, got {described(path)}", "name a file or folder"
    if not str(path):
        return "is empty", "name a file or folder; the current folder is ."
    try:
        if any(len(os.fsencode(part)) > LONGEST_NAME for part in Path(path).parts):
            raise OSError(errno.ENAMETOOLONG, "File name too long")  # below a folder still to make
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return f"cannot be looked at: {error.strerror}", "give another path"
    except ValueError:  # a zero byte, or half of a character
        return "has a character that no file's name can have", "give another path"
    return None


def check_path(name: str, path: str | Path) -> Path:
    """`expanded` as a Path. ValueError where no file can be looked for there, see `unusable`."""
    path = expanded(path)
    if wrong := unusable(path):
        given = f" {printable(path)}" if path and isinstance(path, str | os.PathLike) else ""
        raise ValueError(f"{name}{given} {wrong[0]}; {wrong[1]}")
    return Path(path)


def path_argument(text: str) -> Path:
    """An argument of the command line as a Path: the `type` of all that name a file or folder."""
    try:
        return check_path("the path", text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error


def make_folder(path: Path) -> None:
    """Make a folder, and those on the way, unless it is there. CommandError where it cannot be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        remedy = "a file is in the way; name a folder that is none"
        raise CommandError(f"cannot write to {printable(path)}: {remedy}") from error
    except OSError as error:
        raise CommandError(f"cannot write to {printable(path)}: {error.strerror}") from error
