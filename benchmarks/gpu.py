"""All that wants a GPU, in one prepared script of at most ten minutes.

    python benchmarks/gpu.py --json build/gpu.json            (goes on where it was stopped)
    python benchmarks/gpu.py --device cpu --quick             (a rehearsal: every part, tiny sizes)

Each part is a process with a limit of time, and each row is written as soon as it is measured:
what was stopped keeps its rows, and the next run does the rest. What is measured stands in
`gpu_checks` (1 to 3) and `gpu_speed` (4 to 6):

1. same: networks, a training step, the CRF, tiles, metrics: as on the CPU?
2. tests: the package's tests that compute on the device of DLSEG_DEVICE.
3. chapters: every chapter executed on the device, its words and pictures beside the committed ones.
4. crf: a batch of 8 photographs, beside the CPU.
5. networks: v3+ on ResNet-101 at 513 pixels, its peers, mixed precision, and compiled ones.
6. deploy: networks made ready by `prepare`, and ONNX files of networks that live on the device.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks import gpu_checks, gpu_speed
from benchmarks.gpu_sizes import Sizes
from dlseg.aside import new_file
from dlseg.device import setup

ROOT = Path(__file__).parents[1]
PARTS = {
    "same": gpu_checks.same,
    "tests": gpu_checks.tests,
    "chapters": gpu_checks.chapters,
    "crf": gpu_speed.crf,
    "networks": gpu_speed.networks,
    "deploy": gpu_speed.deploy,
}
# Seconds; together the ten minutes.
LIMITS = {"same": 50, "tests": 100, "chapters": 200, "crf": 50, "networks": 140, "deploy": 60}


def rows(part: str, sizes: Sizes, device: str, known: Iterable[str] = ()) -> Iterator:
    """Names and measured rows of a part, without the known ones; a failure is a row, too."""
    setup()
    for name, measure in PARTS[part](sizes, torch.device(device)).items():
        if name not in known:
            try:
                yield name, measure()
            except pytest.skip.Exception as reason:
                yield name, {"left out": str(reason)}
            except Exception as error:
                yield name, {"failed": f"{type(error).__name__}: {error}"[:500]}


def about(device: str) -> dict:
    """Where this is measured; results of another machine are not mixed with it."""
    name = torch.cuda.get_device_name() if device == "cuda" else platform.machine()
    versions = {"torch": torch.__version__, "python": platform.python_version()}
    return {"device": name, **versions, "cpus": os.cpu_count()}


def collect(command: list[str], limit: float) -> Iterator[tuple[str, dict]]:
    """Names and rows that a command prints, a JSON list a line, until it ends or is stopped.

    limit: seconds; then the command is stopped, with all that it started.
    Raises: TimeoutError if it was stopped; RuntimeError with its exit code if it failed.
    """
    own = {"start_new_session": True} if os.name == "posix" else {}
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, **own) as process:
        late = threading.Event()

        def kill() -> None:
            if os.name == "posix":
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()

        timer = threading.Timer(limit, lambda: (late.set(), kill()))
        timer.start()
        try:
            for line in process.stdout:
                if line.startswith("["):
                    name, row = json.loads(line)
                    yield name, row
        except BaseException:
            kill()
            raise
        finally:
            timer.cancel()
    if late.is_set():
        raise TimeoutError(f"stopped after {limit:.0f} s")
    if process.returncode:
        raise RuntimeError(f"ended with exit code {process.returncode}")


def measured(part: str, known: Iterable[str], arguments, limit: float) -> Iterator:
    """Names and rows of a part, without the known ones; a rehearsal needs no process for it."""
    if arguments.quick:
        return rows(part, Sizes.quick(), arguments.device, known)
    command = [sys.executable, __file__, "--part", part, "--device", arguments.device]
    return collect([*command, "--known", *known], limit)


def print_rows(part: str, device: str, known: list[str]) -> None:
    """What the process of a part does."""
    for name, row in rows(part, Sizes(), device, known):
        print(json.dumps([name, row]), flush=True)


def keep(path: Path, content: dict) -> None:
    """Write the results aside, then under their name."""
    with new_file(path) as file:
        file.write((json.dumps(content, indent=1) + "\n").encode())


def results(path: Path, machine: dict, again: bool) -> dict:
    """What an earlier run on this machine left, or nothing."""
    if path.is_file() and not again:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["about"] == machine:
            return content
    return {"about": machine, "parts": {}}


def run_part(part: str, content: dict, arguments, limit: float) -> None:
    """Measure what a part still lacks; write and print each row."""
    entry = content["parts"].setdefault(part, {"done": False, "rows": {}})
    if entry["done"]:
        print(f"{part}: done before", flush=True)
        return
    begin = time.perf_counter()
    try:
        known = [name for name, row in entry["rows"].items() if "failed" not in row]
        for name, row in measured(part, known, arguments, limit):
            entry["rows"][name] = row
            keep(arguments.json, content)
            print(f"{part}: {name}: {json.dumps(row)}", flush=True)
        entry["done"] = not any("failed" in row for row in entry["rows"].values())
        entry["end"] = "whole" if entry["done"] else "some rows failed, and are tried again"
    except (TimeoutError, RuntimeError) as error:
        entry["end"] = str(error)
    seconds = time.perf_counter() - begin
    entry["seconds"] = round(entry.get("seconds", 0) + seconds, 1)
    keep(arguments.json, content)
    print(f"{part}: {entry['end']}, {seconds:.0f} s", flush=True)


def read_arguments() -> argparse.Namespace:
    """What to measure where; ends with one line where the device is not there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, default=ROOT / "build/gpu.json", help="the results")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, in this process")
    parser.add_argument("--minutes", type=float, default=10, help="of all parts together")
    parser.add_argument("--again", action="store_true", help="forget earlier results")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--known", nargs="*", default=[], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.device == "cpu" and not arguments.quick:
        sys.exit("gpu.py: on a CPU there is only the rehearsal: --device cpu --quick")
    if arguments.device == "cuda" and not torch.cuda.is_available():
        sys.exit("gpu.py: PyTorch finds no CUDA device; to rehearse: --device cpu --quick")
    return arguments


def main() -> None:
    """All parts, one after the other, within the minutes."""
    arguments = read_arguments()
    if arguments.part:
        return print_rows(arguments.part, arguments.device, arguments.known)
    content = results(arguments.json, about(arguments.device), arguments.again)
    end = time.perf_counter() + 60 * arguments.minutes
    for part in arguments.parts:
        left = end - time.perf_counter()
        if left < 5:
            sys.exit(f"gpu.py: the time is up before {part}: run it again, and it goes on there")
        run_part(part, content, arguments, min(left, LIMITS[part]))


if __name__ == "__main__":
    main()
