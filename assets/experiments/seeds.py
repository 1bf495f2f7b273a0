"""Arms trained with many seeds, in several processes, each run kept as soon as it is done."""

import argparse
import json
import multiprocessing
import platform
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from storage import read_json, write_json
from tqdm import tqdm

SEEDS = range(1, 11)  # seed 0 and the pictures of "val" served to find the recipes
MADE_OF = ("recipe", "train", "test")  # what a kept run must share with a new one

Run = Callable[[tuple[str, int]], dict]


def fill(path: Path, arms: Sequence[str], about: dict, predict: Callable[[str], dict], run: Run):
    """Do what the file of results lacks, by the arguments of the command line.

    about: what is particular to the file: "source", and those of MADE_OF. predict: takes an arm,
    gives what is known before a training; run: takes (arm, seed), gives what was measured. Both are
    functions of a module, called in other processes with one thread each.
    """
    parser = argparse.ArgumentParser(description="Train the arms with ten seeds.")
    parser.add_argument("--processes", type=int, default=1)
    processes = parser.parse_args().processes
    before, content = read_json(path), json.loads(json.dumps(about))  # tuples are lists there
    del content["recipe"]["seed"]  # that of the run
    content |= {"command": f"python assets/experiments/{path.stem}.py", "comparisons": []}
    content |= {
        "units": "seconds of the processor for the training",
        "arms": {arm: {} for arm in arms},
    }
    if any(before.get(key) != content[key] for key in MADE_OF):
        before = {}
    runs = [one for one in before.get("runs", []) if one["arm"] in arms]
    done = {(one["arm"], one["seed"]) for one in runs}
    jobs = [(arm, seed) for seed in SEEDS for arm in arms if (arm, seed) not in done]
    ahead = {arm: one for arm, one in before.get("predicted", {}).items() if arm in arms}
    missing = [arm for arm in arms if arm not in ahead]
    with multiprocessing.get_context("spawn").Pool(processes, torch.set_num_threads, (1,)) as pool:
        ahead |= zip(missing, pool.imap(predict, missing), strict=True)
        content |= {"versions": {"torch": torch.__version__, "numpy": np.__version__}}
        content |= {"machine": f"{platform.machine()}, 1 thread", "predicted": ahead}
        for one in tqdm(pool.imap_unordered(run, jobs), total=len(jobs), disable=None):
            runs.append(one)
            write_json(path, content | _together(runs, arms))
    write_json(path, content | _together(runs, arms))


def _together(runs: list[dict], arms: Sequence[str]) -> dict:
    """The runs, sorted, and the minutes that they took."""
    minutes = round(sum(one["seconds"] for one in runs) / 60, 1)
    order = {arm: place for place, arm in enumerate(arms)}
    return {
        "minutes": minutes,
        "runs": sorted(runs, key=lambda one: (one["seed"], order[one["arm"]])),
    }
