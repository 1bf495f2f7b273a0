"""Cross entropy over a map, at the size of the labels or at the size of the scores.

A loss is kept as a sum and a count of labelled pixels until the end: the mean over a batch is then
the same whether one process computes it in one go, or several do in parts. A mean of the parts'
means is not, because void pixels (255) are spread unevenly.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

IGNORE = 255


class ScoreMaps(nn.Module):
    """A segmentation model as the maps on which its loss is computed: always a tuple.

    loss: "upsampled": one map, the model's logits at the size of the image. "shrunk": the model's
    `scores`, coarse as they are, one map or several (multi-scale training).
    Raises ValueError for a model with an auxiliary head, of which neither has a map: it would
    stay as it is.
    """

    def __init__(self, model: nn.Module, loss: str):
        super().__init__()
        if getattr(model, "aux_classifier", None) is not None:
            raise ValueError(
                "the auxiliary head of this model would not be trained: no paper of DeepLab has "
                "one. Build the model with aux=False, or write a loop of your own with `with_aux`"
            )
        self.model = model
        self.upsampled = loss == "upsampled"

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        if self.upsampled:
            return (self.model(images),)  # (B, C, H, W)
        scores = self.model.scores(images)  # (B, C, h, w), or a tuple of such maps
        return scores if isinstance(scores, tuple) else (scores,)


def shrink_labels(labels: Tensor, size: Sequence[int]) -> Tensor:
    """Labels (B, H, W) at another size (h, w): each takes the label at its centre, none is mixed.

    The centres are those of bilinear upsampling with align_corners=False, so a score is taught the
    label of the place where the upsampling will put it.
    Source: DeepLab v1, section 3.1, which shrinks labels by 8.
    """
    if labels.shape[1:] == torch.Size(size):
        return labels
    return F.interpolate(labels[:, None].float(), tuple(size), mode="nearest-exact")[:, 0].long()


def loss_sums(maps: Sequence[Tensor], labels: Tensor) -> Tensor:
    """Cross entropy summed over the labelled pixels, one sum for each map: (maps,).

    maps: logits (B, C, h, w) of any sizes. labels: (B, H, W), 255 counts nothing.
    """
    sums = []
    for logits in maps:
        target = shrink_labels(labels, logits.shape[2:])
        # float(): half precision cannot hold a sum over so many pixels.
        sums.append(F.cross_entropy(logits.float(), target, ignore_index=IGNORE, reduction="sum"))
    return torch.stack(sums)


def labelled_pixels(maps: Sequence[Tensor], labels: Tensor) -> Tensor:
    """Number of labels (B, H, W) that count, at the size of each map: int64 (maps,)."""
    counts = [(shrink_labels(labels, logits.shape[2:]) != IGNORE).sum() for logits in maps]
    return torch.stack(counts)


def segmentation_loss(maps: Sequence[Tensor], labels: Tensor) -> Tensor:
    """Mean cross entropy of the labelled pixels, summed over the maps; 0 where none is labelled.

    Arguments as for `loss_sums`. Source: DeepLab v1, section 3.1; several maps: the
    multi-scale training of v2.
    """
    counts = labelled_pixels(maps, labels).clamp(min=1)
    return (loss_sums(maps, labels) / counts).sum()
