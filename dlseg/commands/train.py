"""`dlseg train` and `dlseg evaluate`: a network on the teaching data, Pascal VOC or Cityscapes.

dlseg train                                    the teaching data, about a minute
dlseg train --network deeplabv3plus-resnet18 --output-stride 16; dlseg evaluate --output-stride 8
dlseg train --data voc:VOCdevkit/VOC2012 --split trainaug --weights imagenet
torchrun --nproc-per-node=4 -m dlseg train --data cityscapes:DIR
"""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dlseg.checks import CommandError, need

RUNS = Path("runs")
# What decides a run, with the kind of its value and a word of help. First fields of `Job`, then of
# its recipe; a resumed run has them all from its checkpoint.
OPTIONS = {
    "data": (str, "scenes (the default), voc:DIR or cityscapes:DIR"),
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


def add(commands) -> None:
    """Add the parsers of both commands to the subparsers `commands`."""
    parser = commands.add_parser("train", help=train.__doc__)
    parser.set_defaults(function=train)
    for name, (kind, words) in OPTIONS.items():
        flags = ["--" + name.replace("_", "-")] + ["--model"] * (name == "network")
        parser.add_argument(*flags, type=kind, help=words)
    parser.add_argument("--freeze-batch-norm", action="store_true", default=None)
    parser.add_argument("--out", type=Path, help="folder of the checkpoint; default: a new runs/N")
    parser.add_argument("--resume", action="store_true", help="go on with --out, or the last run")
    parser.add_argument("--checkpoint-every", type=int, default=200, metavar="ITERATIONS")
    parser.add_argument("--validate-every", type=int, metavar="ITERATIONS", help="default: the end")
    parser.add_argument("--tensorboard", action="store_true", help="write curves beside it")
    _add_shared(parser)

    parser = commands.add_parser("evaluate", help=evaluate.__doc__)
    parser.set_defaults(function=evaluate)
    parser.add_argument("checkpoint", type=Path, nargs="?", help="default: of the last run")
    parser.add_argument("--data", help="default: what it was trained on")
    parser.add_argument("--split", default="val", help="default: val")
    parser.add_argument("--output-stride", type=int, help="default: as trained")
    parser.add_argument("--scales", type=float, nargs="+", default=[1.0], help="to average over")
    parser.add_argument("--flip", action="store_true", help="average with the mirror image")
    parser.add_argument("--batch-size", type=int, default=16)
    _add_shared(parser)


def train(arguments: argparse.Namespace) -> int:
    """Train a network and print its mIoU; without options, a minute on the teaching data."""
    if arguments.tensorboard:
        need("tensorboard", "test")
    with _computing(arguments) as device:
        from dlseg.commands.jobs import default_job, saved_job
        from dlseg.training.distributed import is_main

        names = (*OPTIONS, "freeze_batch_norm")
        options = {name: getattr(arguments, name) for name in names}
        if not arguments.resume:
            job = default_job(arguments.data or "scenes")
            if arguments.optimiser == "adamw" and arguments.learning_rate is None:
                raise CommandError(
                    "adamw needs a --learning-rate of its own, about a thirtieth of sgd's; "
                    f"sgd's is {job.recipe.learning_rate:g} on these data"
                )
            job = job.changed(options)
            # Only one process chooses a folder; the others write nothing.
            folder = arguments.out or (new_run() if is_main() else None)
        elif given := [name for name in names if options[name] is not None]:
            flags = ", ".join("--" + name.replace("_", "-") for name in given)
            raise CommandError(f"--resume goes on as the run began; leave out {flags}")
        else:
            folder = arguments.out or last_run()
            job = saved_job(folder)
        _train(job, folder, arguments, device)
    return 0


def evaluate(arguments: argparse.Namespace) -> int:
    """Print the IoU of each class of a trained network, and their mean."""
    with _computing(arguments) as device:
        from dlseg.commands.jobs import open_data, saved_data
        from dlseg.training import evaluate as measure
        from dlseg.training import load_network

        path = arguments.checkpoint or last_run() / "last.pt"
        model, entries = load_network(path, arguments.output_stride)
        dataset = open_data(arguments.data or saved_data(entries, path), arguments.split)
        scales, flip = arguments.scales, arguments.flip
        matrix = measure(
            model, dataset, device, arguments.batch_size, scales, flip, arguments.workers
        )
        _report(matrix, dataset, arguments.split)
    return 0


def new_run() -> Path:
    """The folder after the last of runs/1, runs/2, ..."""
    return RUNS / str(max(_runs(), default=0) + 1)


def last_run() -> Path:
    """The last of runs/1, runs/2, ... CommandError if there is none."""
    if not _runs():
        raise CommandError("there is no run in the folder runs; train one, or name its folder")
    return RUNS / str(max(_runs()))


def _runs() -> list[int]:
    return [int(path.name) for path in RUNS.glob("*") if path.name.isdigit()]


def _add_shared(parser: argparse.ArgumentParser) -> None:
    told = "processes that prepare pictures, each on a core of its own; default: 1"
    parser.add_argument("--workers", type=int, default=1, help=told)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"))


@contextmanager
def _computing(arguments: argparse.Namespace) -> Iterator:
    """The device of this process; what goes wrong on it is one line for the user."""
    from dlseg.device import use_device

    use_device(arguments.device)
    import torch

    from dlseg.device import setup
    from dlseg.training import CheckpointError
    from dlseg.training.distributed import process_group

    # Threads that wait for each other lose much more than a core where a worker takes one of them.
    torch.set_num_threads(max(1, torch.get_num_threads() - arguments.workers))
    try:
        with process_group(setup()) as device:
            yield device
    except torch.OutOfMemoryError as error:
        raise CommandError(
            "the GPU has too little memory: try --accumulate 2, or a smaller --batch-size"
        ) from error
    except (ValueError, OSError, CheckpointError, FloatingPointError) as error:
        # Of an error in a worker process the last line is the message.
        raise CommandError(str(error).strip().splitlines()[-1]) from error


def _train(job, folder: Path | None, arguments: argparse.Namespace, device) -> None:
    from dlseg.commands.jobs import open_data
    from dlseg.training import train as run
    from dlseg.training.checkpoint import LAST
    from dlseg.training.distributed import is_main
    from dlseg.training.tensorboard import TensorBoard

    dataset, validation = open_data(job.data, job.split), open_data(job.data, "val")
    model = job.build(dataset.num_classes)
    if is_main():
        millions = sum(parameter.numel() for parameter in model.parameters()) / 1e6
        print(f"{job.network}, output stride {job.output_stride}, {millions:.2f} M parameters")
        print(f"{len(dataset)} pictures of {job.data}; {job.recipe.iterations} iterations "
              f"of {job.recipe.batch_size} on {device}", flush=True)  # fmt: skip
    watch = TensorBoard(folder) if arguments.tensorboard and is_main() else None
    validate = _Validation(model, validation, device, arguments.workers)
    history = run(
        model,
        dataset,
        job.recipe,
        device,
        folder=folder,
        resume=arguments.resume,
        description=job.describe(dataset.num_classes),
        extra=_extra(job, dataset),
        checkpoint_every=arguments.checkpoint_every,
        workers=arguments.workers,
        watch=watch,
        validate=validate,
        validate_every=arguments.validate_every,
    )
    if watch is not None:
        watch.close()
    _report(validate.matrix or validate.measure(), validation, "val")
    if is_main():
        waiting = history.waiting / max(history.seconds, 1e-9)
        print(f"trained at {history.images_per_second:.0f} images/s, {waiting:.1%} of the time "
              f"waiting for pictures; checkpoint: {folder / LAST}")  # fmt: skip


def _extra(job, dataset) -> dict:
    """What the checkpoint keeps for `evaluate` and `predict`."""
    return {
        "data": job.data,
        "split": job.split,
        "classes": list(dataset.classes),
        "palette": dataset.palette.tolist(),
    }


class _Validation:
    """What `train` calls for metrics; the last confusion matrix stays in `matrix`."""

    def __init__(self, model, dataset, device, workers: int):
        self.model, self.dataset, self.device, self.workers = model, dataset, device, workers
        self.matrix = None

    def measure(self):
        from dlseg.training import evaluate as measure

        self.matrix = measure(self.model, self.dataset, self.device, workers=self.workers)
        return self.matrix

    def __call__(self) -> dict[str, float]:
        matrix = self.measure()
        return {"mean IoU": matrix.mean_iou(), "pixel accuracy": matrix.pixel_accuracy()}


def _report(matrix, dataset, split: str) -> None:
    """Print the IoU of each class and the summary, in the main process."""
    from dlseg.training.distributed import is_main

    if not is_main():
        return
    for name, value in zip(dataset.classes, matrix.iou().tolist(), strict=True):
        print(f"  {name:16} {value:.3f}")
    print(f"mIoU {matrix.mean_iou():.3f}, pixel accuracy {matrix.pixel_accuracy():.3f} "
          f"on {len(dataset)} pictures of {split}")  # fmt: skip
