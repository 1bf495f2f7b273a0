"""Train stacks of three layers on bars with ten seeds: what gridding costs a trained network.

python assets/experiments/bars.py [--processes 2]    goes on where it was

Writes assets/results/experiments/bars.json.
"""

import sys
import time
from dataclasses import asdict
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "chapters"))  # for what chapters share

import torch
from measuring import rounded
from seeds import digest, fill
from storage import FOLDER

from dlseg.training import train
from support import bars

ARMS = {f"rates {', '.join(map(str, rates))}": rates for rates in bars.STACKS}
TRAIN, TEST = (1500, "train"), (200, "test")


@cache
def pictures(part: tuple[int, str]) -> bars.Bars:
    """The pictures of TRAIN or TEST."""
    return bars.Bars(*part)


def predict(arm: str) -> dict:
    """What the rates say."""
    return {"accuracy": bars.predicted(ARMS[arm])}


def run(job: tuple[str, int]) -> list[dict]:
    """Train one stack with one seed and measure it."""
    arm, seed = job
    torch.manual_seed(seed)
    network, began = bars.stack(ARMS[arm]), time.process_time()
    train(network, pictures(TRAIN), bars.recipe(seed))
    seconds = round(time.process_time() - began, 1)
    accuracy = rounded(bars.measured(network, pictures(TEST)))
    return [{"arm": arm, "seed": seed, "accuracy": accuracy, "seconds": seconds}]


def about(part: tuple[int, str]) -> dict:
    """Which pictures, and the SHA-256 of their pixels and labels."""
    arrays = (array for pair in pictures(part) for array in pair)
    return {"count": part[0], "split": part[1], "sha256": digest(arrays)}


def main() -> None:
    content = {
        "source": "Wang et al. 2018, section 3.2: pixels that no path reaches",
        "recipe": asdict(bars.recipe(0)),
        "train": about(TRAIN),
        "test": about(TEST),
    }
    fill(FOLDER / "bars.json", content, list(ARMS), run, predict)


if __name__ == "__main__":
    main()
