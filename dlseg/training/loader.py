"""The training pictures, each a pure function of (seed, iteration, place in the batch).

Nothing here has a state: which picture comes, and how it is scaled, cropped and mirrored, follows
from the recipe and the iteration alone. So a resumed run sees what the interrupted one would have
seen, and neither the number of worker processes nor that of GPUs changes a pixel.
"""

import sys
from collections.abc import Collection, Iterator, Sequence
from types import TracebackType

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from dlseg.data import (
    MEAN,
    STD,
    ColourJitter,
    Compose,
    RandomCrop,
    RandomFlip,
    RandomScale,
    RandomScaleCrop,
)
from dlseg.doors import check_labels
from dlseg.training.losses import classes_of, void_of
from dlseg.training.recipe import Recipe

ORDER, AUGMENTATION = 0, 1  # streams of random numbers that must not meet


def duplicate_rare(dataset: Dataset, classes: Collection[int], copies: int = 1) -> list[int]:
    """Indices of `dataset`, those of pictures with one of `classes` so many times more.

    DeepLab v3's "bootstrapping" (section 4): bicycle, chair, table, potted plant and sofa of VOC.
    Looks at every label once, with a progress bar on a terminal.
    Raises ValueError where no picture shows one of the classes.
    """
    everything = range(len(dataset))
    bar = tqdm(everything, desc="looking for rare classes", disable=None, leave=False)
    rare = [i for i in bar if np.isin(list(classes), dataset[i][1]).any()]
    if not rare:
        raise ValueError(f"no picture shows a class of bootstrap_classes, {tuple(classes)}")
    return [*everything, *rare * copies]


def augmentation(recipe: Recipe, void: int) -> Compose:
    """The paired transform of `recipe`: scale, crop with padding (void), mirror, colour."""
    crop = RandomCrop(recipe.crop_size, ignore_index=void)
    steps = [RandomScaleCrop(RandomScale(*recipe.scale), crop) if recipe.scale != (1, 1) else crop]
    if recipe.flip:
        steps.append(RandomFlip())
    if recipe.colour:
        steps.append(ColourJitter(recipe.colour, recipe.colour, recipe.colour))
    return Compose(steps)


class TrainingPictures(Dataset):
    """What one process computes in the whole training: (image, labels) by place in the run.

    dataset: see `dlseg.data`. rank, processes: this process takes the rank-th share of each batch.
    start: the first iteration, of which item 0 is this process's first picture. classes: how many;
    None: as the data say.
    Items: uint8 (crop, crop, 3) and (crop, crop), which are quicker to pass on than floats.
    Raises ValueError for an empty data set, one without the classes to bootstrap, a batch that does
    not fall into shares, and, at the item, for labels that are no class.
    """

    def __init__(
        self,
        dataset,
        recipe: Recipe,
        rank: int = 0,
        processes: int = 1,
        start: int = 0,
        classes: int | None = None,
    ):
        if not len(dataset):
            raise ValueError("there is nothing to train on: the data set has no pictures")
        self.dataset, self.recipe = dataset, recipe
        self.classes = classes_of(dataset) if classes is None else classes
        self.rank, self.start, self.share = rank, start, recipe.share(processes)
        self.transform = augmentation(recipe, void_of(dataset))
        self.indices: Sequence[int] = range(len(dataset))
        if recipe.bootstrap_classes:
            classes, copies = recipe.bootstrap_classes, recipe.bootstrap_copies
            self.indices = duplicate_rare(dataset, classes, copies)
        self.epoch, self.order = -1, np.empty(0, int)

    def __len__(self) -> int:
        return (self.recipe.iterations - self.start) * self.share

    def __getitem__(self, item: int) -> tuple[Tensor, Tensor]:
        iteration, place = self.place(item)
        image, labels = self.picture(self.index(iteration * self.recipe.batch_size + place))
        rng = np.random.default_rng([self.recipe.seed, AUGMENTATION, iteration, place])
        image, labels = self.transform(image, labels, rng)
        return torch.from_numpy(image), torch.from_numpy(labels)

    def place(self, item: int) -> tuple[int, int]:
        """The iteration of an item, and its place in that one's batch over all processes."""
        step, place = divmod(item, self.share)
        return self.start + step, self.rank * self.share + place

    def picture(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """A picture as it comes, and its labels; ValueError for labels that are no class."""
        image, labels = self.dataset[index]
        void = getattr(self.dataset, "ignore_index", 255)
        check_labels(f"labels of picture {index}", labels, self.classes, void)
        return image, labels

    def index(self, position: int) -> int:
        """Which picture is the position-th of the run: every one once, then again, reshuffled.

        Batches do not end where an epoch does, so none is short.
        """
        epoch, place = divmod(position, len(self.indices))
        if epoch != self.epoch:
            rng = np.random.default_rng([self.recipe.seed, ORDER, epoch])
            self.epoch, self.order = epoch, rng.permutation(len(self.indices))
        return self.indices[self.order[place]]


def training_batches(
    pictures: TrainingPictures, workers: int, device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    """Float batches (share, 3, crop, crop) and labels (share, crop, crop), one per iteration.

    device: where they are put, and where colours become what a network takes.

    workers: processes that prepare pictures ahead; 0: this one does it, when they are asked for.
    """
    loader = DataLoader(
        pictures,
        batch_size=pictures.share,
        num_workers=workers,
        pin_memory=device.type == "cuda",
        worker_init_fn=end_quietly,
    )
    mean, std = (torch.tensor(v, device=device)[:, None, None] for v in (MEAN, STD))  # (3, 1, 1)
    for images, labels in loader:
        x = images.to(device, non_blocking=True).permute(0, 3, 1, 2).contiguous()  # (B, 3, H, W)
        x = x.float().div_(255).sub_(mean).div_(std)
        yield x, labels.to(device, non_blocking=True).long()


def end_quietly(_worker: int) -> None:
    """For a worker process: say nothing where its parent, being stopped, hangs up on it.

    The thread that hands over its arrays would show a traceback of that.
    """
    show = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not issubclass(kind, ConnectionError | EOFError):
            show(kind, error, trace)

    sys.excepthook = hook
