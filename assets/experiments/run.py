"""Train and measure the experiments: python assets/experiments/run.py [NAME ...] [--seeds N]

Each experiment has a file in assets/results/experiments, which is written after every run (one arm
with one seed). Whatever is there already, made by the same layers, recipe and data, is not done
again: stop the command at any time and give it again. Trained networks are kept in
build/experiments, because several experiments look at the same one. All seeds 0 come first, then
all seeds 1, and so on.

    python assets/experiments/run.py --list          what there is and what is missing
    python assets/experiments/run.py v3-pooling      one experiment
"""

import argparse
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "chapters"))  # for what chapters share

import numpy as np
import torch
from definitions import CRF, EXPERIMENTS, Arm, Experiment
from kernels import RANGES, kernels_for
from measuring import VERSION, VIEWS, WithCRF, measure
from seeds import digest
from storage import FOLDER, read_json, write_json
from torch import nn
from tqdm import tqdm
from training import TEST, TRAIN, fingerprint, scenes, trained

from dlseg.device import setup
from support.networks import NETWORKS


@dataclass(frozen=True)
class Job:
    """One run: an arm of an experiment with one seed; made_of says whether a result is current."""

    experiment: Experiment
    label: str
    seed: int
    made_of: str

    @property
    def arm(self) -> Arm:
        """The network and the view."""
        return self.experiment.arms[self.label]


def jobs(experiments: Sequence[Experiment], seeds: int | None, data, test) -> Iterator[Job]:
    """All runs of the experiments: seed by seed, so that each has something early.

    seeds: how many, instead of each experiment's own.
    """
    for seed in range(seeds or max(one.seeds for one in experiments)):
        for experiment in experiments:
            if seed >= (seeds or experiment.seeds):
                continue
            for label, arm in experiment.arms.items():
                network = NETWORKS[arm.network]
                more = (test.header(), arm.view, VERSION, RANGES if arm.view == CRF else None)
                made_of = fingerprint(network, network.recipe(seed), data, *more)
                yield Job(experiment, label, seed, made_of)


def is_done(job: Job) -> bool:
    """Whether the file of results has this run, made of the same things."""
    runs = read_json(path_of(job.experiment)).get("runs", [])
    return any(_key(run) == (job.label, job.seed, job.made_of) for run in runs)


def path_of(experiment: Experiment):
    """The file of its results."""
    return FOLDER / f"{experiment.name}.json"


def do(job: Job, data, test, device: torch.device) -> dict:
    """Train the arm's network, or take the kept one, and measure it."""
    began = time.perf_counter()
    network, seconds = trained(job.arm.network, job.seed, data, device)
    seen = view(job.arm, network, device)
    cost_of = network if job.arm.view == CRF else seen  # the CRF is no convolution
    measured = measure(seen, test, cost_of)
    return {
        "arm": job.label,
        "seed": job.seed,
        "made_of": job.made_of,
        **measured,
        "seconds": round(seconds, 1),
        "minutes": round((time.perf_counter() - began) / 60, 2),
        "made_on": f"torch {torch.__version__}, numpy {np.__version__}, {platform.machine()}, "
        f"{torch.get_num_threads()} threads, {device.type}",
    }


def view(arm: Arm, network: nn.Module, device: torch.device) -> nn.Module:
    """The trained network as the arm looks at it."""
    if arm.view == CRF:
        return WithCRF(network, kernels_for(arm.network, device)).to(device)
    return VIEWS[arm.view](network)


def keep(job: Job, run: dict, data, test) -> None:
    """Write a run into the file of its experiment, in the place of an older one."""
    there = read_json(path_of(job.experiment)).get("runs", [])
    runs = [one for one in there if (one["arm"], one["seed"]) != (job.label, job.seed)]
    write(job.experiment, [*runs, run], data, test)


def write(experiment: Experiment, runs: list[dict], data, test) -> None:
    """The file of an experiment."""
    runs = sorted(runs, key=lambda one: (one["seed"], _place(experiment, one["arm"])))
    minutes = {"minutes": round(sum(one["minutes"] for one in runs), 1)}
    content = describe(experiment, data, test) | minutes | {"runs": runs}
    write_json(path_of(experiment), content)


def describe(experiment: Experiment, data, test) -> dict:
    """All of a file of results but the runs."""
    arms = {}
    for label, arm in experiment.arms.items():
        network = NETWORKS[arm.network]
        recipe = asdict(network.recipe(0))
        del recipe["seed"]  # that of the run
        arms[label] = {"network": arm.network, "view": arm.view, "recipe": recipe}
    return {
        "command": f"python assets/experiments/run.py {experiment.name}",
        "source": experiment.source,
        "train": data.header() | {"sha256": digest(data.pool())},
        "test": test.header() | {"sha256": digest(test.pool())},
        "units": "seconds of the processor for the training; minutes by the clock",
        "arms": arms,
    }


def main() -> None:
    """Read the arguments, do what is missing."""
    names = [experiment.name for experiment in EXPERIMENTS]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", nargs="*", help=f"all, if none: {', '.join(names)}")
    parser.add_argument("--seeds", type=int, help="instead of each experiment's own number")
    parser.add_argument("--list", action="store_true", help="say what is missing, train nothing")
    arguments = parser.parse_args()
    if unknown := set(arguments.name) - set(names):
        parser.error(f"no experiment is called {', '.join(unknown)}; there are {', '.join(names)}")
    device, data, test = setup(), scenes(TRAIN), scenes(TEST)
    chosen = [one for one in EXPERIMENTS if one.name in (arguments.name or names)]
    todo = list(jobs(chosen, arguments.seeds, data, test))
    missing = [job for job in todo if not is_done(job)]
    if arguments.list:
        print_list(chosen, todo, missing)
        return
    for job in tqdm(missing, desc="runs", disable=None):
        run = do(job, data, test, device)
        keep(job, run, data, test)
        name = f"{job.experiment.name}, {job.label}, seed {job.seed}"
        tqdm.write(f"{name}: mean IoU {run['mean_iou']:.3f}, {run['minutes']} min")
        sys.stdout.flush()  # for a log
    for experiment in chosen:  # what is said of the runs may have changed where they have not
        write(experiment, read_json(path_of(experiment)).get("runs", []), data, test)


def print_list(chosen: Sequence[Experiment], todo: Sequence[Job], missing: Sequence[Job]) -> None:
    """How much of each experiment is done."""
    for experiment in chosen:
        total, left = (
            sum(job.experiment is experiment for job in some) for some in (todo, missing)
        )
        print(f"{experiment.name:24} {total - left:3} of {total:3} runs   {experiment.source}")


def _key(run: dict) -> tuple:
    return run["arm"], run["seed"], run["made_of"]


def _place(experiment: Experiment, label: str) -> int:
    """The number of an arm; those that are no longer there last."""
    return list(experiment.arms).index(label) if label in experiment.arms else len(experiment.arms)


if __name__ == "__main__":
    main()
