"""How long our DeepLabs take, beside the networks that people would pick instead.

    python benchmarks/models.py --json assets/results/models.json
    python benchmarks/models.py --models v3+-mobilenet-16 --rounds 1 --size 224      (a glance)

Each of ours has the weights of its peer; both run in turns, first on one thread, then on two, so
that whatever else the machine does meets both. A ratio is our time by the peer's plain one, the
median over the rounds. On one thread seconds of work count, on more those of the clock.

1. torchvision's deeplabv3_resnet50, 513 pixels; segmentation-models-pytorch's DeepLabV3Plus on
   ResNet-50 and MobileNetV2 at output strides 16 and 8, 512 pixels, for it takes no 513. One image.
   Plain, in `inference_mode`; ours made ready by `dlseg.inference.prepare`; that compiled; and the
   peer compiled. Before, their outputs are compared: `difference` is the largest one, relative to
   the largest value.
2. A training step, forward, cross entropy, backward and SGD, on 4 images of 256 pixels: ours as the
   engine makes it; with the recipe's `channels_last`; and with its `bfloat16` too, where the
   processor has it.
3. How fast the machine multiplies matrices, and the share of that rate which each network reaches,
   counting its multiply-adds as its layers have them. Above 1 some of these were avoided.
"""

import argparse
import json
import platform
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlseg.aside import new_file
from dlseg.inference import prepare
from dlseg.models import convert, torchvision_deeplabv3
from dlseg.training.speed import fast_pointwise

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "chapters"))
from support.implementations import smp_deeplabv3plus
from tests.backbones.counting import multiply_adds, without_weights
from tests.peers import distance, load_smp, load_torchvision, randomise

PARTS = ("plain", "prepared", "compiled", "training")
GOALS = {"plain": 1.0, "prepared": 0.8, "compiled": 0.7, "training": 1.0}
TRAINING = (4, 3, 256, 256)  # images of a training step
CLASSES = 21
RATE = "10^9 multiply-adds a second"


@dataclass(frozen=True)
class Case:
    """A network of ours and its peer, at the size they are compared at."""

    size: int
    ours: Callable[[], nn.Module]
    peer: Callable[[], nn.Module]
    rename: Callable = dict  # names of the peer's weights to ours


def plus(backbone: str, output_stride: int) -> Case:
    """DeepLab v3+ as segmentation-models-pytorch has it."""
    options = {"encoder_weights": None, "encoder_output_stride": output_stride, "classes": CLASSES}
    return Case(
        512,
        lambda: smp_deeplabv3plus(backbone, CLASSES, output_stride),
        lambda: load_smp().DeepLabV3Plus(backbone, **options),
        lambda state: convert(state, "smp").state,
    )


def torchvision_peer() -> nn.Module:
    """DeepLab v3 at output stride 8."""
    build = load_torchvision().models.segmentation.deeplabv3_resnet50
    return build(weights=None, weights_backbone=None, num_classes=CLASSES)


CASES = {
    "v3-resnet50-8": Case(513, torchvision_deeplabv3, torchvision_peer),
    "v3+-resnet50-16": plus("resnet50", 16),
    "v3+-resnet50-8": plus("resnet50", 8),
    "v3+-mobilenet-16": plus("mobilenet_v2", 16),
    "v3+-mobilenet-8": plus("mobilenet_v2", 8),
}


def pair(case: Case) -> tuple[nn.Module, nn.Module]:
    """Ours and the peer in eval mode, with the same random weights and statistics."""
    peer, ours = case.peer(), case.ours()
    randomise(peer, 64)
    ours.load_state_dict(case.rename(peer.state_dict()))
    return ours.eval(), peer


def in_turns(calls: dict[str, Callable], rounds: int) -> dict[str, list[float]]:
    """Seconds of every call, in each round; one round to warm up."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    seconds = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name, call in calls.items():
            begin = clock()
            call()
            if number:
                seconds[name].append(clock() - begin)
    return seconds


def compared(seconds: dict[str, list[float]]) -> dict[str, dict]:
    """Median seconds of each call; its ratio to "peer", median and range over the rounds."""
    table = {}
    for name, times in seconds.items():
        ratios = [a / b for a, b in zip(times, seconds["peer"], strict=True)]
        table[name] = {"seconds": round(median(times), 4)}
        if name != "peer":
            ratios = [round(value, 3) for value in (median(ratios), min(ratios), max(ratios))]
            table[name] |= dict(zip(("ratio", "least", "most"), ratios, strict=True))
    return table


def inference(case: Case, size: int, parts: list[str], rounds: int, rate: float) -> dict:
    """All ways to get the logits of one image; rate: of the machine, multiply-adds a second."""
    ours, peer = pair(case)
    image = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(1))
    models = {"peer": peer, "plain": ours}
    if {"prepared", "compiled"} & {*parts}:
        models["prepared"] = prepare(ours, image)
    if "compiled" in parts:
        torch._dynamo.reset()  # what was compiled for another number of threads
        models["compiled"] = compiled(models["prepared"])
        models["peer compiled"] = compiled(peer)
    with torch.inference_mode():
        expected = logits(peer, image)
        differences = {name: distance(logits(run, image), expected) for name, run in models.items()}
        calls = {name: lambda run=run: run(image) for name, run in models.items()}
        table = compared(in_turns(calls, rounds))
    work = multiply_adds(without_weights(case.ours), size)
    for name, row in table.items():
        row["share of the rate"] = round(work / row["seconds"] / rate, 3)
        row["difference"] = float(f"{differences[name]:.1e}")
        if not differences[name] < 1e-4:
            raise RuntimeError(f"{name} has other outputs than the peer: {differences[name]:.1e}")
    return table


def compiled(model: nn.Module) -> Callable[[Tensor], Tensor]:
    """`model` by `torch.compile` for inference; it compiles at the first call."""
    return torch.compile(deepcopy(model), options={"freezing": True})


def logits(model: Callable, image: Tensor) -> Tensor:
    """What the model says, which torchvision's puts into a dictionary."""
    output = model(image)
    return output["out"] if isinstance(output, dict) else output


def training(case: Case, rounds: int) -> dict:
    """A training step of all; each begins with the same weights and the same dropout."""
    images = torch.randn(TRAINING, generator=torch.Generator().manual_seed(2))
    labels = torch.randint(CLASSES, (TRAINING[0], *TRAINING[2:]))
    ours, peer = (model.train() for model in pair(case))
    models = {"peer": peer, "training": ours, "channels_last": last(deepcopy(ours))}
    if torch.ops.mkldnn._is_mkldnn_bf16_supported():
        models["bfloat16"] = last(deepcopy(ours))
    losses, steps = {}, {}
    with ExitStack() as engine:
        for name, model in models.items():
            if model is not peer:
                engine.enter_context(fast_pointwise(model, images.device))
            optimiser = torch.optim.SGD(model.parameters(), 1e-3, momentum=0.9)
            batch = images, labels, name == "bfloat16"
            steps[name] = partial(step, model, optimiser, *batch)
            torch.manual_seed(3)
            losses[name] = steps[name]()
        table = compared(in_turns(steps, rounds))
    for name in models:
        difference = abs(losses[name] / losses["peer"] - 1)
        if not difference < (1e-2 if name == "bfloat16" else 1e-4):
            raise RuntimeError(f"the first losses differ: {losses}")
        table[name]["difference"] = float(f"{difference:.1e}")
    return table


def last(model: nn.Module) -> nn.Module:
    """The model with the channels of a pixel side by side in memory."""
    return model.to(memory_format=torch.channels_last)


def step(model: nn.Module, optimiser, images: Tensor, labels: Tensor, bfloat16: bool) -> float:
    """One step of training; the loss before it."""
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        output = logits(model, images)
    loss = F.cross_entropy(output.float(), labels)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return loss.item()


def machine_rate(rounds: int = 50) -> float:
    """Multiply-adds a second in the best product of two float32 matrices of 1024 x 1024."""
    a, b = torch.randn(2, 1024, 1024)
    return 1024**3 / min(in_turns({"product": lambda: a @ b}, rounds)["product"])


def measure(name: str, arguments, rate: float) -> dict | None:
    """One line of the table for each way; None where the peer is not installed."""
    case, parts = CASES[name], arguments.parts
    row = {"model": name, "threads": torch.get_num_threads()}
    try:
        if {"plain", "prepared", "compiled"} & {*parts}:
            size = arguments.size or case.size
            table = inference(case, size, parts, arguments.rounds, rate)
            row |= {"size": size, RATE: round(rate / 1e9, 1), "inference": table}
            show(row, table, ("plain", "prepared", "compiled", "peer compiled"))
        if "training" in parts:
            row["training"] = training(case, arguments.rounds)
            show(row, row["training"], ("training", "channels_last", "bfloat16"))
    except pytest.skip.Exception as reason:
        print(f"{name} left out: {reason}")
        return None
    return row


def show(row: dict, table: dict, names: tuple[str, ...]) -> None:
    """Print the ways of one network, one a line."""
    for name in names:
        if name in table:
            way, peer = table[name], table["peer"]["seconds"]
            goal = f"goal {GOALS[name]:.1f}" if name in GOALS else ""
            share = way.get("share of the rate")
            print(
                f"{row['model']:17} {row['threads']} threads  {name:13} {1e3 * way['seconds']:7.0f}"
                f" ms  peer {1e3 * peer:6.0f} ms  ratio {way['ratio']:.3f} "
                f"({way['least']:.3f} to {way['most']:.3f})  {goal:8}"
                + (f"  {share:4.0%} of the rate" if share else ""),
                flush=True,
            )


def arguments_of_command_line() -> argparse.Namespace:
    """What to measure; without a C++ compiler, nothing compiled."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5, help="of each, in turns")
    parser.add_argument("--size", type=int, help="of the images, in pixels, instead of each one's")
    parser.add_argument("--json", type=Path, help="also write to this file; other parts stay there")
    arguments = parser.parse_args()
    if "compiled" in arguments.parts and not any(map(shutil.which, ("g++", "clang++"))):
        print("torch.compile is left out: there is no C++ compiler, neither g++ nor clang++")
        arguments.parts.remove("compiled")
    return arguments


def main() -> None:
    """Read the arguments, measure, and write the file."""
    arguments = arguments_of_command_line()
    rows = []
    for threads in arguments.threads:
        torch.set_num_threads(threads)
        rate = machine_rate()
        print(f"{threads} threads: {rate / 1e9:.1f} x {RATE} in a product")
        rows += [measure(name, arguments, rate) for name in arguments.models]
    if arguments.json:
        keep(arguments.json, arguments.rounds, rows)


def keep(path: Path, rounds: int, rows: list[dict | None]) -> None:
    """Write what was measured into the file, and leave what was not."""
    content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"rows": []}
    table = {(row["model"], row["threads"]): row for row in content["rows"]}
    for row in filter(None, rows):
        key = row["model"], row["threads"]
        table[key] = table.get(key, {}) | row
    content = {
        "torch": torch.__version__,
        "machine": platform.machine(),
        "rounds": rounds,
        "rows": [*table.values()],
    }
    with new_file(path) as file:
        file.write(f"{json.dumps(content, indent=1)}\n".encode())


if __name__ == "__main__":
    main()
