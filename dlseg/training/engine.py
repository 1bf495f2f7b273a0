"""The training loop: a model, a data set and a recipe in, trained weights and a history out.

Each step is a function of the weights, the momentum and the number of the iteration: the pictures
(`loader`), the learning rate (`schedule`) and dropout (seeded anew in every iteration) follow from
recipe and iteration alone. That is why a checkpoint is small, and why a run that was killed and
resumed ends, on the CPU and with as many threads, with the same bits as one that was not.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import Dataset
from tqdm import tqdm

from dlseg.aside import only_one
from dlseg.checks import check_integer
from dlseg.doors import check_same_classes
from dlseg.paths import check_path
from dlseg.training.checkpoint import LAST, CheckpointError
from dlseg.training.criteria import REGIONS, make_criterion
from dlseg.training.distributed import distribute, is_main, processes, rank, sum_over_processes
from dlseg.training.features import KeptFeatures, frozen, given
from dlseg.training.loader import TrainingPictures, training_batches
from dlseg.training.losses import Loss, PixelLoss, ScoreMaps, WholeBatch, classes_of
from dlseg.training.optimiser import make_optimiser, prepare_batch_norm, set_learning_rate
from dlseg.training.recipe import Recipe, whole_batch
from dlseg.training.run import BEST, BEST_BY, History, Run
from dlseg.training.schedule import learning_rate
from dlseg.training.speed import fast_pointwise

DROPOUT = 2  # the stream of random numbers beside those of `loader`
Watch = Callable[[int, float, float], None]


def train(
    model: nn.Module,
    dataset: Dataset,
    recipe: Recipe,
    device: torch.device | str = "cpu",
    *,
    folder: str | Path | None = None,
    resume: bool = False,
    description: dict | None = None,
    extra: dict | None = None,
    checkpoint_every: int = 200,
    workers: int = 0,
    watch: Watch | None = None,
    validate: Callable[[], dict[str, float]] | None = None,
    validate_every: int | None = None,
    loss: Loss | None = None,
) -> History:
    """Train `model` on `dataset` by `recipe`; shows a progress bar on a terminal.

    model: takes images (B, 3, H, W) and returns logits, see `logits_of` in `dlseg.doors`; it is
    changed, and left on `device` in eval mode. Its attribute `backbone`, if it has one, is the part
    that recipe.head_multiplier and freeze_backbone are about. dataset: see `dlseg.data`; the number
    of classes is its, or else the model's `num_classes`.
    folder: where the checkpoint last.pt goes, before the first step, every checkpoint_every
    iterations and at the end; None: nowhere. It is this training's alone until the end.
    resume: go on from it; without, it must not be there.
    description, extra: entries of the checkpoint, see `dlseg.training.checkpoint`. workers:
    processes that prepare pictures; they change nothing but the speed.
    Called in every process: watch, after each step, with (iteration, loss, learning rate);
    validate, at the end, and every validate_every iterations if given; its metrics, the same in all
    processes, are kept. Whenever one called "mean IoU" is larger than before, the checkpoint is
    written as best.pt too, and recipe.patience counts from there.
    loss: of your own in place of the recipe's, `loss(logits, labels)`, see `WholeBatch`; no entry
    of the checkpoint tells it, so give it again to resume.
    Raises ValueError for what does not fit together, CheckpointError for a file that cannot be
    written or read, BlockingIOError where another process trains in the folder, FloatingPointError
    where the loss is no longer a number; the last checkpoint stays good.
    """
    _check_periods(checkpoint_every, validate_every)
    _check_ends(recipe, validate, loss)
    path = check_path("folder", folder) / LAST if folder is not None else None
    with ExitStack() as held:
        held.enter_context(_alone(path, resume))
        held.enter_context(fast_pointwise(model, torch.device(device)))
        run = _new_run(model, dataset, recipe, torch.device(device), description, extra)
        _begin(run, path, resume)
        held.enter_context(frozen(model, recipe.freeze_backbone))
        steps = () if _stalled(run) else _steps(run, dataset, workers, path, watch, loss)
        for iteration, rate in steps:
            looks = validate is not None and _due(iteration, recipe, validate_every)
            better = looks and _measure(run, iteration + 1, validate())
            ends = _stalled(run)
            if path is not None:
                last = ends or _due(iteration, recipe, checkpoint_every)
                _keep(run, iteration, rate, path, {BEST: better, LAST: last})
            if ends:
                break
    model.eval()
    return run.history


@contextmanager
def _alone(path: Path | None, resume: bool) -> Iterator[None]:
    """Hold the checkpoint's folder, in the main process; nothing where there is none to resume."""
    with ExitStack() as held:
        if path is not None and is_main() and (path.exists() or not resume):
            try:
                held.enter_context(only_one(path.parent, "training"))
            except BlockingIOError:
                raise
            except OSError as error:
                raise CheckpointError(
                    f"cannot write the checkpoint {path}: {error}. Choose another folder"
                ) from error
        yield


def _new_run(
    model: nn.Module,
    dataset: Dataset,
    recipe: Recipe,
    device: torch.device,
    description: dict | None,
    extra: dict | None,
) -> Run:
    """A run before its first step, on `device`. ValueError where the numbers of classes differ."""
    check_same_classes(getattr(model, "num_classes", None), classes_of(dataset, model))
    half = device.type == "cuda" and recipe.mixed_precision and not recipe.bfloat16
    scaler = torch.amp.GradScaler(device.type, enabled=half)
    layout = torch.channels_last if recipe.channels_last else torch.preserve_format
    model.to(device, memory_format=layout)  # the maps follow the weights
    return Run(model, recipe, make_optimiser(model, recipe), scaler, description, extra or {})


def _begin(run: Run, path: Path | None, resume: bool) -> None:
    """Restore the run, or write its first checkpoint."""
    if resume:
        if path is None:
            raise ValueError("resume needs a folder, that of the training to go on with")
        run.restore(path)
    elif path is not None:
        if is_main() and path.exists():
            raise ValueError(
                f"{path} is there already: go on with it (resume), or choose another folder"
            )
        run.save(path)  # a folder that cannot be written is told now, not in an hour


def _keep(run: Run, iteration: int, rate: float, path: Path, due: dict[str, bool]) -> None:
    """Write the checkpoints that are due, by their names, beside `path`."""
    if any(due.values()):
        _check_weights(run.model, iteration, rate, path)
    for name in (name for name, now in due.items() if now):
        run.save(path.with_name(name))


def _check_periods(checkpoint_every: int, validate_every: int | None) -> None:
    check_integer("checkpoint_every", checkpoint_every, 1)
    if validate_every is not None:
        check_integer("validate_every", validate_every, 1)


def _check_ends(recipe: Recipe, validate: Callable | None, loss: Loss | None) -> None:
    """ValueError for patience with nothing to wait for, and a loss that cannot be had in parts."""
    if recipe.patience and validate is None:
        raise ValueError("patience counts validations: give validate and validate_every")
    name = recipe.criterion if loss is None else "a loss of your own"
    if (loss is not None or name in REGIONS) and (recipe.accumulate > 1 or processes() > 1):
        raise ValueError(whole_batch(name, "accumulate=1 and train in one process"))


def _measure(run: Run, iterations: int, metrics: dict[str, float]) -> bool:
    """Keep what `validate` gave after so many iterations; whether it is the best so far."""
    if run.recipe.patience and BEST_BY not in metrics:
        raise ValueError(f"patience waits for a metric {BEST_BY!r}, got {', '.join(metrics)}")
    run.history.measure(iterations, metrics)
    best = run.history.best
    return best is not None and best[0] == iterations


def _stalled(run: Run) -> bool:
    """Whether the recipe's patience is over; from what is measured, so also of a resumed run."""
    best, patience = run.history.best, run.recipe.patience
    since = [done for done in run.history.metrics if best is None or done > best[0]]
    return 0 < patience <= len(since)


def _due(iteration: int, recipe: Recipe, every: int | None) -> bool:
    """Whether an iteration ends a period of `every`, or the training."""
    done = iteration + 1
    return done == recipe.iterations or (every is not None and done % every == 0)


def _steps(
    run: Run,
    dataset: Dataset,
    workers: int,
    path: Path | None,
    watch: Watch | None,
    loss: Loss | None,
) -> Iterator[tuple[int, float]]:
    """Make the steps that are left, one for each (iteration, learning rate) that is given."""
    recipe, history, device = run.recipe, run.history, next(run.model.parameters()).device
    start, classes = len(history.losses), classes_of(dataset, run.model)
    pictures = TrainingPictures(dataset, recipe, rank(), processes(), start, classes)
    batches = _batches(pictures, run, workers, device)
    criterion = make_criterion(recipe, dataset, classes, device, loss)
    network = distribute(ScoreMaps(run.model, recipe.loss, classes), device)
    began = time.perf_counter()
    for iteration in _progress(start, recipe.iterations, history):
        asked = time.perf_counter()
        images, labels, maps = next(batches)
        history.waiting += time.perf_counter() - asked
        rate = learning_rate(recipe, iteration)
        set_learning_rate(run.optimiser, rate)
        prepare_batch_norm(run.model, recipe)
        _seed_dropout(recipe.seed, iteration)
        with given(getattr(run.model, "backbone", None), maps):
            batch = images, labels, recipe.accumulate, criterion
            value = train_step(network, run.optimiser, run.scaler, *batch, recipe.bfloat16)
        _check_loss(value, iteration, rate, path)
        history.losses.append(value)
        history.images += recipe.batch_size
        history.seconds = time.perf_counter() - began
        history.learning_rate = rate
        if watch is not None:
            watch(iteration, value, rate)
        paused = time.perf_counter()
        yield iteration, rate
        began += time.perf_counter() - paused  # validation and checkpoints are no training


def _batches(
    pictures: TrainingPictures, run: Run, workers: int, device: torch.device
) -> Iterator[tuple[Tensor, Tensor, object]]:
    """Images, labels, and what the backbone makes of them where that is kept, or None."""
    if not run.recipe.cache_features:
        for images, labels in training_batches(pictures, workers, device):
            yield images, labels, None
        return
    features = KeptFeatures(pictures, run.model, device)
    for batch in features.batches():
        run.history.kept, run.history.kept_bytes = features.count, features.size
        yield batch


def _progress(start: int, stop: int, history: History) -> Iterator[int]:
    """The iterations from start to stop, with a bar on the terminal of the main process."""
    # disable=None: no bar unless standard error is a terminal
    hidden = None if is_main() else True
    with tqdm(total=stop, initial=start, desc="training", disable=hidden) as bar:
        for iteration in range(start, stop):
            yield iteration
            bar.set_postfix_str(history.line, refresh=False)
            bar.update()


def train_step(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    images: Tensor,
    labels: Tensor,
    accumulate: int = 1,
    criterion: PixelLoss | WholeBatch = PixelLoss(),  # noqa: B008, it is frozen
    bfloat16: bool = False,
) -> float:
    """One step of the optimiser on one batch; gives its loss; no step if that is no number.

    network: `ScoreMaps`, alone or distributed. images: (B, 3, H, W), labels: (B, H, W), this
    process's share, computed in `accumulate` parts. criterion: the loss, and the label that counts
    nothing in it. bfloat16: by autocast; without, float16 where the scaler is enabled.
    The loss is the mean over the labelled pixels of the whole batch, of all parts and processes,
    but for one of a whole batch, which has no parts.
    """
    half, mixed = torch.bfloat16 if bfloat16 else None, bfloat16 or scaler.is_enabled()
    network.zero_grad(set_to_none=True)
    parts = list(zip(images.chunk(accumulate), labels.chunk(accumulate), strict=True))
    counts, total = None, torch.zeros((), device=images.device)
    for number, (part, target) in enumerate(parts, start=1):
        with _gradients_stay_here(network, number < len(parts)):
            with torch.autocast(images.device.type, half, enabled=mixed):
                maps = network(part)
            if counts is None:  # only now the sizes of the maps are known
                counts = sum_over_processes(criterion.counts(maps, labels))
                counts = counts.where(counts > 0, 1)
            loss = (criterion.sums(maps, target) / counts).sum()
            # The gradients of the processes are averaged; times their number, they are added.
            scaler.scale(loss * processes()).backward()
        total += loss.detach()
    value = sum_over_processes(total).item()
    if math.isfinite(value):
        scaler.step(optimiser)
        scaler.update()
    return value


def _gradients_stay_here(network: nn.Module, more_follows: bool):
    """Let processes exchange gradients only after the last part of a batch."""
    if more_follows and isinstance(network, DistributedDataParallel):
        return network.no_sync()
    return nullcontext()


def _seed_dropout(seed: int, iteration: int) -> None:
    sequence = np.random.SeedSequence([seed, DROPOUT, iteration, rank()])
    torch.manual_seed(int(sequence.generate_state(1, np.uint64)[0]))


def _check_loss(loss: float, iteration: int, rate: float, path: Path | None) -> None:
    if not math.isfinite(loss):
        _diverged(f"the loss is {loss}", iteration, rate, path)


def _check_weights(model: nn.Module, iteration: int, rate: float, path: Path) -> None:
    """Before a checkpoint: the loss is that of the weights before the step."""
    if not all(value.isfinite().all() for value in model.state_dict().values()):
        _diverged("there are weights that are no numbers", iteration, rate, path)


def _diverged(what: str, iteration: int, rate: float, path: Path | None) -> None:
    kept = f"; the last good checkpoint is {path}" if path is not None else ""
    raise FloatingPointError(
        f"{what} at iteration {iteration}, learning rate {rate:.3g}{kept}. Try a tenth of the "
        "learning rate; if that does not help, look for empty or strange pictures"
    )
