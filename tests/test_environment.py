"""pyproject.toml, environment.yml and constraints.txt name the same things."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
CONDA_NAMES = {"torch": "pytorch"}


def requirements(*extras: str) -> dict[str, Requirement]:
    listed = PROJECT["dependencies"] + [text for extra in extras for text in EXTRAS[extra]]
    return {requirement.name: requirement for requirement in map(Requirement, listed)}


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def test_constraints_are_names_and_versions_only():
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        assert line.startswith("#") or re.fullmatch(r"[a-z0-9][a-z0-9.-]*==[0-9][\w.]*", line), line


@pytest.mark.parametrize("extra", sorted(EXTRAS))
def test_every_range_holds_the_tested_version(extra):
    for name, requirement in requirements(extra).items():
        assert requirement.specifier.contains(Version(pins()[name])), name


def test_conda_environment_has_the_same_names_and_ranges():
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    listed = re.findall(r"^ +- ([\w-]+)([<>=].*)$", text, re.MULTILINE)
    conda = {name: set(ranges.split(",")) for name, ranges in listed}
    assert conda.pop("python") == set(PROJECT["requires-python"].split(","))
    wanted = {
        CONDA_NAMES.get(name, name): {str(part) for part in requirement.specifier}
        for name, requirement in requirements("read", "test").items()
    }
    assert conda == wanted


def test_reading_needs_no_test_or_site_tools():
    reading = set(requirements("read"))
    assert reading.isdisjoint({"pytest", "nbval", "ruff", "sphinx", "furo", "playwright"})
    assert set(requirements()) == {"filelock", "numpy", "pillow", "torch", "tqdm"}


def test_curves_need_no_test_tools():
    assert set(requirements("tensorboard")) - set(requirements()) == {"tensorboard"}
    assert set(EXTRAS["tensorboard"]) <= set(EXTRAS["test"])


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize("ci", [{}, {"CI": "true"}])
def test_make_read_says_what_it_will_install_before_it_does(tmp_path, ci):
    environment = {name: value for name, value in os.environ.items() if name != "CI"} | ci
    command = ["make", "-n", "read", f"VENV={tmp_path / 'venv'}"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    size, install = done.stdout.index("1.3 GB"), done.stdout.index("pip install")
    assert size < done.stdout.index("-m venv") < install
    assert ("--quiet" in done.stdout[install:]) == bool(ci)
