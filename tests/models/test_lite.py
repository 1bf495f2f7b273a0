"""The reader of TFLite files: values and layouts of files written here, and damaged ones."""

import random

import numpy as np
import pytest
import torch

pytest.importorskip("tflite", reason="tflite is not installed: pip install -e '.[read]'")

from dlseg.models.lite import read_convolutions
from tests.models.tflite_files import CONV, DEPTHWISE, RELU, write

RNG = np.random.default_rng(0)


def integers(*shape, kind=np.uint8):
    return RNG.integers(0, 100, shape, kind)


def read(tmp_path, data: bytes):
    (tmp_path / "net.tflite").write_bytes(data)
    return read_convolutions(tmp_path / "net.tflite")


def test_values_and_layouts(tmp_path):
    """(q - z) s; out, in, height, width, of a depthwise one too."""
    plain, depthwise = integers(5, 3, 2, 4), integers(1, 3, 3, 6)
    biases = integers(5, kind=np.int32), integers(6, kind=np.int32)
    operators = [
        (CONV, plain, biases[0]),
        (RELU, plain, biases[0]),
        (DEPTHWISE, depthwise, biases[1]),
    ]
    one, two = read(tmp_path, write(operators, scale=0.25, zero_point=7))
    assert one.weight.shape == (5, 4, 3, 2) and two.weight.shape == (6, 1, 3, 3)
    for o, i, y, x in ((0, 0, 0, 0), (4, 3, 2, 1), (2, 1, 1, 0)):
        assert one.weight[o, i, y, x] == (float(plain[o, y, x, i]) - 7) * 0.25
    assert two.weight[5, 0, 2, 1] == (float(depthwise[0, 2, 1, 5]) - 7) * 0.25
    assert torch.equal(one.bias, torch.from_numpy(biases[0] * np.float32(0.25)))
    assert one.weight.dtype == two.bias.dtype == torch.float32 and one.name == "array 0"


def test_floats_are_taken_as_they_are(tmp_path):
    weight, bias = RNG.normal(size=(2, 1, 1, 3)).astype(np.float32), np.ones(2, np.float32)
    (found,) = read(tmp_path, write([(CONV, weight, bias)], scale=9.0, zero_point=9))
    assert torch.equal(found.weight[:, :, 0, 0], torch.from_numpy(weight[:, 0, 0]))


def test_what_is_no_such_file_is_refused(tmp_path):
    good = write([(CONV, integers(2, 1, 1, 3), integers(2, kind=np.int32))], 1.0)
    for data in (b"", b"PK\x03\x04", bytes(100), good[:200], good[: len(good) // 2]):
        with pytest.raises(ValueError, match="is no whole TFLite file of a network of conv"):
            read(tmp_path, data)
    with pytest.raises(FileNotFoundError):
        read_convolutions(tmp_path / "none")


def test_damage_gives_convolutions_or_a_refusal(tmp_path):
    good = write([(CONV, integers(2, 3, 3, 3), integers(2, kind=np.int32))] * 3, 1.0)
    rng, refused = random.Random(0), 0
    for _ in range(300):
        data = bytearray(good)
        for _ in range(rng.choice((1, 3, 20))):
            data[rng.randrange(len(data))] = rng.choice((0, 1, 127, 255, rng.randrange(256)))
        try:
            read(tmp_path, bytes(data))
        except ValueError as error:
            assert "net.tflite" in str(error)
            refused += 1
    assert 50 < refused < 300


def test_without_the_package_it_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tflite", None)
    with pytest.raises(ModuleNotFoundError, match="needs the package tflite; run: pip install"):
        read(tmp_path, b"")
