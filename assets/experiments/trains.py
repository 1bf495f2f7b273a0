"""Train every head of `support.trains` with ten seeds: accuracy against distance.

python assets/experiments/trains.py [--processes 2]    goes on where it was

Writes assets/results/experiments/trains.json: for each head what it can see makes of the accuracy,
computed from the network before it is trained, and what was measured after, seed by seed. Beside
it, in assets/results/trains, the maps of some test scenes by the first seed.
"""

import sys
import time
from dataclasses import asdict
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "chapters"))  # for what chapters share

import numpy as np
import torch
from measuring import rounded
from seeds import SEEDS, digest, fill
from storage import FOLDER

from dlseg.data import Trains, write_label
from dlseg.training import train
from support.distances import (
    SHOWN,
    Shares,
    fields,
    logits,
    map_path,
    measured,
    predicted,
    test_scenes,
)
from support.trains import ARMS, recipe

TRAIN, TEST = (3000, "train"), (1000, "test")


@cache
def pool(part: tuple[int, str]) -> Trains:
    """The scenes of TRAIN or TEST, drawn once and kept in memory."""
    data = Trains(*part)
    data.pool()
    return data


def run(job: tuple[str, int]) -> list[dict]:
    """Train one head with one seed and measure it."""
    arm, seed = job
    torch.manual_seed(seed)
    network, began = ARMS[arm](), time.process_time()
    train(network, pool(TRAIN), recipe(seed))
    seconds = time.process_time() - began
    shares, mean_iou = measured(network, test_scenes(TEST[0]))
    if seed == SEEDS[0]:
        shown = logits(network, [test_scenes()[index] for index in SHOWN])
        found = np.concatenate([scores.argmax(0) for _, scores in shown], 1)  # (129, 258)
        write_label(map_path(arm), found.astype(np.uint8), Trains.palette)
    return [
        {
            "arm": arm,
            "seed": seed,
            "mean_iou": rounded(mean_iou),
            **in_file(shares),
            "parameters": sum(one.numel() for one in network.parameters()),
            "seconds": round(seconds, 1),
        }
    ]


def in_file(shares: dict[str, Shares]) -> dict:
    """Accuracies as a file of results holds them: "train_accuracy/24-31", "house_all"."""
    both = {f"{kind}_accuracy": rounded(one.by_distance()) for kind, one in shares.items()}
    return both | {f"{kind}_all": rounded(one.mean) for kind, one in shares.items()}


def predict(arm: str) -> dict:
    """What the head can see makes of the accuracy."""
    return in_file(predicted(fields(ARMS[arm]()), test_scenes(TEST[0])))


def main() -> None:
    far = np.concatenate([one.engine_distance[one.train > 0] for one in test_scenes(TEST[0])])
    content = {
        "source": "a unit tells what it sees: v1, section 4.3; v2, table 3; v3, tables 3 and 5",
        "recipe": asdict(recipe(0)),
        "train": pool(TRAIN).header() | {"sha256": digest(pool(TRAIN).pool())},
        "test": pool(TEST).header() | {"sha256": digest(pool(TEST).pool())},
        "pixels": np.histogram(far[~np.isnan(far)], 15, (0, 120))[0].tolist(),
    }
    fill(FOLDER / "trains.json", content, list(ARMS), run, predict)


if __name__ == "__main__":
    main()
