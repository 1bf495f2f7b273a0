"""`dlseg predict`: what it writes, and one line for what goes wrong."""

from argparse import Namespace

import numpy as np
import pytest
import torch
from PIL import Image

from dlseg.commands.labeller import Labeller
from dlseg.commands.main import main
from dlseg.data.scenes import PALETTE
from dlseg.data.transforms import MEAN, STD
from dlseg.inference import overlay
from dlseg.models import build_model
from tests.commands.checkpoints import NETWORK, write_checkpoint

KINDS = ("index", "palette", "overlay", "legend")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder with two images of different sizes and types, and a text."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for name, size in (("a.png", (40, 56, 3)), ("b.JPG", (33, 70, 3))):
        Image.fromarray(rng.integers(0, 256, size, np.uint8)).save(folder / name)
    (folder / "notes.txt").write_text("no image")
    return folder


def opened(path):
    """The image of a file that is closed again."""
    with Image.open(path) as image:
        return image.copy()


def predict(*options):
    return main(["predict", *map(str, options), "--device", "cpu"])


def refused(capsys, *options):
    """What it says in its one line when it does not work."""
    assert predict(*options) == 2
    message = capsys.readouterr().err
    assert message.startswith("dlseg: ") and message.count("\n") == 1
    return message


def expected(image, **changes):
    """The labels, computed without the command; changes: of the network's description."""
    torch.manual_seed(0)
    model = build_model(NETWORK | changes).eval()
    x = (torch.from_numpy(image) / 255 - torch.tensor(MEAN)) / torch.tensor(STD)
    with torch.no_grad():
        return model(x.permute(2, 0, 1)[None])[0].argmax(0).numpy()


def test_a_folder_gives_four_files_for_each_image(checkpoint, photos, tmp_path, capsys):
    out = tmp_path / "new" / "out"
    assert predict(photos, "--checkpoint", checkpoint, "--out", out) == 0
    names = {f"{stem}-{kind}.png" for stem in "ab" for kind in KINDS}
    assert {path.name for path in out.iterdir()} == names
    message = capsys.readouterr()
    assert [line.partition(":")[0] for line in message.out.splitlines()] == [f"{out}/a", f"{out}/b"]
    assert "%" not in message.err  # no bar where there is no terminal


def test_files_hold_the_labels(checkpoint, photos, tmp_path):
    assert predict(photos / "a.png", "--checkpoint", checkpoint, "--out", tmp_path) == 0
    image = np.array(opened(photos / "a.png"))
    labels = expected(image)
    index, palette, mixed, _ = (opened(tmp_path / f"a-{kind}.png") for kind in KINDS)
    assert (index.mode, palette.mode, mixed.mode) == ("L", "P", "RGB")
    np.testing.assert_array_equal(index, labels)
    np.testing.assert_array_equal(palette, labels)
    np.testing.assert_array_equal(palette.convert("RGB"), PALETTE[labels])
    np.testing.assert_array_equal(mixed, overlay(image, labels, PALETTE))


def test_options_reach_the_network(checkpoint, photos, tmp_path, monkeypatch):
    calls = []

    def label_image(model, image, *options):
        calls.append((image.shape, *options))
        return np.zeros(image.shape[:2], np.uint8)

    monkeypatch.setattr("dlseg.inference.label_image", label_image)
    options = (photos / "a.png", "--checkpoint", checkpoint, "--out", tmp_path)
    for more in (
        ("--tile", 32),
        ("--tile", 32, "--overlap", 6, "--scales", 0.5, 1, "--flip"),
        (),
        ("--tile", 0),
    ):
        assert predict(*options, *more) == 0
    assert calls == [
        ((40, 56, 3), 32, None, [1.0], False),
        ((40, 56, 3), 32, 6, [0.5, 1.0], True),
        ((40, 56, 3), None, None, [1.0], False),
        ((40, 56, 3), None, None, [1.0], False),
    ]


def test_a_large_image_is_taken_in_tiles_unless_told_otherwise(
    checkpoint, photos, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("dlseg.commands.labeller.WHOLE", 40 * 56)
    monkeypatch.setattr("dlseg.commands.labeller.TILE", 24)
    options = (photos / "a.png", "--checkpoint", checkpoint, "--out", tmp_path)
    told = "(in tiles of 24 pixels; --tile 0 takes it whole)"
    for more, tiled in (
        ((), False),
        (("--scales", 1, 1.25), True),
        (("--scales", 1, 1.25, "--tile", 0), False),
        (("--scales", 0.5), False),
        (("--scales", 1.25, "--tile", 20), False),
    ):
        assert predict(*options, *more) == 0
        out = capsys.readouterr().out
        assert (told in out) == ("tiles" in out) == tiled


def test_a_square_of_2000_pixels_is_the_largest_that_is_taken_whole():
    labeller = Labeller(None, 3, Namespace(tile=None, scales=[1.0], crf=False))
    row = np.zeros((1, 1, 3), np.uint8)
    for width, tile in ((2000, None), (2001, 1024)):
        assert labeller._tile(np.broadcast_to(row, (2000, width, 3))) == tile


def test_limit_of_pixels(checkpoint, tmp_path, capsys):
    Image.new("1", (1100, 1000)).save(tmp_path / "a.png")
    options = (tmp_path / "a.png", "--checkpoint", checkpoint, "--out", tmp_path / "out")
    message = refused(capsys, *options, "--max-pixels", 1)
    assert "a.png: has 2 megapixels, the limit is 1; --max-pixels 2 of dlseg predict" in message
    assert predict(*options, "--max-pixels", 2) == 0  # the remedy
    assert "--max-pixels must be above 0, got -1" in refused(capsys, *options, "--max-pixels", -1)


def test_another_output_stride_than_in_training(checkpoint, photos, tmp_path, capsys):
    options = (photos / "a.png", "--checkpoint", checkpoint, "--out", tmp_path, "--output-stride")
    assert predict(*options, 8) == 0
    labels = expected(np.array(opened(photos / "a.png")), output_stride=8)
    np.testing.assert_array_equal(opened(tmp_path / "a-index.png"), labels)
    assert "output_stride must be" in refused(capsys, *options, 12)


def test_tiles_scales_and_mirror_images_work_together(checkpoint, photos, tmp_path):
    to = ("--checkpoint", checkpoint, "--out", tmp_path)
    assert predict(photos, *to, "--tile", 32, "--flip", "--scales", 0.5) == 0
    assert opened(tmp_path / "b-index.png").size == (70, 33)


def test_without_images_it_takes_pictures_of_its_data(checkpoint, tmp_path, capsys):
    copy = tmp_path / "last.pt"
    copy.write_bytes(checkpoint.read_bytes())
    assert predict("--checkpoint", copy) == 0
    out = tmp_path / "predictions"
    kinds = (".png", "-truth.png", *(f"-{kind}.png" for kind in KINDS))
    names = {f"val-{number}{kind}" for number in range(4) for kind in kinds}
    assert {path.name for path in out.iterdir()} == names
    image = np.array(opened(out / "val-0.png"))
    np.testing.assert_array_equal(opened(out / "val-0-index.png"), expected(image))
    truth = opened(out / "val-0-truth.png")
    assert truth.mode == "P" and 255 in np.unique(truth)


def test_classes_without_names_are_numbered(photos, tmp_path, capsys):
    nameless = write_checkpoint(tmp_path / "nameless.pt", extra={})
    out = tmp_path / "out"
    assert predict(photos / "a.png", "--checkpoint", nameless, "--out", out) == 0
    assert "a: class " in capsys.readouterr().out
    assert "name images" in refused(capsys, "--checkpoint", nameless)


def test_faults_of_the_checkpoint(checkpoint, photos, tmp_path, capsys):
    image, out = photos / "a.png", ("--out", tmp_path / "out")
    missing = tmp_path / "no.pt"
    assert str(missing) in refused(capsys, image, "--checkpoint", missing, *out)
    assert "a.png" in refused(capsys, image, "--checkpoint", photos / "a.png", *out)
    nameless = write_checkpoint(tmp_path / "none.pt", model=None)
    assert "does not say which network" in refused(capsys, image, "--checkpoint", nameless, *out)
    other = write_checkpoint(tmp_path / "other.pt", model=NETWORK | {"width": 0.25})
    assert "other.pt: no network can be as model says (it is larger than the weights" in refused(
        capsys, image, "--checkpoint", other, *out
    )
    assert not (tmp_path / "out").exists()


def test_no_run_yet(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert "there is no run" in refused(capsys)


def test_faults_of_the_images(checkpoint, photos, tmp_path, capsys):
    out = tmp_path / "out"
    end = ("--checkpoint", checkpoint, "--out", out)
    assert "there is no such file" in refused(capsys, photos / "c.png", *end)
    assert "notes.txt" in refused(capsys, photos / "notes.txt", *end)
    cut = tmp_path / "cut.png"
    cut.write_bytes((photos / "a.png").read_bytes()[:400])
    assert "cut.png" in refused(capsys, cut, *end)
    (tmp_path / "empty").mkdir()
    none = "holds no .jpg, .jpeg, .png, .tif, .tiff, .bmp, .gif, .webp file"
    assert none in refused(capsys, tmp_path / "empty", *end)
    twin = tmp_path / "a.png"
    twin.write_bytes((photos / "a.png").read_bytes())
    assert "have one name" in refused(capsys, photos, twin, *end)
    assert "is the folder of" in refused(
        capsys, photos, "--checkpoint", checkpoint, "--out", photos
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--scales", "0"), "scales must be positive"),
        (("--overlap", "4"), "give --tile too"),
        (("--tile", "8", "--overlap", "8"), "overlap must be smaller than the tile"),
        (("--tile", "-1"), "tile must be an integer >= 1, got -1"),
        (("--tile", "0", "--overlap", "4"), "give --tile too"),
    ],
)
def test_faults_of_the_options(options, message, photos, capsys):
    assert message in refused(capsys, photos, "--checkpoint", "not-looked-at.pt", *options)


def test_folder_that_is_a_file(checkpoint, photos, tmp_path, capsys):
    (tmp_path / "out").write_text("")
    options = (photos / "a.png", "--checkpoint", checkpoint, "--out", tmp_path / "out")
    assert "cannot write to" in refused(capsys, *options)


@pytest.mark.parametrize(
    ("side", "options", "remedy"),
    [
        (600, (), "--tile 513, or less"),
        (600, ("--tile", 550), "--tile 513, or less"),
        (600, ("--tile", 513, "--flip"), "a single one of --scales, without --flip"),
        (600, ("--tile", 513), "--tile 256, or close other programs"),
        (500, (), "--tile 250, or close other programs"),
    ],
)
@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 bytes"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_too_little_memory_names_the_remedy(
    checkpoint, tmp_path, monkeypatch, capsys, error, side, options, remedy
):
    def full(*_):
        raise error

    Image.new("L", (side, side)).save(tmp_path / "a.png")
    monkeypatch.setattr("dlseg.inference.label_image", full)
    to = (tmp_path / "a.png", "--checkpoint", checkpoint, "--out", tmp_path / "out")
    assert f"not enough memory for a: try {remedy}\n" in refused(capsys, *to, *options)


def test_other_errors_are_no_lack_of_memory(checkpoint, photos, tmp_path, monkeypatch):
    def broken(*_):
        raise RuntimeError("sizes do not match")

    monkeypatch.setattr("dlseg.inference.label_image", broken)
    with pytest.raises(RuntimeError, match="sizes do not match"):
        predict(photos / "a.png", "--checkpoint", checkpoint, "--out", tmp_path)
