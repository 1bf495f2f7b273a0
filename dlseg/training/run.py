"""A training at one moment: what it has told so far, and what a checkpoint keeps of it."""

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


@dataclass
class History:
    """What a training tells afterwards.

    losses: of every iteration, before its step. metrics: what `validate` gave, by the iterations
    done. For the iterations of this call (a resumed run has earlier ones): images computed by all
    processes, seconds, seconds spent waiting for data, and the last learning rate.
    """

    losses: list[float] = field(default_factory=list)
    metrics: dict[int, dict[str, float]] = field(default_factory=dict)
    images: int = 0
    seconds: float = 0.0
    waiting: float = 0.0
    learning_rate: float = 0.0

    def measure(self, iterations: int, metrics: dict[str, float]) -> None:
        """Keep what `validate` gave after so many iterations, as plain floats."""
        self.metrics[iterations] = {name: float(value) for name, value in metrics.items()}

    @property
    def images_per_second(self) -> float:
        """Images computed in a second; 0 where there was nothing left to do."""
        return self.images / self.seconds if self.seconds else 0.0


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
        saved = Recipe(**entries["recipe"])
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
