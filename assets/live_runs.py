"""Repeat with five seeds what chapters 08 and 09 train on the page: python assets/live_runs.py

Runs the chapters' own cells, those that import and those of one section, with other seeds for the
weights and for the order of the scenes. Writes assets/results/live_runs.json, which they print.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "chapters"))  # for what chapters share

import nbformat
import torch
from tqdm import tqdm

from dlseg.aside import new_file
from dlseg.book import find_root
from support.results import LIVE

ROOT = find_root(Path(__file__).parent)
SEEDS = 5


def of_deeplab_v1(names: dict) -> dict[str, float]:
    """Mean IoU of the small DeepLab v1 before and after the CRF."""
    return {name: matrix.mean_iou() for name, matrix in names["counts"].items()}


def of_deeplab_v2(names: dict) -> dict[str, float]:
    """Mean IoU of the small DeepLab v2 before and after three scales were taught."""
    result = {}
    for name, (alone, surest) in names["outcomes"].items():
        result |= {f"{name}: scale 1": alone, f"{name}: maximum": surest}
    return result


# Chapter: from which heading to which, and what to keep.
SECTIONS: dict[str, tuple[str, str, Callable[[dict], dict[str, float]]]] = {
    "08-deeplab-v1": ("## A small DeepLab v1, trained here", "## MSc", of_deeplab_v1),
    "09-deeplab-v2": ("## A small DeepLab v2, trained here", "## The CRF", of_deeplab_v2),
}


def code_of(chapter: str, first: str, last: str) -> tuple[list[str], list[str]]:
    """The cells that import, and those between the headings `first` and `last`."""
    cells = nbformat.read(ROOT / f"chapters/{chapter}.ipynb", as_version=4).cells
    seen, inside, imports, section = False, False, [], []
    for cell in cells:
        if cell.cell_type == "markdown":
            for line in cell.source.splitlines():
                if line.startswith("## "):
                    seen = True
                    inside = line.startswith(first) or (inside and not line.startswith(last))
        elif not seen:
            imports.append(cell.source)
        elif inside:
            section.append(cell.source)
    return imports, section


def repeat(chapter: str, seed: int) -> dict[str, float]:
    """What the section gives with that seed."""
    first, last, result = SECTIONS[chapter]
    imports, section = code_of(chapter, first, last)
    names: dict = {}
    for source in imports:
        exec(source, names)
    for source in section:
        source = source.replace("torch.manual_seed(0)", f"torch.manual_seed({seed})")
        exec(source.replace("Recipe(", f"Recipe(seed={seed}, "), names)
    return result(names)


def main() -> None:
    """Run everything, write the file."""
    found: dict = {"command": "python assets/live_runs.py", "torch": torch.__version__}
    jobs = [(chapter, seed) for chapter in SECTIONS for seed in range(SEEDS)]
    for chapter, seed in tqdm(jobs, disable=None):
        for name, value in repeat(chapter, seed).items():
            found.setdefault(chapter, {}).setdefault(name, []).append(round(value, 4))
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / LIVE
    with new_file(target) as file:
        file.write(f"{json.dumps(found, indent=1)}\n".encode())


if __name__ == "__main__":
    main()
