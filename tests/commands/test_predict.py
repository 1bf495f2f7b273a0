"""`dlseg predict`: what it writes, and one line for what goes wrong."""

import numpy as np
import pytest
import torch
from PIL import Image

from dlseg.commands.main import main
from dlseg.data.files import write_image
from dlseg.data.scenes import CLASSES, PALETTE
from dlseg.data.transforms import MEAN, STD
from dlseg.inference import legend, overlay, shares
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

    def tiled(model, x, *options):
        calls.append((tuple(x.shape), *options))
        return torch.ones(1, len(CLASSES), *x.shape[2:])

    monkeypatch.setattr("dlseg.inference.tiled_probabilities", tiled)
    options = (photos / "a.png", "--checkpoint", checkpoint, "--out", tmp_path, "--tile", 32)
    assert predict(*options) == 0
    assert predict(*options, "--overlap", 6, "--scales", 0.5, 1, "--flip") == 0
    assert calls == [
        ((1, 3, 40, 56), 32, 8, [1.0], False),
        ((1, 3, 40, 56), 32, 6, [0.5, 1.0], True),
    ]


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
    assert "other.pt: weights are not those of model" in refused(
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
    none = "holds no .jpg, .jpeg, .png, .gif, .webp file"
    assert none in refused(capsys, tmp_path / "empty", *end)
    twin = tmp_path / "a.jpg"
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
        (("--tile", "0"), "tile must be an integer >= 1, got 0"),
    ],
)
def test_faults_of_the_options(options, message, photos, capsys):
    assert message in refused(capsys, photos, "--checkpoint", "not-looked-at.pt", *options)


def test_folder_that_is_a_file(checkpoint, photos, tmp_path, capsys):
    (tmp_path / "out").write_text("")
    options = (photos / "a.png", "--checkpoint", checkpoint, "--out", tmp_path / "out")
    assert "cannot write to" in refused(capsys, *options)


def test_too_little_memory_names_the_remedy(checkpoint, photos, tmp_path, monkeypatch, capsys):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("dlseg.inference.probabilities", full)
    options = (photos / "a.png", "--checkpoint", checkpoint, "--out", tmp_path)
    assert "not enough memory for a: try --tile" in refused(capsys, *options)


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    image = np.zeros((2, 2, 3), np.uint8)
    write_image(tmp_path / "x.png", image)

    def half(self, path, **_):
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Image.Image, "save", half)
    with pytest.raises(OSError, match="disk full"):
        write_image(tmp_path / "x.png", image + 1)
    assert [path.name for path in tmp_path.iterdir()] == ["x.png"]
    assert not np.array(opened(tmp_path / "x.png")).any()


def test_shares_and_legend():
    labels = np.array([[2, 2, 0], [2, 0, 1], [2, 2, 2]], np.uint8)
    assert shares(labels) == {2: 6 / 9, 0: 2 / 9, 1: 1 / 9}
    picture = legend(labels, ("sky", "sea", "land"), PALETTE)
    # The middle of each square, 26 pixels apart, in the colour of its class.
    assert picture[[17, 43, 69], 17].tolist() == PALETTE[[2, 0, 1]].tolist()
    assert picture.shape[0] == 8 + 26 * 3
    dark = (picture[:, 34:] < 128).any((1, 2))
    assert [bool(dark[8 + 26 * row : 26 + 26 * row].any()) for row in range(3)] == [True] * 3
    assert (picture[:, -4:] == 255).all()  # nothing is cut off


def test_overlay_is_halfway():
    image = np.array([[[200, 100, 255]]], np.uint8)
    palette = np.array([[0, 0, 0], [100, 50, 255]], np.uint8)
    assert overlay(image, np.array([[1]], np.uint8), palette).tolist() == [[[150, 75, 255]]]
