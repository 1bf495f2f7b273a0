"""What the README promises: its example, its commands, its files."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def test_the_example_gives_the_number_in_its_comment(capsys):
    code = re.search(r"```python\n(.*?)```", README, re.DOTALL)[1]
    exec(code, {})
    assert capsys.readouterr().out.strip() == re.search(r"print\(.*\)  # (\d+)", code)[1]


def test_every_make_target_that_is_named_exists():
    for file in ("README.md", "CONTRIBUTING.md", "chapters/00-contents.ipynb", ".ci/run"):
        text = (ROOT / file).read_text(encoding="utf-8")
        for target in re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE):
            assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE), f"{file}: make {target}"


def test_every_linked_file_exists():
    for file in ("README.md", "CONTRIBUTING.md", "LICENSE-TEXT.md"):
        for link in re.findall(r"\]\(([^)#]+)\)", (ROOT / file).read_text(encoding="utf-8")):
            assert link.startswith("https://") or (ROOT / link).exists(), f"{file}: {link}"


def test_pip_lines_use_extras_that_exist():
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for extra in re.findall(r"-e '\.\[(\w+)\]'", README):
        assert f"\n{extra} = [" in pyproject


def test_the_speed_is_the_measured_one():
    path = ROOT / "assets/results/models.json"
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    ratios = [row["inference"]["prepared"]["ratio"] for row in rows]
    assert f"takes {min(ratios):.2f} to {max(ratios):.2f} of the time" in README
