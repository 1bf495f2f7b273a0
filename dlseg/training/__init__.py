"""Recipes, schedules, losses, checkpoints, and the loop that uses them.

`train` takes a model, a data set and a `Recipe`; `evaluate` gives the confusion matrix. One
process or several (`dlseg.training.distributed`), on the CPU or on GPUs.
"""

from dlseg.training.checkpoint import (
    CheckpointError,
    load_checkpoint,
    load_network,
    load_weights,
    save_checkpoint,
)
from dlseg.training.engine import History, train
from dlseg.training.evaluate import evaluate
from dlseg.training.loader import TrainingPictures, duplicate_rare
from dlseg.training.losses import segmentation_loss, shrink_labels
from dlseg.training.recipe import Recipe
from dlseg.training.schedule import learning_rate, poly, step

__all__ = [
    "CheckpointError",
    "History",
    "Recipe",
    "TrainingPictures",
    "duplicate_rare",
    "evaluate",
    "learning_rate",
    "load_checkpoint",
    "load_network",
    "load_weights",
    "poly",
    "save_checkpoint",
    "segmentation_loss",
    "shrink_labels",
    "step",
    "train",
]
