"""Recipes, schedules, losses, checkpoints, and the loop that uses them.

`train` takes a model, a data set and a `Recipe`; `evaluate` gives the confusion matrix. One
process or several (`dlseg.training.distributed`), on the CPU or on GPUs.
"""

from dlseg.training.checkpoint import (
    LAST,
    CheckpointError,
    load_checkpoint,
    load_state,
    save_checkpoint,
)
from dlseg.training.criteria import class_weights, dice_loss, focal_loss, lovasz_loss
from dlseg.training.distributed import is_main, process_group
from dlseg.training.engine import train
from dlseg.training.evaluate import evaluate
from dlseg.training.loader import TrainingPictures, duplicate_rare
from dlseg.training.losses import ScoreMaps, segmentation_loss, shrink_labels, void_of
from dlseg.training.network import load_network, save_network
from dlseg.training.optimiser import parameter_groups, prepare_batch_norm
from dlseg.training.recipe import CHECKS as RECIPE_CHECKS
from dlseg.training.recipe import Recipe
from dlseg.training.run import BEST, History
from dlseg.training.schedule import learning_rate, poly, step
from dlseg.training.tensorboard import TensorBoard
from dlseg.training.weights import Taken, load_weights, take_fitting
