"""Ten thousand inputs for all that takes some; and the fuzzer finds what it is there to find."""

import inspect
import os
import re
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest
import torch

from dlseg.checks import CommandError, check_integer
from dlseg.training import load_network
from tests.fuzz import harness
from tests.fuzz.harness import Target, fuzz, numbers_of, shown
from tests.fuzz.known import KNOWN
from tests.fuzz.readers import good_checkpoint
from tests.fuzz.targets import TARGETS, inputs, new_faults

TOTAL, SEED = 10_000, 0


@pytest.mark.parametrize("name", TARGETS)
def test_only_what_is_documented_happens(name):
    target = TARGETS[name]
    faults = list(new_faults(target, SEED, inputs(target, TOTAL)))
    assert not faults, "\n".join(["make fuzz with this shows it again:", *faults[:5]])


def test_as_many_inputs_as_asked():
    assert TOTAL <= sum(len(inputs(target, TOTAL)) for target in TARGETS.values()) < 1.1 * TOTAL


def test_no_fault_is_known_of_what_is_not_fuzzed():
    assert set(KNOWN) <= set(TARGETS)


DOCUMENTED = [target for target in TARGETS.values() if inspect.getdoc(target.of)]


@pytest.mark.parametrize("target", DOCUMENTED, ids=lambda target: target.name)
def test_errors_that_may_leave_are_those_of_the_docstring(target):
    text = inspect.getdoc(target.of) + (inspect.getmodule(target.of).__doc__ or "")
    named = [error.__name__ for error in target.errors if error.__name__ in text]
    # "Raises ... as `other`": the other one's docstring is looked at in its own row.
    assert named or re.search(r"errors? as in|as `", text) or "Raises" not in text


# Faults that are planted: each must be found.


def planted(call, *errors, calls: int = 5, seconds: float = 0.5) -> list[str]:
    """What the fuzzer says of some calls of `call(number, folder)`."""
    target = Target("planted", lambda rng: rng.randint(1, 3), call, errors or (ValueError,))
    return [fault for _, fault in fuzz(target, 0, range(calls), seconds)]


def test_a_right_call_is_no_fault():
    assert planted(lambda number, folder: (folder / "file").write_text("x")) == []
    assert planted(lambda number, folder: check_integer("size", number, 9)) == []


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda number, _: {}[number], "KeyError"),
        (lambda number, _: int("x"), "not dlseg's own"),
        (lambda number, _: warnings.warn("careful", stacklevel=1), "UserWarning"),
        (lambda number, folder: (folder / "../other").write_text(""), "outside of its folder"),
        (lambda number, folder: (folder / "../other").mkdir(), "outside of its folder"),
        (lambda number, folder: os.rename(folder, f"{folder}x"), "outside of its folder"),
        (lambda number, _: subprocess.run([sys.executable, "-c", ""]), "subprocess.Popen"),
        (lambda number, _: torch.manual_seed(7), "changes seeds"),
        (lambda number, _: os.environ.update(FUZZED="1"), "changes environment"),
        (lambda number, folder: os.chdir("/"), "changes folder"),
        (lambda number, _: warnings.simplefilter("ignore"), "changes warnings"),
        (lambda number, _: print("Traceback (most recent call last)"), "prints a traceback"),
        (lambda number, _: torch.set_default_dtype(torch.float64), "changes dtype"),
    ],
)
def test_a_planted_fault_is_found(call, words, monkeypatch):
    monkeypatch.setenv("FUZZED", "0")
    with warnings.catch_warnings():
        kept = torch.get_rng_state()
        try:
            assert any(words in fault for fault in planted(call))
        finally:
            torch.set_rng_state(kept)
            torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("wait", [lambda: time.sleep(60), lambda: any(n > 0 for n in iter(int, 1))])
def test_a_call_without_end_is_found(wait):
    assert "Hang" in planted(lambda number, folder: wait(), calls=1, seconds=0.1)[0]


def test_an_error_without_words_is_a_fault():
    def fail(number, folder):
        raise CommandError

    kinds = (CommandError,)
    assert any("not dlseg's own" in fault for fault in planted(fail, *kinds))
    assert harness.judge(FileNotFoundError(), (OSError,)) == (
        "FileNotFoundError with a message of 0 characters"
    )


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="memory is limited on Linux")
@pytest.mark.parametrize("take", [lambda size: np.ones(size), lambda size: torch.ones(size)])
def test_a_call_that_takes_too_much_memory_is_found(take):
    faults = planted(lambda number, _: take(harness.MEMORY // 2))
    assert all("Error" in fault for fault in faults) and len(faults) == 5


def test_an_input_follows_from_seed_and_number():
    target = TARGETS["ConfusionMatrix"]
    drawn = [shown(target.make(numbers_of(target, 0, number))) for number in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_the_good_checkpoint_is_good(tmp_path):
    """Else nothing is tried but its refusal."""
    (tmp_path / "last.pt").write_bytes(good_checkpoint())
    model, _ = load_network(tmp_path / "last.pt")
    assert model.num_classes == 3
