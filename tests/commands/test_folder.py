"""`dlseg predict` on many pictures and on large ones: order, faults, interruption, tiles."""

import errno
import os
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils._python_dispatch import TorchDispatchMode

from dlseg.checks import CommandError
from dlseg.commands.folder import KINDS, find_pictures, read_all, unfinished
from dlseg.commands.labeller import Labeller
from dlseg.commands.main import main
from dlseg.data import files
from tests.processes import PATIENCE


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
    real = Labeller.__call__

    def label(self, name, *options):
        if name == "b":
            raise CommandError("not enough memory for b")
        return real(self, name, *options)

    monkeypatch.setattr(Labeller, "__call__", label)
    assert predict(checkpoint, tmp_path / "out", folder) == 2
    assert complete(tmp_path / "out") == {"a", "d"}
    assert "2 of 4 could not be done: not enough memory for b; " in capsys.readouterr().err


def interrupt(monkeypatch, at):
    """Ctrl-C while file number `at` is written, counted from 1."""
    real, calls = files.new_file, []

    @contextmanager
    def new_file(path):
        calls.append(path)
        with real(path) as file:
            if len(calls) == at:
                file.write(b"half")
                raise KeyboardInterrupt
            yield file

    monkeypatch.setattr(files, "new_file", new_file)
    return calls


def test_interrupted_and_resumed(checkpoint, folder, tmp_path, monkeypatch, capsys):
    (folder / "c.png").unlink()
    out = tmp_path / "out"
    with monkeypatch.context() as patched:
        interrupt(patched, at=7)  # the overlay of the second picture
        assert predict(checkpoint, out, folder) == 130
    message = capsys.readouterr().err
    assert (
        message == f"dlseg: stopped; 1 of 3 are in {out}; the same command with --resume goes on\n"
    )
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
        shown = [(one, round(np.array(image).mean())) for one, image in read_all(chosen, [], 1e6)]
        assert [one for one, _ in shown] == chosen
        wanted = [greys[picture.frame] for picture in chosen]
        assert np.abs(np.array([grey for _, grey in shown]) - wanted).max() <= 3  # WebP is lossy
    assert predict(checkpoint, tmp_path / "out", tmp_path / f"walk.{suffix}") == 0
    assert complete(tmp_path / "out") == {picture.name for picture in pictures}


def test_faults_of_clips(checkpoint, tmp_path, capsys):
    (tmp_path / "broken.gif").write_bytes(b"GIF89a, or not")
    for name, message in (
        ("broken.gif", "broken.gif: is "),
        ("none.gif", "there is no such file"),
    ):
        assert predict(checkpoint, tmp_path / "out", tmp_path / name) == 2
        assert message in capsys.readouterr().err


# Names and kinds of files


ODD = ["a\nb.png", "frame.001.png", "frame.002.png", "ü ö.png", "n" * 250 + ".png", "-x.png"]


def test_odd_names_end_nothing(checkpoint, tmp_path, capsys):
    """Line ends, dots, long names; bytes that are no UTF-8 where the file system has them."""
    (tmp_path / "in").mkdir()
    odd = [*ODD, os.fsdecode(b"\xff\xfe.png")]
    for name in odd:
        try:
            Image.fromarray(noise()).save(tmp_path / "in" / name)
        except OSError:  # a file system that refuses it
            odd.remove(name)
    assert predict(checkpoint, tmp_path / "out", tmp_path / "in") == 0
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert len(lines) == len(odd) and not printed.err
    assert any("/a\\nb: " in line for line in lines)
    found = complete(tmp_path / "out")
    assert len(found) == len(odd)
    assert {"a\nb", "frame.001", "frame.002", "ü ö", "-x"} <= found
    assert predict(checkpoint, tmp_path / "out", tmp_path / "in", "--resume") == 0
    assert f"{len(odd)} of {len(odd)} are done already" in capsys.readouterr().out


def test_names_up_to_180_bytes_are_kept(tmp_path):
    """A file may have 255 bytes; what is added behind the name, and aside, needs the rest."""
    for name, kept in (("n" * 180, True), ("n" * 181, False), ("ü" * 90, True), ("ü" * 91, False)):
        file = tmp_path / f"{name}.png"
        Image.fromarray(noise()).save(file)
        (picture,) = find_pictures([file], tmp_path / "out")
        assert (picture.name == name) is kept
        assert picture.name.startswith(name[:90]) and len(os.fsencode(picture.name)) <= 180 + 9


def test_odd_names_on_a_terminal_of_ascii(checkpoint, tmp_path):
    (tmp_path / "in").mkdir()
    names = ["ü.png", "b.png"]
    for name in names:
        Image.fromarray(noise()).save(tmp_path / "in" / name)
    words = ("predict", "in", "--checkpoint", checkpoint, "--out", "out", "--device", "cpu")
    done = subprocess.run(
        [sys.executable, "-m", "dlseg", *map(str, words)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    assert "out/\\xfc: " in done.stdout and complete(tmp_path / "out") == {"ü", "b"}


def test_a_name_that_the_file_system_refuses_ends_nothing(
    checkpoint, folder, tmp_path, monkeypatch, capsys
):
    (folder / "c.png").unlink()
    real = files.new_file

    def new_file(path):
        if path.name.startswith("b-"):
            raise OSError(errno.EILSEQ, "Illegal byte sequence")
        return real(path)

    monkeypatch.setattr(files, "new_file", new_file)
    assert predict(checkpoint, tmp_path / "out", folder) == 2
    message = "1 of 3 could not be done: b: Illegal byte sequence; give its file another name"
    assert message in capsys.readouterr().err
    assert complete(tmp_path / "out") == {"a", "d"}
    (folder / "b.png").rename(folder / "e.png")  # the remedy
    assert predict(checkpoint, tmp_path / "out", folder, "--resume") == 0


def test_names_that_differ_in_their_ends_are_told_apart(checkpoint, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a.png", "a.jpg", "b.png"):
        Image.fromarray(noise()).save(tmp_path / "in" / name)
    assert predict(checkpoint, tmp_path / "out", tmp_path / "in", tmp_path / "in" / "b.png") == 0
    assert complete(tmp_path / "out") == {"a.png", "a.jpg", "b"}


def test_one_name_in_two_folders_is_refused_and_the_remedy_helps(checkpoint, tmp_path, capsys):
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        Image.fromarray(noise()).save(tmp_path / name / "a.png")
    assert predict(checkpoint, tmp_path / "out", tmp_path / "x", tmp_path / "y") == 2
    message = capsys.readouterr().err
    assert "x/a.png and " in message and "predict them apart, with an --out for each" in message
    for name in ("x", "y"):
        assert predict(checkpoint, tmp_path / f"out-{name}", tmp_path / name) == 0


def test_a_folder_tells_what_it_leaves_out(checkpoint, folder, tmp_path, capsys):
    (folder / "c.png").unlink()
    (folder / "more").mkdir()
    for name in ("x.txt", "y.txt", ".a.png", "README", "z.heic", "v.mp4"):
        (folder / name).write_text("")
    Image.fromarray(noise()).save(folder / "e.tif")
    Image.fromarray(noise()).save(folder / "more" / "f.bmp")
    assert predict(checkpoint, tmp_path / "out", folder) == 0
    assert complete(tmp_path / "out") == {"a", "b", "d", "e"}
    assert capsys.readouterr().err == (
        f"{folder}: left out 1 .heic, 1 .mp4, 2 .txt, 1 file without an end, 1 folder, "
        "1 hidden file; name a folder, or 'FOLDER/**', to have its pictures; save other pictures "
        "as PNG; name a video to have its frames\n"
    )
    assert predict(checkpoint, tmp_path / "out", folder / "more") == 0
    assert complete(tmp_path / "out") == {"a", "b", "d", "e", "f"}


def test_a_folder_of_other_things_says_what_it_has(checkpoint, tmp_path, capsys):
    (tmp_path / "in" / "more").mkdir(parents=True)
    assert predict(checkpoint, tmp_path / "out", tmp_path / "in") == 2
    message = capsys.readouterr().err
    assert "file (but 1 folder; name a folder, or 'FOLDER/**', to have" in message


def test_a_broken_clip_or_link_does_not_end_a_folder(checkpoint, folder, tmp_path, capsys):
    (folder / "c.png").unlink()
    (folder / "x.gif").write_bytes(b"GIF89a, or not")
    (folder / "y.png").symlink_to("nowhere")
    assert predict(checkpoint, tmp_path / "out", folder) == 2
    assert complete(tmp_path / "out") == {"a", "b", "d"}
    message = capsys.readouterr().err
    assert "2 of 5 could not be done" in message and message.count("\n") == 1
    assert "y.png: there is no such file" in message


def test_a_file_is_read_by_what_it_is(checkpoint, tmp_path):
    """A GIF of three frames, and pages of a TIFF, whatever the file is called."""
    frames = [Image.fromarray(noise(seed=seed)) for seed in range(3)]
    for name, kind in (("a.png", "GIF"), ("b.dat", "TIFF")):
        frames[0].save(tmp_path / name, format=kind, save_all=True, append_images=frames[1:])
    assert predict(checkpoint, tmp_path / "out", tmp_path / "a.png", tmp_path / "b.dat") == 0
    assert complete(tmp_path / "out") == {f"{x}-0000{n}" for x in "ab" for n in range(3)}


def test_a_turned_photograph_gives_upright_files(checkpoint, tmp_path):
    image = Image.fromarray(noise(40, 56))
    exif = image.getexif()
    exif[274] = 6
    image.save(tmp_path / "a.png", exif=exif)
    assert predict(checkpoint, tmp_path / "out", tmp_path / "a.png") == 0
    Image.fromarray(np.rot90(noise(40, 56), -1).copy()).save(tmp_path / "b.png")
    assert predict(checkpoint, tmp_path / "out", tmp_path / "b.png") == 0
    for kind in KINDS:
        turned, upright = (np.array(opened(tmp_path / "out" / f"{x}-{kind}.png")) for x in "ab")
        assert np.array_equal(turned, upright)


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
