"""The checks that several packages share say what was given and what is wanted."""

from pathlib import Path

import numpy as np
import pytest

from dlseg.checks import (
    check_backbone,
    check_choice,
    check_classes,
    check_ignore,
    check_integer,
    check_number,
    check_rgb,
    check_scales,
    check_share,
    install_line,
)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: check_integer("size", 47, 48), "^size must be an integer >= 48, got 47$"),
        (lambda: check_integer("size", 1025, 48, 1024), "^size must be an integer <= 1024, got"),
        (lambda: check_integer("size", 96.0, 48), "^size must be an integer >= 48, got 96.0$"),
        (lambda: check_integer("size", True, 0), "^size must be an integer >= 0, got True$"),
        (
            lambda: check_integer("size", np.True_, 0),
            "^size must be an integer >= 0, got np.True_$",
        ),
        (lambda: check_classes("num_classes", 5000), "^num_classes must be an integer <= 4096"),
        (lambda: check_classes("num_classes", 1, 2), "^num_classes must be an integer >= 2, got 1"),
        (lambda: check_ignore("ignore_index", 2**31), "^ignore_index must be an integer <= 21474"),
        (lambda: check_ignore("ignore_index", 255.0), "^ignore_index must be an integer >= -21"),
        (lambda: check_number("clip", 2, 0, 1), "^clip must be a number, at least 0 and at most 1"),
        (
            lambda: check_number("clip", float("nan"), 0),
            "^clip must be a number, at least 0, got n",
        ),
        (lambda: check_number("clip", True, 0), "^clip must be a number, at least 0, got True$"),
        (
            lambda: check_scales((1, 1e300)),
            r"^scales must be .* up to 100, .* got \(1, 1e\+300\)$",
        ),
        (lambda: check_backbone(1e300, None, 3), r"^width must be .* up to 100, got 1e\+300$"),
        (
            lambda: check_scales((1, True)),
            r"^scales must be positive numbers up to 100, .* got \(1, True\)$",
        ),
        (
            lambda: check_choice("depth", 50.0, (50, 101)),
            "^depth must be one of 50, 101, got 50.0$",
        ),
        (lambda: check_choice("mode", "c", ("a", "b")), "^mode must be one of a, b, got 'c'$"),
        (lambda: check_choice("depth", 51, {50: 3, 101: 4}), "^depth must be one of 50, 101, got"),
        (lambda: check_share("probability", 1.5), r"^probability must be in \[0, 1\], got 1.5$"),
        (lambda: check_share("probability", float("nan")), "got nan$"),
        (lambda: check_rgb("image", np.zeros((4, 5, 3))), r"uint8 \(H, W, 3\), got float64"),
        (lambda: check_rgb("image", np.zeros((4, 0, 3), np.uint8)), r"got uint8 \(4, 0, 3\)$"),
        (lambda: check_rgb("image", np.zeros((4, 5), np.uint8)), r"got uint8 \(4, 5\)$"),
        (lambda: check_rgb("image", np.zeros((3, 4, 5), np.uint8)), r"got uint8 \(3, 4, 5\)$"),
    ],
)
def test_what_is_wrong_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_what_is_right_passes():
    number = check_integer("size", np.int64(48), 48, 48)
    assert number == 48 and type(number) is int
    check_choice("depth", 50, {50: 3, 101: 4})
    assert check_classes("num_classes", np.int8(3)) == 3
    assert check_ignore("ignore_index", -100) == -100
    assert check_number("clip", np.float32(0.5), 0, 1) == 0.5
    check_scales(np.array([0.5, 1]))
    check_share("probability", 0)
    check_share("probability", 1)
    check_rgb("image", np.zeros((4, 5, 3), np.uint8))


def test_the_line_that_installs_fits_the_folder(tmp_path, monkeypatch):
    copy = tmp_path / "copy"
    for folder in (copy / "dlseg", copy / "a/b", tmp_path / "other/dlseg"):
        folder.mkdir(parents=True)
    for file in (copy / "constraints.txt", copy / "dlseg/checks.py"):
        file.write_text("")
    (tmp_path / "other/constraints.txt").write_text("")  # one of the two marks is not enough
    tested = "pip install -c constraints.txt -e '.[onnx]'"
    for folder, line in (
        (copy, tested),
        (copy / "a/b", f"cd {Path('../..')} && {tested}"),
        (tmp_path / "other", "pip install 'dlseg[onnx]'"),
    ):
        monkeypatch.chdir(folder)
        assert install_line("onnx") == line
        assert install_line() == line.replace("[onnx]", "")
