"""What the tests run in processes of its own: one to be killed, and two under torchrun.

python trainer.py kill FOLDER sgd
torchrun --standalone --nproc-per-node=2 trainer.py wait FOLDER
torchrun --standalone --nproc-per-node=2 trainer.py together FILE
"""

import sys
import time
from pathlib import Path

import torch

from dlseg.training import Recipe, evaluate, is_main, process_group, train
from tests.training.toys import Blocks, Net, tiny, weights

KILLED = {
    "sgd": tiny(iterations=24, scale=(0.8, 1.25)),
    "adamw": tiny(iterations=24, scale=(0.8, 1.25), optimiser="adamw", learning_rate=0.003),
}
# Without statistics of a batch, two processes must make the steps of one. Names: norm, loss, maps.
TOGETHER: dict[str, tuple[Net, Recipe]] = {
    "group norm": (Net("group"), tiny(iterations=6, batch_size=8)),
    "frozen batch norm, accumulated": (
        Net("batch", seed=1),
        tiny(iterations=6, batch_size=8, accumulate=2, freeze_batch_norm=True),
    ),
    "shrunk labels of three maps": (
        Net("group", maps=3, seed=2),
        tiny(iterations=6, batch_size=8, loss="shrunk"),
    ),
}


def killed(folder: str, optimiser: str) -> None:
    """Train, and say after each iteration which one it was."""

    def watch(iteration, loss, rate):
        print(iteration, flush=True)

    recipe, options = KILLED[optimiser], {"checkpoint_every": 5, "watch": watch}
    train(Net(dropout=0.5), Blocks(), recipe, folder=folder, **options)


def waiting(folder: str) -> None:
    """Train in a folder together, and stay in the first step."""

    def watch(*_):
        if is_main():
            print("in", flush=True)
        time.sleep(60)

    with process_group(torch.device("cpu")):
        train(Net("group"), Blocks(), tiny(), folder=folder, watch=watch, workers=1)


def together() -> dict[str, tuple]:
    """Weights, losses and confusion matrix of each case, by however many processes there are."""
    results = {}
    for name, (model, recipe) in TOGETHER.items():
        history = train(model, Blocks(), recipe)
        matrix = evaluate(model, Blocks(7), batch_size=2).matrix  # an odd number of pictures
        results[name] = weights(model), torch.tensor(history.losses), matrix
    return results


if __name__ == "__main__":
    if sys.argv[1] == "kill":
        killed(*sys.argv[2:])
    elif sys.argv[1] == "wait":
        waiting(sys.argv[2])
    else:
        with process_group(torch.device("cpu")):
            results = together()
            if is_main():
                torch.save(results, Path(sys.argv[2]))
