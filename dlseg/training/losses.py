"""The loss of a batch, at the size of the labels or at the size of the scores.

A loss over pixels is kept as a sum and a count of labelled pixels until the end: the mean over a
batch is then the same whether one process computes it in one go, or several do in parts. A mean of
the parts' means is not, because void pixels are spread unevenly.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlseg.checks import (
    LARGEST_SIDE,
    check_choice,
    check_classes,
    check_ignore,
    check_integer,
    described,
)
from dlseg.doors import check_integers, check_labels, check_maps, logits_of

IGNORE = 255
LOSSES = ("upsampled", "shrunk")
Loss = Callable[[Tensor, Tensor], Tensor]


def void_of(dataset) -> int:
    """The label of a data set that counts nowhere; one that has none gets 255, no class of its."""
    own = getattr(dataset, "ignore_index", IGNORE)
    return IGNORE if own is None else check_integer("ignore_index of the data set", own, 0, 255)


def classes_of(dataset, model: nn.Module | None = None) -> int:
    """How many classes a data set has: its `num_classes`, or names in `classes`; else the model's.

    Raises ValueError where none of them tells, and as `check_classes`.
    """
    names = getattr(dataset, "classes", None)
    own = getattr(dataset, "num_classes", None if names is None else len(names))
    own = getattr(model, "num_classes", None) if own is None else own
    if own is None:
        raise ValueError(
            "neither the data set nor the model says how many classes there are: set num_classes "
            "of one of them, as in dataset.num_classes = 2"
        )
    return check_classes("num_classes", own)


class ScoreMaps(nn.Module):
    """A segmentation model as the maps on which its loss is computed: always a tuple.

    model: see `logits_of` in `dlseg.doors` for what it may return. num_classes: of its logits.
    loss: "upsampled": one map, the model's logits at the size of the image. "shrunk": the model's
    `scores`, coarse as they are, one map or several (multi-scale training).
    Raises ValueError for another loss, for "shrunk" where the model has no `scores`, and for a
    model with an auxiliary head, of which neither has a map: it would stay as it is.
    """

    def __init__(self, model: nn.Module, loss: str, num_classes: int | None = None):
        super().__init__()
        check_choice("loss", loss, LOSSES)
        if loss == "shrunk" and not hasattr(model, "scores"):
            raise ValueError(
                f'loss="shrunk" needs a model with `scores`, got {type(model).__name__}; '
                'take loss="upsampled"'
            )
        if getattr(model, "aux_classifier", None) is not None:
            raise ValueError(
                "the auxiliary head of this model would not be trained: no paper of DeepLab has "
                "one. Build the model with aux=False, or write a loop of your own with `with_aux`"
            )
        self.model, self.num_classes = model, num_classes
        self.upsampled = loss == "upsampled"

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        if self.upsampled:
            # The loss tells whether it is a number: to look at every map would cost more.
            return (logits_of(self.model(images), self.num_classes, finite=False),)  # (B, C, H, W)
        scores = self.model.scores(images)  # (B, C, h, w), or a tuple of such maps
        return scores if isinstance(scores, tuple) else (scores,)


def shrink_labels(labels: Tensor, size: Sequence[int]) -> Tensor:
    """Labels (B, H, W) at another size (h, w): each takes the label at its centre, none is mixed.

    The centres are those of bilinear upsampling with align_corners=False, so a score is taught the
    label of the place where the upsampling will put it.
    Raises ValueError unless labels are integers (B, H, W), and size two integers >= 1.
    Source: DeepLab v1, section 3.1, which shrinks labels by 8.
    """
    if not isinstance(labels, Tensor) or labels.dim() != 3:
        raise ValueError(f"labels must be integers (B, H, W), got {described(labels)}")
    check_integers("labels", labels)
    if not labels[:1].numel():
        raise ValueError(f"labels must be at least one, got {described(labels)}")
    for side in size:
        check_integer("size", side, 1, LARGEST_SIDE)
    if labels.shape[1:] == torch.Size(size):
        return labels
    return F.interpolate(labels[:, None].float(), tuple(size), mode="nearest-exact")[:, 0].long()


@dataclass(frozen=True)
class PixelLoss:
    """Cross entropy of each pixel, `-w (1 - p)^gamma log p`, p being its class's probability.

    weights: w of each class, (C,), on the device of the logits; None: 1. gamma: 0 is cross entropy,
    above it the focal loss, in which pixels that are right already count less.
    The loss of a batch is sums / counts: the mean of the labelled pixels, weighted by w as
    `torch.nn.functional.cross_entropy` weighs it.
    Source: Lin et al. 2017, "Focal loss for dense object detection", equation 5.
    """

    ignore_index: int = IGNORE
    weights: Tensor | None = None
    gamma: float = 0.0

    def sums(self, maps: Sequence[Tensor], labels: Tensor) -> Tensor:
        """Summed over the labelled pixels, one sum for each map: (maps,). labels: (B, H, W)."""
        sums = []
        for logits in maps:
            target = shrink_labels(labels, logits.shape[2:]).long()
            logits = wide(logits)
            options = {"weight": self.weights, "ignore_index": self.ignore_index}
            if self.gamma:
                terms = F.cross_entropy(logits, target, reduction="none", **options)  # (B, h, w)
                sums.append((self._left(logits, target) * terms).sum())
            else:
                sums.append(F.cross_entropy(logits, target, reduction="sum", **options))
        return torch.stack(sums)

    def _left(self, logits: Tensor, target: Tensor) -> Tensor:
        """`(1 - p)^gamma`, (B, h, w); anything where a pixel is void."""
        own = target.where(target != self.ignore_index, 0)[:, None]
        others = 1 - logits.softmax(1).gather(1, own)[:, 0]
        # A power below 1 has no finite slope at 0.
        return others.clamp(min=torch.finfo(others.dtype).eps) ** self.gamma

    def counts(self, maps: Sequence[Tensor], labels: Tensor) -> Tensor:
        """What the sums are divided by, for each map: its labelled pixels, or their weights."""
        counts = []
        for logits in maps:
            target = shrink_labels(labels, logits.shape[2:]).long()
            labelled = target != self.ignore_index
            weighed = labelled if self.weights is None else self.weights[target[labelled]]
            counts.append(weighed.sum())
        return torch.stack(counts)


@dataclass(frozen=True)
class WholeBatch:
    """A loss of a whole batch, `loss(logits, labels)`: with sums, and counts of 1, as `PixelLoss`.

    loss: takes float32 logits (B, C, h, w) and int64 labels (B, h, w), void among them; gives a
    tensor of one number.
    """

    loss: Loss

    def sums(self, maps: Sequence[Tensor], labels: Tensor) -> Tensor:
        """The loss of each map: (maps,). ValueError where `loss` gives no single number."""
        found = []
        for logits in maps:
            target = shrink_labels(labels, logits.shape[2:]).long()
            value = self.loss(wide(logits), target)
            if not isinstance(value, Tensor) or value.numel() != 1:
                raise ValueError(
                    f"the loss must give a tensor of one number, got {described(value)}; take its "
                    "mean"
                )
            found.append(value.reshape(()))
        return torch.stack(found)

    def counts(self, maps: Sequence[Tensor], labels: Tensor) -> Tensor:
        """1 for each map."""
        return labels.new_ones(len(maps))


def wide(logits: Tensor) -> Tensor:
    """In float32 at least: half precision cannot hold a sum over so many pixels."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def segmentation_loss(maps: Sequence[Tensor], labels: Tensor, ignore_index: int = IGNORE) -> Tensor:
    """Mean cross entropy of the labelled pixels, summed over the maps; 0 where none is labelled.

    maps: logits (B, C, h, w) of any sizes. labels: (B, H, W), `ignore_index` counts nothing.
    Raises ValueError for labels that are no class of a map, and for
    maps and labels of other forms. Source: DeepLab v1, section 3.1; several maps: the multi-scale
    training of v2.
    """
    check_ignore("ignore_index", ignore_index)
    check_targets(maps, labels, ignore_index)
    pixel = PixelLoss(ignore_index)
    return (pixel.sums(maps, labels) / pixel.counts(maps, labels).clamp(min=1)).sum()


def check_targets(maps: Sequence[Tensor], labels: Tensor, ignore_index: int) -> None:
    """ValueError unless maps are logits, at least one map, and labels (B, H, W) classes of each."""
    if isinstance(maps, Tensor) or not len(maps):
        raise ValueError(f"maps must be a tuple of logits, got {described(maps)}; give (logits,)")
    for logits in maps:
        check_maps("maps", logits)
        check_labels("labels", labels, logits.shape[1], ignore_index)
        if labels.shape[:1] != logits.shape[:1]:
            raise ValueError(
                f"maps and labels must be of one batch, got {described(logits)} and "
                f"{described(labels)}"
            )
