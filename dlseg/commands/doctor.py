"""`dlseg doctor`: what this machine, or a folder of data, lacks, and how to mend it.

It must run on a machine that lacks everything: at the top it imports Python's own library alone.
"""

import argparse
import platform
import re
import shutil
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from dlseg.checks import CommandError, checkout, install_line
from dlseg.paths import path_argument

REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(?P<range>[^;]*)(?:;\s*extra == [\"'](?P<extra>\w+))?")
# Extras of dlseg, each for a purpose of its own.
TOOLS = {
    "read": "reading the chapters",
    "onnx": "dlseg export",
    "tensorboard": "dlseg train --tensorboard",
    "video": "dlseg predict from and to videos",
    "test": "testing",
    "site": "building the site",
    "browser": "browser tests",
}


@dataclass(frozen=True)
class Finding:
    """One line of the report. good: True, or False with a `fix`, or None for a mere remark."""

    good: bool | None
    what: str
    fix: str = ""

    def __str__(self) -> str:
        mark = {True: "ok     ", False: "MISSING", None: "-      "}[self.good]
        return f"{mark} {self.what}" + (f"\n        fix: {self.fix}" if self.fix else "")


def requirements(extra: str = "") -> dict[str, str]:
    """What dlseg itself needs, or what an extra adds: name -> accepted versions, as ">=2.0,<3".

    Raises CommandError where dlseg runs from its folder without being installed.
    """
    try:
        parts = [REQUIREMENT.match(text) for text in metadata.requires("dlseg") or ()]
    except metadata.PackageNotFoundError as error:
        raise CommandError(f"dlseg is not installed; run: {install_line(extra)}") from error
    wanted = {
        part["name"]: part["range"].strip() for part in parts if (part["extra"] or "") == extra
    }
    return dict(sorted(wanted.items()))


def accepts(versions: str, version: str) -> bool:
    """Whether a version lies in a range of the form ">=2.0,<3", the only one that dlseg uses."""
    own = _numbers(version)
    for bound in filter(None, versions.split(",")):
        below = bound.startswith("<")
        if below == (own >= _numbers(bound)):
            return False
    return True


def _numbers(version: str) -> list[int]:
    """The numbers of a version, without zeros at the end; what follows them does not count."""
    numbers = [int(number) for number in re.search(r"\d+(\.\d+)*", version)[0].split(".")]
    while numbers and not numbers[-1]:
        numbers.pop()
    return numbers


def check_package(name: str, versions: str, extra: str = "") -> Finding:
    """Whether a package is installed in an accepted version; else how to install it."""
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Finding(False, f"{name} is not installed", install_line(extra))
    if not accepts(versions, version):
        return Finding(False, f"{name} {version}, but dlseg needs {versions}", install_line(extra))
    return Finding(True, f"{name} {version}")


def check_tools(extra: str) -> Finding:
    """Whether the packages of an extra are there; if not, that is a remark."""
    needed = requirements(extra).items()
    lacking = [name for name, versions in needed if not check_package(name, versions).good]
    if not lacking:
        return Finding(True, f"tools for {TOOLS[extra]}")
    what = f"no tools for {TOOLS[extra]}: {', '.join(lacking)}"
    return Finding(None, what, install_line(extra))


def check_device() -> Finding:
    """Where networks will compute."""
    try:
        import torch

        from dlseg.device import get_device

        return Finding(True, f"device {get_device()} ({torch.get_num_threads()} threads)")
    except (ImportError, ValueError, RuntimeError) as error:
        return Finding(False, f"device: {error}", "export DLSEG_DEVICE=cpu")


def examine() -> list[Finding]:
    """What dlseg needs, in a copy of the book what its chapters need too, then tools as remarks."""
    needed = ["", "read"] if checkout() else [""]
    packages = [
        check_package(name, versions, extra)
        for extra in needed
        for name, versions in requirements(extra).items()
    ]
    python = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    tools = [check_tools(extra) for extra in TOOLS if extra not in needed]
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    chromium = Finding(
        bool(browser) or None, f"Chromium {browser or 'not found: no browser tests'}"
    )
    return [Finding(True, python), *packages, check_device(), *tools, chromium]


def examine_data(data: str | Path, out: Path | None = None) -> tuple[str, bool]:
    """What is wrong with the data sets in a folder, and whether anything is.

    data: the folder, or a name such as "folder:DIR" (see `dlseg.data.registry`). out: a folder to
    write mended masks to, of a folder of pictures and masks.
    Returns: (report, good); remarks alone are good, and faults of which all is written mended.
    Raises DataError where no data set is there; ValueError for a name that is none.
    """
    from dlseg.commands.survey import mended_report, report
    from dlseg.data import mend, survey

    kind, folder, options = _kind_and_folder(data)
    if out is None:
        found = survey(folder, kind, **options)
        serious = [fault for fault in found.faults + found.together if fault.serious]
        return report(found), not serious
    if kind not in (None, "folder"):
        raise ValueError(f"--fix mends a folder of pictures and masks: name it folder:{folder}")
    found = survey(folder, "folder", **options)
    text = report(found)
    try:
        mended = mend(found, out)
    except ValueError as error:
        return f"{text}\nFAULT   nothing was written: {error}", False
    return f"{text}\n{mended_report(mended)}", not any(one.serious for one in mended.left)


def _kind_and_folder(data: str | Path) -> tuple[str | None, str | Path, dict]:
    """A kind of files, its folder, and the options of a name; of a folder alone no kind."""
    from dlseg.data import KINDS, kind_and_folder, options_of

    kind, colon, _ = str(data).partition(":")
    if not colon or kind not in KINDS or Path(data).exists():
        return None, data, {}
    if KINDS[kind].files is None:
        raise ValueError(f"{kind} has no files to look at; give a folder")
    return *kind_and_folder(str(data)), options_of(str(data))


def add(parser: argparse.ArgumentParser, _name: str) -> None:
    """Give the parser the arguments of `dlseg doctor`."""
    parser.set_defaults(function=doctor)
    purpose = "check the data set in DIR instead, Pascal VOC, Cityscapes or your own; or folder:DIR"
    parser.add_argument("--data", metavar="DIR", type=path_argument, help=purpose)
    purpose = "write pictures and mended masks to OUT, which must not be there, for training on it"
    parser.add_argument("--fix", metavar="OUT", type=path_argument, help=purpose)


def doctor(arguments: argparse.Namespace) -> int:
    """Print the report; returns 1 if anything is missing or wrong."""
    if arguments.data is None:
        if arguments.fix is not None:
            raise CommandError("--fix mends data: name them by --data")
        findings = examine()
        print(*findings, sep="\n")
        return int(any(finding.good is False for finding in findings))
    try:
        report, good = examine_data(arguments.data, arguments.fix)
    except ValueError as error:
        raise CommandError(str(error)) from error
    print(report)
    return int(not good)
