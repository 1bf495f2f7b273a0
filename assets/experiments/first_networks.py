"""Train the two networks of chapter 01 with five seeds: python assets/experiments/first_networks.py

Writes assets/results/first_networks.json, which the chapter reads.
"""

import argparse
import json
import platform
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "chapters"))  # for what chapters share

import numpy as np
import torch
from tqdm import tqdm

from dlseg.data import Scenes, found_by_radius, letter_accuracy
from dlseg.metrics import ConfusionMatrix, TrimapCurve
from dlseg.training import train
from support.first_networks import RECIPES, coarse_network, predict_all, sharp_network

RADII, DISTANCES, WIDTHS = [3, 6, 12, 31], [0, 8, 14, 20, 30, 50, 120], [1, 2, 4, 8, 16]
NETWORKS = {"coarse": coarse_network, "sharp": sharp_network}


def measure(network: torch.nn.Module, test: Scenes) -> dict:
    """Everything that the chapter says about a trained network."""
    predictions, scenes = predict_all(network, test), [test.scene(i) for i in range(len(test))]
    labels = test.pool()[1]
    matrix = ConfusionMatrix(test.num_classes)
    matrix.update(labels, predictions)
    trimap = TrimapCurve(WIDTHS, test.num_classes, source="labels")
    trimap.update(labels, predictions)
    return {
        "mean_iou": matrix.mean_iou(),
        "pixel_accuracy": matrix.pixel_accuracy(),
        "iou": matrix.iou().tolist(),
        "found_by_radius": found_by_radius(scenes, predictions, RADII).tolist(),
        "letter_accuracy": letter_accuracy(scenes, predictions, DISTANCES).tolist(),
        "trimap_accuracy": list(trimap.pixel_accuracy().values()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("assets/results/first_networks.json"))
    arguments = parser.parse_args()
    training, test = Scenes(1000), Scenes(200, "test")
    training.pool()
    runs = []
    began = time.perf_counter()
    jobs = [(name, seed) for name in NETWORKS for seed in range(arguments.seeds)]
    for name, seed in tqdm(jobs, desc="networks", disable=None):
        torch.manual_seed(seed)
        network = NETWORKS[name]()
        train(network, training, RECIPES[name])
        runs.append({"network": name, "seed": seed, **measure(network, test)})
    result = {
        "script": "assets/experiments/first_networks.py",
        "versions": {"torch": torch.__version__, "numpy": np.__version__},
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
        "minutes": round((time.perf_counter() - began) / 60, 1),
        "radii": RADII,
        "distances": DISTANCES,
        "widths": WIDTHS,
        "runs": runs,
    }
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
