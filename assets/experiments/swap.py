"""Do holes still matter? Seven ways to gather context on one backbone, at about equal work.

python assets/experiments/swap.py [--processes 2]                   on trains, with ten seeds
python assets/experiments/swap.py --streets [DIR] [--processes 2]   on CamVid, with five

Goes on where it was. Writes swap.json or swap_streets.json in assets/results/experiments: what
`trains.py` and `streets.py` measure there, and what each network costs. DIR: a folder of CamVid,
that of `dlseg fetch camvid` if none is given. The ways are in `support.after_deeplab.swap`.
"""

import argparse
import sys
import time
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "chapters"))  # for what chapters share

import streets
import torch
import trains
from measuring import rounded
from seeds import digest, fill
from storage import FOLDER
from torch import nn

from dlseg.fetch import data_folder
from dlseg.inference import label_image
from dlseg.models import released_weights
from dlseg.training import Recipe, take_fitting, train
from support.after_deeplab.swap import (
    CONTEXTS,
    SwapNetwork,
    kept_bytes,
    multiply_adds,
    street_network,
    train_network,
)
from support.distances import SIDE, fields, measured, predicted, test_scenes
from support.trains import recipe

OUT, STREETS_OUT = FOLDER / "swap.json", FOLDER / "swap_streets.json"
FRAME = (180, 240)  # pixels of a street, down and across
TIMED = 20  # pictures whose labelling is timed


def costs(make: partial, size: tuple[int, int]) -> dict:
    """Parameters, multiply-adds and bytes that training keeps, of one picture."""
    with torch.device("meta"):
        network = make()
        return {
            "parameters": sum(one.numel() for one in network.parameters()),
            "multiply_adds": multiply_adds(network, size),
            "kept_bytes": kept_bytes(make(), size),
        }


def seconds_per_image(network: nn.Module, size: tuple[int, int]) -> float:
    """Seconds of the processor to label one picture, batch 1; the best of TIMED."""
    x, found = torch.zeros(1, 3, *size), []
    with torch.inference_mode():
        for _ in range(TIMED):
            began = time.process_time()
            network(x)
            found.append(time.process_time() - began)
    return rounded(min(found))


def trained(network: SwapNetwork, pictures, how: Recipe) -> float:
    """Train in place; returns the seconds of the processor."""
    began = time.process_time()
    train(network, pictures, how)
    return round(time.process_time() - began, 1)


def run_trains(job: tuple[str, int], how: Recipe | None = None) -> list[dict]:
    """Train one way with one seed on trains, and measure it. how: of a trial, else `recipe`."""
    arm, seed = job
    torch.manual_seed(seed)
    network = train_network(arm)
    seconds = trained(network, trains.pool(trains.TRAIN), how or recipe(seed))
    shares, mean_iou = measured(network, test_scenes(trains.TEST[0]))
    found = {"mean_iou": rounded(mean_iou), **trains.in_file(shares)}
    return [_row(arm, seed, found, partial(train_network, arm), (SIDE, SIDE), network, seconds)]


def predict_trains(arm: str) -> dict:
    """What the way can see makes of the accuracy, before it is trained."""
    network = train_network(arm)
    return trains.in_file(predicted(fields(network), test_scenes(trains.TEST[0])))


def run_streets(folder: Path, job: tuple[str, int], how: Recipe | None = None) -> list[dict]:
    """Train one way with one seed on streets, behind a frozen backbone, and measure it."""
    arm, seed = job
    learn, test = streets.Streets(folder, "train"), streets.Streets(folder, "val")
    torch.manual_seed(seed)
    network = street_network(arm, learn.num_classes)
    weights = released_weights(streets.RELEASED)
    ours = {name: one for name, one in weights.items() if name.startswith("backbone.")}
    take_fitting(network, ours, "the released network")
    seconds = trained(network, learn, how or replace(streets.RECIPE, seed=seed))
    found = streets.measure(partial(label_image, network.eval()), test)
    make = partial(street_network, arm, learn.num_classes)
    return [_row(arm, seed, found, make, FRAME, network, seconds)]


def _row(arm, seed, found: dict, make: partial, size, network, seconds: float) -> dict:
    """One entry of a file of results."""
    timed = {"seconds": seconds, "seconds_per_image": seconds_per_image(network, size)}
    return {"arm": arm, "seed": seed, **found, **costs(make, size), **timed}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streets", nargs="?", const="", help="CamVid instead of trains")
    parser.add_argument("--processes", type=int, default=1)
    arguments = parser.parse_args()
    source = "which of seven ways to gather context sees farthest, at equal multiply-adds"
    if arguments.streets is None:
        both = {"train": trains.TRAIN, "test": trains.TEST}
        pools = {name: trains.pool(part) for name, part in both.items()}
        content = {"source": source, "recipe": asdict(recipe(0))}
        content |= {
            name: pool.header() | {"sha256": digest(pool.pool())} for name, pool in pools.items()
        }
        fill(
            OUT,
            content,
            list(CONTEXTS),
            run_trains,
            predict_trains,
            processes=arguments.processes,
        )
        return
    folder = Path(arguments.streets or data_folder("camvid")).absolute()
    if not folder.is_dir():
        print(f"There is no CamVid in {folder} (dlseg fetch camvid): nothing is done.")
        return
    content = {"source": source, "command": "python assets/experiments/swap.py --streets"}
    content |= {"recipe": asdict(streets.RECIPE)}
    content |= {"train": streets.about(folder, "train"), "test": streets.about(folder, "val")}
    work = partial(run_streets, folder)
    options = {"seeds": streets.SEEDS, "processes": arguments.processes}
    fill(STREETS_OUT, content, list(CONTEXTS), work, **options)


if __name__ == "__main__":
    main()
