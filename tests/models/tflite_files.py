"""TFLite files of a few convolutions, written for tests with the package that reads them."""

import flatbuffers
import numpy as np
import tflite

NUMBERS = {np.dtype(t): n for t, n in ((np.float32, 0), (np.int32, 2), (np.uint8, 3), (np.int8, 9))}
CONV, DEPTHWISE, RELU = 3, 4, 19


def write(operators: list[tuple[int, np.ndarray, np.ndarray]], scale=0.0, zero_point=0) -> bytes:
    """A file that runs the operators, (code, weights as they are stored, bias), one by one.

    scale, zero_point: of all arrays of whole numbers; those of biases have no zero point.
    """
    b = flatbuffers.Builder(0)
    arrays = [np.zeros(0, np.float32)] + [a for _, *pair in operators for a in pair]
    buffers = [_buffer(b, array) for array in arrays]
    tensors = [_tensor(b, 0, arrays[0], 0.0, 0)]
    for number, array in enumerate(arrays[1:], start=1):
        tensors.append(_tensor(b, number, array, scale, zero_point if array.ndim == 4 else 0))
    codes = [_code(b, code) for code, *_ in operators]
    steps = [_operator(b, k, [0, 1 + 2 * k, 2 + 2 * k]) for k in range(len(operators))]
    tensors, steps = _offsets(b, tensors), _offsets(b, steps)
    tflite.SubGraphStart(b)
    tflite.SubGraphAddTensors(b, tensors)
    tflite.SubGraphAddOperators(b, steps)
    graphs = _offsets(b, [tflite.SubGraphEnd(b)])
    codes, buffers = _offsets(b, codes), _offsets(b, buffers)
    tflite.ModelStart(b)
    tflite.ModelAddOperatorCodes(b, codes)
    tflite.ModelAddSubgraphs(b, graphs)
    tflite.ModelAddBuffers(b, buffers)
    b.Finish(tflite.ModelEnd(b), b"TFL3")
    return bytes(b.Output())


def _offsets(b, offsets: list[int]) -> int:
    b.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        b.PrependUOffsetTRelative(offset)
    return b.EndVector()


def _buffer(b, array: np.ndarray) -> int:
    data = b.CreateNumpyVector(np.frombuffer(array.tobytes(), np.uint8)) if array.size else None
    tflite.BufferStart(b)
    if data is not None:
        tflite.BufferAddData(b, data)
    return tflite.BufferEnd(b)


def _tensor(b, number: int, array: np.ndarray, scale: float, zero_point: int) -> int:
    shape = b.CreateNumpyVector(np.array(array.shape, np.int32))
    name = b.CreateString(f"array {number}")
    scales = b.CreateNumpyVector(np.array([scale], np.float32))
    zeros = b.CreateNumpyVector(np.array([zero_point], np.int64))
    tflite.QuantizationParametersStart(b)
    tflite.QuantizationParametersAddScale(b, scales)
    tflite.QuantizationParametersAddZeroPoint(b, zeros)
    how = tflite.QuantizationParametersEnd(b)
    tflite.TensorStart(b)
    tflite.TensorAddShape(b, shape)
    tflite.TensorAddType(b, NUMBERS[array.dtype])
    tflite.TensorAddBuffer(b, number)
    tflite.TensorAddName(b, name)
    tflite.TensorAddQuantization(b, how)
    return tflite.TensorEnd(b)


def _code(b, code: int) -> int:
    tflite.OperatorCodeStart(b)
    tflite.OperatorCodeAddDeprecatedBuiltinCode(b, code)
    return tflite.OperatorCodeEnd(b)


def _operator(b, code: int, inputs: list[int]) -> int:
    inputs = b.CreateNumpyVector(np.array(inputs, np.int32))
    outputs = b.CreateNumpyVector(np.array([0], np.int32))
    tflite.OperatorStart(b)
    tflite.OperatorAddOpcodeIndex(b, code)
    tflite.OperatorAddInputs(b, inputs)
    tflite.OperatorAddOutputs(b, outputs)
    return tflite.OperatorEnd(b)
