"""Find the learning rate of each family of networks: python assets/experiments/tune.py [FAMILY ...]

The first network of the family is trained with each rate as the experiments train it, on a seed
that they do not use, and measured on the validation scenes. What was found is written to
assets/results/learning_rates.json after every run; what is there is not done again. Where the best
rate is the lowest or the highest tried, go on with --rates.
The best rates are copied to LEARNING_RATES in chapters/support/networks.py by hand; a test compares
them.
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "chapters"))  # for what chapters share

import torch
from storage import FOLDER, read_json, write_json
from tqdm import tqdm
from training import TRAIN, VALIDATION, scenes, trained

from dlseg.device import setup
from dlseg.training import evaluate
from support.networks import LEARNING_RATES

RATES = (0.001, 0.002, 0.004, 0.008)
SEED = 1000
FILE = FOLDER.parent / "learning_rates.json"


def main() -> None:
    """Read the arguments, try what is missing, write it down."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("family", nargs="*", default=list(LEARNING_RATES), help="all, if none")
    parser.add_argument("--rates", type=float, nargs="+", default=RATES)
    arguments = parser.parse_args()
    device, data, validation = setup(), scenes(TRAIN), scenes(VALIDATION)
    jobs = [(family, rate) for rate in arguments.rates for family in arguments.family]
    for family, rate in tqdm(jobs, desc="learning rates", disable=None):
        if str(rate) in read_json(FILE).get("mean_iou", {}).get(family, {}):
            continue
        began = time.perf_counter()
        value = attempt(family, rate, data, validation, device)
        keep(family, rate, value, (time.perf_counter() - began) / 60)
        tqdm.write(f"{family} {rate}: {value}")
        sys.stdout.flush()  # for a log


def attempt(family: str, rate: float, data, validation, device) -> float | None:
    """Mean IoU on the validation scenes with that rate; None where the training diverges."""
    try:
        model, _ = trained(family, SEED, data, device, learning_rate=rate)
    except FloatingPointError:
        return None
    return round(evaluate(model, validation, device).mean_iou(), 4)


def keep(family: str, rate: float, value: float | None, minutes: float) -> None:
    """Write one value into the file."""
    found = read_json(FILE)
    table = found.get("mean_iou", {})
    table.setdefault(family, {})[str(rate)] = value
    content = {
        "command": "python assets/experiments/tune.py",
        "seed": SEED,
        "scenes": VALIDATION[0],
        "versions": {"torch": torch.__version__},
        "minutes": round(found.get("minutes", 0) + minutes, 1),
        "mean_iou": table,
    }
    write_json(FILE, content)


if __name__ == "__main__":
    main()
