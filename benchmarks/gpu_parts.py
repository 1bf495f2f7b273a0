"""What `gpu.py` measures: parts, each a table of rows with a name and a function."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import pytest
import torch
from torch import Tensor, nn

from dlseg.crf import DenseCRF, appearance, smoothness
from dlseg.device import setup
from dlseg.inference import export_onnx, onnx_differences, prepare, tiled_probabilities
from dlseg.metrics import ConfusionMatrix
from dlseg.models import build_model, describe, torchvision_deeplabv3
from dlseg.training.engine import train_step
from dlseg.training.losses import ScoreMaps
from tests.crf.toys import coarse_logits, photograph
from tests.peers import distance, load_smp, load_torchvision, randomise

ROOT = Path(__file__).parents[1]
CLASSES = 21
SAME = 1e-4  # of the largest value
# What the command line computes goes where DLSEG_DEVICE says; other tests name their device.
TESTS = ("tests/test_device.py", "tests/commands")
KERNELS = (smoothness(3, 3), appearance(80, 13, 10))
STATED = re.compile(r"(?:(\d+) seconds|(half) a minute|a minute) to run")


@dataclass(frozen=True)
class Sizes:
    """How large everything is. pixels: of the networks' images; crf: of the CRF's."""

    backbone: str = "resnet101"
    width: float = 1.0
    pixels: int = 513
    batches: tuple[int, ...] = (1, 8, 16)
    crf: tuple[int, ...] = (321, 513)
    crf_batch: int = 8
    families: tuple[str, ...] = (
        "fcn-resnet18",
        "deeplabv1-vgg16_bn",
        "deeplabv2-resnet18",
        "deeplabv3-resnet18",
        "deeplabv3plus-mobilenetv2",
        "deeplabv3plus-xception65",
    )
    tests: tuple[str, ...] = TESTS
    chapters: int | None = None  # how many, those that need the least time first
    nbval: tuple[str, ...] = ("--nbval",)
    rounds: int = 10
    compiled: bool = True
    export: bool = True

    @classmethod
    def quick(cls) -> "Sizes":
        """For a rehearsal of some seconds."""
        small = {"backbone": "resnet18", "width": 0.125, "pixels": 65, "batches": (2,)}
        few = {"crf": (33,), "crf_batch": 2, "families": ("deeplabv3plus-resnet18",)}
        tests = {"tests": ("tests/arithmetic/test_layer.py",), "chapters": 1}
        collect = ("--nbval", "--collect-only")  # no kernel is started
        return cls(**small, **few, **tests, nbval=collect, rounds=1, compiled=False, export=False)


def rows(part: str, sizes: Sizes, device: str, known: Iterable[str] = ()) -> Iterator:
    """Names and measured rows of a part, without the known ones; a failure is a row, too."""
    setup()
    for name, measure in PARTS[part](sizes, torch.device(device)).items():
        if name not in known:
            try:
                yield name, measure()
            except pytest.skip.Exception as reason:
                yield name, {"left out": str(reason)}
            except Exception as error:
                yield name, {"failed": f"{type(error).__name__}: {error}"[:500]}


def same(sizes: Sizes, device: torch.device) -> dict[str, Callable[[], dict]]:
    """The same numbers on both, to `SAME` of the largest one."""
    table = {name: partial(same_network, name, device) for name in sizes.families}
    for method in ("lattice", "bridged", "exact"):
        table[f"crf {method}"] = partial(same_crf, method, device)
    return table | {"tiles and metrics": partial(same_tiles, device)}


def compared(ours: Tensor, theirs: Tensor) -> dict:
    """How far the device's result is from the CPU's."""
    difference = distance(ours.detach().cpu().double(), theirs.detach().double())
    return {"equal": difference < SAME, "difference": float(f"{difference:.1e}")}


def same_network(name: str, device: torch.device) -> dict:
    """Logits, then the losses of two training steps, of a network of a quarter of its width."""
    torch.manual_seed(0)
    stride = 8 if re.match("deeplabv[12]-", name) else 16
    model = build_model(describe(name, CLASSES, stride, 0.25))
    randomise(model)
    images, labels = batch_of(2, 97)
    logits, losses = [], []
    for place in (torch.device("cpu"), device):
        model_here = build_model(describe(name, CLASSES, stride, 0.25)).to(place)
        model_here.load_state_dict(model.state_dict())
        with torch.inference_mode():
            logits.append(model_here.eval()(images.to(place)))
        for layer in model_here.modules():
            if isinstance(layer, nn.Dropout | nn.Dropout2d):
                layer.p = 0.0  # each device draws its own
        step = step_of(model_here.train(), images.to(place), labels.to(place))
        losses.append(torch.tensor([step(), step()]))
    row = compared(logits[1], logits[0])
    row["loss"] = compared(losses[1], losses[0])["difference"]
    return row | {"equal": row["equal"] and row["loss"] < 10 * SAME}


def same_crf(method: str, device: torch.device) -> dict:
    """Q of a small photograph."""
    crf = DenseCRF(KERNELS, 5, method=method)
    image = photograph((40, 48))
    logits = coarse_logits(image, 5)
    with torch.inference_mode():
        expected = crf(logits, image)
        return compared(crf.to(device)(logits.to(device), image.to(device)), expected)


def same_tiles(device: torch.device) -> dict:
    """Probabilities by tiles, and the mean IoU of their labels."""
    model = build_model(describe("deeplabv3plus-resnet18", CLASSES, 16, 0.25))
    randomise(model)
    images, labels = batch_of(1, 161)
    found, scores = [], []
    for place in (torch.device("cpu"), device):
        model.to(place)
        found.append(tiled_probabilities(model, images.to(place), 97, 32))
        matrix = ConfusionMatrix(CLASSES)
        matrix.update(labels.to(place), found[-1].argmax(1))
        scores.append(matrix.mean_iou())
    row = compared(found[1], found[0])
    return row | {"equal": row["equal"] and abs(scores[1] - scores[0]) < SAME}


def tests(sizes: Sizes, device: torch.device) -> dict[str, Callable[[], dict]]:
    """Files and folders of tests, each by its own pytest, a folder's on half of the cores."""
    options = ["-p", "no:cacheprovider"]
    spread = ["-n", str((os.cpu_count() or 2) // 2)] if find_spec("xdist") else []
    return {
        name: partial(
            run_pytest, device, [name, *options, *(spread if Path(ROOT, name).is_dir() else [])]
        )
        for name in sizes.tests
    }


def run_pytest(device: torch.device, arguments: list[str]) -> dict:
    """How many passed, and which did not."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {"DLSEG_DEVICE": device.type, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "--color=no", *arguments]
    begin = time.perf_counter()
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True
    )
    lines = (done.stdout.strip() or done.stderr.strip()).splitlines() or ["nothing was printed"]
    failed = [line for line in lines if re.match("FAILED|ERROR", line)]
    seconds = round(time.perf_counter() - begin, 1)
    return {"passed": done.returncode == 0, "said": lines[-1], "failed": failed} | {
        "seconds": seconds
    }


def chapters(sizes: Sizes, device: torch.device) -> dict[str, Callable[[], dict]]:
    """Every chapter under nbval, those that need the least time first, some at a time."""
    paths = sorted((ROOT / "chapters").glob("*.ipynb"), key=stated_seconds)[: sizes.chapters]
    pool = ThreadPoolExecutor(max(1, (os.cpu_count() or 1) // 4))
    futures = {}

    def wait(path: Path) -> dict:
        if not find_spec("nbval"):
            pytest.skip("nbval is not installed")
        for each in paths[paths.index(path) :]:  # all begin when the first of them is asked for
            futures.setdefault(each, pool.submit(run_pytest, device, [*sizes.nbval, str(each)]))
        return futures[path].result()

    return {path.stem: partial(wait, path) for path in paths}


def stated_seconds(path: Path) -> float:
    """What the chapter says that it needs; 60 where it says nothing."""
    found = STATED.search(path.read_text(encoding="utf-8"))
    return float(found[1] or (30 if found[2] else 60)) if found else 60


def crf(sizes: Sizes, device: torch.device) -> dict[str, Callable[[], dict]]:
    """A batch, once on the CPU with all its threads and several times on the device."""
    return {f"{n} x {n}": partial(crf_batch, n, sizes, device) for n in sizes.crf}


def crf_batch(side: int, sizes: Sizes, device: torch.device) -> dict:
    """Seconds of both, their ratio, and how far the results are from each other."""
    shifts = [17 * number for number in range(sizes.crf_batch)]
    image = torch.cat([photograph((side, side)).roll(shift, 3) for shift in shifts])
    logits = torch.cat([coarse_logits(one[None], CLASSES) for one in image])
    model, here = DenseCRF(KERNELS), (logits.to(device), image.to(device))
    with torch.inference_mode():
        begin = time.perf_counter()
        expected = model(logits, image)
        cpu = time.perf_counter() - begin
        model.to(device)
        seconds, peak = timed(lambda: model(*here), device, sizes.rounds // 2)
        found = model(*here).cpu()
    row = {"batch": len(image), "labels": CLASSES, "cpu seconds": round(cpu, 3)}
    row |= {"seconds": round(seconds, 4), "times faster": round(cpu / seconds, 1), **peak}
    row["same labels"] = round((found.argmax(1) == expected.argmax(1)).double().mean().item(), 6)
    return row | {"variation": round(((found - expected).abs().sum(1) / 2).mean().item(), 6)}


def networks(sizes: Sizes, device: torch.device) -> dict[str, Callable[[], dict]]:
    """Each network and its peers with each number of images; at last the compiled ones."""
    table = {
        f"{name}, batch {batch}": partial(speed, name, batch, sizes, device)
        for name in NETWORKS
        for batch in sizes.batches
    }
    for name in NETWORKS if sizes.compiled else ():
        table[f"{name}, batch 8, compiled"] = partial(speed, name, 8, sizes, device, True)
    return table


class Plain(nn.Module):
    """A peer whose output is a dictionary, as a network of ours."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        return self.model(images)["out"]


def ours(network: str, sizes: Sizes) -> nn.Module:
    """DeepLab v3 or v3+ at output stride 16."""
    return build_model(describe(f"{network}-{sizes.backbone}", CLASSES, 16, sizes.width))


def ours_as_torchvision(sizes: Sizes) -> nn.Module:
    """torchvision's DeepLab v3 in our code, at output stride 8."""
    body = "resnet50" if sizes.width < 1 else sizes.backbone
    return torchvision_deeplabv3(body, CLASSES, width=sizes.width)


def torchvisions(sizes: Sizes) -> nn.Module:
    """torchvision's own, at output stride 8; it has no narrow one."""
    name = f"deeplabv3_{sizes.backbone}"
    if sizes.width < 1:
        pytest.skip("only at full width")
    build = getattr(load_torchvision().models.segmentation, name)
    return Plain(build(weights=None, weights_backbone=None, num_classes=CLASSES))


def smps(sizes: Sizes) -> nn.Module:
    """segmentation-models-pytorch's DeepLab v3+ at output stride 16."""
    if sizes.width < 1:
        pytest.skip("only at full width")
    return load_smp().DeepLabV3Plus(sizes.backbone, encoder_weights=None, classes=CLASSES)


NETWORKS = {
    "v3+ ours": partial(ours, "deeplabv3plus"),
    "v3+ smp": smps,
    "v3 ours, as torchvision": ours_as_torchvision,
    "v3 torchvision": torchvisions,
}


@lru_cache(maxsize=1)
def network_on(name: str, sizes: Sizes, device: torch.device) -> nn.Module:
    """One network at a time, so that memory is that of one."""
    torch.manual_seed(0)
    return NETWORKS[name](sizes).to(device)


def speed(
    name: str, batch: int, sizes: Sizes, device: torch.device, compiled: bool = False
) -> dict:
    """Images per second and peak memory: forward and training step, float32 and mixed."""
    model = network_on(name, sizes, device)
    side = sizes.pixels - sizes.pixels % 16 if name == "v3+ smp" else sizes.pixels
    images, labels = (values.to(device) for values in batch_of(batch, side))
    call = torch.compile(model) if compiled else model
    row = {"pixels": side}
    for mixed in (False, True):
        half = partial(torch.autocast, device.type, enabled=mixed)
        word = "mixed" if mixed else "float32"
        with torch.inference_mode():
            model.eval()
            row[f"forward {word}"] = per_second(
                lambda h=half: forward(call, images, h), batch, device, sizes
            )
        if batch > 1 and not compiled:  # a batch norm behind image pooling needs two images
            step = step_of(model.train(), images, labels, mixed)
            row[f"step {word}"] = per_second(step, batch, device, sizes)
    return row


def forward(call: Callable, images: Tensor, half: Callable) -> Tensor:
    """Logits, in mixed precision or not."""
    with half():
        return call(images)


def step_of(model: nn.Module, images: Tensor, labels: Tensor, mixed: bool = False) -> Callable:
    """A training step as the engine makes it."""
    optimiser = torch.optim.SGD(model.parameters(), 1e-3, momentum=0.9)
    scaler = torch.amp.GradScaler(images.device.type, enabled=mixed)
    return partial(train_step, ScoreMaps(model, "upsampled"), optimiser, scaler, images, labels)


def per_second(call: Callable, batch: int, device: torch.device, sizes: Sizes) -> dict:
    """Images per second, and the peak of memory."""
    seconds, peak = timed(call, device, sizes.rounds)
    return {"images/s": round(batch / seconds, 1), **peak}


def timed(call: Callable, device: torch.device, rounds: int) -> tuple[float, dict]:
    """Median seconds of a call, after two to warm up, and the device's peak of memory in MiB."""
    cuda = device.type == "cuda"
    wait = torch.cuda.synchronize if cuda else lambda: None
    if cuda:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    seconds = []
    for number in range(2 + max(1, rounds)):
        wait()
        begin = time.perf_counter()
        call()
        wait()
        if number >= 2:
            seconds.append(time.perf_counter() - begin)
    peak = {"peak MiB": round(torch.cuda.max_memory_allocated() / 2**20)} if cuda else {}
    return median(seconds), peak


def batch_of(number: int, side: int) -> tuple[Tensor, Tensor]:
    """Random images (B, 3, H, W) and labels (B, H, W)."""
    generator = torch.Generator().manual_seed(number)
    images = torch.randn(number, 3, side, side, generator=generator)
    return images, torch.randint(CLASSES, (number, side, side), generator=generator)


def deploy(sizes: Sizes, device: torch.device) -> dict[str, Callable[[], dict]]:
    """`prepare` with each number of images, then an ONNX file."""
    table = {f"prepare, batch {n}": partial(ready, n, sizes, device) for n in sizes.batches[:2]}
    return table | ({"export": partial(exported, device)} if sizes.export else {})


def ready(batch: int, sizes: Sizes, device: torch.device) -> dict:
    """Our v3+ as it is and made ready, both in float32."""
    model = ours("deeplabv3plus", sizes)
    randomise(model)
    model.to(device)
    images = batch_of(batch, sizes.pixels)[0].to(device)
    fast = prepare(model, images)
    with torch.inference_mode():
        row = compared(fast(images), model(images).cpu())
        for name, call in (("plain", model), ("prepared", fast)):
            row[name] = per_second(lambda c=call: c(images), batch, device, sizes)
    return row


def exported(device: torch.device) -> dict:
    """A file of a network that lives on the device, run by ONNX Runtime on the CPU."""
    if not find_spec("onnxruntime") or not find_spec("onnxscript"):
        pytest.skip("onnxruntime or onnxscript is not installed")
    model = build_model(describe("deeplabv3plus-resnet18", CLASSES, 16, 0.25))
    randomise(model)
    model.to(device)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        export_onnx(model, path)
        found = onnx_differences(model, path, [(1, 3, 65, 65), (2, 3, 97, 129)])
    worst = max(difference.relative for difference in found.values())
    return {"equal": worst < SAME, "difference": float(f"{worst:.1e}")}


PARTS = {
    "same": same,
    "tests": tests,
    "chapters": chapters,
    "crf": crf,
    "networks": networks,
    "deploy": deploy,
}
