"""`dlseg train`: a network on the teaching data, Pascal VOC or Cityscapes.

dlseg train                                    the teaching data, about a minute
dlseg train --network deeplabv3plus-resnet18 --output-stride 16; dlseg evaluate --output-stride 8
dlseg train --data voc:VOCdevkit/VOC2012 --split trainaug --weights imagenet
torchrun --nproc-per-node=4 -m dlseg train --data cityscapes:DIR
"""

import argparse
import shlex
from pathlib import Path

import torch

from dlseg import training
from dlseg.checks import CommandError, need
from dlseg.commands.evaluate import report
from dlseg.commands.jobs import Job, default_job, saved_job
from dlseg.commands.shared import add_device, add_workers, computing, last_run, new_run, told
from dlseg.data import data_names, open_data
from dlseg.paths import path_argument
from dlseg.training import LAST, TensorBoard, is_main

# What decides a run, with the kind of its value and a word of help. First fields of `Job`, then of
# its recipe; a resumed run has them all from its checkpoint.
OPTIONS = {
    "data": (str, f"{data_names()}; default: scenes"),
    "split": (str, "pictures to train on, such as trainaug; default: train"),
    "network": (
        str,
        "a family and a backbone, such as fcn-resnet18, deeplabv1-vgg16_bn, deeplabv3plus-resnet50 "
        "(a wrong name is answered by all there are); vgg16 should start from imagenet, vgg16_bn "
        "learns from random weights too",
    ),
    "output_stride": (int, "8, 16 or 32; DeepLab v1 and v2 have 8 alone"),
    "width": (float, "factor on the channels of the network"),
    "weights": (str, "to start from: imagenet (the backbone's), or a checkpoint"),
    "iterations": (int, "steps of the optimiser"),
    "batch_size": (int, "pictures in a step, over all processes"),
    "accumulate": (int, "parts a batch is computed in, to save memory"),
    "optimiser": (str, "sgd (the default) or adamw, which needs a --learning-rate of its own"),
    "learning_rate": (float, "of the backbone, at the first step"),
    "schedule": (str, "poly, step or constant"),
    "loss": (str, "upsampled (logits) or shrunk (labels), as DeepLab v1 and v2 were trained"),
    "crop_size": (int, "pixels"),
    "seed": (int, "of first weights, order, augmentation and dropout"),
}


def add(parser: argparse.ArgumentParser, _name: str) -> None:
    """Give the parser the arguments of `dlseg train`."""
    parser.set_defaults(function=train)
    for name, (kind, purpose) in OPTIONS.items():
        flags = [_flag(name), "--model"] if name == "network" else [_flag(name)]
        parser.add_argument(*flags, type=kind, help=purpose)
    parser.add_argument("--freeze-batch-norm", action="store_true", default=None)
    parser.add_argument(
        "--out", type=path_argument, help="folder of the checkpoint; default: a new runs/N"
    )
    parser.add_argument("--resume", action="store_true", help="go on with --out, or the last run")
    parser.add_argument("--checkpoint-every", type=int, default=200, metavar="ITERATIONS")
    parser.add_argument("--validate-every", type=int, metavar="ITERATIONS", help="default: the end")
    parser.add_argument("--tensorboard", action="store_true", help="write curves beside it")
    add_workers(parser)
    add_device(parser)


def train(arguments: argparse.Namespace) -> int:
    """Train a network and print its scores."""
    if arguments.tensorboard:
        need("tensorboard", "tensorboard")
    with computing(arguments) as device:
        options = {name: getattr(arguments, name) for name in (*OPTIONS, "freeze_batch_norm")}
        options = {name: value for name, value in options.items() if value is not None}
        if arguments.resume:
            if options:
                flags = ", ".join(map(_flag, options))
                raise CommandError(f"--resume goes on as the run began; leave out {flags}")
            folder = arguments.out or last_run()
            job = saved_job(folder)
        else:
            job = _new_job(options)
            # Only one process chooses a folder; the others write nothing.
            folder = arguments.out or (new_run() if is_main() else None)
        with told(lambda: _how_to_go_on(folder)):
            _train(job, folder, arguments, device)
    return 0


def _how_to_go_on(folder: Path | None) -> str:
    """What ends a training that was stopped; only one process says it."""
    if folder is None or not (folder / LAST).exists():
        return ""
    return f"go on with: dlseg train --resume --out {shlex.quote(str(folder))}"


def _new_job(options: dict) -> Job:
    job = default_job(options.get("data", "scenes"))
    if options.get("optimiser") == "adamw" and "learning_rate" not in options:
        raise CommandError(
            "adamw needs a --learning-rate of its own, about a thirtieth of sgd's; "
            f"sgd's is {job.recipe.learning_rate:g} on these data"
        )
    return job.changed(options)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _train(
    job: Job, folder: Path | None, arguments: argparse.Namespace, device: torch.device
) -> None:
    dataset, validation = open_data(job.data, job.split), open_data(job.data, "val")
    model, matrices = job.build(dataset.num_classes), []

    def validate() -> dict[str, float]:
        matrix = training.evaluate(model, validation, device, workers=arguments.workers)
        matrices.append(matrix)
        return {"mean IoU": matrix.mean_iou(), "pixel accuracy": matrix.pixel_accuracy()}

    _announce(job, len(dataset), model, device)
    watch = TensorBoard(folder) if arguments.tensorboard and is_main() else None
    history = training.train(
        model,
        dataset,
        job.recipe,
        device,
        folder=folder,
        resume=arguments.resume,
        description=job.describe(dataset.num_classes),
        extra=job.extra(dataset),
        checkpoint_every=arguments.checkpoint_every,
        workers=arguments.workers,
        watch=watch,
        validate=validate,
        validate_every=arguments.validate_every,
    )
    if watch is not None:
        watch.close()
    if not matrices:  # nothing was left to do
        validate()
    report(matrices[-1], validation, "val")
    if is_main():
        _conclude(history, folder)


def _announce(job: Job, count: int, model: torch.nn.Module, device: torch.device) -> None:
    if is_main():
        millions = sum(parameter.numel() for parameter in model.parameters()) / 1e6
        steps = f"{job.recipe.iterations} iterations of {job.recipe.batch_size} on {device}"
        print(f"{job.network}, output stride {job.output_stride}, {millions:.2f} M parameters")
        print(f"{count} pictures of {job.data}; {steps}", flush=True)


def _conclude(history: training.History, folder: Path) -> None:
    waiting = history.waiting / max(history.seconds, 1e-9)
    speed = f"{history.images_per_second:.0f} images/s, {waiting:.1%} of the time waiting"
    print(f"trained at {speed} for pictures; checkpoint: {folder / LAST}")
