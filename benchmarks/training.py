"""Speed of the training engine beside a bare PyTorch loop over the same network and pictures.

    python benchmarks/training.py --iterations 200 --repeats 3

The teaching data at 96 px, batches of 8, FCN on a ResNet-18 of a quarter of its width, output
stride 8, on the device of DLSEG_DEVICE. The bare loop is what one would write in a notebook: a
DataLoader, `cross_entropy`, SGD, a schedule; no checkpoint, no checks. Engine and loop run in
turns, each with the same worker processes, so that whatever else the machine does meets both; the
ratio is that of the medians. Then the share of the engine's time in which it waited for pictures.
"""

import argparse
import tempfile
import time
from statistics import median

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset

from dlseg.data import Scenes, to_tensors
from dlseg.device import setup
from dlseg.models import build_model, describe
from dlseg.training import History, Recipe, TrainingPictures, train


class Plain(Dataset):
    """The same pictures as tensors, as one would write it without the engine."""

    def __init__(self, pictures: TrainingPictures):
        self.pictures = pictures

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, item: int):
        image, labels = self.pictures[item]
        return to_tensors(image.numpy(), labels.numpy())


def bare_loop(model: nn.Module, dataset, recipe: Recipe, device, workers: int) -> float:
    """Images per second of a plain loop."""
    pictures = Plain(TrainingPictures(dataset, recipe))
    loader = DataLoader(pictures, recipe.batch_size, num_workers=workers)
    model.to(device).train()
    optimiser = torch.optim.SGD(
        model.parameters(), recipe.learning_rate, recipe.momentum, weight_decay=recipe.weight_decay
    )
    schedule = torch.optim.lr_scheduler.PolynomialLR(optimiser, recipe.iterations, recipe.power)
    start = time.perf_counter()
    for images, labels in loader:
        loss = F.cross_entropy(model(images.to(device)), labels.to(device), ignore_index=255)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        loss.item()  # what a bar would show
    return recipe.iterations * recipe.batch_size / (time.perf_counter() - start)


def engine(model: nn.Module, dataset, recipe: Recipe, device, workers: int) -> History:
    """The same by `train`, with its checkpoints."""
    with tempfile.TemporaryDirectory() as folder:
        return train(model, dataset, recipe, device, folder=folder, workers=workers)


def main() -> None:
    """Read the arguments, run both in turns, print the ratio and the waiting."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--iterations", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3, help="runs of each, in turns")
    parser.add_argument("--workers", type=int, default=1, help="processes that prepare pictures")
    arguments = parser.parse_args()
    device = setup()
    torch.set_num_threads(max(1, torch.get_num_threads() - arguments.workers))  # as `dlseg train`
    dataset = Scenes(500)
    dataset.pool()
    # In float32 both, on a GPU too: the bare loop knows no mixed precision.
    recipe = Recipe(arguments.iterations, mixed_precision=False)
    bare, ours, waiting = [], [], []
    for _ in range(arguments.repeats):
        models = [build_model(describe("fcn-resnet18", 10, 8, 0.25)) for _ in range(2)]
        bare.append(bare_loop(models[0], dataset, recipe, device, arguments.workers))
        history = engine(models[1], dataset, recipe, device, arguments.workers)
        ours.append(history.images_per_second)
        waiting.append(history.waiting / history.seconds)
    print(f"{device}, {torch.get_num_threads()} threads, {arguments.workers} workers")
    print(
        f"engine {median(ours):.0f} images/s   bare loop {median(bare):.0f} images/s   "
        f"ratio {median(ours) / median(bare):.3f}"
    )
    print(f"waiting for pictures: {100 * median(waiting):.1f} % of the engine's time")


if __name__ == "__main__":
    main()
