"""Arrays from files: read as NumPy reads them, and refused before they take memory."""

import struct

import numpy as np
import pytest

from dlseg.data import DataError, read_floats


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", ["<f2", "<f4", ">f4", "<f8"])
def test_numpys_own_files(tmp_path, kind, order):
    array = np.arange(24).reshape(2, 3, 4).astype(kind, order=order)
    np.save(tmp_path / "a.npy", array)
    found = read_floats(tmp_path / "a.npy")
    assert found.dtype == array.dtype and (found == array).all()


def npy(shape: str, data: bytes = b"", kind: str = "'<f4'", version: bytes = b"\1\0") -> bytes:
    words = f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}, }}".encode() + b"\n"
    size = struct.pack("<H" if version == b"\1\0" else "<I", len(words))
    return b"\x93NUMPY" + version + size + words + data


BAD = {
    "empty": (b"", "it is no .npy file; write it with numpy.save"),
    "zip": (b"PK\3\4" + b"x" * 60, "it is no .npy file, but a zip, such as .npz"),
    "cut": (npy("(2,)", b"x" * 7), "not the 7 bytes that follow; it was cut or changed"),
    "too long": (npy("(2,)", b"x" * 9), "not the 9 bytes that follow"),
    "huge": (npy("(10000000000, 1000, 1000)", b"x" * 8), "not the 8 bytes that follow"),
    "beyond numbers": (npy("(" + "9" * 30 + ",)", b"x"), "not the 1 bytes that follow"),
    "deep": (npy("(" * 3000 + ")" * 3000), "its header is damaged, or not of numbers"),
    "negative": (npy("(-1, 4)", b"x" * 16), r"its shape is \(-1, 4\)"),
    "of no pixel": (npy("(0, 4)"), r"its shape is \(0, 4\); write an array that is not empty"),
    "true": (npy("(True, 4)", b"x" * 16), r"its shape is \(True, 4\)"),
    "objects": (npy("(1,)", b"x" * 8, "'|O'"), "it holds object, not floats"),
    "records": (npy("(1,)", b"x" * 4, "[('a', '<f4')]"), "not floats of 16, 32 or 64 bits"),
    "complex": (npy("(1,)", b"x" * 8, "'<c8'"), "it holds complex64, not floats"),
    "integers": (npy("(1,)", b"x" * 8, "'<i8'"), "it holds int64, not floats"),
    "a strange kind": (npy("(1,)", b"x" * 4, "'?!'"), "its header is damaged"),
    "version 9": (npy("(1,)", b"x" * 4, version=b"\x09\0"), "its header is damaged"),
    "NaN": (npy("(2,)", struct.pack("<2f", 1, float("nan"))), "1 of 2 values are NaN"),
}


@pytest.mark.parametrize(("content", "words"), BAD.values(), ids=BAD)
def test_what_is_wrong_is_said_in_one_line(tmp_path, content, words):
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(DataError, match=words) as caught:
        read_floats(tmp_path / "a.npy")
    assert str(caught.value).startswith(f"{tmp_path / 'a.npy'}: ")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_a_header_of_version_2(tmp_path):
    (tmp_path / "a.npy").write_bytes(npy("(1,)", struct.pack("<f", 3), version=b"\2\0"))
    assert read_floats(tmp_path / "a.npy").tolist() == [3]


def test_no_file_and_a_folder(tmp_path):
    for path, words in (
        (tmp_path / "none.npy", "no such file"),
        (tmp_path, "is a folder; name a file in it"),
    ):
        with pytest.raises(DataError, match=words):
            read_floats(path)
