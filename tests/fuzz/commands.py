"""What is fuzzed of the command line: arguments, wrong ones among right ones, in a small folder.

Nothing here may start a server, execute chapters, or train for long: the book's commands get a
chapter that is not there, and `train` gets the smallest network and a step or two.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from random import Random

from dlseg.__main__ import BOOK, LIBRARY, main
from tests.fuzz.contents import mask, picture
from tests.fuzz.generators import word
from tests.fuzz.harness import Target
from tests.fuzz.readers import array_file, checkpoint, good_checkpoint, own_files, place, voc_files

for module, _ in (BOOK | LIBRARY).values():
    import_module(module)  # before a call is watched

NUMBERS = ("0", "1", "2", "8", "16", "32", "-1", "nan", "inf", "1e9", "99999999999", "x", "")
WORDS = ("cpu", "none", "255", "sgd", "poly", "pydensecrf", "crf-rnn", "train", "val", "imagenet")
# Options of each command beside its own; a value of None stands for a flag.
OPTIONS = {
    "train": "data split network output-stride width weights iterations batch-size accumulate "
    "optimiser learning-rate schedule loss crop-size seed out checkpoint-every validate-every "
    "criterion class-weights patience head-multiplier validate config channels atrous-rates",
    "evaluate": "data split output-stride scales batch-size device",
    "predict": "out output-stride scales tile overlap device strength show shares crf-preset",
    "export": "size output-stride",
    "crf": "out preset sxy srgb weight iterations confidence ignore device",
    "doctor": "data",
    "list": "",
    "read": "port",
    "run": "device",
    "test": "device",
}
FLAGS = ("--flip", "--resume", "--help", "--markdown", "--check", "--version", "--dynamic", "-x")


def extra(rng: Random, command: str) -> list[str]:
    """Some options of a command with values, right or wrong."""
    arguments = []
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        names = OPTIONS[command].split()
        if not names or rng.random() < 0.15:
            arguments.append(rng.choice(FLAGS))
        else:
            name = rng.choice(names)
            value = rng.choice((rng.choice(NUMBERS), rng.choice(WORDS), word(rng)))
            if name == "out":
                value = value.strip("./")  # whoever names a folder elsewhere gets it there
            if name in ("width", "channels") and value in NUMBERS[1:]:
                value = "0"  # a wide network takes as long as it was asked for
            arguments += [f"--{name}", value]
    return arguments


def command(name: str, make: Callable, share: float, draws: bool = False) -> Target:
    """A command: `make` gives its files and its arguments."""

    def call(case: tuple[dict, list[str]], folder: Path) -> None:
        files, arguments = case
        place(".")(files, folder)
        code = main(arguments)
        assert code in (0, 1, 2), f"exit code {code!r}"

    # argparse leaves by SystemExit.
    return Target(f"dlseg {name}", make, call, (SystemExit,), share=share, draws=draws)


def train(rng: Random) -> tuple[dict, list[str]]:
    """A training of one step on a small VOC."""
    files = {f"data/{name}": content for name, content in voc_files(rng).items()}
    small = ["--data", "voc:data", "--iterations", "1", "--batch-size", "2", "--crop-size", "33"]
    small += ["--network", "fcn-resnet18", "--width", "0.0625", "--output-stride", "32"]
    small += ["--workers", "0"]
    options = [option for option in extra(rng, "train") if option not in ("1e9", "99999999999")]
    if rng.random() < 0.3:
        files |= {"runs/1/last.pt": checkpoint(rng)}
        return files, ["train", "--resume", "--workers", "0", *options]
    return files, ["train", *small, *options]


def predict(rng: Random) -> tuple[dict, list[str]]:
    """A prediction of a picture or two."""
    names = ["a.png", "b.jpg", "c.gif", "d.webp", "e.tif", "f"]
    chosen = rng.sample(names, rng.randint(0, 2))
    files = {name: picture(rng) for name in chosen}
    files |= {"runs/1/last.pt": checkpoint(rng) if rng.random() < 0.3 else good_checkpoint()}
    return files, ["predict", *(chosen or [word(rng)]), *extra(rng, "predict")]


def evaluate(rng: Random) -> tuple[dict, list[str]]:
    """Scores on a small VOC."""
    files = {f"data/{name}": content for name, content in voc_files(rng).items()}
    files["runs/1/last.pt"] = checkpoint(rng) if rng.random() < 0.4 else good_checkpoint()
    return files, ["evaluate", "--data", "voc:data", "--workers", "0", *extra(rng, "evaluate")]


def export(rng: Random) -> tuple[dict, list[str]]:
    """An export that cannot be: of no checkpoint, or into a file of another name."""
    return {"bad.pt": rng.randbytes(9)}, ["export", "bad.pt", "out.onnx", *extra(rng, "export")]


def crf(rng: Random) -> tuple[dict, list[str]]:
    """A refinement of a mask, or of probabilities."""
    kind = rng.choice(("mask.png", "mask.npy"))
    files = {"image.png": picture(rng), kind: mask(rng) if kind[-1] == "g" else array_file(rng)}
    return files, ["crf", "image.png", kind, "--out", "out", *extra(rng, "crf")]


def doctor(rng: Random) -> tuple[dict, list[str]]:
    """A look at a folder of data."""
    make = rng.choice((voc_files, own_files))
    files = {f"data/{name}": content for name, content in make(rng).items()}
    names = ("data", "data", "folder:data", "voc:data", word(rng))
    fix = ["--fix", "out"] if rng.random() < 0.4 else []
    return files, ["doctor", "--data", rng.choice(names), *fix]


def book(rng: Random) -> tuple[dict, list[str]]:
    """A command of the book, for a chapter that is not there."""
    name = rng.choice(("list", "read", "run", "test"))
    chapter = [] if name == "list" else [f"no-{word(rng)}"]
    return {}, [name, *chapter, *extra(rng, name)]


def anything(rng: Random) -> tuple[dict, list[str]]:
    """Words that are no command."""
    words = [rng.choice((word(rng), rng.choice(FLAGS))) for _ in range(rng.randint(0, 3))]
    return {}, [f"no{rng.choice(words)}" if words else "", *words]


COMMANDS = [
    command("train", train, 0.25, draws=True),
    command("predict", predict, 0.4, draws=True),
    command("evaluate", evaluate, 0.3, draws=True),
    command("export", export, 0.3),
    command("crf", crf, 0.7),
    command("doctor", doctor, 0.3),
    command("read list run test", book, 0.7),
    command("anything", anything, 0.5),
]
