"""The convolutions in a TFLite file, in the order they run, as floating-point numbers.

Needs the package tflite. A file of 8 bits holds integers q, and each array a scale s and a zero
point z: the number meant is (q - z) s (Jacob et al. 2018, section 2.1, equation 1).
"""

import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from dlseg.checks import install_line
from dlseg.paths import check_path

_KINDS = {0: np.float32, 2: np.int32, 3: np.uint8, 9: np.int8}  # of the format's schema
_BROKEN = (struct.error, ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError)


class Convolution(NamedTuple):
    """name: of what it computes; weight: (out, in / groups, height, width); bias: (out,)."""

    name: str
    weight: Tensor
    bias: Tensor


def read_convolutions(path: str | Path) -> list[Convolution]:
    """All convolutions, plain and depthwise, of the TFLite file at `path`.

    Every offset in the file is checked against its size, and nothing in it is run.
    Raises ModuleNotFoundError without the package tflite, OSError where the file cannot be read,
    ValueError for one that is no TFLite file, is damaged, or holds other numbers.
    """
    data = check_path("path", path).read_bytes()
    try:
        import tflite
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"reading {path} needs the package tflite; run: {install_line('read')}", name="tflite"
        ) from error
    try:
        return _convolutions(tflite.Model.GetRootAs(data, 0), len(data))
    except _BROKEN as error:
        raise ValueError(
            f"{path} is no whole TFLite file of a network of convolutions ({error}); "
            "delete it and fetch it again"
        ) from error


def _convolutions(model, size: int) -> list[Convolution]:
    graph, found = model.Subgraphs(0), []
    if graph.OperatorsLength() * 4 > size:
        raise ValueError("more operators than the file has room for")
    for number in range(graph.OperatorsLength()):
        operator = graph.Operators(number)
        code = model.OperatorCodes(operator.OpcodeIndex()).DeprecatedBuiltinCode()
        if code in (3, 4):  # CONV_2D (out, height, width, in), DEPTHWISE (1, height, width, out)
            _, weight, bias = (graph.Tensors(operator.Inputs(place)) for place in range(3))
            axes = (0, 3, 1, 2) if code == 3 else (3, 0, 1, 2)
            name = graph.Tensors(operator.Outputs(0)).Name().decode()
            found.append(Convolution(name, *(_numbers(model, t) for t in (weight, bias))))
            found[-1] = found[-1]._replace(weight=found[-1].weight.permute(axes))
    return found


def _numbers(model, tensor) -> Tensor:
    """The values of one array, as float32 computed in float64."""
    kind = np.dtype(_KINDS[tensor.Type()]).newbyteorder("<")
    data = model.Buffers(tensor.Buffer()).DataAsNumpy()
    values = np.frombuffer(data.tobytes(), kind).reshape(tensor.ShapeAsNumpy()).astype(np.float64)
    if kind != np.float32:
        how = tensor.Quantization()
        values = (values - how.ZeroPoint(0)) * how.Scale(0)
    return torch.from_numpy(values.astype(np.float32))
