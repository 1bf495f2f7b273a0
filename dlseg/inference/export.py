"""ONNX: a network as one file that other runtimes execute, and a test that they do it well.

Every file has one input and one output, both float32:

    image    (batch, 3, height, width): RGB as `dlseg.data.to_tensors` makes it, in [0, 1] with the
             mean taken off, divided by the standard deviation
    logits   (batch, num_classes, height, width): of the size of the image; their argmax over the
             classes is the label

The operators are those of opset 18. Needs onnx, onnxscript and, to test, onnxruntime (the extra
`onnx`).
"""

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from dlseg.aside import new_file
from dlseg.checks import check_integer
from dlseg.doors import check_fit, logits_of
from dlseg.inspect import evaluating
from dlseg.paths import check_path
from dlseg.state import STATE_DICT

# The exporter is loaded where it is used, for it takes half a second: hence the quoted types.
INPUT, OUTPUT, OPSET = "image", "logits", 18
AXES = {0: "batch", 2: "height", 3: "width"}  # names of those that stay free
# Where nothing is fixed, the network is traced at this size: a tracer takes equal numbers for the
# same number, and 1 for always 1.
TRACED = (2, 3, 129, 161)
# Beside the traced size others, odd and even; a plain VGG-16 needs 32 pixels at least.
CHECKED = (TRACED, (1, 3, 128, 96), (3, 3, 65, 200), (1, 3, 193, 193), (1, 3, 33, 46))


class ExportError(Exception):
    """A network that the exporter cannot translate; says what to do."""


class Difference(NamedTuple):
    """What another runtime makes of an image.

    relative: largest difference of the logits, relative to the largest logit. same_labels: share of
    the pixels with the same label.
    """

    relative: float
    same_labels: float


def export_onnx(
    model: nn.Module,
    path: str | Path,
    size: Sequence[int] | None = None,
    notes: Mapping[str, str] | None = None,
) -> None:
    """Write `model` as the ONNX file `path`; it appears under its name when it is whole.

    model: images (B, 3, H, W) to logits (B, num_classes, H, W), in any mode, which it keeps.
    size: (height, width), which every image must then have, one at a time; None leaves the batch
    and both sides free.
    notes: kept in the file's metadata, such as the names of the classes.
    Raises ValueError for a size that is no two whole numbers, or that the network does not take,
    for a network not in float32, with weights that are NaN or infinite, and for one that returns no
    logits or no numbers; ExportError where the network cannot be translated; OSError where the file
    cannot be written.
    """
    weights = model.state_dict().items()
    STATE_DICT("weights", {k: v for k, v in weights if isinstance(v, torch.Tensor)})
    shape = TRACED if size is None else (1, 3, *_checked(size))
    with evaluating(model):
        program = _translated(model, shape, free=size is None)
    program.model.metadata_props.update(notes or {})
    with new_file(path) as file:
        file.write(program.model_proto.SerializeToString())


def onnx_differences(
    model: nn.Module, path: str | Path, shapes: Sequence[Sequence[int]] = CHECKED
) -> dict[tuple[int, ...], Difference]:
    """The file `path`, run by ONNX Runtime on the CPU, beside `model` on random images.

    shapes: of the batches of images, (B, 3, H, W). Returns: by shape.
    Raises ValueError for a path that cannot be, and where the model returns no logits.
    """
    import onnxruntime

    path = check_path("path", path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    parameter, differences = next(model.parameters()), {}
    generator = torch.Generator().manual_seed(0)
    with evaluating(model), torch.no_grad():
        for shape in map(tuple, shapes):
            images = torch.randn(shape, generator=generator)
            ours = logits_of(model(images.to(parameter))).cpu()  # (B, C, H, W)
            (theirs,) = session.run([OUTPUT], {INPUT: images.numpy()})
            differences[shape] = _difference(ours, torch.from_numpy(theirs))
    return differences


def _translated(model: nn.Module, shape: tuple[int, ...], free: bool) -> "torch.onnx.ONNXProgram":
    """The program of PyTorch's exporter, without what it notes about the machine it ran on."""
    images = torch.zeros(shape, device=next(model.parameters()).device)
    check_fit(images, model, "an exported file's image")
    with torch.no_grad():
        output = model(images)  # here a size too small is told clearly
    classes = logits_of(output).shape[1]
    if not isinstance(output, torch.Tensor):
        model = _OnlyLogits(model)
    options = {"input_names": [INPUT], "output_names": [OUTPUT], "opset_version": OPSET}
    shapes = (AXES,) if free else None
    try:
        with warnings.catch_warnings(), _without_registration():
            warnings.simplefilter("ignore")  # about the exporter's own parts
            program = torch.onnx.export(
                model, (images,), dynamo=True, dynamic_shapes=shapes, verbose=False, **options
            )
    except torch.onnx.OnnxExporterError as error:
        remedy = "give a size, which fixes the shapes" if free else "see the error above this one"
        raise ExportError(f"{type(model).__name__} cannot be exported so: {remedy}") from error
    return _named(program, ["batch", classes, "height", "width"] if free else None)


@contextmanager
def _without_registration() -> Iterator[None]:
    """The exporter does not tell which operators of torchvision it cannot register."""
    log = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


class _OnlyLogits(nn.Module):
    """A model that returns more, as torchvision's dictionaries, as one that returns its logits."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return logits_of(self.model(images), finite=False)


def _named(
    program: "torch.onnx.ONNXProgram", output_shape: list[int | str] | None
) -> "torch.onnx.ONNXProgram":
    import onnx_ir

    if output_shape is not None:  # else some networks state it as a formula of the input's
        program.model.graph.outputs[0].shape = onnx_ir.Shape(output_shape)
    for node in program.model.graph:
        node.metadata_props.clear()  # stack traces, with paths
    return program


def _difference(ours: torch.Tensor, theirs: torch.Tensor) -> Difference:
    if ours.shape != theirs.shape:
        raise ValueError(f"expected logits {tuple(ours.shape)}, the file's are {theirs.shape}")
    relative = (ours - theirs).abs().max() / ours.abs().max()
    same = (ours.argmax(1) == theirs.argmax(1)).double().mean()
    return Difference(float(relative), float(same))


def _checked(size: Sequence[int]) -> tuple[int, int]:
    if not isinstance(size, Sequence) or len(size) != 2:
        raise ValueError(f"size must be (height, width) in pixels, got {size!r}")
    return check_integer("height", size[0], 1), check_integer("width", size[1], 1)
