"""Train chapter 16's network in several ways, with five seeds: what each step of the walk brings.

python assets/experiments/own_pictures.py    goes on where it was

Writes assets/results/own_pictures/runs.json, and beside it the maps of some test pictures by the
training with seed 0. All arms are scored on the same 60 clean pictures, which none is trained on.
"""

import argparse
import json
import platform
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "chapters"))  # for the chapter's room

import numpy as np
import torch
from tqdm import tqdm

from dlseg.aside import new_file
from dlseg.data import write_label
from dlseg.inference import label_image
from dlseg.training import evaluate, train
from support.your_own_pictures import lost, walk

OUT = Path("assets/results/own_pictures/runs.json")
SEEDS, COUNT = 5, 80
FEWER = 3  # seeds of trainings of all layers, which take five times as long


def run(arm: str, seed: int) -> dict:
    """One training, and its scores on the test pictures."""
    row = walk.ARMS[arm]
    numbers = range(lost.PICTURES - row.get("count", COUNT), lost.PICTURES)
    pictures = lost.Lost(numbers, row.get("labels", "right"))
    model, began = walk.network(seed, row.get("trained", True)), time.perf_counter()
    train(model, pictures, walk.recipe(arm, seed), workers=0)
    seconds = round(time.perf_counter() - began, 1)
    matrix = evaluate(model, lost.Lost(walk.TEST), workers=0)
    if seed == 0:
        for index in walk.SHOWN:
            found = label_image(model, lost.picture(walk.TEST[index])[0])
            write_label(walk.map_path(arm, index), found, lost.PALETTE)
    scores = {"mean_iou": matrix.mean_iou(), "iou": np.asarray(matrix.iou()).tolist()}
    return {"arm": arm, "seed": seed} | scores | {"seconds": seconds}


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    runs = json.loads(OUT.read_text(encoding="utf-8"))["runs"] if OUT.exists() else []
    runs = [one for one in runs if one["arm"] in walk.ARMS]
    done = {(one["arm"], one["seed"]) for one in runs}
    seeds = {arm: SEEDS if "cache_features" not in row else FEWER for arm, row in walk.ARMS.items()}
    wanted = [(arm, seed) for seed in range(SEEDS) for arm in walk.ARMS if seed < seeds[arm]]
    waiting = [one for one in wanted if one not in done]
    for arm, seed in tqdm(waiting, desc="trainings", disable=None):
        runs.append(run(arm, seed))
        content = {
            "script": "assets/experiments/own_pictures.py",
            "versions": {"torch": torch.__version__, "numpy": np.__version__},
            "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
            "runs": runs,
        }
        with new_file(OUT) as file:
            file.write((json.dumps(content, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
