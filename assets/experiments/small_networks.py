"""Train the book's own small DeepLab v3+: python assets/experiments/small_networks.py

One on the drawn scenes, one on the trains, as long as it helps: hours. Goes on where it was, in
build/experiments. Writes to assets/results/small_networks, for each, the numbers of its weights as
float16, NAME.npz, and its scores on scenes that it has not seen, with and without rounding.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "chapters"))  # for what chapters share

import platform
from dataclasses import asdict

import numpy as np
import torch
from measuring import rounded
from seeds import digest
from storage import write_json
from training import KEPT, train_kept

from dlseg.aside import new_file
from dlseg.book import find_root
from dlseg.training import evaluate
from support.small_networks import FOLDER, NETWORKS, load, numbers, recipe

OUT = find_root(Path(__file__).parent) / FOLDER


def main() -> None:
    """Train what has no weights yet, and measure it."""
    for name, row in NETWORKS.items():
        if (OUT / f"{name}.npz").exists():
            continue
        torch.manual_seed(0)
        model, learn, test = row.build(), row.data(row.scenes, "train"), row.data(1000, "test")
        learn.pool()
        model, seconds = train_kept(model, recipe(name), learn, "cpu", KEPT / f"small-{name}")
        matrix = evaluate(model, test)
        write_numbers(name, model)
        write_json(
            OUT / f"{name}.json",
            {
                "command": "python assets/experiments/small_networks.py",
                "recipe": asdict(recipe(name)),
                "train": learn.header() | {"sha256": digest(learn.pool())},
                "test": test.header() | {"sha256": digest(test.pool())},
                "versions": {"torch": torch.__version__, "numpy": np.__version__},
                "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
                "hours": round(seconds / 3600, 2),
                "mean_iou": rounded(matrix.mean_iou()),
                "rounded": rounded(evaluate(load(name), test).mean_iou()),
                "iou": dict(zip(test.classes, rounded_all(matrix), strict=True)),
            },
        )


def rounded_all(matrix) -> list:
    """The IoU of every class."""
    return [rounded(one) for one in matrix.iou().tolist()]


def write_numbers(name: str, model: torch.nn.Module) -> None:
    """The file of weights, whole or not at all."""
    with new_file(OUT / f"{name}.npz") as file:
        np.savez_compressed(file, numbers=numbers(model))


if __name__ == "__main__":
    main()
