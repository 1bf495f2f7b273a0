"""`make mutants`: plant small faults in dlseg, one at a time, and see whether a test notices.

    python tests/mutants/run.py arithmetic metrics        15 faults each, drawn by seed 0
    python tests/mutants/run.py models --count 30 --seed 7

All happens in a copy of the working tree. What was found is kept in build/mutants: whoever stops
the command goes on with it by the same command. A fault that no test of its package notices
survives; it gets a test, or a reason in `survivors.toml`. The exit code is 1 where a package of
STRICT has a survivor without a reason.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.mutants.faults import OPERATORS, Fault, draw, faults  # noqa: E402

REASONS = Path(__file__).with_name("survivors.toml")
RESULTS = ROOT / "build" / "mutants"
STRICT = ("arithmetic", "layers", "models", "crf", "metrics", "training", "commands")
OTHERS = ("backbones", "data", "inference", "inspect", "book", "serve")
KILLED, SURVIVED = "killed", "survived"
LEAST = 60  # seconds that a run of tests has, however fast it is without a fault


def modules(package: str) -> list[Path]:
    """The files of a package that faults are planted in; a face has only names."""
    if package == "serve":  # the modules that belong to no package
        return sorted((ROOT / "dlseg").glob("[!_]*.py"))
    files = sorted((ROOT / "dlseg" / package).rglob("*.py"))
    return [file for file in files if file.name not in ("__init__.py", "__main__.py")]


def tests(package: str) -> list[Path]:
    """The files of tests that must notice a fault in a package."""
    if package == "serve":
        names = {f"test_{module.stem}.py" for module in modules(package)}
        more = ("test_argument_checks.py", "data/test_download.py", "doors/test_values.py")
        more += ("doors/test_doors.py", "training/test_entries.py")
        own = [file for file in sorted((ROOT / "tests").glob("*.py")) if file.name in names]
        return own + [ROOT / "tests" / name for name in more]
    return sorted((ROOT / "tests" / package).rglob("test_*.py"))


def candidates(package: str) -> list[Fault]:
    """All faults that a package has room for."""
    texts = {str(file.relative_to(ROOT)): file.read_bytes() for file in modules(package)}
    return [fault for name, text in texts.items() for fault in faults(name, text)]


def in_order(package: str, fault: Fault) -> list[Path]:
    """The package's tests, those of the fault's module first, then what names its function."""
    stem, words = Path(fault.file).stem, fault.key.split(":")[0].split()[1].split(".")

    def distance(test: Path) -> tuple[bool, bool, Path]:
        text = test.read_text(encoding="utf-8")
        return test.stem != f"test_{stem}", not any(word in text for word in words), test

    return sorted(tests(package), key=distance)


@contextmanager
def copy_of_tree() -> Iterator[Path]:
    """A temporary copy of all files that git tracks, or would track."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        for name in filter(None, names.split("\0")):
            if (ROOT / name).is_file():
                target = Path(folder, name)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, target)
        yield Path(folder)


@contextmanager
def planted(tree: Path, fault: Fault) -> Iterator[None]:
    """The fault in the copy of the tree; the module is as before in the end."""
    file = tree / fault.file
    text = file.read_bytes()
    file.write_bytes(fault.plant(text))
    try:
        yield
    finally:
        file.write_bytes(text)


def run_tests(tree: Path, files: list[Path], limit: float | None = None) -> str:
    """ "" where the tests pass, else what stopped them. limit: seconds; None: no limit.

    Raises RuntimeError where there was nothing to run.
    """
    names = [str(file.relative_to(ROOT)) for file in files]
    names = [name for name in names if (tree / name).is_file()]  # a new test waits for a new copy
    command = [sys.executable, "-m", "pytest", "-x", "--tb=no", "-p", "no:cacheprovider", *names]
    # No bytecode: a fault may leave time and size of a file as they were.
    own = {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(tree)}
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(
        command, cwd=tree, env=os.environ | own, start_new_session=True, **options
    ) as process:
        try:
            output, _ = process.communicate(timeout=limit)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)  # the processes that a test started, too
            if isinstance(error, subprocess.TimeoutExpired):
                return f"no end after {limit:.0f} s"
            raise
    if process.returncode in (4, 5):
        raise RuntimeError(f"pytest had nothing to run:\n{output}")
    failed = [line for line in output.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return "" if process.returncode == 0 else (failed or [f"exit code {process.returncode}"])[0]


def measure(tree: Path, package: str) -> float:
    """Seconds of the package's tests without a fault, after one that none can miss was noticed.

    Raises RuntimeError where they fail without a fault, or look at another copy of dlseg.
    """
    fault = Fault("dlseg/__init__.py", "", "", 0, 0, "raise SystemError('planted')\n")
    with planted(tree, fault):
        if not run_tests(tree, tests(package)[:1]):
            raise RuntimeError("the tests do not import the copy of dlseg")
    start = time.monotonic()
    if stopped := run_tests(tree, tests(package)):
        raise RuntimeError(f"the tests of {package} fail without a fault: {stopped}")
    return time.monotonic() - start


class Record:
    """What is known of the faults of a package from earlier runs, on disk.

    Modules and tests count as they are when the record is opened.
    """

    def __init__(self, package: str):
        self.file = RESULTS / f"{package}.json"
        self.entries = json.loads(self.file.read_text()) if self.file.is_file() else {}
        self.modules = {str(file.relative_to(ROOT)): _digest([file]) for file in modules(package)}
        self.tests = _digest(tests(package))

    def get(self, fault: Fault) -> str | None:
        """What became of the fault; None where it, or tests that let it pass, changed since."""
        entry = self.entries.get(fault.key, {})
        known = entry.get("state") if entry.get("module") == self.modules[fault.file] else None
        changed = entry.get("tests") != self.tests
        return None if known == SURVIVED and changed else known

    def put(self, fault: Fault, stopped: str, seconds: float) -> None:
        """Write down that the fault was stopped by something, or by nothing: "" ."""
        self.entries[fault.key] = {
            "state": KILLED if stopped else SURVIVED,
            "by": stopped,
            "seconds": round(seconds, 1),
            "module": self.modules[fault.file],
            "tests": self.tests,
        }
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_text(json.dumps(self.entries, indent=1))


def _digest(files: list[Path]) -> str:
    return sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def hunt(package: str, drawn: list[Fault], record: Record, deadline: float) -> None:
    """Run the tests of a package against each drawn fault of which nothing is known, until then."""
    waiting = [fault for fault in drawn if record.get(fault) is None]
    if not waiting:
        return
    with copy_of_tree() as tree:
        quiet = measure(tree, package)
        print(
            f"{package}: {len(waiting)} of {len(drawn)} to run, tests take {quiet:.0f} s",
            flush=True,
        )
        for fault in waiting:
            if time.monotonic() > deadline:
                return
            start = time.monotonic()
            with planted(tree, fault):
                stopped = run_tests(tree, in_order(package, fault), max(LEAST, 5 * quiet))
            record.put(fault, stopped, time.monotonic() - start)
            print(f"  {KILLED if stopped else SURVIVED:9} {fault.key}", flush=True)


def report(package: str, drawn: list[Fault], record: Record, reasons: dict[str, str]) -> bool:
    """Print what became of the faults; returns whether all is well with the package."""
    states = {fault.key: record.get(fault) for fault in drawn}
    count = Counter(states.values())
    print(f"{package}: {len(drawn)} drawn, {count[KILLED]} killed, {count[SURVIVED]} survived")
    for kind in OPERATORS:
        own = [states[fault.key] for fault in drawn if fault.operator == kind]
        print(f"  {kind:18} {own.count(KILLED)} of {len(own)}")
    survivors = [key for key, state in states.items() if state == SURVIVED]
    for key in survivors:
        print(f"  SURVIVED {key}\n           {reasons.get(key, 'NO REASON: write a test')}")
    if count[None]:
        print(f"  {count[None]} not run: the same command goes on with them")
    return not count[None] and (package not in STRICT or set(survivors) <= set(reasons))


def read_reasons() -> dict[str, str]:
    """Why faults may survive, by their keys."""
    return tomllib.loads(REASONS.read_text(encoding="utf-8"))


def main() -> int:
    """Hunt in the packages that are named, and report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("packages", nargs="*", help=f"default: {' '.join(STRICT + OTHERS)}")
    parser.add_argument("--count", type=int, default=15, help="faults in a package")
    parser.add_argument("--seed", type=int, default=0, help="decides which are drawn")
    parser.add_argument("--minutes", type=float, default=600, help="begin no fault after that")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # through the clearing up
    deadline = time.monotonic() + 60 * arguments.minutes
    packages = arguments.packages or STRICT + OTHERS
    if unknown := set(packages) - {*STRICT, *OTHERS}:
        parser.error(f"no package {', '.join(unknown)}; there are: {' '.join(STRICT + OTHERS)}")
    good = []
    for package in packages:
        drawn = draw(candidates(package), arguments.count, arguments.seed)
        record = Record(package)
        hunt(package, drawn, record, deadline)
        good.append(report(package, drawn, record, read_reasons()))
    return int(not all(good))


if __name__ == "__main__":
    sys.exit(main())
