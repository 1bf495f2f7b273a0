"""`make fuzz`: many inputs for everything of dlseg that takes some, drawn by a seed.

    python tests/fuzz/run.py --inputs 200000 --seed 1
    python tests/fuzz/run.py --case 'read_image:1:123'     one input again, with its traceback

Each fault is a line of build/fuzz/faults.txt, and the exit code is 1. What is tried at the moment
is in build/fuzz/now.txt: should the process die, it died of that.
"""

import argparse
import faulthandler
import sys
import time
import warnings
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.fuzz.harness import numbers_of, shown  # noqa: E402
from tests.fuzz.targets import TARGETS, inputs, new_faults  # noqa: E402

FOLDER = ROOT / "build" / "fuzz"
CHUNK = 100  # inputs between two notes of where we are
LONGEST = 1800  # seconds for so many; what hangs outside of Python ends with a traceback then


def fuzz_all(total: int, seed: int, names: list[str]) -> int:
    """Fuzz the targets of these names, or all; returns how many faults there are."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    tried, faults, start = 0, 0, time.monotonic()
    with (FOLDER / "faults.txt").open("w", encoding="utf-8") as file:
        chosen = [TARGETS[name] for name in names or TARGETS]
        for target in chosen:
            numbers, begun = inputs(target, total, chosen), time.monotonic()
            found = []
            for first in range(0, len(numbers), CHUNK):
                (FOLDER / "now.txt").write_text(f"{target.name}:{seed}:{first} and {CHUNK} more\n")
                faulthandler.dump_traceback_later(LONGEST, exit=True)
                for line in new_faults(target, seed, numbers[first : first + CHUNK]):
                    found.append(line)
                    print(line, file=file, flush=True)
            seconds = time.monotonic() - begun
            print(f"{target.name:34} {len(numbers):7} inputs {seconds:7.1f} s", end="")
            print(f"  {len(found)} FAULTS, such as {found[0]}" if found else "", flush=True)
            tried, faults = tried + len(numbers), faults + len(found)
    print(f"{tried} inputs, {faults} faults, {time.monotonic() - start:.0f} s, seed {seed}")
    return faults


def repeat(case: str) -> None:
    """One input again, outside of all that watches it, so that its error is shown."""
    name, seed, number = case.rsplit(":", 2)
    target = TARGETS[name]
    value = target.make(numbers_of(target, int(seed), int(number)))
    print(shown(value, 10_000))
    for line in new_faults(target, int(seed), range(int(number), int(number) + 1)):
        print(line)
    FOLDER.joinpath("case").mkdir(parents=True, exist_ok=True)
    target.call(value, FOLDER / "case")


def main() -> int:
    """Fuzz as the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="targets; default: all")
    parser.add_argument("--inputs", type=int, default=10_000, help="for all targets together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", help="NAME:SEED:NUMBER of an input to repeat")
    arguments = parser.parse_args()
    faulthandler.enable()
    warnings.simplefilter("error")  # as in the tests: a warning is a fault
    if arguments.case:
        repeat(arguments.case)
        return 0
    return int(fuzz_all(arguments.inputs, arguments.seed, arguments.names) > 0)


if __name__ == "__main__":
    sys.exit(main())
