"""A recipe: everything that decides how a network is trained, in one frozen record.

What a recipe does not hold decides nothing about the weights: the device, the number of worker
processes, how often a checkpoint is written.
"""

import math
from dataclasses import dataclass

from dlseg.checks import check_integer

OPTIMISERS = ("sgd", "adamw")
SCHEDULES = ("poly", "step", "constant")
LOSSES = ("upsampled", "shrunk")


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

    Loss. "upsampled": the logits at the size of the labels (DeepLab v3, section 4.1); "shrunk":
    the labels at the size of the scores (v1, section 3.1).

    Pictures. crop_size: pixels, both sides. scale: random zoom between two factors; (1, 1) is none.
    flip: mirror every second picture. colour: strength of the random brightness, contrast and
    saturation, 0 is none. bootstrap_classes: pictures that show one of these labels are there
    bootstrap_copies times more (DeepLab v3's "bootstrapping", section 4).

    mixed_precision: on CUDA, float16 where that is safe; elsewhere always float32.
    seed: of the order, the augmentation and dropout; not of the first weights.
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
    seed: int = 0

    def __post_init__(self):
        for name in ("iterations", "batch_size", "accumulate", "step_size", "crop_size"):
            check_integer(name, getattr(self, name), 1)
        for name in ("seed", "bootstrap_copies"):
            check_integer(name, getattr(self, name), 0)
        for label in self.bootstrap_classes:
            check_integer("label of bootstrap_classes", label, 0)
        choices = {"optimiser": OPTIMISERS, "schedule": SCHEDULES, "loss": LOSSES}
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {allowed}, got {getattr(self, name)!r}")
        self._check_numbers()
        # Checkpoints give back lists; equal recipes must be equal.
        object.__setattr__(self, "scale", tuple(self.scale))
        object.__setattr__(self, "bootstrap_classes", tuple(self.bootstrap_classes))

    def _check_numbers(self):
        infinite = float("inf")
        bounds = {
            "learning_rate": (0, infinite),
            "power": (0, infinite),
            "step_factor": (0, 1),
            "head_multiplier": (0, infinite),
            "head_bias_multiplier": (0, infinite),
            "momentum": (0, 1),
            "weight_decay": (0, infinite),
            "batch_norm_decay": (0, 1),
            "colour": (0, 1),
        }
        for name, (low, high) in bounds.items():
            value = getattr(self, name)
            if value is not None and not (low <= value <= high and math.isfinite(value)):
                raise ValueError(f"{name} must be a number from {low} to {high}, got {value!r}")
        if len(self.scale) != 2 or not 0 < self.scale[0] <= self.scale[1] < infinite:
            raise ValueError(
                f"scale must be two factors, the smaller first, such as (0.5, 2.0), got "
                f"{self.scale!r}"
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
