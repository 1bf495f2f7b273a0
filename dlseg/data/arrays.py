"""Arrays of NumPy from files: the header is held against the file before memory is taken."""

import math
import warnings
from pathlib import Path
from typing import BinaryIO

import numpy as np

from dlseg.data.decode import open_file
from dlseg.data.faults import DataError, Fault, place_of

_MAGIC = b"\x93NUMPY"
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read_floats(path: str | Path) -> np.ndarray:
    """The array of a .npy file, of 16, 32 or 64 bits, which must be finite.

    Raises DataError where there is none, it is no such file, an array of another kind, not as large
    as its header says, or with values that are NaN or infinite.
    """
    path = place_of(path)
    try:
        with open_file(path) as file:
            shape, columns_first, kind = _header(path, file)
            count = _check_size(path, shape, kind, path.stat().st_size - file.tell())
            array = np.fromfile(file, kind, count)
    except OSError as error:
        problem = f"cannot be read: {error.strerror or error}"
        remedy = "copy it to another place, and read it there"
        raise DataError(Fault(path, problem, remedy)) from error
    array = array.reshape(shape, order="F" if columns_first else "C")
    if wrong := array.size - int(np.isfinite(array).sum()):
        problem = f"{wrong} of {array.size} values are NaN or infinite"
        raise DataError(Fault(path, problem, "look at the program that computed them"))
    return array


def _header(path: Path, file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, order and kind of the numbers."""
    start = file.read(len(_MAGIC) + 2)
    if start[: len(_MAGIC)] != _MAGIC:
        hint = ", but a zip, such as .npz" if start.startswith(b"PK") else ""
        raise DataError(Fault(path, f"it is no .npy file{hint}", "write it with numpy.save"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about headers of Python 2, and numbers like 1and
            shape, columns_first, kind = _HEADERS[tuple(start[-2:])](file)
    except Exception as error:  # there is no end to what damaged bytes can raise
        problem = "its header is damaged, or not of numbers"
        raise DataError(Fault(path, problem, "write it with numpy.save")) from error
    if kind.kind != "f" or kind.itemsize > 8:
        problem = f"it holds {kind.name}, not floats of 16, 32 or 64 bits"
        raise DataError(Fault(path, problem, "write the softmax of a network"))
    return shape, columns_first, kind


def _check_size(path: Path, shape: tuple[int, ...], kind: np.dtype, size: int) -> int:
    """The number of values; DataError unless the file holds as many bytes, and one at least."""
    count = math.prod(shape)
    if min(shape, default=1) < 1 or any(type(side) is not int for side in shape):
        raise DataError(Fault(path, f"its shape is {shape}", "write an array that is not empty"))
    if count * kind.itemsize != size:
        promised = f"its header promises {len(shape)} axes of {kind.name}"
        problem = f"{promised}, which are not the {size} bytes that follow"
        raise DataError(Fault(path, problem, "it was cut or changed: write it again"))
    return count
