"""Drawn scenes with the numbers of their things, a training on them, and panoptic quality."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from dlseg.data import MEAN, STD, Scenes, to_tensors
from support.after_deeplab.panoptic import Maps, PanopticDeepLab, panoptic, targets

# Rings and wires pass below other things and out of the picture: like the background they are not
# counted ("stuff"). What else there is, is ("things"), of whatever class: here they are only one.
KINDS = ("background", "line", "thing")
BACKGROUND, LINE, THING = range(3)
VOID = Scenes.ignore_index
KIND = torch.full((256,), THING)  # of each class of the scenes
KIND[[Scenes.classes.index(name) for name in ("ring", "wire")]] = LINE
KIND[0], KIND[VOID] = BACKGROUND, VOID
WEIGHTS = (1.0, 200.0, 0.01)  # of the losses; Panoptic-DeepLab, section 3


def picture(scenes: Scenes, index: int) -> tuple[Tensor, Tensor, Tensor]:
    """A scene: its image (3, S, S), normalised, kinds (S, S), and numbers of things (S, S)."""
    scene = scenes.scene(index)
    image, labels = to_tensors(scene.image, scene.label, MEAN, STD)
    kinds, owner = KIND[labels], torch.from_numpy(scene.owner.astype(int))
    return image, kinds, torch.where(kinds == THING, owner, 0)


def batch(scenes: Scenes, indices: Sequence[int]) -> tuple[Tensor, ...]:
    """Images, kinds, owners, centres and offsets of some scenes, each with an axis in front."""
    drawn = [picture(scenes, index) for index in indices]
    rows = ((*one, *targets(one[2])) for one in drawn)
    return tuple(torch.stack(parts) for parts in zip(*rows, strict=True))


def loss_of(maps: Maps, kinds: Tensor, owner: Tensor, centres: Tensor, offsets: Tensor) -> Tensor:
    """Cross entropy, squared error of the hills, absolute error of the arrows on things.

    Source: Panoptic-DeepLab, section 3, loss function.
    """
    semantic = F.cross_entropy(maps.semantic, kinds, ignore_index=VOID)
    hills = F.mse_loss(maps.centres, centres)
    thing = (owner > 0)[:, None].float()  # (B, 1, S, S)
    arrows = ((maps.offsets - offsets).abs() * thing).sum() / thing.sum().clamp(min=1)
    parts = semantic, hills, arrows
    return sum(weight * part for weight, part in zip(WEIGHTS, parts, strict=True))


def train_panoptic(
    network: PanopticDeepLab,
    scenes: Scenes,
    iterations: int = 300,
    batch_size: int = 8,
    learning_rate: float = 0.004,
    seed: int = 0,
) -> list[float]:
    """Train on scenes, drawn as they are needed; returns the losses. One-cycle AdamW."""
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(network.parameters(), learning_rate, weight_decay=1e-3)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, learning_rate, iterations)
    losses = []
    network.train()
    for _ in range(iterations):
        chosen = torch.randint(len(scenes), (batch_size,), generator=generator).tolist()
        images, *wanted = batch(scenes, chosen)
        loss = loss_of(network(images), *wanted)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        cycle.step()
        losses.append(loss.item())
    network.eval()
    return losses


class PanopticQuality:
    """PQ over pictures, class by class: the IoU of what was found, over what was there or claimed.

    PQ = sum of the IoU of matches / (matches + claimed in vain / 2 + missed / 2); two segments
    match where they are of one class and their IoU is above 1/2, which no other can be.
    Source: Kirillov et al. 2019, "Panoptic segmentation", section 4.
    """

    def __init__(self, classes: int):
        self.iou, self.matches, self.vain, self.missed = torch.zeros(4, classes).double()

    def update(self, labels: Tensor, numbers: Tensor, truth: Tensor, owner: Tensor) -> None:
        """Count one picture: labels and numbers found, and those that are right, all (H, W)."""
        known = truth != VOID
        found = _segments(labels[known], numbers[known])
        right = _segments(truth[known], owner[known])
        left = dict(found)
        for (label, _), there in right.items():
            for name, mask in found.items():
                iou = float((there & mask).sum() / (there | mask).sum())
                if name[0] == label and iou > 0.5:
                    self.iou[label] += iou
                    self.matches[label] += 1
                    del left[name]
                    break
            else:
                self.missed[label] += 1
        for label, _ in left:
            self.vain[label] += 1

    def quality(self) -> Tensor:
        """PQ of each class; NaN for one that was neither there nor claimed."""
        return self.iou / (self.matches + self.vain / 2 + self.missed / 2)


def _segments(labels: Tensor, numbers: Tensor) -> dict[tuple[int, int], Tensor]:
    """The pixels of each (class, number)."""
    pairs = torch.stack([labels, numbers], 1).unique(dim=0).tolist()
    return {(a, b): (labels == a) & (numbers == b) for a, b in pairs}


@torch.no_grad()
def measured(network: PanopticDeepLab, scenes: Scenes, **how) -> PanopticQuality:
    """The panoptic quality of all KINDS over the scenes. how: see `peaks`."""
    quality = PanopticQuality(len(KINDS))
    for index in range(len(scenes)):
        image, truth, owner = picture(scenes, index)
        labels, numbers = panoptic(network(image[None]), [THING], **how)
        quality.update(labels, numbers, truth, owner)
    return quality
