"""`dlseg doctor` on a machine: what it calls missing, what it remarks, and the fix it names."""

import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from dlseg.commands import doctor
from dlseg.commands.main import main
from tests.chapters.tools import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LISTED = {"": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}
VERSIONS = [
    "0.9",
    "1",
    "1.0.0",
    "2.0",
    "2.13.0+cpu",
    "3",
    "3.0",
    "3.1.post2",
    "5.0",
    "9.1",
    "2025.10",
]


@pytest.fixture(autouse=True)
def here(monkeypatch):
    monkeypatch.setenv("DLSEG_DEVICE", "cpu")
    monkeypatch.chdir(ROOT)


@pytest.fixture
def without(monkeypatch):
    """A function that lets packages seem to be missing."""

    def hide(*names):
        real = doctor.metadata.version

        def version(name):
            if name in names:
                raise doctor.metadata.PackageNotFoundError(name)
            return real(name)

        monkeypatch.setattr(doctor.metadata, "version", version)

    return hide


def test_a_ready_machine(capsys):
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    assert (
        "device cpu" in printed and "ok      torch" in printed and "ok      jupyterlab" in printed
    )
    assert "MISSING" not in printed


def test_a_device_that_is_not_there(monkeypatch, capsys):
    monkeypatch.setenv("DLSEG_DEVICE", "gpu")
    assert main(["doctor"]) == 1
    printed = capsys.readouterr().out
    assert "MISSING device: DLSEG_DEVICE must be one of auto, cpu, cuda, mps" in printed
    assert "fix: export DLSEG_DEVICE=cpu" in printed


def test_what_a_reader_needs_is_remarked_to_a_borrower(without, monkeypatch, tmp_path, capsys):
    without("jupyterlab", "nbval", "onnx")
    assert main(["doctor"]) == 1
    printed = capsys.readouterr().out
    line = "pip install -c constraints.txt -e '.[read]'"
    assert f"MISSING jupyterlab is not installed\n        fix: {line}\n" in printed
    assert printed.count("MISSING") == 1
    monkeypatch.chdir(ROOT / "chapters")  # as a notebook runs
    assert main(["doctor"]) == 1
    assert f"fix: cd .. && {line}\n" in capsys.readouterr().out
    monkeypatch.chdir(tmp_path)
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    remark = "-       no tools for {}\n        fix: pip install 'dlseg[{}]'\n"
    assert remark.format("reading the chapters: jupyterlab", "read") in printed
    assert remark.format("dlseg export: onnx", "onnx") in printed
    assert remark.format("testing: nbval", "test") in printed


def test_what_dlseg_needs_is_missing_everywhere(without, monkeypatch, tmp_path, capsys):
    without("tqdm")
    monkeypatch.chdir(tmp_path)
    assert main(["doctor"]) == 1
    printed = capsys.readouterr().out
    assert "MISSING tqdm is not installed\n        fix: pip install 'dlseg'\n" in printed


def test_an_old_package():
    finding = doctor.check_package("numpy", ">=99", "read")
    assert finding.good is False and "but dlseg needs >=99" in finding.what
    finding = doctor.check_package("no-such-package", "", "test")
    assert str(finding).endswith("fix: pip install -c constraints.txt -e '.[test]'")


@pytest.mark.parametrize("extra", LISTED)
def test_versions_are_compared_as_packaging_does(extra):
    for requirement in map(Requirement, LISTED[extra]):
        assert {part.operator for part in requirement.specifier} <= {">=", "<"}, requirement
        for version in VERSIONS:
            allowed = requirement.specifier.contains(Version(version))
            assert doctor.accepts(str(requirement.specifier), version) == allowed, version
