"""Files that a script in assets/ writes are those that the script writes today."""

import subprocess
import sys
import xml.etree.ElementTree as ET

import bibtexparser
import pytest

from dlseg.book.manifest import find_root
from tests.processes import PATIENCE
from tests.sampling import sampled

ROOT = find_root()
SPACE = "{http://www.w3.org/2000/svg}"
MADE = {
    "make_atrous_animation.py": "assets/atrous.svg",
    "make_paper_tables.py": "chapters/A-paper-tables.md",
    "make_references.py": "chapters/references.md",
    "make_verdicts.py": "chapters/A-verdicts.md",
}


@pytest.mark.parametrize(("script", "made"), MADE.items())
def test_committed_file_is_current(script, made, tmp_path):
    fresh = tmp_path / "fresh"
    subprocess.run([sys.executable, ROOT / "assets" / script, fresh], check=True, timeout=PATIENCE)
    assert fresh.read_bytes() == (ROOT / made).read_bytes(), f"run: python assets/{script}"


def test_animation_is_small_says_what_it_shows_and_can_stand_still():
    file = ROOT / "assets/atrous.svg"
    assert file.stat().st_size < 60_000
    drawing = ET.parse(file).getroot()
    assert "3x3 kernel at rate 2" in drawing.findtext(f"{SPACE}title")
    assert "5 by 5" in drawing.findtext(f"{SPACE}desc")
    assert "prefers-reduced-motion" in drawing.findtext(f"{SPACE}style")
    assert not drawing.findall(f".//{SPACE}script")


def test_animation_marks_nine_taps_and_writes_25_pixels():
    drawing = ET.parse(ROOT / "assets/atrous.svg").getroot()
    moving = drawing.find(f"{SPACE}g[@class='move']")
    assert len(moving.findall(f"{SPACE}circle")) == 9
    written = [g for g in drawing.iter(f"{SPACE}g") if "write" in g.get("class")]
    assert len(written) == 25


def test_every_reference_says_who_what_where_when_and_leads_there():
    with (ROOT / "chapters/references.bib").open(encoding="utf-8") as stream:
        entries = bibtexparser.load(stream).entries
    page = (ROOT / "chapters/references.md").read_text(encoding="utf-8")
    assert entries
    for entry in entries:
        assert {"author", "title", "year"} <= set(entry), entry["ID"]
        assert {"doi", "eprint"} & set(entry), entry["ID"]
        assert f"## {entry['ID']}\n" in page


EXPERIMENTS = (
    "experiments/run.py --list",
    "experiments/tune.py --help",
    "experiments/first_networks.py -h",
)


@pytest.mark.parametrize("command", sampled(EXPERIMENTS, 1))
def test_an_experiment_starts_from_anywhere(command, tmp_path):
    script, option = command.split()
    done = subprocess.run(
        [sys.executable, ROOT / "assets" / script, option],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
