"""`dlseg predict` on many pictures and on large ones: order, faults, interruption, tiles."""

import os

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils._python_dispatch import TorchDispatchMode

from dlseg.checks import CommandError
from dlseg.commands import predict as predict_command
from dlseg.commands.folder import KINDS, find_pictures, read_all, unfinished
from dlseg.commands.main import main


def noise(height=40, width=56, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Four pictures; c is damaged."""
    (tmp_path / "in").mkdir()
    for number, name in enumerate("abcd"):
        Image.fromarray(noise(seed=number)).save(tmp_path / "in" / f"{name}.png")
    whole = (tmp_path / "in/c.png").read_bytes()
    (tmp_path / "in/c.png").write_bytes(whole[: len(whole) // 2])
    return tmp_path / "in"


def predict(checkpoint, out, *arguments):
    arguments = (*arguments, "--checkpoint", checkpoint, "--out", out, "--device", "cpu")
    return main(["predict", *map(str, arguments)])


def opened(path):
    with Image.open(path) as image:
        return image.copy()


def complete(out):
    """Names of the pictures that have all of their files."""
    names = {path.name.rsplit("-", 1)[0] for path in out.glob("*.png")}
    return {name for name in names if all((out / f"{name}-{kind}.png").exists() for kind in KINDS)}


def test_a_damaged_picture_does_not_keep_back_the_others(checkpoint, folder, tmp_path, capsys):
    assert predict(checkpoint, tmp_path / "out", folder) == 2
    assert complete(tmp_path / "out") == {"a", "b", "d"}
    message = capsys.readouterr().err
    assert "1 of 4 could not be done" in message and "c.png" in message and message.count("\n") == 1


def test_a_picture_that_the_network_refuses_does_not_either(
    checkpoint, folder, tmp_path, monkeypatch, capsys
):
    real = predict_command._labels

    def labels(model, name, image, arguments):
        if name == "b":
            raise CommandError("not enough memory for b")
        return real(model, name, image, arguments)

    monkeypatch.setattr(predict_command, "_labels", labels)
    assert predict(checkpoint, tmp_path / "out", folder) == 2
    assert complete(tmp_path / "out") == {"a", "d"}
    assert "2 of 4 could not be done: not enough memory for b; " in capsys.readouterr().err


def interrupt(monkeypatch, at):
    """Ctrl-C while file number `at` is written, counted from 1."""
    real, calls = Image.Image.save, []

    def save(self, path, **options):
        calls.append(path)
        if len(calls) == at:
            path.write_bytes(b"half")
            raise KeyboardInterrupt
        return real(self, path, **options)

    monkeypatch.setattr(Image.Image, "save", save)
    return calls


def test_interrupted_and_resumed(checkpoint, folder, tmp_path, monkeypatch, capsys):
    (folder / "c.png").unlink()
    out = tmp_path / "out"
    with monkeypatch.context() as patched:
        interrupt(patched, at=7)  # the overlay of the second picture
        assert predict(checkpoint, out, folder) == 130
    message = capsys.readouterr().err
    assert "stopped: 1 of 3" in message and "--resume" in message
    assert complete(out) == {"a"}
    assert not list(out.glob("*.part"))

    before = {path: path.stat().st_mtime_ns for path in out.glob("a-*")}
    assert predict(checkpoint, out, folder, "--resume") == 0
    message = capsys.readouterr().out
    assert "1 of 3 are done already" in message and f"{out}/a:" not in message
    assert complete(out) == {"a", "b", "d"}
    assert before == {path: path.stat().st_mtime_ns for path in out.glob("a-*")}
    assert predict(checkpoint, out, folder, "--resume") == 0
    assert "3 of 3 are done already" in capsys.readouterr().out


def test_without_resume_everything_is_done_again(checkpoint, folder, tmp_path, monkeypatch):
    for _ in range(2):
        with monkeypatch.context() as patched:
            calls = interrupt(patched, at=0)
            predict(checkpoint, tmp_path / "out", folder)
        assert len(calls) == 3 * len(KINDS)


def test_done_means_newer_than_picture_and_checkpoint(tmp_path, folder):
    pictures, saved = find_pictures([folder], tmp_path / "out"), tmp_path / "last.pt"
    (tmp_path / "out").mkdir()
    saved.write_text("")
    for name in "ab":
        for kind in KINDS:
            (tmp_path / "out" / f"{name}-{kind}.png").write_text("")
    done = [tmp_path / "out" / f"b-{kind}.png" for kind in KINDS]

    def waiting():
        return "".join(picture.name for picture in unfinished(pictures, tmp_path / "out", saved))

    assert waiting() == "cd"
    os.utime(folder / "a.png", (2e9, 2e9))
    assert waiting() == "acd"
    os.utime(done[3], (1, 1))
    assert waiting() == "abcd"
    os.utime(done[3])
    os.utime(saved, (2e9, 2e9))
    assert waiting() == "abcd"


@pytest.mark.parametrize("suffix", ["gif", "webp"])
def test_a_clip_gives_its_frames_in_order(checkpoint, tmp_path, suffix):
    greys = [20, 90, 160, 230]
    first, *others = (Image.new("RGB", (48, 40), (grey,) * 3) for grey in greys)
    first.save(tmp_path / f"walk.{suffix}", save_all=True, append_images=others, duration=40)
    pictures = find_pictures([tmp_path / f"walk.{suffix}"], tmp_path / "out")
    assert [picture.name for picture in pictures] == [f"walk-0000{number}" for number in range(4)]
    for chosen in (pictures, pictures[1::2]):  # all, and what is left to resume
        shown = [(name, round(image.mean())) for name, image in read_all(chosen, [])]
        assert [name for name, _ in shown] == [picture.name for picture in chosen]
        wanted = [greys[picture.frame] for picture in chosen]
        assert np.abs(np.array([grey for _, grey in shown]) - wanted).max() <= 3  # WebP is lossy
    assert predict(checkpoint, tmp_path / "out", tmp_path / f"walk.{suffix}") == 0
    assert complete(tmp_path / "out") == {picture.name for picture in pictures}


def test_faults_of_clips(checkpoint, tmp_path, capsys):
    (tmp_path / "broken.gif").write_bytes(b"GIF89a, or not")
    (tmp_path / "film.mp4").write_bytes(b"")
    for name, message in (
        ("broken.gif", "is neither GIF nor WebP, or damaged"),
        ("none.gif", "there is no such file"),
        ("film.mp4", "ffmpeg -i film.mp4 frames/%06d.png"),
    ):
        assert predict(checkpoint, tmp_path / "out", tmp_path / name) == 2
        assert message in capsys.readouterr().err


class LargestMap(TorchDispatchMode):
    """Counts the numbers of the largest map that a convolution makes."""

    def __init__(self):
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        made = function(*arguments, **(options or {}))
        if function is torch.ops.aten.convolution.default:
            self.numbers = max(self.numbers, made.numel())
        return made


@pytest.fixture(scope="module")
def large(checkpoint, tmp_path_factory):
    """An image 1000 wide and 700 high, its file, and a function that labels it."""
    image = Image.fromarray(noise(35, 50)).resize((1000, 700), Image.Resampling.BICUBIC)
    folder = tmp_path_factory.mktemp("large")
    image.save(folder / "large.png")

    def labels(*arguments):
        with LargestMap() as largest:
            arguments = (folder / "large.png", "--output-stride", 8, *arguments)
            assert predict(checkpoint, folder / "out", *arguments) == 0
        return np.array(opened(folder / "out" / "large-index.png")), largest.numbers

    return labels


def test_large_image_in_tiles(large):
    """Equal outside of the overlaps, as `tiled_probabilities` promises, if they are wide enough.

    ResNet-18 sees 435 pixels, 217 to each side, and upsampling adds 8: an overlap of 232 does. The
    tiles begin in columns 0 and 296, both multiples of the output stride, and end at 704 and 1000.
    """
    whole, numbers = large()
    assert whole.shape == (700, 1000) and len(np.unique(whole)) > 2
    assert numbers == 8 * 350 * 500  # the first convolution's map, 8 channels at stride 2
    wide, numbers = large("--tile", 704, "--overlap", 232)
    assert numbers == 8 * 350 * 352
    equal = (wide == whole).mean(0)  # of each column
    assert equal[np.r_[0:296, 704:1000]].mean() > 0.99999  # up to ties that rounding decides
    assert equal[296:704].mean() < 0.9999

    small, numbers = large("--tile", 256)
    assert numbers == 8 * 128 * 128  # what the network needs does not grow with the image
    assert 0.8 < (small == whole).mean() < 0.999
