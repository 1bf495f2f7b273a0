"""Look at the machine, or at a folder of data: what is missing and how to mend it."""

import argparse
import platform
import shutil
import sys
from dataclasses import dataclass
from importlib import metadata

from packaging.requirements import Requirement

from dlseg.checks import CommandError


@dataclass(frozen=True)
class Finding:
    """One line of the report. good: True, or False with a `fix`, or None for a mere remark."""

    good: bool | None
    what: str
    fix: str = ""

    def __str__(self) -> str:
        mark = {True: "ok     ", False: "MISSING", None: "-      "}[self.good]
        return f"{mark} {self.what}" + (f"\n        fix: {self.fix}" if self.fix else "")


def _requirements(extra: str) -> list[Requirement]:
    found = [Requirement(text) for text in metadata.requires("dlseg") or ()]
    wanted = [r for r in found if r.marker is None or r.marker.evaluate({"extra": extra})]
    return sorted(wanted, key=lambda requirement: requirement.name)


def check_package(requirement: Requirement, extra: str) -> Finding:
    """Whether a required package is installed in an accepted version."""
    install = f"pip install -c constraints.txt -e '.[{extra}]'" if extra else "make read"
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return Finding(False, f"{requirement.name} is not installed", install)
    if not requirement.specifier.contains(version, prereleases=True):
        wanted = f"{requirement.name} {version}, but the book needs {requirement.specifier}"
        return Finding(False, wanted, install)
    return Finding(True, f"{requirement.name} {version}")


def check_device() -> Finding:
    """Where chapters will compute."""
    try:
        import torch

        from dlseg.device import get_device

        return Finding(True, f"device {get_device()} ({torch.get_num_threads()} threads)")
    except (ImportError, ValueError, RuntimeError) as error:
        return Finding(False, f"device: {error}", "export DLSEG_DEVICE=cpu")


def check_python() -> Finding:
    """Whether this Python is new enough."""
    what = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    good = sys.version_info >= (3, 11)
    return Finding(good, what, "" if good else "install Python 3.11 or newer")


def _optional(extra: str, purpose: str) -> Finding:
    missing = [
        r.name for r in _requirements(extra) if r.marker and not check_package(r, extra).good
    ]
    if not missing:
        return Finding(True, f"tools for {purpose}")
    fix = f"pip install -c constraints.txt -e '.[{extra}]'"
    return Finding(None, f"no tools for {purpose}: {', '.join(missing)}", fix)


def examine() -> list[Finding]:
    """Everything a reader needs first, then what only maintainers need."""
    needed = [check_package(requirement, "read") for requirement in _requirements("read")]
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    return [
        check_python(),
        *needed,
        check_device(),
        _optional("test", "testing"),
        _optional("site", "building the site"),
        _optional("browser", "browser tests"),
        Finding(bool(browser) or None, f"Chromium {browser or 'not found: no browser tests'}"),
    ]


def examine_data(folder: str) -> tuple[str, bool]:
    """What is wrong with the Pascal VOC or Cityscapes in `folder`, and whether anything is.

    Returns: (report, good); remarks alone are good. Raises DataError where no data set is there.
    """
    from dlseg.data.check import check_folder

    faults = check_folder(folder)
    lines = [
        f"{'FAULT  ' if fault.serious else '-      '} {fault.path}: {fault.problem}\n"
        f"        fix: {fault.remedy}"
        for fault in faults
    ]
    count = sum(fault.serious for fault in faults)
    verdict = f"FAULTS  {count} in {folder}" if count else f"ok      no fault in {folder}"
    return "\n".join([*lines, verdict]), not count


def add(commands) -> None:
    """Add the parser of `dlseg doctor` to the subparsers `commands`."""
    parser = commands.add_parser("doctor", help=doctor.__doc__)
    parser.set_defaults(function=doctor)
    told = "check the Pascal VOC or Cityscapes in DIR instead"
    parser.add_argument("--data", metavar="DIR", help=told)


def doctor(arguments: argparse.Namespace) -> int:
    """Say what is missing on this machine or wrong in a folder of data; exit code 1 if anything."""
    if arguments.data is not None:
        return _doctor_data(arguments.data)
    findings = examine()
    print(*findings, sep="\n")
    return int(any(finding.good is False for finding in findings))


def _doctor_data(folder: str) -> int:
    from dlseg.data.files import DataError

    try:
        report, good = examine_data(folder)
    except DataError as error:
        raise CommandError(str(error)) from error
    print(report)
    return int(not good)
