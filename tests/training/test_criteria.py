"""Losses against their definitions, one pixel or one set after the other, and against peers."""

import itertools
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from dlseg.training import Recipe, class_weights, dice_loss, focal_loss, lovasz_loss, train
from dlseg.training.criteria import make_criterion
from dlseg.training.losses import PixelLoss, WholeBatch
from tests.peers import load_smp
from tests.training.toys import CLASSES, Blocks, Net, tiny, weights

LOSSES = {"dice": dice_loss, "focal": focal_loss, "lovasz": lovasz_loss}
W = torch.tensor([0.5, 2.0, 0.0])


def maps(seed: int = 0, classes: int = CLASSES, void: float = 0.3, size=(2, 4, 5)):
    """Logits (B, C, H, W) in float64 and labels (B, H, W), of which a share is void."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(size[0], classes, *size[1:], generator=generator, dtype=torch.float64)
    labels = torch.randint(0, classes, size, generator=generator)
    labels[torch.rand(size, generator=generator) < void] = 255
    return logits, labels


def pixels(logits, labels) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (N, C) and labels (N,) of what is labelled, by a plain loop."""
    p, y = [], []
    for b, i, j in (labels != 255).nonzero().tolist():
        scores = np.exp(logits[b, :, i, j].numpy())
        p.append(scores / scores.sum())
        y.append(int(labels[b, i, j]))
    return np.array(p), np.array(y)


def dice_by_hand(p, y) -> float:
    """Drozdzal et al. 2016: 2 sum(p y) / (sum(p) + sum(y)), mean of the classes in y."""
    found = [
        2 * p[y == c, c].sum() / (p[:, c].sum() + (y == c).sum()) for c in sorted(set(y.tolist()))
    ]
    return 1 - sum(found) / len(found)


def focal_by_hand(p, y, gamma: float = 2) -> float:
    own = p[range(len(y)), y]
    return float(np.mean(-((1 - own) ** gamma) * np.log(own)))


def lovasz_by_hand(p, y) -> float:
    """Berman et al. 2018, definition 1: the extension of the set function 1 - IoU.

    The errors, largest first, times what each pixel adds to the loss of the set of wrong pixels.
    """

    def jaccard(truth: set, wrong: set) -> float:
        """1 - |y and y'| / |y or y'| where y' is y but for the wrong pixels (equation 3)."""
        return len(wrong) / len(truth | wrong)

    losses = []
    for c in sorted(set(y.tolist())):
        truth = set(np.flatnonzero(y == c).tolist())
        errors = np.abs((y == c) - p[:, c])
        value, wrong = 0.0, set()
        for pixel in np.argsort(-errors).tolist():
            value += errors[pixel] * (jaccard(truth, wrong | {pixel}) - jaccard(truth, wrong))
            wrong.add(pixel)
        losses.append(value)
    return sum(losses) / len(losses)


BY_HAND = {"dice": dice_by_hand, "focal": focal_by_hand, "lovasz": lovasz_by_hand}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(("seed", "classes"), [(0, 3), (1, 2), (2, 5)])
def test_a_loss_is_its_definition(name, seed, classes):
    logits, labels = maps(seed, classes)
    expected = BY_HAND[name](*pixels(logits, labels))
    assert LOSSES[name](logits, labels).item() == pytest.approx(expected, rel=1e-10)
    assert LOSSES[name](logits.float(), labels.byte()).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_the_gradient_is_that_of_small_steps(name):
    logits, labels = maps(3, size=(1, 3, 3))
    logits.requires_grad_()
    assert torch.autograd.gradcheck(partial(LOSSES[name], labels=labels), (logits,))


@pytest.mark.parametrize("name", LOSSES)
def test_void_teaches_nothing(name):
    logits, labels = maps(4)
    logits.requires_grad_()
    LOSSES[name](logits, labels).backward()
    assert logits.grad.movedim(1, -1)[labels == 255].eq(0).all()
    assert logits.grad.movedim(1, -1)[labels != 255].any()
    logits.grad = None
    loss = LOSSES[name](logits, torch.full_like(labels, 255))
    loss.backward()
    assert loss == 0 and not logits.grad.any()


def test_lovasz_of_certain_answers_is_one_minus_the_iou():
    """On the corners of the cube it is the set function: all 2^6 maps of six pixels."""
    labels = torch.tensor([[[0, 0, 1], [1, 0, 1]]])
    for answer in itertools.product((0, 1), repeat=6):
        found = torch.tensor(answer).reshape(1, 2, 3)
        logits = 200.0 * F.one_hot(found, 2).permute(0, 3, 1, 2)
        iou = [
            ((found == c) & (labels == c)).sum() / ((found == c) | (labels == c)).sum()
            for c in (0, 1)
        ]
        loss = lovasz_loss(logits, labels)
        assert loss.item() == pytest.approx(1 - sum(iou).item() / 2, abs=1e-6)


def test_peers():
    """segmentation-models-pytorch; its Dice counts classes that are absent as right."""
    losses = load_smp().losses
    logits, labels = maps(5, classes=4, size=(2, 16, 16))
    labels[labels == 3] = 255  # a class that is absent
    logits = logits.float()
    theirs = losses.LovaszLoss("multiclass", ignore_index=255)(logits, labels)
    torch.testing.assert_close(lovasz_loss(logits, labels), theirs)
    theirs = losses.DiceLoss("multiclass", ignore_index=255)(logits, labels)
    torch.testing.assert_close(dice_loss(logits, labels) * 3 / 4, theirs)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("weights", [None, W], ids=["plain", "weighted"])
def test_parts_of_a_batch_add_up_to_its_loss(gamma, weights):
    logits, labels = maps(6)
    loss = PixelLoss(255, None if weights is None else weights.double(), gamma)
    counts = loss.counts([logits], labels)
    parts = [loss.sums([logits[i : i + 1]], labels[i : i + 1]) for i in range(2)]
    whole = (loss.sums([logits], labels) / counts)[0]
    torch.testing.assert_close((sum(parts) / counts)[0], whole)
    if not gamma:  # PyTorch's own weighted mean
        weight = None if weights is None else weights.double()
        theirs = F.cross_entropy(logits, labels, weight, ignore_index=255)
        torch.testing.assert_close(whole, theirs)
    elif weights is None:
        assert whole.item() == pytest.approx(focal_by_hand(*pixels(logits, labels), gamma))


def test_the_default_is_plain_cross_entropy_to_the_last_bit():
    """The printed results of chapters, and resumed runs, depend on it."""
    logits, labels = maps(7, size=(2, 33, 33))
    logits, criterion = logits.float(), make_criterion(Recipe(), Blocks(), 3, "cpu")
    found = criterion.sums([logits], labels) / criterion.counts([logits], labels)
    plain = F.cross_entropy(logits, labels, ignore_index=255, reduction="sum")
    assert torch.equal(found[0], plain / (labels != 255).sum())


class Counted(Blocks):
    """Labels 0, 1 and 2 in the ratio 8 : 2 : 1, and more void than all; class 3 nowhere."""

    classes, num_classes = ("a", "b", "c", "d"), 4

    def __getitem__(self, i):
        image, label = super().__getitem__(i)
        label[:] = 255
        label[0, :8], label[1, :2], label[2, :1] = 0, 1, 2
        return image, label


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("none", [1, 1, 1, 1]),
        ("balanced", [0.25, 1, 2, 1]),
        ("sqrt", [0.5, 1, 2**0.5, 1]),
    ],
)
def test_weights_of_classes(how, expected):
    assert class_weights(Counted(), how).tolist() == pytest.approx(expected)


def test_weights_of_nothing_labelled():
    class Void(Blocks):
        def __getitem__(self, i):
            image, label = super().__getitem__(i)
            return image, np.full_like(label, 255)

    with pytest.raises(ValueError, match="no pixel of these data is labelled"):
        class_weights(Void(), "balanced")
    with pytest.raises(ValueError, match="class_weights must be one of none, balanced, sqrt"):
        class_weights(Void(), "median")


@pytest.mark.parametrize(
    "changes",
    [
        {"criterion": "dice"},
        {"criterion": "lovasz"},
        {"criterion": "focal", "class_weights": "balanced"},
        {"class_weights": (1, 0.5, 3)},
    ],
    ids=str,
)
def test_each_is_what_a_training_makes_small(changes):
    model, recipe = Net("group"), tiny(iterations=40, batch_size=8, learning_rate=0.1, **changes)
    history = train(model, Blocks(16), recipe)
    assert np.mean(history.losses[-5:]) < 0.75 * np.mean(history.losses[:5])
    criterion = make_criterion(recipe, Blocks(16), CLASSES, torch.device("cpu"))
    assert isinstance(criterion, WholeBatch) == (recipe.criterion in ("dice", "lovasz"))


def test_a_loss_of_ones_own_is_asked_at_each_map():
    seen = []

    def mine(logits, labels):
        seen.append((tuple(logits.shape), tuple(labels.shape), labels.dtype))
        return F.cross_entropy(logits, labels, ignore_index=255)

    ours, plain = Net("group"), Net("group")
    train(ours, Blocks(), tiny(loss="shrunk", iterations=2), loss=mine)
    train(plain, Blocks(), tiny(loss="shrunk", iterations=2))
    assert seen == [((4, CLASSES, 6, 6), (4, 6, 6), torch.int64)] * 2
    torch.testing.assert_close(weights(ours), weights(plain))
    with pytest.raises(ValueError, match=r"a tensor of one number, got torch\.float64"):
        train(Net(), Blocks(), tiny(), loss=lambda logits, labels: logits.double())


def test_a_ratio_over_the_batch_is_not_computed_in_parts():
    with pytest.raises(ValueError, match=r"dice is a ratio over the whole batch, .* accumulate=1"):
        tiny(criterion="dice", accumulate=2)
    with pytest.raises(ValueError, match="a loss of your own is a ratio over the whole batch"):
        train(Net(), Blocks(), tiny(accumulate=2), loss=lasting)
    with pytest.raises(ValueError, match="class_weights must be 3, one a class, got 2"):
        train(Net(), Blocks(), tiny(class_weights=(1, 2)))


def lasting(logits, labels):
    return logits.mean()
