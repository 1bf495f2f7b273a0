"""One confusion matrix over a data set, whole images at a time, by all processes together."""

from collections.abc import Iterator, Sequence
from itertools import groupby, islice

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from dlseg.checks import check_integer
from dlseg.data import MEAN, STD, to_tensors
from dlseg.doors import check_same_classes
from dlseg.inference import probabilities
from dlseg.metrics import BoundaryF, ConfusionMatrix, ImageScores
from dlseg.training.distributed import is_main, processes, rank
from dlseg.training.loader import end_quietly
from dlseg.training.losses import classes_of, void_of


class Pictures(Dataset):
    """The pictures `indices` of a data set as tensors: float32 (3, H, W) and int64 (H, W)."""

    def __init__(self, dataset, indices: Sequence[int]):
        self.dataset, self.indices = dataset, indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, item: int) -> tuple[Tensor, Tensor]:
        return to_tensors(*self.dataset[self.indices[item]], MEAN, STD)


def evaluate(
    model: nn.Module,
    dataset: Dataset,
    device: torch.device | str = "cpu",
    batch_size: int = 16,
    scales: Sequence[float] = (1.0,),
    flip: bool = False,
    workers: int = 0,
    image_scores: ImageScores | BoundaryF | None = None,
) -> ConfusionMatrix:
    """The confusion matrix of `model` over `dataset`; shows a progress bar on a terminal.

    model: stays in the mode it was in, and is moved to `device`. batch_size: images of one size
    that are computed together. scales, flip: see `dlseg.inference.probabilities`.
    image_scores: is told every image too, by its place in the data set.
    Under torchrun each process takes a share of the images, and all get the whole matrix.
    Raises ValueError where the model has other classes than the data set, or its logits are no
    numbers, for labels that are no class, and as `probabilities`.
    """
    check_integer("batch_size", batch_size, 1)
    check_integer("workers", workers, 0)
    classes = classes_of(dataset, model)
    check_same_classes(getattr(model, "num_classes", None), classes)
    device = torch.device(device)
    model.to(device)
    matrix = ConfusionMatrix(classes, void_of(dataset))
    pictures = Pictures(dataset, range(rank(), len(dataset), processes()))
    indices = iter(pictures.indices)
    with _progress(len(pictures)) as bar:
        for images, labels in same_size_batches(pictures, batch_size, workers):
            scores = probabilities(model, images.to(device), scales, flip)  # (B, C, H, W)
            check_same_classes(scores.shape[1], classes)
            predictions = scores.argmax(1).cpu()
            matrix.update(labels, predictions)
            if image_scores is not None:
                image_scores.update(labels, predictions, [next(indices) for _ in images])
            bar.update(len(images))
    if image_scores is not None:
        image_scores.reduce()
    return matrix.reduce()


def _progress(total: int) -> tqdm:
    """A bar on the terminal of the main process."""
    # disable=None: no bar unless standard error is a terminal
    hidden = None if is_main() else True
    return tqdm(total=total, desc="evaluating", leave=False, disable=hidden)


def same_size_batches(
    pictures: Dataset, batch_size: int, workers: int = 0
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches (B, 3, H, W) and (B, H, W), in order: neighbours of one size, at most batch_size."""
    loader = DataLoader(pictures, batch_size=None, num_workers=workers, worker_init_fn=end_quietly)
    for _, group in groupby(loader, key=lambda picture: picture[1].shape):
        while batch := list(islice(group, batch_size)):
            images, labels = zip(*batch, strict=True)
            yield torch.stack(images), torch.stack(labels)
