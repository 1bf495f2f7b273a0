"""`dlseg predict`: strength, classes shown, the table of shares, the CRF."""

import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image

from dlseg.checks import CommandError
from dlseg.commands import labeller
from dlseg.commands.drawing import Table, shown_labels
from dlseg.commands.main import main
from dlseg.crf import DenseCRF
from dlseg.crf.kernels import PRESETS
from dlseg.data import normalise, read_image, read_label, write_image
from dlseg.data.scenes import CLASSES, PALETTE
from dlseg.inference import overlay, probabilities, shares
from dlseg.models import build_model
from tests.commands.checkpoints import NETWORK
from tests.commands.test_folder import interrupt, noise


@pytest.fixture
def folder(tmp_path):
    """Three pictures of blocks, larger than a pixel, so that labels differ."""
    for number, name in enumerate("abc"):
        small = Image.fromarray(noise(5, 7, seed=number))
        write_image(tmp_path / f"in/{name}.png", np.array(small.resize((56, 40), 0)))
    return tmp_path / "in"


def predict(checkpoint, out, *arguments):
    arguments = (*arguments, "--checkpoint", checkpoint, "--out", out, "--device", "cpu")
    return main(["predict", *map(str, arguments)])


def refused(capsys, checkpoint, out, *arguments):
    assert predict(checkpoint, out, *arguments) == 2
    message = capsys.readouterr().err
    assert message.startswith("dlseg: ") and message.count("\n") == 1
    return message


def test_strength_and_classes_of_the_overlay(checkpoint, folder, tmp_path):
    image = read_image(folder / "a.png")
    assert predict(checkpoint, tmp_path / "plain", folder / "a.png") == 0
    labels = read_label(tmp_path / "plain/a-index.png", 10, None)
    first, second = list(shares(labels))[:2]
    for options, wanted in {
        (): overlay(image, labels, PALETTE),
        ("--strength", 0.5): overlay(image, labels, PALETTE),
        ("--strength", 0): image,
        ("--strength", 1): PALETTE[labels],
        ("--strength", 1, "--show", f"{CLASSES[second]}"): np.where(
            (labels == second)[..., None], PALETTE[second], image
        ),
        ("--strength", 1, "--show", f"{first}, {CLASSES[second].upper()}"): np.where(
            np.isin(labels, [first, second])[..., None], PALETTE[labels], image
        ),
    }.items():
        assert predict(checkpoint, tmp_path / "out", folder / "a.png", *options) == 0
        assert np.array_equal(read_image(tmp_path / "out/a-overlay.png"), wanted)
        for kind in ("index", "palette", "legend"):
            plain, other = (tmp_path / name / f"a-{kind}.png" for name in ("plain", "out"))
            assert plain.read_bytes() == other.read_bytes()


VOC = ("background", "person", "Car", "cow", "potted plant", "1", "dining table")


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        (None, None),
        ("person", {1}),
        ("person,car", {1, 2}),
        (" potted plant , CAR,3", {2, 3, 4}),
        ("1", {5}),  # a name before a number
        ("0", {0}),
    ],
)
def test_classes_by_name_or_number(text, labels):
    assert shown_labels(text, VOC) == labels


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("persn", "there is no class 'persn'; near it are person, or the numbers 0 to 6"),
        ("person,cor", "there is no class 'cor'; near it are cow, Car, or"),
        ("plant", "near it are potted plant, or"),
        ("zebra", "there are background, person, Car, cow, potted plant, 1, dining table, or"),
        ("7", "there is no class '7'; there are background, "),
        ("-1", "there is no class '-1'"),
        ("", "there is no class ''"),
        ("person,", "there is no class ''"),
    ],
)
def test_classes_that_there_are_not(text, words):
    with pytest.raises(CommandError, match=words):
        shown_labels(text, VOC)


def test_of_many_classes_some_are_named():
    with pytest.raises(
        CommandError, match=r"there are class 0, .*, class 29, \.\.\., or the numbers"
    ):
        shown_labels("zebra", [f"class {number}" for number in range(150)])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--strength", "1.5"), "--strength must be in [0, 1], got 1.5"),
        (("--strength", "nan"), "--strength must be in [0, 1], got nan"),
        (("--shares", "a.txt"), "--shares writes a file that ends in .csv or .json, got a.txt"),
        (("--crf", "--crf-preset", "best"), "--crf-preset must be one of pydensecrf, "),
    ],
)
def test_faults_of_the_options(options, words, folder, tmp_path, capsys):
    message = refused(capsys, "not-looked-at.pt", tmp_path / "out", folder, *options)
    assert words in message


def test_an_unknown_class_is_told_before_anything_is_predicted(
    checkpoint, folder, tmp_path, capsys
):
    message = refused(capsys, checkpoint, tmp_path / "out", folder, "--show", "stars")
    assert "near it are star, stripes, or the numbers 0 to 9" in message
    assert not (tmp_path / "out").exists()


# The table


def rows_of(path):
    """{picture: {class: share}} of a CSV or JSON file."""
    if path.suffix == ".json":
        return {row["name"]: row["shares"] for row in json.loads(path.read_text(encoding="utf-8"))}
    with path.open(encoding="utf-8", newline="") as file:
        names, *rows = csv.reader(file)
    assert names[0] == "name"
    return {row[0]: dict(zip(names[1:], map(float, row[1:]), strict=True)) for row in rows}


def counted(out, name):
    """What the table must say, counted in the index PNG."""
    labels = read_label(out / f"{name}-index.png", 10, None)
    found = np.bincount(labels.ravel(), minlength=10) / labels.size
    return dict(zip(CLASSES, found.round(6).tolist(), strict=True))


@pytest.mark.parametrize("end", ["csv", "json", "JSON"])
def test_shares_of_each_picture(end, checkpoint, folder, tmp_path):
    table, out = tmp_path / f"new/shares.{end}", tmp_path / "out"
    assert predict(checkpoint, out, folder, "--shares", table) == 0
    assert rows_of(table.rename(table.with_suffix(table.suffix.lower()))) == {
        name: counted(out, name) for name in "abc"
    }


def test_shares_after_an_interruption(checkpoint, folder, tmp_path, monkeypatch, capsys):
    table, out = tmp_path / "shares.csv", tmp_path / "out"
    with monkeypatch.context() as patched:
        interrupt(patched, at=7)  # the overlay of the second picture
        assert predict(checkpoint, out, folder, "--shares", table) == 130
    assert not table.exists()
    assert predict(checkpoint, out, folder, "--shares", table, "--resume") == 0
    assert "1 of 3 are done already" in capsys.readouterr().out
    assert rows_of(table) == {name: counted(out, name) for name in "abc"}
    table.unlink()
    assert predict(checkpoint, out, folder, "--shares", table, "--resume") == 0
    assert rows_of(table) == {name: counted(out, name) for name in "abc"}


def test_shares_of_the_others_where_one_is_damaged(checkpoint, folder, tmp_path, capsys):
    (folder / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert predict(checkpoint, tmp_path / "out", folder, "--shares", tmp_path / "s.csv") == 2
    assert list(rows_of(tmp_path / "s.csv")) == ["a", "c"]


def test_shares_that_cannot_be_written(checkpoint, folder, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    table = tmp_path / "file/shares.csv"
    assert "cannot write to" in refused(
        capsys, checkpoint, tmp_path / "out", folder, "--shares", table
    )


def test_names_that_a_table_must_quote(tmp_path):
    for path in (tmp_path / "a.csv", tmp_path / "a.json"):
        table = Table(path, ["potted, plant", "ü", "ü"])
        table.add('x,"y"\nz', {0: 2 / 3, 2: 1 / 3})
        table.write(['x,"y"\nz', "unknown"])
        assert rows_of(path) == {
            'x,"y"\nz': {"0 potted, plant": 0.666667, "1 ü": 0, "2 ü": 0.333333}
        }


# The CRF


def refined(image, preset="pydensecrf"):
    """Labels of the network and the CRF, computed without the command."""
    torch.manual_seed(0)
    p = probabilities(build_model(NETWORK).eval(), normalise(image)[None])
    normalization = "after" if preset == "crf-rnn" else "symmetric"
    crf = DenseCRF(PRESETS[preset], 10, normalization, inputs="logits")
    pixels = torch.from_numpy(image.transpose(2, 0, 1).copy())[None]
    with torch.inference_mode():
        return crf(p.clamp(1e-5, 1).log(), pixels)[0].argmax(0).numpy()


@pytest.mark.parametrize("preset", ["pydensecrf", "crf-rnn", "deeplab-v1"])
def test_labels_after_the_crf(preset, checkpoint, folder, tmp_path):
    image = read_image(folder / "a.png")
    options = ("--crf", "--crf-preset", preset) if preset != "pydensecrf" else ("--crf",)
    assert predict(checkpoint, tmp_path / "out", folder / "a.png", *options) == 0
    labels = read_label(tmp_path / "out/a-index.png", 10, None)
    assert (labels == refined(image, preset)).mean() > 0.999
    assert predict(checkpoint, tmp_path / "plain", folder / "a.png") == 0
    plain = read_label(tmp_path / "plain/a-index.png", 10, None)
    assert (labels != plain).any()


def test_it_is_what_the_command_crf_makes_of_probabilities(checkpoint, folder, tmp_path):
    image = read_image(folder / "a.png")
    torch.manual_seed(0)
    p = probabilities(build_model(NETWORK).eval(), normalise(image)[None])[0].numpy()
    np.save(tmp_path / "p.npy", p)
    words = ["crf", folder / "a.png", tmp_path / "p.npy", "--out", tmp_path / "mask.png"]
    assert main([*map(str, words), "--device", "cpu"]) == 0
    assert predict(checkpoint, tmp_path / "out", folder / "a.png", "--crf") == 0
    other = read_label(tmp_path / "mask.png", 10, None)
    assert (read_label(tmp_path / "out/a-index.png", 10, None) == other).mean() > 0.999


def test_tiles_are_the_networks_alone(checkpoint, folder, tmp_path):
    """The CRF joins pixels of different tiles: with tiles that see all, it is as without."""
    for out, more in (
        ("whole", ()),
        ("tiles", ("--tile", 56, "--overlap", 0)),
        ("small", ("--tile", 24)),
    ):
        assert predict(checkpoint, tmp_path / out, folder / "a.png", "--crf", *more) == 0
    whole, tiles, small = (
        read_label(tmp_path / out / "a-index.png", 10, None) for out in ("whole", "tiles", "small")
    )
    assert np.array_equal(whole, tiles) and not np.array_equal(whole, small)


def test_a_picture_too_large_for_the_crf_does_not_keep_back_the_others(
    checkpoint, folder, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(labeller, "REFINED", 40 * 56 * 10)
    write_image(folder / "b.png", noise(41, 56))
    message = refused(capsys, checkpoint, tmp_path / "out", folder, "--crf")
    assert "1 of 3 could not be done: b has 0.0 megapixels, and --crf takes 0.0 with 10" in message
    assert "make it smaller, or leave --crf out" in message
    assert {path.name[0] for path in (tmp_path / "out").iterdir()} == {"a", "c"}


def test_two_megapixels_of_21_classes_are_the_most_for_the_crf():
    assert labeller.REFINED == 2_000_000 * 21
