"""One fuzzed call: an input drawn by a seed, a call, and what may not happen.

A call may return, or raise what its documentation names: an error of dlseg's own, or of the
operating system, with a message. A fault is any other error or warning, a call that takes more than
SECONDS or MEMORY, a traceback in the output, a file written or removed outside of the call's own
folder, a process or a connection begun, and state of the process that is another one afterwards.
"""

import contextlib
import io
import linecache
import os
import random
import shutil
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch._dynamo  # which PyTorch imports when it is first needed, and which changes the process
from PIL import Image

try:
    import resource
except ImportError:  # on Windows, where nothing watches the memory
    resource = None

ROOT = Path(__file__).parents[2]
SECONDS, MEMORY, LONGEST = 10, 2 << 30, 3000  # of one call; bytes; characters of a message
PATIENCE = 12  # times as long may a call take on a machine that does other things

_CHANGES = {"os.remove", "os.mkdir", "os.rmdir", "os.rename", "os.link", "os.symlink", "os.chmod"}
_STARTS = {"subprocess.Popen", "os.fork", "os.exec", "os.posix_spawn", "os.system"}
_STARTS |= {"socket.connect", "socket.bind", "socket.getaddrinfo"}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_inside: str | None = None  # the folder that a watched call may write to


@dataclass(frozen=True)
class Target:
    """What is fuzzed.

    make: random numbers to an input. call: the input and an empty folder, the current one, to
    anything. errors: what the call may raise; of: whose docstring names them. share: how many
    inputs it gets beside the others. draws: whether it may use random numbers of the process.
    """

    name: str
    make: Callable[[random.Random], object]
    call: Callable[[object, Path], object]
    errors: tuple[type[BaseException], ...] = (ValueError,)
    of: object = None
    share: float = 1.0
    draws: bool = False


class Escape(BaseException):
    """A call that writes elsewhere, or begins a process or a connection."""


class Hang(BaseException):
    """A call that takes too long."""


def fuzz(
    target: Target, seed: int, numbers: range, seconds: float = SECONDS
) -> Iterator[tuple[int, str]]:
    """(number, fault) of the inputs of a target that are not as they should be."""
    before = os.getcwd()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder, limited(), quiet_imports():
        os.chdir(folder)
        try:
            known = state(target.draws)
            for number in numbers:
                if found := try_one(target, seed, number, Path(folder), seconds):
                    yield number, found
                if (now := state(target.draws)) != known:
                    names = sorted(name for name in now if now[name] != known[name])
                    yield number, f"changes {', '.join(names)} of the process"
                    os.chdir(folder)
                    known = state(target.draws)
                _empty(Path(folder))
        finally:
            os.chdir(before)


def try_one(
    target: Target, seed: int, number: int, folder: Path, seconds: float = SECONDS
) -> str | None:
    """What is wrong with one call, or None."""
    case = target.make(numbers_of(target, seed, number))
    output = io.StringIO()
    fault = None
    try:
        with watched(folder), alarm(seconds), printing_to(output):
            target.call(case, folder)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        fault = judge(error, target.errors)
    if "Traceback (most recent call last)" in output.getvalue():
        fault = fault or "prints a traceback"
    return fault and f"{fault} [{shown(case)}]"


def numbers_of(target: Target, seed: int, number: int) -> random.Random:
    """The random numbers of one input: the same at every call."""
    return random.Random(f"{seed} {target.name} {number}")


def judge(error: BaseException, allowed: tuple[type[BaseException], ...]) -> str | None:
    """What is wrong with an error that left a call, or None: it is allowed, ours, and speaks."""
    text = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    if not isinstance(error, allowed):
        return f"{text} at {_place(error)}"
    if not isinstance(error, SystemExit | OSError) and not _is_ours(error):
        return f"{text}: not dlseg's own, at {_place(error)}"
    if not str(error).strip() or len(str(error)) > LONGEST:
        return f"{type(error).__name__} with a message of {len(str(error))} characters"
    return None


def shown(case: object, longest: int = 300) -> str:
    """One line that shows an input; an array is its kind and shape."""
    if isinstance(case, np.ndarray | torch.Tensor):
        return f"{case.dtype} {tuple(case.shape)}"
    if isinstance(case, tuple | list):
        text = f"({', '.join(shown(part, 80) for part in case)})"
    elif isinstance(case, dict):
        text = f"{{{', '.join(f'{key!r}: {shown(part, 80)}' for key, part in case.items())}}}"
    else:
        text = " ".join(repr(case).split())
    return text if len(text) <= longest else f"{text[:longest]}..."


def state(draws: bool = False) -> dict[str, object]:
    """What a call may not change in its process; of random numbers nothing where it draws some."""
    generators = (random.getstate(), np.random.get_state()[1].tobytes(), torch.get_rng_state())
    seeds = None if draws else [hash(part) for part in generators[:2]]
    return {
        "seeds": seeds and (*seeds, hash(generators[2].numpy().tobytes())),
        "threads": torch.get_num_threads(),
        "dtype": torch.get_default_dtype(),
        "gradient": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "warnings": list(warnings.filters),
        "arithmetic": np.geterr(),
        "signals": [signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)],
        "pixel limit": Image.MAX_IMAGE_PIXELS,
        "rounding": (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32),
        "benchmark": torch.backends.cudnn.benchmark,
    }


@contextlib.contextmanager
def printing_to(output: io.StringIO) -> Iterator[None]:
    """All that is printed goes there."""
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        yield


@contextlib.contextmanager
def quiet_imports() -> Iterator[None]:
    """Imports write no bytecode: the folders of packages are none of a call's own."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


@contextlib.contextmanager
def limited(more: int = MEMORY) -> Iterator[None]:
    """So many bytes of memory more than now, where the system can hold a process to it."""
    statm = Path("/proc/self/statm")
    if resource is None or not statm.is_file():
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    now = int(statm.read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + more, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@contextlib.contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Hang after so many seconds of computing; or of waiting, patiently, on a busy machine."""

    def late(*_):
        raise Hang(f"takes more than {seconds} s")

    if not hasattr(signal, "setitimer"):
        yield
        return
    timers = {signal.ITIMER_PROF: signal.SIGPROF, signal.ITIMER_REAL: signal.SIGALRM}
    before = {number: signal.signal(number, late) for number in timers.values()}
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE * seconds)
    try:
        yield
    finally:
        for timer, number in timers.items():
            signal.setitimer(timer, 0)
            signal.signal(number, before[number])


@contextlib.contextmanager
def watched(folder: Path) -> Iterator[None]:
    """Escape where anything is written outside of `folder`, or a process or connection begins."""
    global _inside
    _inside = os.path.realpath(folder)
    try:
        yield
    finally:
        _inside = None


def _watch(event: str, arguments: tuple) -> None:
    if _inside is None:
        return
    if event == "open":
        path, _, flags = arguments
        if not isinstance(path, int) and flags & _WRITES and path != os.devnull:
            _check_inside(path, "writes")
    elif event in _CHANGES:
        places = arguments[1:2] if event in ("os.symlink", "os.link") else arguments[:1]
        places += arguments[1:2] if event == "os.rename" else ()
        folder = arguments[-1] if event != "os.symlink" else -1
        for place in places:
            _check_inside(place, event, folder if isinstance(folder, int) else -1)
    elif event in _STARTS:
        raise Escape(f"{event} {arguments!r}")


sys.addaudithook(_watch)


def _check_inside(path, what: str, folder: int = -1) -> None:
    """Escape unless the path, relative to an open folder where one is given, is inside."""
    if isinstance(path, int):
        return
    start = os.readlink(f"/proc/self/fd/{folder}") if folder > 0 else os.getcwd()
    full = os.path.join(start, os.fsdecode(path))
    real = os.path.join(os.path.realpath(os.path.dirname(full)), os.path.basename(full))
    if os.path.commonpath([real, _inside]) != _inside:
        raise Escape(f"{what} {full}, outside of its folder")


def _last_frame(error: BaseException):
    trace = error.__traceback__
    while trace.tb_next:
        trace = trace.tb_next
    return trace.tb_frame.f_code, trace.tb_lineno


def _place(error: BaseException) -> str:
    code, line = _last_frame(error)
    return f"{Path(code.co_filename).name}:{line} {code.co_name}"


def _is_ours(error: BaseException) -> bool:
    """Whether a `raise` of dlseg made the error, and not a library on the way."""
    code, line = _last_frame(error)
    inside = Path(code.co_filename).is_relative_to(ROOT / "dlseg")
    return inside and "raise" in linecache.getline(code.co_filename, line)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
