"""The workflows and the GitLab file only call the Makefile, and name what there is."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet

from dlseg.book.manifest import read_book

ROOT = Path(__file__).parents[1]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
RULES = re.findall(r"^([a-z][a-z -]*):(?!=)", MAKEFILE, re.MULTILINE)
TARGETS = {name for names in RULES for name in names.split()}
VARIABLES = set(re.findall(r"^([A-Z]+) \?=", MAKEFILE, re.MULTILINE))
WORKFLOWS = {
    path.stem: yaml.safe_load(path.read_text(encoding="utf-8"))
    for path in sorted((ROOT / ".github/workflows").glob("*.yml"))
}
GITLAB = yaml.safe_load((ROOT / ".gitlab-ci.yml").read_text(encoding="utf-8"))
NOT_JOBS = {"default", "variables", "workflow"}
GITLAB_JOBS = {name: job for name, job in GITLAB.items() if name not in NOT_JOBS}
JOBS = {
    f"{name}/{job}": settings
    for name, workflow in WORKFLOWS.items()
    for job, settings in workflow["jobs"].items()
}
CALL = re.compile(
    r"make (?P<target>[a-z-]+)(?P<settings>( [A-Z]+=\S+| [A-Z]+=\$\{\{ [\w.]+ \}\})*)"
)


def calls() -> list[tuple[str, str]]:
    """Where each shell line stands, and the line."""
    github = [
        (name, step["run"]) for name, job in JOBS.items() for step in job["steps"] if "run" in step
    ]
    scripts = [
        (f"gitlab/{name}", line)
        for name, job in GITLAB_JOBS.items()
        for part in ("before_script", "script", "after_script")
        for line in job.get(part, [])
    ]
    return github + scripts


def pythons(settings) -> set[str]:
    """All versions of Python that are named anywhere in a job."""
    text = yaml.safe_dump(settings)
    return set(re.findall(r"\b3\.1\d\b", text))


@pytest.mark.parametrize(("where", "line"), calls())
def test_every_line_is_one_call_of_the_makefile(where, line):
    call = CALL.fullmatch(line)
    assert call, f"{where}: {line!r} is no `make TARGET [NAME=value]`"
    assert call["target"] in TARGETS
    assert set(re.findall(r"([A-Z]+)=", call["settings"])) <= VARIABLES


def test_chapters_are_those_of_the_summary():
    numbers = [chapter.number for chapter in read_book(ROOT).notebooks]
    assert JOBS["tests/chapters"]["strategy"]["matrix"]["chapter"] == numbers
    assert GITLAB_JOBS["chapters"]["parallel"]["matrix"] == [{"CHAPTER": numbers}]


def test_pythons_begin_where_the_package_does():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    allowed = SpecifierSet(project["requires-python"])
    for name, settings in (JOBS | {"gitlab": GITLAB}).items():
        assert all(version in allowed for version in pythons(settings)), name
    versions = JOBS["tests/package"]["strategy"]["matrix"]["python"]
    assert versions == GITLAB_JOBS["package"]["parallel"]["matrix"][0]["PYTHON_VERSION"]
    oldest, minors = versions[0], [int(version.partition(".")[2]) for version in versions]
    assert project["requires-python"] == f">={oldest}"
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"Python {oldest} to {versions[-1]}" in readme
    assert minors == list(range(minors[0], minors[-1] + 1))
    assert pythons(JOBS["freshness/newest"]) == pythons(GITLAB_JOBS["newest"]) == {versions[-1]}


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_may_only_read_and_gives_way_to_the_next(name):
    assert WORKFLOWS[name]["permissions"] == {"contents": "read"}
    assert set(WORKFLOWS[name]["concurrency"]) == {"group", "cancel-in-progress"}


def test_who_may_write_what():
    may = {name: job["permissions"] for name, job in JOBS.items() if "permissions" in job}
    assert may == {
        "freshness/newest": {"contents": "read", "issues": "write"},
        "site/publish": {"pages": "write", "id-token": "write"},
    }


@pytest.mark.parametrize("name", JOBS)
def test_a_job_ends_and_its_actions_have_a_major_version(name):
    assert 0 < JOBS[name]["timeout-minutes"] < 360
    for step in JOBS[name]["steps"]:
        if "uses" in step:
            assert re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"])


@pytest.mark.parametrize("name", [name for name, job in JOBS.items() if "publish" not in name])
def test_pip_keeps_what_it_fetched(name):
    steps = [step for step in JOBS[name]["steps"] if "setup-python" in step.get("uses", "")]
    cached = [step["with"].get("cache") for step in steps]
    assert cached == {"gpu/gpu": [], "freshness/newest": [None]}.get(name, ["pip"])


def test_a_strangers_token_stays_in_its_step():
    for name, job in JOBS.items():
        text = yaml.safe_dump({key: value for key, value in job.items() if key != "steps"})
        assert "token" not in text.replace("id-token", ""), name
        for step in job["steps"]:
            assert ("token" in str(step)) == (step.get("run", "").startswith("make open-issue"))


def test_no_address_of_a_registry_is_named():
    for path in [*ROOT.glob(".github/**/*.y*ml"), ROOT / ".gitlab-ci.yml"]:
        assert "://" not in path.read_text(encoding="utf-8"), path


def test_actionlint_finds_nothing_and_would_find_something(tmp_path):
    command = shutil.which("actionlint", path=Path(sys.executable).parent)
    if command is None:
        pytest.skip("actionlint is not installed: pip install 'dlseg[test]'")
    line = re.search(r"^\t\$\(BIN\)/actionlint (.*) \S+\.yml$", MAKEFILE, re.MULTILINE)[1]
    files = sorted((ROOT / ".github/workflows").glob("*.yml"))
    for change, code in (("", 0), ("\nmatricks: 1\n", 1)):
        bad = tmp_path / "bad.yml"
        bad.write_text(files[0].read_text(encoding="utf-8") + change, encoding="utf-8")
        done = subprocess.run([command, *line.split(), *files, bad], cwd=ROOT, capture_output=True)
        assert done.returncode == code, done.stdout.decode()


def test_nightly_names_targets_that_exist():
    parts = re.search(r"^NIGHTLY := (.*)$", MAKEFILE, re.MULTILINE)[1].split()
    assert set(parts) <= TARGETS


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize(("system", "python"), [("Windows_NT", "Scripts"), ("", "bin")])
def test_the_environment_is_where_each_system_puts_it(tmp_path, system, python):
    command = ["make", "-n", "--no-print-directory", "test-chapters", "CHAPTERS=02 07"]
    command += [f"VENV={tmp_path}", f"OS={system}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"{tmp_path}/{python}/python -m pip install" in done.stdout
    assert done.stdout.rstrip().endswith("02 07")
