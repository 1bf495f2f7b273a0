"""`dlseg train`: a network on pictures of your own, the teaching data, Pascal VOC or Cityscapes.

dlseg train                                    the teaching data, about a minute
dlseg train --network deeplabv3plus-resnet18 --output-stride 16; dlseg evaluate --output-stride 8
dlseg train --data voc:VOCdevkit/VOC2012 --split trainaug --weights imagenet
dlseg train --config runs/3/run.toml --out elsewhere    that run again, to the same bits
torchrun --nproc-per-node=4 -m dlseg train --data cityscapes:DIR

A run writes last.pt, with which --resume goes on, best.pt, that of the best mean IoU so far on the
pictures of val, and run.toml, with all options. --config takes every option (with _ for -) and
every field of the recipe from such a file; what is given beside it wins.
"""

import argparse
import shlex
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import torch

from dlseg import training
from dlseg.checks import DEVICES, CommandError, need
from dlseg.commands.config import read_config, write_config
from dlseg.commands.evaluate import report
from dlseg.commands.jobs import DEFAULTS, KEPT, PICTURES, Job, default_job, saved_job
from dlseg.commands.shared import add_device, add_workers, computing, last_run, new_run, told
from dlseg.data import data_names, open_data, with_options
from dlseg.metrics import ConfusionMatrix
from dlseg.paths import check_path, path_argument
from dlseg.schema import choice, integer, listing, number, text
from dlseg.training import BEST, LAST, RECIPE_CHECKS, Recipe, TensorBoard, is_main


def _class_weights(given: str) -> str | list[float]:
    """none, balanced, sqrt, or numbers with commas between."""
    try:
        return [float(number) for number in given.split(",")]
    except ValueError:
        return given


def _rates(given: str) -> list[int]:
    """Whole numbers with commas between, or none."""
    try:
        return [] if given == "none" else [int(number) for number in given.split(",")]
    except ValueError as error:
        words = f"must be whole numbers, as in 2,4,6, or none, got {given!r}"
        raise argparse.ArgumentTypeError(words) from error


# What decides a run, with the kind of its value and a word of help. First fields of `Job`, then of
# its recipe; a resumed run has them all from its checkpoint.
OPTIONS = {
    "data": (str, data_names()),
    "split": (str, "pictures to train on, such as trainaug"),
    "validate": (
        float,
        "share of the pictures to hold out for validation, the same whatever the seed, of a folder "
        "that is not split",
    ),
    "network": (
        str,
        "a family and a backbone, such as fcn-resnet18, deeplabv1-vgg16_bn, deeplabv3plus-resnet50 "
        "(a wrong name is answered by all there are); vgg16 should start from imagenet, vgg16_bn "
        "learns from random weights too",
    ),
    "output_stride": (int, "8, 16 or 32; DeepLab v1 and v2 have 8 alone"),
    "width": (float, "factor on the channels of the network"),
    "channels": (int, "of the head of a DeepLab v3 or v3+"),
    "atrous_rates": (
        _rates,
        "of the head of a DeepLab v2 (at output stride 8), v3 or v3+ (at 16), as in 2,4,6, which "
        "suits pictures of 200 pixels; or none",
    ),
    "weights": (
        str,
        "to start from: imagenet (the backbone's), imagenet:FILE or another FILE of weights, a "
        "checkpoint, or a name such as deeplabv3-mobilenetv2-voc; of a file every layer that fits "
        "is kept",
    ),
    "iterations": (int, "steps of the optimiser"),
    "batch_size": (int, "pictures in a step, over all processes"),
    "accumulate": (int, "parts a batch is computed in, to save memory"),
    "optimiser": (str, "sgd or adamw; each needs a --learning-rate of its own"),
    "learning_rate": (float, "of the backbone, at the first step"),
    "head_multiplier": (float, "the head learns so many times faster"),
    "schedule": (str, "poly, step or constant"),
    "loss": (str, "upsampled (logits) or shrunk (labels), as DeepLab v1 and v2 were trained"),
    "criterion": (str, "cross_entropy, focal, dice or lovasz"),
    "class_weights": (
        _class_weights,
        "none, balanced (by what is rare in the training labels), sqrt (half as much), or a number "
        "for each class, as in 1,0.5,3",
    ),
    "crop_size": (int, "pixels"),
    "patience": (int, "end after so many validations without a better mean IoU; 0: never"),
    "seed": (int, "of first weights, order, augmentation and dropout"),
}
SWITCHES = {
    "flip": "mirror every second picture",
    "freeze_batch_norm": "neither its statistics nor its scale and shift change",
    "freeze_backbone": "only the head learns; the backbone's weights and batch norm stay",
    "cache_features": "with --freeze-backbone, which it implies: what the backbone makes of each "
    "whole picture, and of its mirror image, is computed once and kept in memory, 4 GiB at most; "
    "for pictures of one size, which are neither scaled nor cropped",
}
# What decides nothing about the weights of a run that goes to its end, and the default.
RUN = {
    "checkpoint_every": (200, KEPT["checkpoint_every"]),
    "validate_every": (None, integer(1)),
    "tensorboard": (False, KEPT["tensorboard"]),
    "workers": (1, integer()),
    "device": (None, choice(DEVICES)),
    "out": (None, lambda entry, value: check_path(entry, text(False)(entry, value))),
}
_JOB = {name: text(False) for name in ("data", "split", "network", "weights")}
_JOB |= {"output_stride": integer(1), "width": number(0), "channels": integer(1)}
_JOB |= {"atrous_rates": listing(integer(1))}
ENTRIES = _JOB | {"validate": number(0, 1)} | RECIPE_CHECKS
ENTRIES |= {name: check for name, (_, check) in RUN.items()}  # of a run.toml


def add(parser: argparse.ArgumentParser, _name: str) -> None:
    """Give the parser the arguments of `dlseg train`."""
    parser.set_defaults(function=train)
    for name, (kind, purpose) in OPTIONS.items():
        flags = [_flag(name), "--model"] if name == "network" else [_flag(name)]
        parser.add_argument(*flags, type=kind, help=f"{purpose}; default: {_default(name)}")
    parser.add_argument(
        "--scale",
        type=float,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help=f"zoom each picture by a factor between; default: {_default('scale')}",
    )
    for name, purpose in SWITCHES.items():
        words = f"{purpose}; default: {_default(name)}"
        parser.add_argument(_flag(name), action=argparse.BooleanOptionalAction, help=words)
    parser.add_argument(
        "--config", type=path_argument, help="a run.toml with options; default: none"
    )
    parser.add_argument(
        "--out", type=path_argument, help="folder of the checkpoint; default: a new runs/N"
    )
    parser.add_argument("--resume", action="store_true", help="go on with --out, or the last run")
    every = "steps between two checkpoints; default: 200"
    parser.add_argument("--checkpoint-every", type=int, metavar="ITERATIONS", help=every)
    every = "steps between two looks at the pictures of val; default: one look, at the end"
    parser.add_argument("--validate-every", type=int, metavar="ITERATIONS", help=every)
    parser.add_argument(
        "--tensorboard",
        action=argparse.BooleanOptionalAction,
        help="write curves, scores and a few pictures beside it; default: no",
    )
    add_workers(parser)
    add_device(parser)
    parser.set_defaults(workers=None)  # a --config may say


_NOT_OF_A_JOB = {"data": "scenes", "validate": "as the folder's dataset.toml says, else 0.2"}
_NOT_OF_A_JOB |= dict.fromkeys(("channels", "atrous_rates"), "the network's own")


def _default(name: str) -> str:
    """The default of an option in words, by the kind of data where it differs."""
    if name in _NOT_OF_A_JOB:
        return _NOT_OF_A_JOB[name]
    found = {
        kind: _word(getattr(job.recipe if name in RECIPE_CHECKS else job, name))
        for kind, job in {**DEFAULTS, "other data": PICTURES}.items()
    }
    kinds = {value: [kind for kind in found if found[kind] == value] for value in found.values()}
    if len(kinds) == 1:
        return found["scenes"]
    return "; ".join(f"{value} ({', '.join(names)})" for value, names in kinds.items())


def _word(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(map(_word, value))
    words = {None: "none", True: "yes", False: "no"}
    if value is None or isinstance(value, bool):
        return words[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def train(arguments: argparse.Namespace) -> int:
    """Train a network and print its scores."""
    options = {name: value for name, value in vars(arguments).items() if name in ENTRIES}
    options = {name: value for name, value in options.items() if value is not None}
    own = [name for name in options if name not in RUN]
    if arguments.resume and (own or arguments.config):
        flags = ", ".join(map(_flag, [*own, *(["config"] if arguments.config else [])]))
        raise CommandError(f"--resume goes on as the run began; leave out {flags}")
    if arguments.config:
        options = read_config(arguments.config, ENTRIES) | options
    given = {name: options.pop(name) for name in RUN if name in options}
    defaults = {name: default for name, (default, _) in RUN.items()}
    run = argparse.Namespace(resume=arguments.resume, **(defaults | given))
    with computing(run) as device:
        if run.resume:
            folder = run.out or last_run()
            job, saved = saved_job(folder)
            for name, value in saved.items():
                setattr(run, name, given.get(name, value))
        else:
            job = new_job(options)
            # Only one process chooses a folder; the others write nothing.
            folder = run.out or (new_run() if is_main() else None)
        with told(lambda: _how_to_go_on(folder)):
            _train(job, folder, run, device)
    return 0


def _how_to_go_on(folder: Path | None) -> str:
    """What ends a training that was stopped; only one process says it."""
    if folder is None or not (folder / LAST).exists():
        return ""
    return f"go on with: dlseg train --resume --out {shlex.quote(str(folder))}"


def new_job(options: dict) -> Job:
    """The job of options, fields of it or of its recipe, over the defaults of its data.

    Raises CommandError for another optimiser without its learning rate.
    """
    data = with_options(options.get("data", "scenes"), validate=options.get("validate"))
    options = {name: value for name, value in options.items() if name not in ("data", "validate")}
    job = default_job(data)
    mine, given = job.recipe.optimiser, options.get("optimiser", job.recipe.optimiser)
    if given != mine and "learning_rate" not in options:
        share = "about a thirtieth of" if given == "adamw" else "about thirty times"
        raise CommandError(
            f"{given} needs a --learning-rate of its own, {share} {mine}'s; "
            f"{mine}'s is {job.recipe.learning_rate:g} on these data"
        )
    if options.get("cache_features"):
        options = {"freeze_backbone": True, "scale": (1.0, 1.0), "colour": 0.0} | options
    return job.changed(options)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _train(job: Job, folder: Path | None, run: argparse.Namespace, device: torch.device) -> None:
    dataset, validation = open_data(job.data, job.split), open_data(job.data, "val")
    model, begun = job.build(dataset.num_classes)
    if run.tensorboard:
        need("tensorboard", "tensorboard")
    board = TensorBoard(folder) if run.tensorboard and is_main() else None
    matrices: list[ConfusionMatrix] = []

    def validate() -> dict[str, float]:
        matrix = training.evaluate(model, validation, device, workers=run.workers)
        matrices.append(matrix)
        if board is not None:
            board.measure(matrix, validation.classes)
            board.show(model, validation)
        return {"mean IoU": matrix.mean_iou(), "pixel accuracy": matrix.pixel_accuracy()}

    _announce(job, len(dataset), model, begun, device)
    written = _Written(folder, _options(job, run, device)) if is_main() and not run.resume else None
    history = training.train(
        model,
        dataset,
        job.recipe,
        device,
        folder=folder,
        resume=run.resume,
        description=job.describe(dataset.num_classes),
        extra=job.extra(dataset) | {"run": {name: getattr(run, name) for name in KEPT}},
        checkpoint_every=run.checkpoint_every,
        workers=run.workers,
        watch=_all(board, written),
        validate=validate,
        validate_every=run.validate_every,
    )
    if board is not None:
        board.close()
    if not matrices:  # nothing was left to do
        validate()
    report(matrices[-1], validation, "val")
    if is_main():
        _conclude(history, job.recipe, folder)


def _all(*watches: Callable | None) -> Callable:
    def watch(*step) -> None:
        for one in filter(None, watches):
            one(*step)

    return watch


class _Written:
    """A watch that writes run.toml after the first step, when the folder is surely this run's."""

    def __init__(self, folder: Path, options: dict):
        self.folder, self.options = folder, options

    def __call__(self, *_step) -> None:
        if self.options:
            write_config(self.folder, self.options)
            self.options = {}


def _options(job: Job, run: argparse.Namespace, device: torch.device) -> dict:
    """All options of a run, as `--config` takes them; without its folder."""
    own = {name: getattr(job, name) for name in _JOB}
    recipe = {field.name: getattr(job.recipe, field.name) for field in fields(Recipe)}
    others = {name: getattr(run, name) for name in RUN if name != "out"}
    return own | recipe | others | {"device": device.type}


def _announce(
    job: Job, count: int, model: torch.nn.Module, begun: str, device: torch.device
) -> None:
    if is_main():
        millions = sum(parameter.numel() for parameter in model.parameters()) / 1e6
        steps = f"{job.recipe.iterations} iterations of {job.recipe.batch_size} on {device}"
        print(f"{job.network}, output stride {job.output_stride}, {millions:.2f} M parameters")
        if begun:
            print(begun)
        print(f"{count} pictures of {job.data}; {steps}", flush=True)


def _conclude(history: training.History, recipe: Recipe, folder: Path) -> None:
    waiting = history.waiting / max(history.seconds, 1e-9)
    speed = f"{history.images_per_second:.0f} images/s, {waiting:.1%} of the time waiting"
    print(f"trained at {speed} for pictures; checkpoint: {folder / LAST}")
    if history.kept:
        size, twins = history.kept_bytes / 1e6, ", mirrored ones too," if recipe.flip else ""
        print(f"features of {history.kept} pictures{twins} were kept: {size:.0f} MB")
    done, best = len(history.losses), history.best
    if done < recipe.iterations:
        print(f"ended after {done} iterations: {recipe.patience} validations without a better mIoU")
    if best is not None and best[0] < done:
        print(f"best mIoU {best[1]:.3f}, after {best[0]} iterations: {folder / BEST}")
