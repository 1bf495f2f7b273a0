"""`dlseg train` and `dlseg evaluate` on a few pictures: what they print, write and refuse."""

import argparse
import os
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
import torch

from dlseg import training
from dlseg.checks import CommandError
from dlseg.commands import main as table
from dlseg.commands.jobs import DEFAULTS
from dlseg.commands.main import LIBRARY, main
from dlseg.commands.train import ENTRIES, OPTIONS, new_job
from dlseg.data import KINDS, MEAN, STD, data_names, open_data, registry, to_tensors
from dlseg.data.registry import Kind
from dlseg.inference import probabilities
from dlseg.metrics import ConfusionMatrix
from dlseg.models import NETWORKS
from dlseg.training import load_checkpoint, load_network, save_checkpoint
from tests.data.folders import write_cityscapes, write_own, write_voc
from tests.training.toys import Blocks

ROOT = Path(__file__).parents[2]
SMALL = ["--width", "0.125", "--output-stride", "32", "--iterations", "3", "--batch-size", "2"]
SMALL += ["--crop-size", "64", "--workers", "0", "--device", "cpu"]


@pytest.fixture(autouse=True)
def few_pictures(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "TRAIN_SCENES", 4)
    monkeypatch.setattr(registry, "VALIDATION_SCENES", 2)
    monkeypatch.setenv("DLSEG_DEVICE", "cpu")  # commands set it
    monkeypatch.chdir(tmp_path)


def dlseg(capsys, *arguments: str) -> tuple[int, str, str]:
    code = main(list(arguments))
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_train_then_evaluate(capsys):
    code, out, err = dlseg(capsys, "train", *SMALL)
    assert (code, err) == (0, "")
    assert "fcn-resnet18, output stride 32" in out
    assert "4 pictures of scenes; 3 iterations of 2 on cpu" in out
    assert f"checkpoint: {Path('runs', '1', 'last.pt')}" in out
    report = out.partition("  background")[2].partition("trained at")[0]
    assert out.partition("  background")[0].endswith("  class              IoU   Dice\n")
    assert re.match(r" +[01]\.\d{3} +[01]\.\d{3}\n", report)
    assert "mIoU 0." in report and "on 2 pictures of val" in report

    entries = load_checkpoint("runs/1/last.pt")
    assert entries["iteration"] == 3 and len(entries["extra"]["classes"]) == 10
    assert f"mIoU {entries['metrics'][3]['mean IoU']:.3f}" in report

    code, out, _ = dlseg(capsys, "evaluate", "--workers", "0")
    assert code == 0 and out.partition("  background")[2] == report
    arguments = ["--output-stride", "8", "--scales", "0.5", "1", "--flip", "--split", "test"]
    code, out, _ = dlseg(capsys, "evaluate", "runs/1/last.pt", *arguments, "--workers", "0")
    assert code == 0 and "on 2 pictures of test" in out


def test_evaluate_writes_what_each_picture_scored(capsys):
    assert dlseg(capsys, "train", *SMALL, "--data", f"voc:{write_voc(Path('data'))}")[0] == 0
    told = ["evaluate", "--workers", "0", "--split", "train", "--batch-size", "2"]
    told += ["--per-image", "new/scores.csv"]
    code, out, err = dlseg(capsys, *told)
    assert (code, err) == (0, "")
    lines = Path("new/scores.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "picture,mean_iou"
    rows = [line.split(",") for line in lines[1:]]
    model, entries = training.load_network("runs/1/last.pt")
    data = open_data(entries["extra"]["data"], "train")
    expected = {}
    for number, pair in enumerate(data.pairs):
        single = ConfusionMatrix(data.num_classes)
        image, labels = to_tensors(*data[number], MEAN, STD)
        single.update(labels, probabilities(model, image[None]).argmax(1)[0])
        expected[pair.image.name] = single.mean_iou()
    assert {name: float(value) for name, value in rows} == pytest.approx(expected, abs=1e-6)
    values = [float(value) for _, value in rows]
    assert values == sorted(values) and len(rows) == len(data)
    mean = sum(expected.values()) / len(expected)
    assert f"picture by picture: mIoU {mean:.3f}; worst {rows[0][0]} {values[0]:.3f}" in out
    assert f"all of them: {Path('new', 'scores.csv')}" in out
    code, _, err = dlseg(capsys, *told[:-1], "new")
    assert code == 2 and "--per-image new is a folder; name a file" in err


@pytest.mark.parametrize(
    ("network", "stride", "another"),
    [
        ("deeplabv1-vgg16_bn", 8, None),
        ("deeplabv2-resnet18", 8, None),
        ("deeplabv3-mobilenetv2", 16, 8),
        ("deeplabv3plus-resnet18", 16, 8),
    ],
)
def test_every_deeplab_is_trained_evaluated_and_predicts(capsys, network, stride, another):
    arguments = ["--network", network, "--output-stride", str(stride)]
    code, out, err = dlseg(capsys, "train", *SMALL, *arguments)
    assert (code, err) == (0, "") and f"{network}, output stride {stride}" in out
    at = ["--output-stride", str(another)] if another else []
    code, out, err = dlseg(capsys, "evaluate", *at, "--workers", "0")
    assert (code, err) == (0, "") and "mIoU 0." in out
    code, out, err = dlseg(capsys, "predict", *at, "--tile", "64", "--flip")
    assert (code, err) == (0, "") and out.count("%") >= 2
    assert len(list(Path("runs/1/predictions").glob("val-*-index.png"))) == 2
    if not another:
        for command in ("evaluate", "predict"):
            code, _, err = dlseg(capsys, command, "--output-stride", "16")
            assert code == 2 and f"output_stride must be 8 with {network}, got 16" in err


def test_adamw_is_resumed_as_adamw(capsys):
    arguments = ["--optimiser", "adamw", "--learning-rate", "0.003", "--out"]
    assert dlseg(capsys, "train", *SMALL, *arguments, "whole")[0] == 0
    entries = load_checkpoint("whole/last.pt")
    assert entries["recipe"]["optimiser"] == "adamw"
    assert all("exp_avg_sq" in state for state in entries["optimiser"]["state"].values())
    code, out, _ = dlseg(capsys, "train", "--resume", "--out", "whole", "--workers", "0")
    assert code == 0 and "mIoU" in out


def test_runs_are_numbered_and_the_last_is_resumed(capsys):
    dlseg(capsys, "train", *SMALL)
    dlseg(capsys, "train", *SMALL, "--seed", "1")
    first, second = load_checkpoint("runs/1/last.pt"), load_checkpoint("runs/2/last.pt")
    assert second["recipe"]["seed"] == 1
    assert not torch.equal(
        first["weights"]["backbone.conv1.weight"], second["weights"]["backbone.conv1.weight"]
    )
    code, out, err = dlseg(capsys, "train", "--resume", "--workers", "0")
    assert (code, err) == (0, "") and str(Path("runs", "2")) in out and "mIoU" in out


def test_a_stopped_run_is_resumed_to_the_same_weights(capsys, monkeypatch):
    dlseg(capsys, "train", *SMALL, "--out", "whole")

    def stop(*_, **_options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training, "evaluate", stop)
        arguments = ["--out", "part", "--validate-every", "2", "--checkpoint-every", "1"]
        assert dlseg(capsys, "train", *SMALL, *arguments)[0] == 130
    assert load_checkpoint("part/last.pt")["iteration"] == 1
    assert dlseg(capsys, "train", "--out", "part", "--resume", "--workers", "0")[0] == 0
    whole, part = (load_checkpoint(f"{name}/last.pt") for name in ("whole", "part"))
    assert all(torch.equal(v, part["weights"][k]) for k, v in whole["weights"].items())


def test_weights_of_another_run_and_tensorboard(capsys):
    dlseg(capsys, "train", *SMALL)
    arguments = ["--weights", "runs/1/last.pt", "--learning-rate", "0", "--freeze-batch-norm"]
    code, _, err = dlseg(capsys, "train", *SMALL, *arguments, "--tensorboard")
    assert (code, err) == (0, "")
    first, second = load_checkpoint("runs/1/last.pt"), load_checkpoint("runs/2/last.pt")
    assert all(torch.equal(v, second["weights"][k]) for k, v in first["weights"].items())
    assert second["recipe"]["freeze_batch_norm"]
    (events,) = [path for path in Path("runs/2").iterdir() if "tfevents" in path.name]
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = accumulator.EventAccumulator(str(events)).Reload()
    scores = {tag: found.Scalars(tag)[-1].value for tag in found.Tags()["scalars"]}
    names = second["extra"]["classes"]
    assert set(scores) >= {"mean IoU", "pixel accuracy", *(f"IoU/{name}" for name in names)}
    assert scores["mean IoU"] == pytest.approx(second["metrics"][3]["mean IoU"])
    each = [value for tag, value in scores.items() if tag.startswith("IoU/") and value == value]
    assert sum(each) / len(each) == pytest.approx(scores["mean IoU"], rel=1e-5)
    pictures = [found.Images(tag) for tag in found.Tags()["images"]]
    assert len(pictures) == 2 and all((p.width, p.step) == (3 * p.height, 3) for (p,) in pictures)


@pytest.mark.parametrize(
    ("name", "write", "classes"), [("voc", write_voc, 21), ("cityscapes", write_cityscapes, 19)]
)
def test_real_folder_layouts(capsys, name, write, classes):
    data = f"{name}:{write(Path('data'))}"
    arguments = ["--model", "fcn-mobilenetv2", "--data", data, "--split", "train"]
    code, out, err = dlseg(capsys, "train", *SMALL, *arguments)
    assert (code, err) == (0, "") and "mIoU" in out
    entries = load_checkpoint("runs/1/last.pt")
    assert entries["model"]["num_classes"] == len(entries["extra"]["classes"]) == classes
    assert entries["extra"]["data"] == data
    code, again, _ = dlseg(capsys, "evaluate", "--workers", "0")
    assert code == 0 and again in out


def test_one_row_is_all_that_a_new_data_set_needs(capsys, monkeypatch):
    monkeypatch.setitem(KINDS, "blocks", Kind(lambda folder, split: Blocks(4)))
    assert "blocks" in data_names()
    code, out, err = dlseg(capsys, "train", *SMALL, "--data", "blocks")
    assert (code, err) == (0, "") and "4 pictures of blocks" in out
    assert load_checkpoint("runs/1/last.pt")["extra"]["data"] == "blocks"
    code, again, _ = dlseg(capsys, "evaluate", "--workers", "0")
    assert code == 0 and again in out and "  green " in again
    assert dlseg(capsys, "predict")[0] == 0
    assert Path("runs/1/predictions/val-3-truth.png").exists()


def test_recipes_are_those_of_data_that_are_there():
    assert set(DEFAULTS) <= set(KINDS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["train", "--data", "coco"],
            "scenes, trains, photographs, voc:DIR, cityscapes:DIR or folder:DIR, got 'coco'",
        ),
        (
            ["train", "--data", "voc"],
            "scenes, trains, photographs, voc:DIR, cityscapes:DIR or folder:DIR, got 'voc'",
        ),
        (["train", "--data", "voc:nowhere"], "nowhere"),
        (["train", "--model", "unet"], "no network is called 'unet'; there are fcn-{resnet18"),
        (["train", "--output-stride", "12"], "output_stride must be"),
        (["train", "--batch-size", "0"], "batch_size must be an integer from 1"),
        (["train", "--accumulate", "3"], "does not fall into equal parts"),
        (
            ["train", "--network", "deeplabv2-vgg16", "--output-stride", "16"],
            "output_stride must be 8 with deeplabv2-vgg16, got 16",
        ),
        (["train", "--resume", "--optimiser", "adamw"], "leave out --optimiser"),
        (["train", "--optimiser", "lion", "--learning-rate", "1"], "optimiser must be one of"),
        (["train", "--optimiser", "adamw"], "adamw needs a --learning-rate of its own, about a"),
        (["train", "--schedule", "cosine"], "schedule must be one of"),
        (["train", "--weights", "none.pt"], "there is no checkpoint none.pt"),
        (["train", "--resume"], "there is no run in the folder runs"),
        (["train", "--resume", "--seed", "3"], "goes on as the run began; leave out --seed"),
        (["train", "--out", "file"], "cannot write the checkpoint"),
        (["train", *SMALL, "--learning-rate", "1e30"], "the loss is "),
        (["evaluate"], "there is no run in the folder runs"),
        (["evaluate", "file"], "file is no good checkpoint: it is damaged, or"),
    ],
)
def test_a_mistake_is_one_line(capsys, arguments, message):
    Path("file").write_text("no checkpoint, and no folder")
    code, _, err = dlseg(capsys, *arguments)
    assert code == 2 and err.count("\n") == 1
    assert err.startswith("dlseg: ") and message in err


def test_a_run_is_not_overwritten(capsys):
    dlseg(capsys, "train", *SMALL, "--out", "mine")
    code, _, err = dlseg(capsys, "train", *SMALL, "--out", "mine")
    assert code == 2 and "is there already: go on with it (resume), or choose" in err


def test_a_checkpoint_of_other_code(capsys):
    """Without the name of its data: it can be evaluated on data that are named, not resumed."""
    dlseg(capsys, "train", *SMALL)
    save_checkpoint("other/last.pt", load_checkpoint("runs/1/last.pt") | {"extra": {}})
    for arguments in (["evaluate", "other/last.pt"], ["train", "--resume", "--out", "other"]):
        code, _, err = dlseg(capsys, *arguments)
        assert code == 2 and "was not written by dlseg train: it does not name its data" in err
    arguments = ["--data", "scenes", "--workers", "0"]
    assert dlseg(capsys, "evaluate", "other/last.pt", *arguments)[0] == 0


def test_help_names_networks_that_exist(capsys):
    named = re.findall(r"\b(?:fcn|deeplab)[a-z0-9]*-[a-z0-9_]+", OPTIONS["network"][1])
    assert len(named) >= 3 and set(named) <= set(NETWORKS)
    backbones = {backbone for _, backbone in NETWORKS.values()}
    assert {"vgg16", "vgg16_bn"} <= backbones & set(re.findall(r"\w+", OPTIONS["network"][1]))


def test_a_run_is_repeated_from_its_run_toml_bit_for_bit(capsys):
    arguments = ["--class-weights", "sqrt", "--scale", "0.5", "2", "--validate-every", "2"]
    assert dlseg(capsys, "train", *SMALL, *arguments, "--head-multiplier", "3")[0] == 0
    written = tomllib.loads(Path("runs/1/run.toml").read_text())
    unset = {"out", "weights", "validate", "head_bias_multiplier", "channels", "atrous_rates"}
    assert set(written) == set(ENTRIES) - unset
    assert written["class_weights"] == "sqrt" and written["scale"] == [0.5, 2.0]
    code, _, err = dlseg(capsys, "train", "--config", "runs/1/run.toml", "--out", "elsewhere")
    assert (code, err) == (0, "")
    assert Path("elsewhere/run.toml").read_bytes() == Path("runs/1/run.toml").read_bytes()
    for name in ("last.pt", "best.pt"):
        ours, theirs = load_checkpoint(f"runs/1/{name}"), load_checkpoint(f"elsewhere/{name}")
        assert all(torch.equal(v, theirs["weights"][k]) for k, v in ours["weights"].items())
        assert (ours["losses"], ours["metrics"]) == (theirs["losses"], theirs["metrics"])


@pytest.mark.parametrize(("rates", "branches"), [("2,4", [2, 4]), ("none", [])])
def test_the_head_is_as_asked_for_and_its_run_goes_on(capsys, rates, branches):
    head = ["--network", "deeplabv3-mobilenetv2", "--output-stride", "16", "--width", "0.05"]
    head += ["--channels", "8", "--atrous-rates", rates]
    assert dlseg(capsys, "train", *SMALL, *head, "--out", "one")[0] == 0
    assert dlseg(capsys, "train", "--config", "one/run.toml", "--out", "two")[0] == 0
    assert dlseg(capsys, "train", "--resume", "--out", "one")[0] == 0
    for run in ("one", "two"):
        aspp = load_network(f"{run}/last.pt")[0].classifier[0]
        convs = [layer for layer in aspp.convs.modules() if isinstance(layer, torch.nn.Conv2d)]
        assert [conv.dilation[0] for conv in convs if conv.kernel_size == (3, 3)] == branches
        assert {conv.out_channels for conv in convs} == {8}


@pytest.mark.parametrize(
    ("network", "option", "words"),
    [
        ("fcn-resnet18", ["--atrous-rates", "2,4"], "has no atrous_rates to choose"),
        (
            "deeplabv2-resnet18",
            ["--channels", "8", "--output-stride", "8"],
            "has no channels to choose",
        ),
        ("deeplabv3-resnet18", ["--channels", "0"], "channels must be an integer >= 1, got 0"),
        ("deeplabv3-resnet18", ["--atrous-rates", "0"], "must be an integer >= 1, got 0"),
    ],
)
def test_a_head_that_cannot_be(capsys, network, option, words):
    code, _, err = dlseg(capsys, "train", *SMALL, "--network", network, *option)
    assert code == 2 and words in err and not Path("runs").exists()


def test_flags_win_over_run_toml_and_that_over_defaults(capsys):
    Path("mine.toml").write_text(
        "seed = 5\niterations = 2\npower = 0.5\nhead_bias_multiplier = 2\n"
    )
    assert dlseg(capsys, "train", *SMALL, "--config", "mine.toml")[0] == 0
    recipe = load_checkpoint("runs/1/last.pt")["recipe"]
    assert (recipe["seed"], recipe["power"], recipe["head_bias_multiplier"]) == (5, 0.5, 2)
    assert recipe["iterations"] == 3 and recipe["momentum"] == 0.9
    Path("mine.toml").write_text("crop-siz = 5\n")
    code, _, err = dlseg(capsys, "train", "--config", "mine.toml")
    assert code == 2 and err == "dlseg: mine.toml: there is no option crop-siz; is it crop_size?\n"
    code, _, err = dlseg(capsys, "train", "--resume", "--config", "mine.toml")
    assert code == 2 and "goes on as the run began; leave out --config" in err


def test_patience_and_the_best_checkpoint(capsys, monkeypatch):
    """A network that learns nothing: no validation is better than the first."""
    arguments = [*SMALL, "--iterations", "9", "--learning-rate", "0", "--validate-every", "2"]
    arguments += ["--patience", "2", "--freeze-batch-norm"]
    code, out, _ = dlseg(capsys, "train", *arguments)
    assert code == 0 and "ended after 6 iterations: 2 validations without a better mIoU" in out
    assert re.search(r"best mIoU 0\.\d+, after 2 iterations: .*best\.pt", out)
    best, last = (load_checkpoint(f"runs/1/{name}") for name in ("best.pt", "last.pt"))
    assert best["iteration"] == 2 and last["iteration"] == 6
    code, out, _ = dlseg(capsys, "evaluate", "runs/1/best.pt", "--workers", "0")
    assert code == 0 and f"mIoU {best['metrics'][2]['mean IoU']:.3f}" in out
    code, out, _ = dlseg(capsys, "train", "--resume", "--workers", "0")
    assert code == 0 and "ended after 6 iterations" in out


def test_a_resumed_run_validates_as_often_as_it_began(capsys, monkeypatch):
    def stop(*_, **_options):
        raise KeyboardInterrupt

    options = [*SMALL, "--validate-every", "2", "--checkpoint-every", "1"]
    assert dlseg(capsys, "train", *options, "--out", "whole")[0] == 0
    with monkeypatch.context() as patch:
        patch.setattr(training, "evaluate", stop)
        assert dlseg(capsys, "train", *options, "--out", "part")[0] == 130
    assert dlseg(capsys, "train", "--resume", "--out", "part", "--workers", "0")[0] == 0
    whole, part = (load_checkpoint(f"{name}/last.pt") for name in ("whole", "part"))
    assert list(part["metrics"]) == [2, 3] and part["metrics"] == whole["metrics"]
    entries = load_checkpoint("part/last.pt")
    save_checkpoint("odd/last.pt", entries | {"extra": entries["extra"] | {"run": {"x": 1}}})
    code, _, err = dlseg(capsys, "train", "--resume", "--out", "odd")
    assert code == 2 and "extra.run.x is unknown" in err


def test_the_share_held_out_is_kept_with_the_name_of_the_data(capsys, tmp_path):
    data = f"folder:{write_own(tmp_path / 'own', splits=False)}"
    parts = {part: len(open_data(data, part, validate=0.6)) for part in ("train", "val")}
    assert len(open_data(data, "val")) != parts["val"] == 5 - parts["train"]
    code, out, _ = dlseg(capsys, "train", "--data", data, *SMALL, "--validate", "0.6")
    assert code == 0 and f"{parts['train']} pictures of {data}" in out
    words = f"on {parts['val']} pictures of val"
    assert words in out and words in dlseg(capsys, "evaluate", "--workers", "0")[1]
    assert load_checkpoint("runs/1/last.pt")["extra"]["data"] == f"{data}?validate=0.6"
    assert words in dlseg(capsys, "train", "--config", "runs/1/run.toml", "--out", "again")[1]
    code, _, err = dlseg(capsys, "train", "--validate", "0.25")
    assert code == 2 and "scenes" in err and "validate" in err


def test_kept_features(capsys):
    arguments = ["--cache-features", "--weights", "first/last.pt"]
    dlseg(capsys, "train", *SMALL, "--out", "first")
    code, out, err = dlseg(capsys, "train", *SMALL, *arguments, "--criterion", "lovasz")
    assert (code, err) == (0, "") and re.search(r"features of [1-8] pictures, mirrored ones", out)
    first, second = (load_checkpoint(f"{f}/last.pt")["weights"] for f in ("first", "runs/1"))
    stay = {name for name, value in first.items() if torch.equal(value, second[name])}
    assert stay == {name for name in first if name.startswith("backbone.")}
    assert load_checkpoint("runs/1/last.pt")["recipe"]["freeze_backbone"]


def test_another_optimiser_needs_its_own_rate(capsys):
    assert new_job({"data": "voc:x"}).recipe.optimiser == "sgd"
    with pytest.raises(CommandError, match=r"about a thirtieth of sgd's; sgd's is 0\.007 on these"):
        new_job({"data": "voc:x", "optimiser": "adamw"})
    assert new_job({"optimiser": "adamw", "learning_rate": 1e-3}).recipe.learning_rate == 1e-3


def test_help_says_the_default_of_every_option(capsys):
    """Of `train`, all that take a value; of all commands, what argparse would put in."""
    for name, (module, _) in LIBRARY.items():
        parser = argparse.ArgumentParser(formatter_class=table._Help)
        import_module(module).add(parser, name)
        for action in parser._actions:
            given = action.default not in (None, False, argparse.SUPPRESS)
            if given or (name == "train" and action.nargs != 0):
                words = parser._get_formatter()._get_help_string(action)
                assert "default" in words, f"{name} {action.dest}"
    assert dlseg_help(capsys, "evaluate").count("images computed together; default: 16") == 1


def dlseg_help(capsys, name: str) -> str:
    with pytest.raises(SystemExit):
        main([name, "--help"])
    return " ".join(capsys.readouterr().out.split())


def test_the_defaults_of_help_are_those_of_the_jobs(capsys):
    words = dlseg_help(capsys, "train").replace("- ", "-")  # lines may end at a hyphen
    for kind, job in DEFAULTS.items():
        values = job.recipe.iterations, job.recipe.crop_size, job.network
        for value in values:
            assert re.search(rf"(default: |; ){value} \([a-z, ]*{kind}[a-z, ]*\)", words), value


def test_weights_that_do_not_fit(capsys):
    dlseg(capsys, "train", *SMALL)
    code, _, err = dlseg(capsys, "train", *SMALL, "--width", "0.25", "--weights", "runs/1/last.pt")
    assert code == 2 and err.count("\n") == 1 and "do not fit" in err


def test_two_processes_of_torchrun(tmp_path):
    """`torchrun -m dlseg train` trains once, together, and prints once."""
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    # The size of the teaching data cannot be patched over there.
    script = tmp_path / "few.py"
    script.write_text(
        "import sys\n"
        "from dlseg.commands.main import main\n"
        "from dlseg.data import registry\n"
        "registry.TRAIN_SCENES, registry.VALIDATION_SCENES = 4, 3\n"
        "sys.exit(main())\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*run, str(script), "train", *SMALL, "--freeze-batch-norm"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("mIoU") == 1 and "on 3 pictures of val" in done.stdout
    assert [path.name for path in Path("runs").iterdir()] == ["1"]
    assert load_checkpoint("runs/1/last.pt")["iteration"] == 3
