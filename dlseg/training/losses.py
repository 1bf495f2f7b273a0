"""Cross entropy over a map, at the size of the labels or at the size of the scores.

A loss is kept as a sum and a count of labelled pixels until the end: the mean over a batch is then
the same whether one process computes it in one go, or several do in parts. A mean of the parts'
means is not, because void pixels are spread unevenly.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlseg.checks import LARGEST_SIDE, check_choice, check_ignore, check_integer, described
from dlseg.doors import check_integers, check_labels, check_maps, logits_of

IGNORE = 255
LOSSES = ("upsampled", "shrunk")


def void_of(dataset) -> int:
    """The label of a data set that counts nowhere; one that has none gets 255, no class of its."""
    own = getattr(dataset, "ignore_index", IGNORE)
    return IGNORE if own is None else check_integer("ignore_index of the data set", own, 0, 255)


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


def loss_sums(maps: Sequence[Tensor], labels: Tensor, ignore_index: int = IGNORE) -> Tensor:
    """Cross entropy summed over the labelled pixels, one sum for each map: (maps,).

    maps: logits (B, C, h, w) of any sizes. labels: (B, H, W), `ignore_index` counts nothing.
    """
    sums = []
    for logits in maps:
        target = shrink_labels(labels, logits.shape[2:]).long()
        # Half precision cannot hold a sum over so many pixels.
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        sums.append(F.cross_entropy(logits, target, ignore_index=ignore_index, reduction="sum"))
    return torch.stack(sums)


def labelled_pixels(maps: Sequence[Tensor], labels: Tensor, ignore_index: int = IGNORE) -> Tensor:
    """Number of labels (B, H, W) that count, at the size of each map: int64 (maps,)."""
    counts = [(shrink_labels(labels, logits.shape[2:]) != ignore_index).sum() for logits in maps]
    return torch.stack(counts)


def segmentation_loss(maps: Sequence[Tensor], labels: Tensor, ignore_index: int = IGNORE) -> Tensor:
    """Mean cross entropy of the labelled pixels, summed over the maps; 0 where none is labelled.

    Arguments as for `loss_sums`. Raises ValueError for labels that are no class of a map, and for
    maps and labels of other forms. Source: DeepLab v1, section 3.1; several maps: the multi-scale
    training of v2.
    """
    check_ignore("ignore_index", ignore_index)
    check_targets(maps, labels, ignore_index)
    counts = labelled_pixels(maps, labels, ignore_index).clamp(min=1)
    return (loss_sums(maps, labels, ignore_index) / counts).sum()


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
