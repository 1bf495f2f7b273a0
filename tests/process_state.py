"""What belongs to the whole process: a test leaves it as it found it."""

import os
import signal
import sys
import warnings
from collections.abc import Callable
from typing import Any

SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]
# Set by pytest itself, and by libraries for themselves when they are first imported.
OTHERS = {
    "PYTEST_CURRENT_TEST",
    "KMP_DUPLICATE_LIB_OK",
    "KMP_INIT_AT_FORK",
    "TORCHINDUCTOR_CACHE_DIR",
}
FILTERS, LOADED = "warnings.filters", "modules"
State = dict[str, Any]


def _variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in OTHERS}


def _set_variables(before: dict[str, str]) -> None:
    for name in _variables():
        del os.environ[name]
    os.environ.update(before)


def _set_list(values: list) -> Callable[[list], None]:
    return lambda before: values.__setitem__(slice(None), before)


def _set_filters(before: list) -> None:
    warnings.filters[:] = before
    warnings._filters_mutated() if hasattr(warnings, "_filters_mutated") else None


def _set_handlers(before: list) -> None:
    for number, handler in zip(SIGNALS, before, strict=True):
        signal.signal(number, handler)


# Name -> (how it is read, how it is set); those of a module once it is imported.
ALWAYS = {
    "os.environ": (_variables, _set_variables),
    "the working folder": (os.getcwd, os.chdir),
    "sys.path": (lambda: list(sys.path), _set_list(sys.path)),
    FILTERS: (lambda: list(warnings.filters), _set_filters),
    "signal handlers": (lambda: [signal.getsignal(number) for number in SIGNALS], _set_handlers),
}


def _of_numpy(np) -> dict:
    return {
        "numpy.geterr": (np.geterr, lambda before: np.seterr(**before)),
        "numpy's print options": (
            np.get_printoptions,
            lambda before: np.set_printoptions(**before),
        ),
    }


def _of_torch(torch) -> dict:
    flags = [
        (torch.backends.cuda.matmul, "allow_tf32"),
        *((torch.backends.cudnn, name) for name in ("allow_tf32", "benchmark", "deterministic")),
    ]

    def set_flags(before: list) -> None:
        for (place, name), value in zip(flags, before, strict=True):
            setattr(place, name, value)

    return {
        "torch's threads": (torch.get_num_threads, torch.set_num_threads),
        "torch's default dtype": (torch.get_default_dtype, torch.set_default_dtype),
        "torch's default device": (
            lambda: str(torch.empty(0).device),
            lambda _before: torch.set_default_device(None),
        ),
        "torch's gradients": (torch.is_grad_enabled, torch.set_grad_enabled),
        "torch's deterministic algorithms": (
            torch.are_deterministic_algorithms_enabled,
            torch.use_deterministic_algorithms,
        ),
        "TF32 and cuDNN": (lambda: [getattr(*flag) for flag in flags], set_flags),
    }


def _of_matplotlib(matplotlib) -> dict:
    from dlseg.book.style import SETTINGS

    # Which backend there is, matplotlib finds out when it first draws; the book's look stays on for
    # what is drawn next, as `new_figure` says.
    others = {"backend", *SETTINGS}

    def read() -> dict:
        return {k: v for k, v in dict.items(matplotlib.rcParams) if k not in others}

    return {
        "matplotlib's rcParams": (read, lambda before: dict.update(matplotlib.rcParams, before))
    }


def _of_pillow(image) -> dict:
    return {
        "Pillow's pixel limit": (
            lambda: image.MAX_IMAGE_PIXELS,
            lambda before: setattr(image, "MAX_IMAGE_PIXELS", before),
        )
    }


MODULES = {
    "numpy": _of_numpy,
    "torch": _of_torch,
    "matplotlib": _of_matplotlib,
    "PIL.Image": _of_pillow,
}


def _things() -> dict[str, tuple[Callable, Callable]]:
    things = dict(ALWAYS)
    for name, of in MODULES.items():
        if name in sys.modules:
            things |= of(sys.modules[name])
    return things


def read() -> State:
    """The state now."""
    return {name: get() for name, (get, _) in _things().items()} | {LOADED: len(sys.modules)}


def put_back(before: State) -> list[str]:
    """Set the state as it was; returns a line for everything that was changed."""
    changes = []
    for name, (get, put) in _things().items():
        if name in before and (after := get()) != before[name]:
            put(before[name])
            # A library may set filters when it is first imported.
            if name != FILTERS or before[LOADED] == len(sys.modules):
                changes.append(f"{name}: {_difference(before[name], after)}")
    return changes


def _difference(before, after) -> str:
    if isinstance(before, dict):
        names = {name for name in {*before, *after} if before.get(name) != after.get(name)}
        return ", ".join(
            f"{name} was {before.get(name)!r}, is {after.get(name)!r}" for name in sorted(names)
        )
    return f"was {before!r}, is {after!r}"
