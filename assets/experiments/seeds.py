"""Arms trained with many seeds, in several processes, each run kept as soon as it is done."""

import argparse
import hashlib
import json
import multiprocessing
import platform
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from storage import read_json, write_json
from tqdm import tqdm

SEEDS = range(1, 11)  # seed 0 and the pictures of "val" served to find the recipes
MADE_OF = ("recipe", "train", "test")  # what a kept run must share with a new one

Run = Callable[[tuple[str, int]], list[dict]]


def digest(arrays: Iterable[np.ndarray]) -> str:
    """SHA-256 of the numbers of some arrays, one behind the other."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(array.tobytes())
    return found.hexdigest()


def fill(
    path: Path,
    about: dict,
    arms: Sequence[str],
    run: Run,
    predict: Callable[[str], dict] | None = None,
    views: Sequence[str] = (),
    seeds: Sequence[int] = SEEDS,
    processes: int | None = None,
) -> None:
    """Do what the file of results lacks; with how many processes, the command line says if None.

    about: what is particular to the file: "source", those of MADE_OF, and "command" where it is not
    a script of the file's name. run: takes (arm, seed), gives what was measured of the arm, and of
    those of `views` that it made of it. predict: takes an arm, gives what is known before a
    training. Both are functions of a module, called in other processes with one thread each.
    """
    before, content = read_json(path), json.loads(json.dumps(about))  # tuples are lists there
    del content["recipe"]["seed"]  # that of the run
    content.setdefault("command", f"python assets/experiments/{path.stem}.py")
    content |= {"units": "seconds of the processor for the training"}
    if any(before.get(key) != content[key] for key in MADE_OF):
        before = {}
    names = [*arms, *views]
    runs = [one for one in before.get("runs", []) if one["arm"] in names]
    done = {(one["arm"], one["seed"]) for one in runs}
    jobs = [(arm, seed) for seed in seeds for arm in arms if (arm, seed) not in done]
    ahead = {arm: one for arm, one in before.get("predicted", {}).items() if arm in arms}
    missing = [arm for arm in arms if predict and arm not in ahead]
    content |= {"arms": {name: {} for name in names}}
    content |= {"versions": {"torch": torch.__version__, "numpy": np.__version__}}
    content |= {"machine": f"{platform.machine()}, 1 thread"}
    with multiprocessing.get_context("spawn").Pool(
        processes or asked(), torch.set_num_threads, (1,)
    ) as pool:
        ahead |= zip(missing, pool.imap(predict, missing), strict=True)
        content |= {"predicted": ahead} if predict else {}
        for found in tqdm(pool.imap_unordered(run, jobs), total=len(jobs), disable=None):
            runs += found
            write_json(path, content | _together(runs, names))
    write_json(path, content | _together(runs, names))


def asked() -> int:
    """How many processes the command line asks for."""
    parser = argparse.ArgumentParser(description="Train all arms with all seeds.")
    parser.add_argument("--processes", type=int, default=1)
    return parser.parse_args().processes


def _together(runs: list[dict], names: Sequence[str]) -> dict:
    """The runs, sorted, and the minutes that they took."""
    minutes = round(sum(one["seconds"] for one in runs) / 60, 1)
    order = {name: place for place, name in enumerate(names)}
    return {
        "minutes": minutes,
        "runs": sorted(runs, key=lambda one: (one["seed"], order[one["arm"]])),
    }
