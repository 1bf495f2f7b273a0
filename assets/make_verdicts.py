"""Write chapters/A-verdicts.md: every claim that was tried, and what came of it.

python assets/make_verdicts.py [FILE]    reads assets/claims.toml and assets/results/experiments
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "chapters"))  # for what chapters share

from dlseg.book import read_book
from support.verdicts import RULE, SEEDS, Judged, families, judge

ROOT = Path(__file__).parents[1]
PAGE = "chapters/A-verdicts.md"
NOTE = "<!-- Written by assets/make_verdicts.py of assets/claims.toml and the results. -->"
INTRODUCTION = """\
Every claim that this book tried by training networks with several seeds. A difference is that of
the two arms which the claim names, seed by seed: its median, smallest and largest value. *Chance*
is that of so many seeds by luck alone, and *corrected* the same in the family of its chapter."""
HEAD = "| claim | experiment | measure | difference | seeds | chance | corrected | verdict |"


def row(one: Judged) -> str:
    """One line of a table."""
    claim, seeds = one.claim, len(one.paired.differences)
    chances = [f"{one.chance:.3f}", f"{one.corrected:.3f}"] if seeds >= SEEDS else ["-", "-"]
    agree = f"{one.paired.agree} of {seeds}"
    verdict = one.verdict if seeds >= SEEDS else "-"
    cells = [claim, claim.experiment, f"`{claim.measure}`", one.paired.spread, agree]
    return f"| {' | '.join(map(str, [*cells, *chances, verdict]))} |"


def table(chapter: str) -> str:
    """All claims of a chapter."""
    return "\n".join([HEAD, "| --- " * 8 + "|", *map(row, judge(chapter))])


def costs() -> str:
    """How many networks were trained, and how long; one that several experiments look at is one."""
    seconds = {}
    for path in sorted((ROOT / "assets/results/experiments").glob("*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        for run in content["runs"]:
            name = content["arms"][run["arm"]].get("network", (path.stem, run["arm"]))
            seconds[name, run["seed"]] = run["seconds"]
    trained = [one for one in seconds.values() if one]  # a view of a network took none
    return (
        f"{len(trained)} networks were trained, in {sum(trained) / 3600:.1f} hours of one core; "
        "the backbones that some of them begin with come on top. The files of results name seeds, "
        "versions, recipes and the SHA-256 of all pictures; `make experiments` makes them again."
    )


def page() -> str:
    """The whole page in Markdown."""
    titles = {one.number: one for one in read_book(ROOT).chapters if one.path}
    parts = ["# What came out", NOTE, INTRODUCTION, RULE, costs()]
    for chapter in families():
        there = titles[chapter]
        parts += [f"## Chapter {chapter}", f"[{there.title}]({there.path.name})", table(chapter)]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / PAGE
    target.write_text(page(), encoding="utf-8")
