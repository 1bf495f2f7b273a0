"""Write chapters/A-paper-tables.md from assets/paper_tables.toml, one heading per table.

    python assets/make_paper_tables.py [FILE]

A page links to a table with [words](A-paper-tables.md#DeepLab-v3,-Table-5).
"""

import sys
import tomllib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "chapters"))  # for what chapters share

from support.tables import FILE, paper_table

ROOT = Path(__file__).parents[1]
PAGE = "chapters/A-paper-tables.md"
NOTE = "<!-- Written by assets/make_paper_tables.py: change assets/paper_tables.toml instead. -->"
PAPERS = {
    "v1": ("DeepLab v1", "chen2015deeplabv1"),
    "v2": ("DeepLab v2", "chen2018deeplabv2"),
    "v3": ("DeepLab v3", "chen2017deeplabv3"),
    "v3plus": ("DeepLab v3+", "chen2018deeplabv3plus"),
    "mobilenetv2": ("MobileNetV2", "sandler2018mobilenetv2"),
}
INTRODUCTION = """\
The tables of the DeepLab papers that this book uses: the papers' numbers, our words. mIoU is in per
cent, on Pascal VOC 2012 val unless a line says otherwise; `-` stands where a paper leaves a blank.
In a notebook, `support.tables.paper_table("v3", "5")` gives a table as data."""


def page(file: Path) -> str:
    """The whole page in Markdown. file: paper_tables.toml."""
    papers = tomllib.loads(file.read_text(encoding="utf-8"))
    parts = ["# The papers' tables", NOTE, INTRODUCTION]
    for paper, tables in papers.items():
        name, key = PAPERS[paper]
        parts.append(f"## Tables of {name}")
        parts.append(f"Source: [{name}](references.md#{key}).")
        for number in tables:
            table = paper_table(paper, number.removeprefix("table"), file)
            grid = table.markdown().partition("\n\n")[0]
            parts += [f"### {table.source}", f"*{table.caption}*", grid]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / PAGE
    target.write_text(page(ROOT / FILE), encoding="utf-8")
