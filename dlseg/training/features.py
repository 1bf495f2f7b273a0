"""What a frozen backbone makes of each picture, computed once and kept in memory.

A backbone that does not learn makes of a picture always the same maps. Where nothing random changes
the pictures either, a training computes them once and then only the head: on two cores hundreds of
steps in a minute. Each picture is computed alone, so neither the batch it comes in nor whether
there was room to keep it changes a bit of the result.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from dlseg.data import normalise
from dlseg.doors import logits_of
from dlseg.training.loader import AUGMENTATION, TrainingPictures

MOST_BYTES = 4 * 2**30  # of all features and labels that a process keeps
Maps = object  # what a backbone returns: a tensor, or tuples, lists and dicts of such


@contextmanager
def frozen(model: nn.Module, freeze: bool) -> Iterator[None]:
    """While it holds, and if `freeze`, no gradient is computed for the model's backbone."""
    parameters = [p for p in model.backbone.parameters() if p.requires_grad] if freeze else []
    try:
        for parameter in parameters:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


@contextmanager
def given(backbone: nn.Module, maps: Maps | None) -> Iterator[None]:
    """While it holds, `backbone` gives these maps whatever it is called with; None: as it is."""
    if maps is None:
        yield
        return
    backbone.forward = lambda *_: maps
    try:
        yield
    finally:
        del backbone.forward  # the class's own shows again


class KeptFeatures:
    """The batches of a training as maps of a frozen backbone.

    pictures: of the training; whole, all of one size. model: with a `backbone`, on `device`. limit:
    bytes to keep; what finds no room is computed each time it comes.
    Attributes: count, size: pictures that are kept, and bytes of them.
    """

    def __init__(
        self,
        pictures: TrainingPictures,
        model: nn.Module,
        device: torch.device,
        limit: int = MOST_BYTES,
    ):
        self.pictures, self.model, self.device = pictures, model, device
        self.limit, self.size, self.sides = limit, 0, None
        self.kept: dict[tuple[int, bool], tuple[Maps, Tensor]] = {}

    @property
    def count(self) -> int:
        return len(self.kept)

    def batches(self) -> Iterator[tuple[Tensor, Tensor, Maps]]:
        """Images (share, 3, H, W), labels (share, H, W) and maps of each iteration that is left.

        Of the images only the size is right, the colours are NaN: nothing is to look at them.
        Raises ValueError for pictures of several sizes, and for a model whose logits do not follow
        from what its backbone makes of the picture.
        """
        share = self.pictures.share
        for first in range(0, len(self.pictures), share):
            found = [self._of(*self._drawn(first + place)) for place in range(share)]
            maps, labels = zip(*found, strict=True)
            labels = torch.stack(labels).long()  # (B, H, W)
            yield self._blank(labels), labels, tree_map(lambda *parts: torch.cat(parts), *maps)

    def _drawn(self, item: int) -> tuple[int, bool]:
        """Which picture is the item-th, and whether it is mirrored: as `TrainingPictures` draws."""
        pictures, recipe = self.pictures, self.pictures.recipe
        iteration, place = pictures.place(item)
        rng = np.random.default_rng([recipe.seed, AUGMENTATION, iteration, place])
        index = pictures.index(iteration * recipe.batch_size + place)
        return index, bool(recipe.flip and rng.random() < 0.5)

    def _of(self, index: int, mirrored: bool) -> tuple[Maps, Tensor]:
        """Maps of a picture, a batch of one, and its labels (H, W); kept while there is room."""
        if (index, mirrored) in self.kept:
            return self.kept[index, mirrored]
        image, labels = self.pictures.picture(index)
        if mirrored:
            image, labels = image[:, ::-1].copy(), labels[:, ::-1].copy()
        self._check_size(index, labels.shape)
        x = normalise(image)[None].to(self.device)  # (1, 3, H, W)
        maps = self._maps(x)
        if self.sides is None:
            self._check_model(x, maps)
            self.sides = labels.shape
        found = maps, torch.from_numpy(labels).to(self.device)
        size = sum(leaf.numel() * leaf.element_size() for leaf in tree_leaves(found))
        if self.size + size <= self.limit:
            self.kept[index, mirrored] = found
            self.size += size
        return found

    @torch.no_grad()
    def _maps(self, x: Tensor) -> Maps:
        training = self.model.backbone.training
        self.model.backbone.eval()
        try:
            return self.model.backbone(x)
        finally:
            self.model.backbone.train(training)

    def _blank(self, labels: Tensor) -> Tensor:
        """Images of the size of labels (B, H, W) that take no memory."""
        nothing = torch.full((1, 1, 1, 1), float("nan"), device=self.device)
        return nothing.expand(len(labels), 3, *labels.shape[1:])

    def _check_size(self, index: int, sides: tuple[int, ...]) -> None:
        if self.sides not in (None, sides):
            raise ValueError(
                f"cache_features needs pictures of one size: picture {index} is {sides[1]} x "
                f"{sides[0]} and one before it {self.sides[1]} x {self.sides[0]}; leave it out, "
                "for crops, or give pictures of one size"
            )

    @torch.no_grad()
    def _check_model(self, x: Tensor, maps: Maps) -> None:
        """ValueError unless the logits of a picture x (1, 3, H, W) follow from `maps`."""
        modes = {module: module.training for module in self.model.modules()}
        self.model.eval()
        expected = logits_of(self.model(x), finite=False)
        with given(self.model.backbone, maps):
            found = logits_of(self.model(self._blank(x[:, 0])), finite=False)
        for module, training in modes.items():
            module.training = training
        if not torch.allclose(found, expected, rtol=1e-3, atol=1e-3):
            raise ValueError(
                f"{type(self.model).__name__} does more with a picture than to give it to its "
                "backbone once, so features do not stand for it: leave out cache_features"
            )
