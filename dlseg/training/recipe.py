"""A recipe: everything that decides how a network is trained, in one frozen record.

What a recipe does not hold decides nothing about the weights: the device, the number of worker
processes, how often a checkpoint is written.
"""

from dataclasses import dataclass

import numpy as np

from dlseg.checks import LARGEST_FACTOR
from dlseg.schema import Unfit, choice, in_words, integer, listing, maybe, number, record, switch

OPTIMISERS = ("sgd", "adamw")
SCHEDULES = ("poly", "step", "constant")
LOSSES = ("upsampled", "shrunk")
CRITERIA = ("cross_entropy", "focal", "dice", "lovasz")
WEIGHTS = ("none", "balanced", "sqrt")  # of classes; or a list of numbers


def _scale(entry: str, value: object) -> list[float]:
    factors = listing(number(0, LARGEST_FACTOR), 2, 2)(entry, value)
    if not 0 < factors[0] <= factors[1]:
        words = "two factors above 0, the smaller first, such as (0.5, 2.0)"
        raise Unfit(
            f"{entry} must be {words}, got {in_words(factors[0])} and {in_words(factors[1])}"
        )
    return factors


def _class_weights(entry: str, value: object) -> str | list[float]:
    if isinstance(value, list | tuple):
        return listing(number(0), 1)(entry, value)
    if value not in WEIGHTS:
        words = f"one of {', '.join(WEIGHTS)}, or a list of a number for each class"
        raise Unfit(f"{entry} must be {words}, got {in_words(value)}")
    return value


def whole_batch(criterion: str, remedy: str) -> str:
    """Why a loss of the whole batch cannot be computed in parts, and what to do."""
    return (
        f"{criterion} is a ratio over the whole batch, and that of its parts is another loss: give "
        f"{remedy}, or take cross_entropy or focal"
    )


def _plain(value: object) -> object:
    """Python's numbers for those of NumPy, in lists too."""
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else value


# What each field may hold, in a checkpoint too.
CHECKS = {
    "iterations": integer(1, 10**9),
    "batch_size": integer(1, 10**6),
    "accumulate": integer(1, 10**6),
    "learning_rate": number(0),
    "schedule": choice(SCHEDULES),
    "power": number(0),
    "step_size": integer(1, 10**9),
    "step_factor": number(0, 1),
    "head_multiplier": number(0),
    "head_bias_multiplier": maybe(number(0)),
    "optimiser": choice(OPTIMISERS),
    "momentum": number(0, 1),
    "weight_decay": number(0),
    "freeze_batch_norm": switch,
    "batch_norm_decay": number(0, 1),
    "loss": choice(LOSSES),
    "crop_size": integer(1, 10**5),
    "scale": _scale,
    "flip": switch,
    "colour": number(0, 1),
    "bootstrap_classes": listing(integer(0, 255)),
    "bootstrap_copies": integer(0, 10**6),
    "mixed_precision": switch,
    "criterion": choice(CRITERIA),
    "class_weights": _class_weights,
    "focal_gamma": number(0),
    "freeze_backbone": switch,
    "cache_features": switch,
    "patience": integer(0, 10**9),
    "bfloat16": switch,
    "channels_last": switch,
    "seed": integer(0, 2**63 - 1),
}
# Fields that the first checkpoints lack.
LATER = {"optimiser", "criterion", "class_weights", "focal_gamma"}
LATER |= {"freeze_backbone", "cache_features", "patience", "bfloat16", "channels_last"}
RECIPE = record(
    {name: check for name, check in CHECKS.items() if name not in LATER},
    {name: CHECKS[name] for name in LATER},
)


@dataclass(frozen=True)
class Recipe:
    """How to train; the defaults are for the teaching data.

    Amount. iterations: steps of the optimiser. batch_size: images in one step, over all processes
    together. accumulate: parts in which a process computes its share of the batch, one after the
    other, to save memory; it must divide that share.

    Rate. learning_rate: of the backbone; `schedule`: "poly", "step" or "constant", see
    `dlseg.training.schedule`; power is poly's, step_size (iterations) and step_factor are step's.
    head_multiplier: the head learns so many times faster; head_bias_multiplier: its biases, as its
    weights if None.

    Step. optimiser: "sgd", stochastic gradient descent, as in the papers; momentum, weight_decay
    (L2, on all parameters) are its. "adamw" (Loshchilov and Hutter 2019) learns faster where a
    network has a minute and random weights, at rates about thirty times smaller; momentum is its
    first beta, the second is 0.999, and weight_decay is decoupled from the gradient.

    Batch norm. freeze_batch_norm: neither its statistics nor its scale and shift change.
    batch_norm_decay: share of the old running statistics kept in a step (PyTorch's default 0.9).

    Loss. loss: "upsampled": the logits at the size of the labels (DeepLab v3, section 4.1);
    "shrunk": the labels at the size of the scores (v1, section 3.1). criterion: "cross_entropy",
    or "focal" with its focal_gamma, "dice" or "lovasz", see `dlseg.training.criteria`; the last two
    are of a whole batch: no accumulate, one process. class_weights: of the first two: "none",
    "balanced" or "sqrt", counted from the training labels, or a number for each class.

    Parts. freeze_backbone: its weights and its batch norm stay, and only the head learns.
    cache_features: what the frozen backbone makes of a picture is computed once, and kept in memory
    (`dlseg.training.features`). That is of whole pictures, all of one size: crop_size is not asked,
    scale must be (1, 1) and colour 0; with flip the mirrored pictures are kept beside.

    patience: the training ends after so many validations without a better mean IoU; 0 is never.

    Pictures. crop_size: pixels, both sides. scale: random zoom between two factors; (1, 1) is none.
    flip: mirror every second picture. colour: strength of the random brightness, contrast and
    saturation, 0 is none. bootstrap_classes: pictures that show one of these labels are there
    bootstrap_copies times more (DeepLab v3's "bootstrapping", section 4).

    Speed; each changes the weights by rounding. mixed_precision: on CUDA, float16 where that is
    safe, with a scaled loss; elsewhere float32. bfloat16: instead, on the CPU too, bfloat16, which
    has float32's range and needs no scale, for convolutions and products; batch norm, the loss,
    the weights and the optimiser keep float32. It pays where the processor multiplies it (AMX,
    AVX512-BF16, CUDA from Ampere on), and is slower elsewhere. channels_last: the channels of a
    pixel side by side in memory, the layout of CPU and GPU kernels for bfloat16 and float16.
    seed: of the order, the augmentation and dropout; not of the first weights.
    NumPy's numbers become plain ones.
    Raises ValueError for a value that makes no sense, with what would.
    """

    iterations: int = 1200
    batch_size: int = 8
    accumulate: int = 1
    learning_rate: float = 0.1
    schedule: str = "poly"
    power: float = 0.9
    step_size: int = 2000
    step_factor: float = 0.1
    head_multiplier: float = 1.0
    head_bias_multiplier: float | None = None
    optimiser: str = "sgd"
    momentum: float = 0.9
    weight_decay: float = 1e-4
    freeze_batch_norm: bool = False
    batch_norm_decay: float = 0.9
    loss: str = "upsampled"
    crop_size: int = 96
    scale: tuple[float, float] = (1.0, 1.0)
    flip: bool = True
    colour: float = 0.0
    bootstrap_classes: tuple[int, ...] = ()
    bootstrap_copies: int = 1
    mixed_precision: bool = True
    criterion: str = "cross_entropy"
    class_weights: str | tuple[float, ...] = "none"
    focal_gamma: float = 2.0
    freeze_backbone: bool = False
    cache_features: bool = False
    patience: int = 0
    bfloat16: bool = False
    channels_last: bool = False
    seed: int = 0

    def __post_init__(self):
        for name, check in CHECKS.items():
            object.__setattr__(self, name, check(name, _plain(getattr(self, name))))
        # Checkpoints give back lists; equal recipes must be equal.
        object.__setattr__(self, "scale", tuple(self.scale))
        object.__setattr__(self, "bootstrap_classes", tuple(self.bootstrap_classes))
        if isinstance(self.class_weights, list):
            object.__setattr__(self, "class_weights", tuple(self.class_weights))
        self._check_together()

    def _check_together(self) -> None:
        """ValueError for fields that contradict each other."""
        whole = self.criterion in ("dice", "lovasz")
        if whole and self.class_weights != "none":
            raise ValueError(
                f"class_weights are of cross_entropy and focal; {self.criterion} counts all "
                "classes alike: leave them out"
            )
        if whole and self.accumulate > 1:
            raise ValueError(whole_batch(self.criterion, "accumulate=1 and a smaller batch_size"))
        if self.cache_features and not self.freeze_backbone:
            raise ValueError(
                "cache_features needs freeze_backbone: a backbone that learns has others soon"
            )
        if self.cache_features and self.accumulate > 1:
            raise ValueError("cache_features needs little memory: give accumulate=1")
        if self.cache_features and (self.scale != (1, 1) or self.colour):
            raise ValueError(
                "cache_features keeps what pictures are as they come: give scale (1, 1) and "
                f"colour 0, got {self.scale} and {self.colour:g}"
            )

    def share(self, processes: int) -> int:
        """Images that each of so many processes computes in one step.

        Raises ValueError unless the batch falls into equal shares, and a share into equal parts.
        """
        if self.batch_size % (processes * self.accumulate):
            raise ValueError(
                f"a batch of {self.batch_size} does not fall into equal parts for {processes} "
                f"processes with accumulate={self.accumulate}: "
                f"choose a batch_size that is a multiple of {processes * self.accumulate}"
            )
        return self.batch_size // processes
