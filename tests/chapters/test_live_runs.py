"""What chapters train on their pages, repeated: the cells that are run, and the file they print."""

import json
import sys

import pytest

from dlseg.book.manifest import find_root
from support import results as experiments

sys.path.insert(0, str(find_root() / "assets"))
import live_runs


@pytest.mark.parametrize("chapter", live_runs.SECTIONS)
def test_the_section_has_one_seed_and_a_training(chapter):
    first, last, _ = live_runs.SECTIONS[chapter]
    imports, section = live_runs.code_of(chapter, first, last)
    assert len(imports) == 1 and "from dlseg import" in imports[0]
    code = "\n".join(section)
    assert code.count("torch.manual_seed(0)") == 1 and "train(" in code


def test_another_seed_is_another_training(monkeypatch):
    cells = [
        "import torch\nRecipe = dict",
        "torch.manual_seed(0)\noutcomes = torch.rand(1).item(), Recipe(iterations=3)",
    ]
    monkeypatch.setattr(live_runs, "code_of", lambda *section: (cells[:1], cells[1:]))
    toy = ("## first", "## last", lambda names: dict(zip("ab", names["outcomes"], strict=True)))
    monkeypatch.setitem(live_runs.SECTIONS, "toy", toy)
    one, other = live_runs.repeat("toy", 1), live_runs.repeat("toy", 2)
    assert one["a"] != other["a"] and other["b"] == {"seed": 2, "iterations": 3}
    assert live_runs.repeat("toy", 1) == one


def test_the_file_has_all_seeds():
    content = json.loads((find_root() / experiments.LIVE).read_text(encoding="utf-8"))
    for chapter in live_runs.SECTIONS:
        assert {len(values) for values in content[chapter].values()} == {live_runs.SEEDS}
        for name, values in experiments.live_runs(chapter).items():
            assert 0 < values.low <= values.median <= values.high < 1, name
