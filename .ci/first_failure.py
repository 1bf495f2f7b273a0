"""What failed first in a log of the tests, as the title and the text of an issue.

    python .ci/first_failure.py build/newest.log build/newest.txt [--open-issue]

Of a chapter's cells the topmost, since the later ones share its kernel; without one, the first test
of the package; without that, the end of the log. The second file is a `pip freeze`: packages that
are newer there than in constraints.txt are named. `--open-issue` calls GitHub's `gh`, unless an
issue of that title is open.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

TESTED = Path(__file__).parents[1] / "constraints.txt"
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
CELL = re.compile(r"^(?:FAILED|ERROR) (\S+\.ipynb)::Cell (\d+)", re.MULTILINE)
TEST = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)
LINES = 60  # of the log, in the text


def first_failure(log: str) -> tuple[str, str]:
    """The name of what failed first, and the lines of the log that belong to it."""
    log = COLOURS.sub("", log)
    cells = sorted((Path(file).name, int(cell)) for file, cell in CELL.findall(log))
    tests = TEST.findall(log)
    if cells:
        file, cell = cells[0]
        return f"{file}, cell {cell}", section(log, f"{file}::Cell {cell}")
    if tests:
        return tests[0], section(log, tests[0].partition("::")[2] or tests[0])
    return "no test, but the run", "\n".join(log.splitlines()[-LINES:])


def section(log: str, name: str) -> str:
    """The lines below pytest's headline of that name, to the next one, at most `LINES`."""
    names = re.escape(name.replace("::", ".")), re.escape(name)
    headline = re.compile(rf"^_{{3,}} \S*(?:{'|'.join(names)}) _{{3,}}$")
    lines = log.splitlines()
    starts = [number for number, line in enumerate(lines) if headline.match(line)]
    if not starts:
        return "\n".join(lines[-LINES:])
    rest = lines[starts[0] + 1 :]
    ends = [number for number, line in enumerate(rest) if re.match(r"_{3,} .* _{3,}$|={3,} ", line)]
    return "\n".join(rest[: min([LINES, *ends])]).strip()


def newer(fresh: str, tested: str) -> list[str]:
    """Packages with another version than the tested one, as "torch 2.15.0 (tested: 2.13.0)"."""
    known = dict(line.split("==") for line in tested.splitlines() if line and line[0] != "#")
    found = dict(line.split("==") for line in fresh.splitlines() if line.count("==") == 1)
    return [
        f"{name} {version} (tested: {known[name]})"
        for name, version in found.items()
        if name in known and version.partition("+")[0] != known[name]
    ]


def issue(log: Path, versions: Path) -> tuple[str, str]:
    """Title and text. A log that is missing means that nothing could be installed."""
    if not log.is_file():
        return "Newest versions: they cannot be installed together", "See the log of the run."
    what, lines = first_failure(log.read_text(encoding="utf-8", errors="replace"))
    fresh = versions.read_text(encoding="utf-8") if versions.is_file() else ""
    changed = newer(fresh, TESTED.read_text(encoding="utf-8")) or ["nothing"]
    names = "\n".join(f"* {line}" for line in changed)
    text = f"```\n{lines}\n```\n\nOther versions than the tested ones:\n\n{names}\n"
    return f"Newest versions: {what} fails", text


def open_issue(title: str, text: str) -> str:
    """Open an issue of that title, unless there is one; returns what `gh` says, its address.

    Raises: subprocess.CalledProcessError where `gh` fails.
    """
    command = ["gh", "issue", "list", "--state", "open", "--limit", "500", "--json", "title"]
    command += ["--jq", ".[].title"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    if title in done.stdout.splitlines():
        return f"an issue is open already: {title}\n"
    command = ["gh", "issue", "create", "--title", title, "--body-file", "-"]
    done = subprocess.run(command, check=True, input=text, stdout=subprocess.PIPE, text=True)
    return done.stdout


def main() -> int:
    """Print title and text, or open the issue."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("log", type=Path)
    parser.add_argument("versions", type=Path)
    parser.add_argument("--open-issue", action="store_true")
    arguments = parser.parse_args()
    title, text = issue(arguments.log, arguments.versions)
    print(f"{title}\n\n{text}")
    if arguments.open_issue:
        print(open_issue(title, text))
    return 0


if __name__ == "__main__":
    sys.exit(main())
