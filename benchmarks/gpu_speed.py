"""How fast a GPU is, and how much memory it takes: the last three parts of `gpu.py`."""

import tempfile
import time
from collections.abc import Callable
from functools import lru_cache, partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import pytest
import torch
from torch import Tensor, nn

from benchmarks.gpu_sizes import CLASSES, SAME, Sizes, batch_of, compared
from dlseg.crf import DenseCRF, appearance, smoothness
from dlseg.inference import export_onnx, onnx_differences, prepare
from dlseg.models import build_model, describe, torchvision_deeplabv3
from dlseg.training.engine import train_step
from dlseg.training.losses import ScoreMaps
from tests.crf.toys import coarse_logits, photograph
from tests.peers import load_smp, load_torchvision, randomise

KERNELS = (smoothness(3, 3), appearance(80, 13, 10))


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
    model.zero_grad()  # else what an earlier row left counts as memory of this one
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
