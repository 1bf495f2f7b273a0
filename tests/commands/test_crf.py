"""`dlseg crf`: what it writes, and one line for what goes wrong."""

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin

from dlseg.commands.main import main
from dlseg.crf import DenseCRF, appearance, smoothness, unary_from_labels

SIZE = (32, 40)  # height, width
COLOURS = [10, 20, 30, 200, 0, 0, 0, 0, 200]  # of labels 0, 1, 2


@pytest.fixture(scope="module")
def scene():
    """A bright disc on dark ground with a little noise, and a square mask around it."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    disc = (y - 15) ** 2 + (x - 18) ** 2 < 90
    noise = np.random.default_rng(0).integers(0, 20, (*SIZE, 3))
    image = (np.where(disc[..., None], 200, 40) + noise).astype(np.uint8)
    coarse = np.zeros(SIZE, np.uint8)
    coarse[6:24, 8:28] = 1
    return image, coarse, disc


@pytest.fixture
def files(scene, tmp_path):
    """photo.png and the mask three ways: index.png, palette.png, p.npy."""
    image, coarse, _ = scene
    Image.fromarray(image).save(tmp_path / "photo.png")
    Image.fromarray(coarse).save(tmp_path / "index.png")
    coloured = Image.fromarray(coarse)
    coloured.putpalette(COLOURS)
    coloured.save(tmp_path / "palette.png")
    np.save(tmp_path / "p.npy", np.stack([0.7 - 0.4 * coarse, 0.3 + 0.4 * coarse]))
    return tmp_path


def crf(folder, *arguments):
    """Exit code of `dlseg crf`; names of files are those in `folder`."""
    known = {path.name for path in folder.iterdir()} | {"out", "new.png", "none.png"}
    return main(["crf", *(str(folder / word) if word in known else word for word in arguments)])


def labels(path):
    with Image.open(path) as image:
        return np.array(image)


def test_a_palette_is_read_as_its_mask_is(files, monkeypatch):
    """Not by Pillow's own way, which refuses long texts, and has a limit of pixels of its own."""
    info = PngImagePlugin.PngInfo()
    info.add_text("workflow", "settings " * 300_000, zip=True)
    with Image.open(files / "palette.png") as mask:
        mask.save(files / "long.png", pnginfo=info)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 600)  # the mask has 1280
    assert crf(files, "photo.png", "long.png", "--out", "out") == 0
    monkeypatch.undo()
    with Image.open(files / "out" / "long-refined.png") as mask:
        assert mask.mode == "P" and mask.getpalette("RGB")[:9] == COLOURS


def test_a_palette_mask(files, scene, capsys):
    assert crf(files, "photo.png", "palette.png", "--out", "out") == 0
    image, coarse, disc = scene
    refined = labels(files / "out" / "palette-refined.png")
    assert (refined == disc).mean() > 0.99 > 0.94 > (coarse == disc).mean()
    with Image.open(files / "out" / "palette-refined.png") as mask:
        assert mask.mode == "P"
        assert mask.getpalette("RGB")[:9] == COLOURS
    printed = capsys.readouterr()
    assert f"{(refined != coarse).mean():.1%} of the pixels changed their label" in printed.out
    assert printed.err == ""  # no bar where there is no terminal
    assert sorted(path.name for path in (files / "out").iterdir()) == [
        "palette-refined-before-after.png",
        "palette-refined.png",
    ]
    picture = labels(files / "out" / "palette-refined-before-after.png")
    height, width = SIZE
    assert picture.shape == (height + 24, 2 * width, 3)
    colours = np.array(COLOURS).reshape(3, 3)
    for left, shown in ((0, coarse), (width, refined)):
        blend = (image.astype(int) + colours[shown]) // 2
        np.testing.assert_array_equal(picture[24:, left : left + width], blend)
    assert (picture[:24] < 100).any()  # the captions


def test_an_index_mask_to_a_file_has_no_palette_and_equals_the_library(files, scene):
    arguments = ("--sxy", "20", "--srgb", "30", "--weight", "4", "--iterations", "3")
    out = ("--confidence", "0.8", "--out", "new.png")
    assert crf(files, "photo.png", "index.png", *arguments, *out) == 0
    with Image.open(files / "new.png") as mask:
        assert mask.mode == "L"
    image, coarse, _ = scene
    unary = unary_from_labels(torch.from_numpy(coarse), 2, 0.8)[None]
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None]
    with torch.no_grad():
        q = DenseCRF([smoothness(), appearance(20, 30, 4)], 3)(-unary, pixels)
    np.testing.assert_array_equal(labels(files / "new.png"), q[0].argmax(0).numpy())
    assert (files / "new-before-after.png").exists()


def test_probabilities_in_either_layout(files, scene):
    assert crf(files, "photo.png", "p.npy", "--out", "out") == 0
    first = labels(files / "out" / "p-refined.png")
    assert (first == scene[2]).mean() > 0.99
    np.save(files / "last.npy", np.load(files / "p.npy").transpose(1, 2, 0))
    assert crf(files, "photo.png", "last.npy", "--out", "out") == 0
    np.testing.assert_array_equal(labels(files / "out" / "last-refined.png"), first)


def test_where_both_layouts_fit_the_sums_decide(tmp_path):
    """An image of 3 x 3 pixels with 3 classes."""
    p = np.random.default_rng(0).dirichlet([1, 1, 1], (3, 3))  # (H, W, C)
    Image.fromarray(np.zeros((3, 3, 3), np.uint8)).save(tmp_path / "photo.png")
    for name, array in (("last.npy", p), ("first.npy", p.transpose(2, 0, 1))):
        np.save(tmp_path / name, array)
        assert crf(tmp_path, "photo.png", name, "--out", "out", "--iterations", "0") == 0
        refined = labels(tmp_path / "out" / f"{name[:-4]}-refined.png")
        np.testing.assert_array_equal(refined, p.argmax(2))


def test_labels_keep_their_numbers_and_unsure_pixels_get_one(files, scene):
    _, coarse, disc = scene
    mask = np.where(coarse, 77, 5).astype(np.uint8)
    mask[:, :4] = 255
    Image.fromarray(mask).save(files / "index.png")
    assert crf(files, "photo.png", "index.png", "--out", "new.png") == 0
    assert (labels(files / "new.png") == np.where(disc, 77, 5)).mean() > 0.99
    # 255 may be a class, as in black and white masks, and another label unsure.
    Image.fromarray(255 * coarse).save(files / "index.png")
    assert crf(files, "photo.png", "index.png", "--out", "new.png", "--ignore", "none") == 0
    assert (labels(files / "new.png") == 255 * disc).mean() > 0.99
    mask[mask == 255] = 9
    Image.fromarray(mask).save(files / "index.png")
    assert crf(files, "photo.png", "index.png", "--out", "new.png", "--ignore", "9") == 0
    assert set(np.unique(labels(files / "new.png"))) == {5, 77}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("none.png", "index.png"), "none.png: there is no such file"),
        (("photo.png", "none.png"), "none.png: there is no such file"),
        (("photo.png", "photo.png"), "the mask is no image of class indices (Pillow's mode RGB)"),
        (("photo.png", "wide.png"), "has 32 x 41 pixels (height x width), the image 32 x 40"),
        (("photo.png", "empty.png"), "if that label is a class, give --ignore none"),
        (("p.npy", "index.png"), "is a NumPy file; save the array with write_image"),
        (("photo.png", "wide.npy"), "must be (C, 32, 40) or (32, 40, C) for this image"),
        (("photo.png", "flat.npy"), "got (32, 40); upsample bilinearly"),
        (("photo.png", "whole.npy"), "it holds int64, not floats of"),
        (("photo.png", "logits.npy"), "logits need a softmax first"),
        (("photo.png", "one.npy"), "must have 2 to 256 classes, got 1"),
        (("photo.png", "objects.npy"), "it holds object, not floats"),
        (("photo.png", "text.npy"), "it is no .npy file; write it with numpy.save"),
        (("photo.png", "nan.npy"), "1 of 2560 values are NaN or infinite"),
        (("photo.png", "none.npy"), "none.npy: there is no such file"),
        (("photo.png", "p.npy", "--confidence", "0.9"), "--confidence is for label masks"),
        (("photo.png", "p.npy", "--ignore", "0"), "--ignore is for label masks"),
        (("photo.png", "index.png", "--ignore", "300"), "--ignore must be 0 to 255 or none"),
        (("photo.png", "index.png", "--confidence", "0.5"), "confidence must lie above 1/2"),
        (("photo.png", "index.png", "--sxy", "-1"), "sxy must be above 0"),
        (("photo.png", "index.png", "--iterations", "-1"), "iterations must be an integer >= 0"),
        (("photo.png", "index.png", "--preset", "v4"), "--preset must be one of pydensecrf, "),
    ],
)
def test_mistakes_are_told_in_one_line(files, capsys, arguments, message):
    Image.fromarray(np.zeros((32, 41), np.uint8)).save(files / "wide.png")
    Image.fromarray(np.full(SIZE, 255, np.uint8)).save(files / "empty.png")
    np.save(files / "wide.npy", np.full((2, 32, 41), 0.5))
    np.save(files / "flat.npy", np.full(SIZE, 0.5))
    np.save(files / "whole.npy", np.zeros((2, *SIZE), np.int64))
    np.save(files / "logits.npy", np.full((2, *SIZE), 3.0))
    np.save(files / "one.npy", np.ones((1, *SIZE)))
    np.save(files / "objects.npy", np.array([{}], dtype=object))
    (files / "text.npy").write_text("no array")
    array = np.full((2, *SIZE), 0.5)
    array[1, 2, 3] = np.nan
    np.save(files / "nan.npy", array)
    assert crf(files, *arguments, "--out", "out") == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.startswith("dlseg: ")
    assert printed.count("\n") == 1
    assert not (files / "out").exists()


def test_the_input_is_not_overwritten(files, capsys):
    before = (files / "index.png").read_bytes()
    assert crf(files, "photo.png", "index.png", "--out", "index.png") == 2
    assert "--out would overwrite" in capsys.readouterr().err
    assert (files / "index.png").read_bytes() == before
    (files / "new.png").mkdir()
    assert crf(files, "photo.png", "index.png", "--out", "new.png") == 2
    assert "new.png is a folder" in capsys.readouterr().err


def test_a_folder_that_cannot_be_made(files, capsys):
    assert crf(files, "photo.png", "index.png", "--out", str(files / "p.npy" / "sub")) == 2
    assert "cannot write to" in capsys.readouterr().err


def test_nothing_half_written_stays(files, monkeypatch):
    def broken(*arguments, **options):
        raise OSError("disk full")

    monkeypatch.setattr(Image.Image, "save", broken)
    assert crf(files, "photo.png", "index.png", "--out", "out") == 2
    assert list((files / "out").iterdir()) == []


@pytest.mark.parametrize("preset", ["deeplab-v2-resnet101", "crf-rnn"])
def test_presets(files, preset):
    assert crf(files, "photo.png", "index.png", "--out", "out", "--preset", preset) == 0


def test_its_help(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["crf", "--help"])
    assert "IMAGE LABELS_OR_PROBS" in capsys.readouterr().out
