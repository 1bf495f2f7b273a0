"""Sweeps that are long: a sample of them runs every time, the rest in `make test-nightly`."""

import random
from collections.abc import Iterable

import pytest


def sampled(cases: Iterable, keep: int | Iterable, seed: int = 0) -> list:
    """The cases of a sweep for `parametrize`; those not to keep are marked `nightly`.

    keep: the cases that run every time, or how many of them, drawn by the seed. A case of several
    arguments is a tuple.
    """
    cases = list(cases)
    kept = random.Random(seed).sample(cases, keep) if isinstance(keep, int) else list(keep)
    missing = [case for case in kept if case not in cases]
    if missing or not kept:
        raise ValueError(f"keep must name some of the cases, got {kept}")
    return [case if case in kept else _nightly(case) for case in cases]


def _nightly(case):
    values = case if isinstance(case, tuple) else (case,)
    return pytest.param(*values, marks=pytest.mark.nightly)
