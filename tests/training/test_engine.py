"""The training loop: it learns, stops where it must, and goes on as if nothing had happened."""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from dlseg.models import build_model, describe
from dlseg.training import (
    CheckpointError,
    checkpoint,
    engine,
    evaluate,
    load_checkpoint,
    load_network,
    train,
)
from dlseg.training.optimiser import make_optimiser
from dlseg.training.tensorboard import TensorBoard
from tests.training import trainer
from tests.training.toys import Blocks, Net, tiny, weights

ROOT = Path(__file__).parents[2]
REMEMBERED = {"sgd": {"momentum_buffer"}, "adamw": {"step", "exp_avg", "exp_avg_sq"}}
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def same_run(left: dict, right: dict) -> None:
    """Weights, buffers, what the optimiser remembers, and losses are the same bits."""
    assert left["iteration"] == right["iteration"] and left["losses"] == right["losses"]
    for name, value in left["weights"].items():
        assert torch.equal(value, right["weights"][name]), name
    ours, theirs = left["optimiser"]["state"], right["optimiser"]["state"]
    assert ours.keys() == theirs.keys() and ours
    for key, state in ours.items():
        assert state.keys() == theirs[key].keys() >= REMEMBERED[left["recipe"]["optimiser"]]
        for name, value in state.items():
            assert torch.equal(value, theirs[key][name]), name


@pytest.mark.parametrize("optimiser", trainer.KILLED)
def test_killed_and_resumed_is_bit_for_bit_the_uninterrupted_run(tmp_path, optimiser):
    """kill -9 after iteration 12; batch norm, dropout, augmentation and momentum all matter."""
    recipe, folder = trainer.KILLED[optimiser], str(tmp_path / "killed")
    command = [sys.executable, "-m", "tests.training.trainer", "kill", folder, optimiser]
    child = subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)
    with child:
        for line in child.stdout:
            if line.strip() == "12":
                break
        child.kill()
    assert child.returncode == -9
    path = tmp_path / "killed" / "last.pt"
    assert 10 <= load_checkpoint(path)["iteration"] < recipe.iterations

    model = Net(dropout=0.5, seed=9)  # other first weights, which the checkpoint replaces
    train(model, Blocks(), recipe, folder=path.parent, resume=True, workers=1)
    train(Net(dropout=0.5), Blocks(), recipe, folder=tmp_path / "whole")
    resumed, whole = load_checkpoint(path), load_checkpoint(tmp_path / "whole" / "last.pt")
    assert whole["iteration"] == 24 and len(whole["losses"]) == 24
    same_run(resumed, whole)
    for name, value in model.state_dict().items():
        assert torch.equal(value, whole["weights"][name]), name


def start_waiting(folder: Path, *torchrun: str) -> subprocess.Popen:
    """A training that stays in its first step."""
    command = [sys.executable, *torchrun, "-m", "tests.training.trainer", "wait", str(folder)]
    environment = ENVIRONMENT | {"OMP_NUM_THREADS": "1"}
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    child = subprocess.Popen(command, cwd=ROOT, env=environment, **options)
    assert child.stdout.readline() == "in\n"
    return child


TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]


@pytest.mark.parametrize(
    "torchrun",
    [
        pytest.param([], id="alone"),
        pytest.param(TORCHRUN, id="torchrun", marks=pytest.mark.nightly),
    ],
)
def test_a_folder_has_one_training(tmp_path, torchrun):
    """The second is refused, a killed one is in nobody's way, nor are its workers."""
    words = f"another process is training in {tmp_path}: wait for its end, or choose another"
    with start_waiting(tmp_path, *torchrun) as child:
        try:
            for resume in (True, False):
                with pytest.raises(BlockingIOError, match=words):
                    train(Net("group"), Blocks(), tiny(), folder=tmp_path, resume=resume)
        finally:
            child.terminate() if torchrun else child.kill()
    history = train(Net("group"), Blocks(), tiny(), folder=tmp_path, resume=True)
    assert len(history.losses) == 10


def test_a_folder_to_resume_that_is_none_is_not_made(tmp_path):
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        train(Net(), Blocks(), tiny(), folder=tmp_path / "none", resume=True)
    assert not (tmp_path / "none").exists()


def test_a_resumed_run_keeps_what_was_measured_before(tmp_path):
    """Losses and metrics of before the break, those of after it behind them."""

    def stop(iteration, loss, rate):
        if iteration == 6:
            raise KeyboardInterrupt

    values = iter(range(100))
    options = {"folder": tmp_path, "checkpoint_every": 3, "validate_every": 3}
    options["validate"] = lambda: {"score": next(values)}
    with pytest.raises(KeyboardInterrupt):
        train(Net(), Blocks(), tiny(), watch=stop, **options)
    before = load_checkpoint(tmp_path / "last.pt")
    assert before["metrics"] == {3: {"score": 0.0}, 6: {"score": 1.0}}
    history = train(Net(), Blocks(), tiny(), resume=True, **options)
    assert history.losses[:6] == before["losses"] and len(history.losses) == 10
    assert history.metrics == before["metrics"] | {9: {"score": 2.0}, 10: {"score": 3.0}}
    assert load_checkpoint(tmp_path / "last.pt")["metrics"] == history.metrics


def test_metrics_of_numpy_can_be_read_again(tmp_path):
    score = np.float64(0.25)
    train(Net(), Blocks(), tiny(), folder=tmp_path, validate=lambda: {"score": score})
    assert load_checkpoint(tmp_path / "last.pt")["metrics"] == {10: {"score": 0.25}}


def test_weights_of_another_network_are_not_resumed(tmp_path):
    train(Net(), Blocks(), tiny(), folder=tmp_path)
    words = r"do not fit this network, it holds another network: 3 unexpected: backbone.norm"
    with pytest.raises(ValueError, match=words):
        train(Net("group"), Blocks(), tiny(), folder=tmp_path, resume=True)


def test_two_processes_make_the_steps_of_one(tmp_path):
    """The same weights but for rounding, the same metrics exactly; see `dlseg.training.distributed`
    for what batch norm that is not frozen does."""
    file = tmp_path / "together.pt"
    command = [sys.executable, *TORCHRUN, "-m", "tests.training.trainer", "together", str(file)]
    environment = ENVIRONMENT | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found, expected = torch.load(file, weights_only=True), trainer.together()
    assert set(found) == set(expected) == set(trainer.TOGETHER)
    for name, (theirs, losses, matrix) in found.items():
        torch.testing.assert_close(theirs, expected[name][0], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(losses, expected[name][1], rtol=1e-5, atol=0)
        assert torch.equal(matrix, expected[name][2]), name


@pytest.mark.parametrize(("optimiser", "rate"), [("sgd", 0.2), ("adamw", 0.03)])
def test_training_learns(optimiser, rate):
    model, data = Net(), Blocks(40)
    before = evaluate(model, data).mean_iou()
    recipe = tiny(iterations=60, batch_size=8, learning_rate=rate, optimiser=optimiser)
    history = train(model, data, recipe)
    assert history.losses[-1] < 0.5 * history.losses[0]
    assert evaluate(model, data).mean_iou() > before + 0.3
    assert history.images == 480 and 0 <= history.waiting < history.seconds
    assert not model.training


@pytest.mark.parametrize(
    ("norm", "changes"),
    [("group", {}), ("batch", {"freeze_batch_norm": True}), ("group", {"loss": "shrunk"})],
)
def test_accumulated_parts_are_one_big_batch(norm, changes):
    models = Net(norm), Net(norm)
    for model, parts in zip(models, (1, 4), strict=True):
        train(model, Blocks(), tiny(accumulate=parts, batch_size=8, **changes))
    torch.testing.assert_close(weights(models[0]), weights(models[1]), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(weights(Net(norm)), weights(Net(norm)), rtol=0, atol=0)
    assert (weights(models[0]) - weights(Net(norm))).abs().max() > 0.01


def test_frozen_batch_norm_is_really_frozen():
    for frozen in (True, False):
        model = Net()
        before = {k: v.clone() for k, v in model.backbone.norm.state_dict().items()}
        train(
            model, Blocks(), tiny(freeze_batch_norm=frozen), validate=lambda: {}, validate_every=3
        )
        after = model.backbone.norm.state_dict()
        kept = {name for name, value in before.items() if torch.equal(value, after[name])}
        assert kept == (set(before) if frozen else set())


def test_first_step_against_pytorch_by_hand():
    """One step with everything on: the engine's weights are those of a plain loop."""
    recipe = tiny(iterations=1, weight_decay=0.01, head_multiplier=3, scale=(1, 1), flip=False)
    ours, theirs = Net("group"), Net("group")
    train(ours, Blocks(), recipe)
    pictures = engine.TrainingPictures(Blocks(), recipe)
    images, labels = next(engine.training_batches(pictures, 0, torch.device("cpu")))
    loss = torch.nn.functional.cross_entropy(theirs(images), labels, ignore_index=255)
    loss.backward()
    for name, parameter in theirs.named_parameters():
        rate = 0.05 * (3 if name.startswith("classifier") else 1)
        parameter.data -= rate * (parameter.grad + 0.01 * parameter.data)
    torch.testing.assert_close(weights(ours), weights(theirs), rtol=1e-5, atol=1e-7)


def test_a_loss_that_is_no_number_stops_with_the_reason(tmp_path):
    recipe = tiny(learning_rate=1e30, schedule="constant")
    words = r"the loss is (nan|inf) at iteration \d+, learning rate 1e\+30; the last good .*tenth"
    with pytest.raises(FloatingPointError, match=words):
        train(Net("group"), Blocks(), recipe, folder=tmp_path)
    assert all(
        v.isfinite().all() for v in load_checkpoint(tmp_path / "last.pt")["weights"].values()
    )


def test_weights_that_are_no_numbers_are_not_kept(tmp_path):
    """The loss before the step was good, so only a look at the weights can tell."""
    recipe = tiny(iterations=1, learning_rate=3e38, weight_decay=100)  # beyond float32
    with pytest.raises(FloatingPointError, match="there are weights that are no numbers at iter"):
        train(Net("group"), Blocks(), recipe, folder=tmp_path)
    entries = load_checkpoint(tmp_path / "last.pt")
    assert entries["iteration"] == 0
    assert all(value.isfinite().all() for value in entries["weights"].values())


def test_no_step_is_made_with_a_loss_that_is_no_number():
    model = Net("group")
    before = weights(model)
    optimiser, scaler = make_optimiser(model, tiny()), torch.amp.GradScaler("cpu", enabled=False)
    network = engine.ScoreMaps(model, "upsampled")
    images = torch.full((2, 3, 24, 24), float("nan"))
    loss = engine.train_step(network, optimiser, scaler, images, torch.zeros(2, 24, 24).long())
    assert loss != loss and torch.equal(weights(model), before)


def test_a_disk_that_fills_up_on_the_way(tmp_path, monkeypatch):
    """The run stops with the reason, and goes on from the last good checkpoint later."""

    def fill_up(iteration, loss, rate):
        if iteration == 5:
            monkeypatch.setattr(checkpoint.torch, "save", disk_full)

    def disk_full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    options = {"folder": tmp_path, "checkpoint_every": 4}
    with pytest.raises(
        CheckpointError, match="No space left on device; the last good one is still"
    ):
        train(Net(), Blocks(), tiny(), watch=fill_up, **options)
    monkeypatch.undo()
    assert load_checkpoint(tmp_path / "last.pt")["iteration"] == 4
    history = train(Net(), Blocks(), tiny(), resume=True, **options)
    assert history.losses == train(Net(), Blocks(), tiny()).losses


def test_a_folder_that_cannot_be_written_is_told_before_the_first_step(tmp_path):
    (tmp_path / "file").write_text("no folder")
    steps = []
    with pytest.raises(CheckpointError, match="cannot write the checkpoint"):
        train(Net(), Blocks(), tiny(), folder=tmp_path / "file", watch=lambda *a: steps.append(a))
    assert not steps


def test_what_does_not_fit_together(tmp_path):
    model = Net()
    train(model, Blocks(), tiny(), folder=tmp_path)
    with pytest.raises(ValueError, match="is there already: go on with it"):
        train(model, Blocks(), tiny(), folder=tmp_path)
    with pytest.raises(ValueError, match="was trained by another recipe"):
        train(model, Blocks(), tiny(seed=1), folder=tmp_path, resume=True)
    with pytest.raises(ValueError, match="was trained by another recipe"):
        train(model, Blocks(), tiny(optimiser="adamw"), folder=tmp_path, resume=True)
    with pytest.raises(ValueError, match="checkpoint_every must be an integer >= 1, got 0"):
        train(model, Blocks(), tiny(), checkpoint_every=0)
    with pytest.raises(ValueError, match="resume needs a folder"):
        train(model, Blocks(), tiny(), resume=True)
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        train(model, Blocks(), tiny(), folder=tmp_path / "none", resume=True)
    with pytest.raises(ValueError, match="has 3 classes and the data set 21; build the model with"):
        data = Blocks()
        data.num_classes = 21
        train(model, data, tiny())


def test_a_finished_run_has_nothing_left_to_do(tmp_path):
    train(Net(), Blocks(), tiny(), folder=tmp_path)
    before = load_checkpoint(tmp_path / "last.pt")
    history = train(Net(seed=5), Blocks(), tiny(), folder=tmp_path, resume=True)
    assert history.images == 0 and history.images_per_second == 0
    assert history.losses == before["losses"]


def test_pictures_in_a_second():
    assert engine.History(images=6, seconds=3.0).images_per_second == 2


def test_without_workers_this_process_prepares_the_pictures():
    class Told(Blocks):
        def __getitem__(self, i):
            asked.append(os.getpid())
            return super().__getitem__(i)

    asked: list[int] = []
    train(Net(), Told(), tiny(iterations=1))
    assert asked == [os.getpid()] * tiny().batch_size


def test_metrics_and_watch(tmp_path):
    model, data, seen = Net(), Blocks(), []
    options = {
        "watch": lambda *step: seen.append(step),
        "validate": lambda: {"mean IoU": evaluate(model, data).mean_iou()},
        "validate_every": 4,
    }
    history = train(model, data, tiny(), folder=tmp_path, **options)
    assert list(history.metrics) == [4, 8, 10]
    assert load_checkpoint(tmp_path / "last.pt")["metrics"] == history.metrics
    assert [step[0] for step in seen] == list(range(10))
    assert [step[1] for step in seen] == history.losses
    assert seen[0][2] == 0.05 and seen[-1][2] == pytest.approx(0.05 * 0.1**0.9)
    # Looking at the model on the way does not change what becomes of it.
    other = Net()
    train(other, data, tiny())
    assert torch.equal(weights(model), weights(other))


def test_tensorboard_gets_the_curves_of_a_resumed_run_once(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")

    def stop(iteration, loss, rate):
        watch(iteration, loss, rate)
        if iteration == 6:
            raise KeyboardInterrupt

    options = {"folder": tmp_path, "checkpoint_every": 4}
    watch = TensorBoard(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        train(Net(), Blocks(), tiny(), watch=stop, **options)
    watch.close()
    watch = TensorBoard(tmp_path)
    history = train(Net(), Blocks(), tiny(), watch=watch, resume=True, **options)
    watch.close()
    events = accumulator.EventAccumulator(str(tmp_path)).Reload()
    assert [event.step for event in events.Scalars("learning rate")] == list(range(10))
    losses = [event.value for event in events.Scalars("loss")]
    assert losses == pytest.approx(history.losses, rel=1e-6)


SCORES = [0.2, 0.5, 0.4, 0.5, float("nan"), 0.6, 0.1, 0.1, 0.1, 0.1]


def scored(scores=SCORES):
    """A `validate` that gives these, one after the other."""
    values = iter(scores)
    return lambda: {"mean IoU": next(values)}


def test_the_best_checkpoint_is_kept_beside_the_last(tmp_path):
    seen, model = [], Net()
    options = {"validate": scored(), "validate_every": 1, "folder": tmp_path}
    history = train(
        model, Blocks(), tiny(), watch=lambda *_: seen.append(weights(model)), **options
    )
    best, last = (load_checkpoint(tmp_path / name) for name in ("best.pt", "last.pt"))
    assert history.best == (6, 0.6) and best["iteration"] == 6 and last["iteration"] == 10
    kept = torch.cat([value.double().flatten() for value in best["weights"].values()])
    assert torch.equal(kept, seen[5]) and not torch.equal(kept, seen[9])
    train(Net(), Blocks(), tiny(), validate=lambda: {"other": 1.0}, folder=tmp_path / "other")
    assert not (tmp_path / "other" / "best.pt").exists()  # nothing says which is best


@pytest.mark.parametrize(("patience", "end"), [(1, 3), (2, 4), (3, 5), (4, 10), (0, 10)])
def test_patience(tmp_path, patience, end):
    """An equal score is no progress, nor one that is no number."""
    options = {"validate_every": 1, "folder": tmp_path, "checkpoint_every": 100}
    recipe = tiny(patience=patience)
    history = train(Net(), Blocks(), recipe, validate=scored(), **options)
    assert len(history.losses) == end == load_checkpoint(tmp_path / "last.pt")["iteration"]
    again = train(Net(), Blocks(), recipe, validate=scored(), resume=True, **options)
    assert again.images == 0 and again.losses == history.losses


def test_patience_and_the_best_so_far_outlast_a_break(tmp_path):
    def stop(iteration, loss, rate):
        if iteration == 3:
            raise KeyboardInterrupt

    recipe, options = tiny(patience=3), {"validate_every": 1, "checkpoint_every": 1}
    with pytest.raises(KeyboardInterrupt):
        train(Net(), Blocks(), recipe, folder=tmp_path, validate=scored(), watch=stop, **options)
    rest = scored(SCORES[3:])
    history = train(Net(), Blocks(), recipe, folder=tmp_path, validate=rest, resume=True, **options)
    assert len(history.losses) == 5 and history.best == (2, 0.5)
    assert load_checkpoint(tmp_path / "best.pt")["iteration"] == 2


def test_patience_needs_something_to_wait_for():
    with pytest.raises(ValueError, match="patience counts validations: give validate"):
        train(Net(), Blocks(), tiny(patience=1))
    with pytest.raises(ValueError, match="patience waits for a metric 'mean IoU', got score"):
        train(Net(), Blocks(), tiny(patience=1), validate=lambda: {"score": 1.0})


def test_the_line_of_progress():
    history = engine.History([0.5], {3: {"mean IoU": 0.25}}, 6, 3.0, learning_rate=0.01)
    assert history.line == "loss 0.500, lr 0.01, mIoU 0.250, 2 images/s"
    assert engine.History([0.5]).line == "loss 0.500, lr 0, 0 images/s"


def test_time_of_validation_is_no_time_of_training():
    def slow():
        time.sleep(0.2)
        return {}

    assert train(Net(), Blocks(), tiny(), validate=slow, validate_every=1).seconds < 1.5


class Pairs(torch.utils.data.Dataset):
    """Nothing but what PyTorch asks of a data set."""

    def __len__(self):
        return 10

    def __getitem__(self, i):
        return Blocks()[i]


def test_a_model_and_data_of_ones_own_need_no_attributes():
    """No backbone, no number of classes on the model; the data say it, by number or by names."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, 1, 1), torch.nn.ReLU())
    model.append(torch.nn.Conv2d(8, 3, 1))
    with pytest.raises(ValueError, match="how many classes there are: set num_classes of one of"):
        train(model, Pairs(), tiny())
    data = Pairs()
    data.classes = ("red", "green", "blue")
    history = train(model, data, tiny(iterations=40, learning_rate=0.2))
    assert np.mean(history.losses[-5:]) < 0.8 * np.mean(history.losses[:5])
    model.num_classes = 3
    assert evaluate(model, Pairs()).mean_iou() == evaluate(model, data).mean_iou() > 0.3


@pytest.mark.parametrize(
    "changes",
    [{"head_multiplier": 10}, {"head_bias_multiplier": 2}, {"freeze_backbone": True}],
    ids=str,
)
def test_without_a_backbone_there_is_one_rate(changes):
    model = torch.nn.Conv2d(3, 3, 1)
    with pytest.raises(ValueError, match="needs a model whose attribute backbone tells backbone"):
        train(model, Blocks(), tiny(**changes))


def test_pictures_of_several_sizes_are_evaluated_whole():
    class Sizes(Blocks):
        def __getitem__(self, i):
            image, label = super().__getitem__(i)
            return (image, label) if i % 3 else (image[:20, :30], label[:20, :30])

    model = Net().train()
    together, alone = evaluate(model, Sizes(), batch_size=4), evaluate(model, Sizes(), batch_size=1)
    assert torch.equal(together.matrix, alone.matrix)
    assert together.matrix.sum() == sum((Sizes()[i][1] != 255).sum() for i in range(10))
    assert model.training and model.backbone.norm.training


def test_networks_are_built_again_from_their_checkpoint(tmp_path):
    description = describe("fcn-resnet18", 3, 32, 0.125)
    model = build_model(description)
    train(model, Blocks(), tiny(iterations=2), folder=tmp_path, description=description)
    again, entries = load_network(tmp_path / "last.pt")
    images = torch.randn(1, 3, 32, 32)
    assert torch.equal(again(images), model(images)) and not again.training
    finer, _ = load_network(tmp_path / "last.pt", output_stride=8)
    assert finer.scores(images).shape[2:] == (4, 4) and finer.output_stride == 8
    assert entries["iteration"] == 2
    train(Net(), Blocks(), tiny(iterations=1), folder=tmp_path / "nameless")
    with pytest.raises(CheckpointError, match="does not say which network"):
        load_network(tmp_path / "nameless" / "last.pt")
