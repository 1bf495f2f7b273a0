"""A training at one moment: what it has told so far, and what a checkpoint keeps of it."""

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import nn

from dlseg.schema import Unfit
from dlseg.training.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from dlseg.training.distributed import is_main
from dlseg.training.optimiser import restore_optimiser
from dlseg.training.recipe import Recipe
from dlseg.training.weights import give_weights

BEST, BEST_BY = "best.pt", "mean IoU"  # the checkpoint of the best validation, and its metric


@dataclass
class History:
    """What a training tells afterwards.

    losses: of every iteration, before its step. metrics: what `validate` gave, by the iterations
    done. For the iterations of this call (a resumed run has earlier ones): images computed by all
    processes, seconds, without those of validation, seconds spent waiting for data, and the last
    learning rate; pictures whose features are kept, and bytes of them.
    """

    losses: list[float] = field(default_factory=list)
    metrics: dict[int, dict[str, float]] = field(default_factory=dict)
    images: int = 0
    seconds: float = 0.0
    waiting: float = 0.0
    learning_rate: float = 0.0
    kept: int = 0
    kept_bytes: int = 0

    def measure(self, iterations: int, metrics: dict[str, float]) -> None:
        """Keep what `validate` gave after so many iterations, as plain floats."""
        self.metrics[iterations] = {name: float(value) for name, value in metrics.items()}

    @property
    def images_per_second(self) -> float:
        """Images computed in a second; 0 where there was nothing left to do."""
        return self.images / self.seconds if self.seconds else 0.0

    @property
    def best(self) -> tuple[int, float] | None:
        """Iterations done and value of the first largest "mean IoU"; None where there is none."""
        scores = [(done, found.get(BEST_BY, math.nan)) for done, found in self.metrics.items()]
        scores = [score for score in scores if not math.isnan(score[1])]
        return max(scores, key=lambda score: score[1], default=None)

    @property
    def line(self) -> str:
        """Loss, learning rate, speed, and the last mean IoU, in a few words."""
        last = self.metrics[max(self.metrics)].get(BEST_BY) if self.metrics else None
        words = [f"loss {self.losses[-1]:.3f}", f"lr {self.learning_rate:.2g}"]
        words += [] if last is None else [f"mIoU {last:.3f}"]
        return ", ".join([*words, f"{self.images_per_second:.0f} images/s"])


@dataclass
class Run:
    """A training at one moment: what a checkpoint keeps."""

    model: nn.Module
    recipe: Recipe
    optimiser: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    description: dict | None
    extra: dict
    history: History = field(default_factory=History)

    def save(self, path: Path) -> None:
        """Write the checkpoint `path`, in the main process only."""
        entries = {
            "model": self.description,
            "weights": self.model.state_dict(),
            "recipe": asdict(self.recipe),
            "iteration": len(self.history.losses),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "losses": self.history.losses,
            "metrics": self.history.metrics,
            "extra": self.extra,
        }
        if is_main():
            save_checkpoint(path, entries)

    def restore(self, path: Path) -> None:
        """Go on from the checkpoint `path`.

        ValueError if it was trained by another recipe or is of another network, CheckpointError for
        what is none.
        """
        entries = load_checkpoint(path)
        try:
            saved = Recipe(**entries["recipe"])
        except ValueError as error:
            raise ValueError(f"{path}: recipe: {error}") from error
        if saved != self.recipe:
            raise ValueError(f"{path} was trained by another recipe: {saved}; resume with that one")
        give_weights(self.model, entries, path)
        try:
            restore_optimiser(self.optimiser, entries["optimiser"], saved)
        except Unfit as error:
            raise CheckpointError(f"{path}: {error}; take an older copy, or train again") from error
        # Only where floats of 16 bits were used and are used there is a scale to go on with.
        if self.scaler.is_enabled() and len(entries["scaler"]) == len(self.scaler.state_dict()):
            self.scaler.load_state_dict(entries["scaler"])
        self.history = History(entries["losses"], entries["metrics"])
