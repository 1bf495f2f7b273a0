"""Losses beside cross entropy, by the names that recipes use; weights of classes for them.

Focal loss is a mean over pixels, as cross entropy is: a batch computed in parts, or by several
processes, has exactly the loss of the whole. Dice and Lovasz-softmax, and perhaps a loss of one's
own, are ratios over the whole batch. The mean of those of its parts is another number, that of
smaller batches, so `train` refuses to compute them in parts.

In all of them `ignore_index` counts nothing, and a batch without a labelled pixel has loss 0.
"""

from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from dlseg.checks import check_choice, check_ignore, check_number, described
from dlseg.doors import check_labels, check_maps
from dlseg.training.distributed import is_main
from dlseg.training.losses import IGNORE, Loss, PixelLoss, WholeBatch, classes_of, void_of, wide
from dlseg.training.recipe import WEIGHTS, Recipe


def dice_loss(logits: Tensor, labels: Tensor, ignore_index: int = IGNORE) -> Tensor:
    """1 - the mean Dice coefficient of the classes that the labels show; 0 where they show none.

    logits: (B, C, H, W). labels: (B, H, W). Dice of a class over all pixels of the batch:
    `2 sum(p y) / (sum(p) + sum(y))`, p its probability and y 1 where it is the label.
    Raises ValueError for logits and labels of other forms, and labels that are no class.
    Source: Drozdzal et al. 2016, "The importance of skip connections in biomedical image
    segmentation", section 2, for one class; the mean over classes as in Sudre et al. 2017.
    """
    p, y = _labelled(logits, labels, ignore_index)  # (N, C) and (N,)
    truth = F.one_hot(y, p.shape[1])  # (N, C)
    shown = truth.any(0)
    both, size = (p * truth).sum(0), p.sum(0) + truth.sum(0)  # (C,)
    loss = 1 - 2 * both / size.clamp(min=torch.finfo(p.dtype).eps)
    return (loss * shown).sum() / shown.sum().clamp(min=1)


def lovasz_loss(logits: Tensor, labels: Tensor, ignore_index: int = IGNORE) -> Tensor:
    """Lovasz-softmax: a surface through 1 - IoU, mean of the classes that the labels show.

    logits: (B, C, H, W). labels: (B, H, W). The IoU is that of the whole batch. Where all
    probabilities are 0 or 1 the loss is exactly 1 - IoU of the shown classes.
    Raises ValueError for logits and labels of other forms, and labels that are no class.
    Source: Berman, Triki and Blaschko 2018, "The Lovasz-softmax loss", equation 11 and algorithm 1.
    """
    p, y = _labelled(logits, labels, ignore_index)  # (N, C) and (N,)
    losses = []
    for index in y.unique().tolist():
        truth = (y == index).to(p.dtype)  # (N,)
        errors, order = (truth - p[:, index]).abs().sort(descending=True)
        losses.append(errors @ _steps(truth[order]))
    return torch.stack(losses).mean() if losses else p.sum()


def _steps(truth: Tensor) -> Tensor:
    """How much each pixel, made wrong after those before it, adds to 1 - IoU of a class: (N,).

    truth: 1 where a pixel is of the class, (N,), the worst pixel first.
    """
    total = truth.sum()
    both, either = total - truth.cumsum(0), total + (1 - truth).cumsum(0)
    lost = 1 - both / either
    return torch.cat([lost[:1], lost[1:] - lost[:-1]])


def focal_loss(
    logits: Tensor, labels: Tensor, ignore_index: int = IGNORE, gamma: float = 2.0
) -> Tensor:
    """Mean of `-(1 - p)^gamma log p` over the labelled pixels, p their class's probability.

    logits: (B, C, H, W). labels: (B, H, W). gamma: 0 is cross entropy; 2 is the paper's.
    Raises ValueError for logits and labels of other forms, labels that are no class, a gamma < 0.
    Source: Lin et al. 2017, "Focal loss for dense object detection", equation 4.
    """
    _check(logits, labels, ignore_index)
    pixel = PixelLoss(ignore_index, gamma=check_number("gamma", gamma, 0))
    return (pixel.sums([logits], labels) / pixel.counts([logits], labels).clamp(min=1))[0]


def class_weights(dataset, how: str, classes: int | None = None) -> np.ndarray:
    """A weight for each class from the pixels that show it in a data set: float32 (C,).

    classes: how many; None: as the data say. how: "none": 1. "balanced": median frequency /
    frequency, so that all classes count alike. "sqrt": its square root, between both. A frequency
    is the share of the labelled pixels; a class that no pixel shows is left out of the median, and
    gets 1.
    Looks at every label once, with a progress bar on a terminal.
    Raises ValueError for another word, and for data of which no pixel is labelled.
    Source: Eigen and Fergus 2015, section 6.3 ("median frequency balancing"), who count a class
    only in the pictures that show it; here it is counted in all.
    """
    check_choice("class_weights", how, WEIGHTS)
    classes = classes_of(dataset) if classes is None else classes
    if how == "none":
        return np.ones(classes, np.float32)
    counts, void = np.zeros(256, np.int64), void_of(dataset)
    hidden = None if is_main() else True
    bar = tqdm(range(len(dataset)), "counting labels", disable=hidden, leave=False)
    for index in bar:
        labels = dataset[index][1]
        check_labels(f"labels of picture {index}", labels, classes, void)
        counts += np.bincount(labels.ravel(), minlength=256)
    counts[void] = 0
    counts = counts[:classes]
    shown = counts > 0
    if not shown.any():
        raise ValueError("class weights cannot be counted: no pixel of these data is labelled")
    weights = np.ones(len(counts))
    weights[shown] = np.median(counts[shown]) / counts[shown]
    return (np.sqrt(weights) if how == "sqrt" else weights).astype(np.float32)


def make_criterion(
    recipe: Recipe, dataset, classes: int, device: torch.device, loss: Loss | None = None
) -> PixelLoss | WholeBatch:
    """What `recipe` makes small on data with so many classes, or a `loss` of one's own instead.

    Raises ValueError for weights of another number of classes, and as `class_weights`.
    """
    void = void_of(dataset)
    if loss is not None:
        return WholeBatch(loss)
    if recipe.criterion in REGIONS:
        return WholeBatch(partial(REGIONS[recipe.criterion], ignore_index=void))
    weights, given = None, recipe.class_weights
    if given != "none":
        counted = class_weights(dataset, given, classes) if isinstance(given, str) else given
        if len(counted) != classes:
            raise ValueError(f"class_weights must be {classes}, one a class, got {len(counted)}")
        weights = torch.tensor(counted, dtype=torch.float32, device=device)
    return PixelLoss(void, weights, recipe.focal_gamma if recipe.criterion == "focal" else 0.0)


REGIONS = {"dice": dice_loss, "lovasz": lovasz_loss}


def _check(logits: Tensor, labels: Tensor, ignore_index: int) -> None:
    check_ignore("ignore_index", ignore_index)
    check_maps("logits", logits)
    check_labels("labels", labels, logits.shape[1], ignore_index)
    if labels.shape != (logits.shape[0], *logits.shape[2:]):
        raise ValueError(
            f"labels must be (B, H, W) as the logits, got {described(labels)} and "
            f"{described(logits)}"
        )


def _labelled(logits: Tensor, labels: Tensor, ignore_index: int) -> tuple[Tensor, Tensor]:
    """Probabilities (N, C) and labels (N,) of the labelled pixels, after checks."""
    _check(logits, labels, ignore_index)
    keep = labels != ignore_index
    p = wide(logits).softmax(1).movedim(1, -1)[keep]  # (N, C)
    return p, labels[keep].long()
