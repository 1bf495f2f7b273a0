"""`run.toml`: all that decides a training in one file, written by each run and read by --config."""

import json
import tomllib
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path

from dlseg import __version__
from dlseg.aside import new_file
from dlseg.checks import CommandError
from dlseg.paths import printable

NAME = "run.toml"


def read_config(path: Path, checks: Mapping[str, Callable]) -> dict:
    """The entries of a TOML file, each as its check has it.

    Raises CommandError for a file that is missing or no TOML, for a name that is none of `checks`,
    with the nearest that is, and for a value that its check refuses.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CommandError(f"cannot read {printable(path)}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CommandError(f"{printable(path)} is no TOML: {error}") from error
    for name in found:
        if name not in checks:
            raise CommandError(f"{printable(path)}: {_unknown(name, checks)}")
    try:
        return {name: checks[name](name, value) for name, value in found.items()}
    except ValueError as error:
        raise CommandError(f"{printable(path)}: {error}") from error


def _unknown(name: str, names: Iterable[str]) -> str:
    near = get_close_matches(name.replace("-", "_"), names, 1, 0.5)
    hint = f"is it {near[0]}?" if near else f"there are {', '.join(names)}"
    return f"there is no option {printable(name)}; {hint}"


def write_config(folder: Path, options: Mapping[str, object]) -> None:
    """Write the `run.toml` of a run's folder, in one step. OSError where it cannot be written."""
    head = (
        f"# A training by dlseg {__version__}. On such a machine this repeats it, bit for bit:\n"
        f"#     dlseg train --config {NAME} --out ANOTHER-FOLDER\n\n"
    )
    with new_file(folder / NAME) as file:
        file.write((head + to_toml(options)).encode())


def to_toml(options: Mapping[str, object]) -> str:
    """A table of TOML, a line for each entry; those that are None are left out.

    options: names of letters, digits and _, with numbers, texts, or lists of them.
    Raises ValueError for a text that no file can hold (half of a character).
    """
    lines = [f"{name} = {_value(one)}" for name, one in options.items() if one is not None]
    text = "".join(f"{line}\n" for line in lines)
    text.encode()  # a UnicodeEncodeError is a ValueError
    return text


def _value(value: object) -> str:
    """A value as TOML has it; JSON's texts and numbers are such, but for one sign."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
