"""`dlseg predict` on videos: to one video, and to the files of their frames."""

import json
import os
import signal
import sys

import av
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from dlseg.commands import labeller
from dlseg.commands.folder import KINDS, find_pictures
from dlseg.commands.main import main
from dlseg.data.scenes import CLASSES, PALETTE
from dlseg.inference import overlay, read_video, shares
from tests.clips import near, pictures, shown, write_clip
from tests.processes import started, stop, told, wait_until


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "clip.mp4", pictures(), sound="aac")


def predict(checkpoint, out, *arguments):
    arguments = (*arguments, "--checkpoint", checkpoint, "--out", out, "--device", "cpu")
    return main(["predict", *map(str, arguments)])


def index_of(out, name):
    with Image.open(out / f"{name}-index.png") as image:
        return np.array(image)


def test_frames_are_written_as_pictures_are(checkpoint, clip, tmp_path, capsys):
    """And each is what the same pixels give as a picture."""
    out = tmp_path / "out"
    assert predict(checkpoint, out, clip) == 0
    names = [f"clip-0000{number}" for number in range(6)]
    assert {path.name for path in out.iterdir()} == {
        f"{n}-{kind}.png" for n in names for kind in KINDS
    }
    assert [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()] == [
        str(out / name) for name in names
    ]
    (tmp_path / "in").mkdir()
    for number, image in read_video(clip):
        Image.fromarray(image).save(tmp_path / "in" / f"clip-0000{number}.png")
    assert predict(checkpoint, tmp_path / "again", tmp_path / "in") == 0
    for path in out.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_resumed_frames(checkpoint, clip, tmp_path, capsys):
    out = tmp_path / "out"
    assert predict(checkpoint, out, clip) == 0
    (out / "clip-00002-legend.png").unlink()
    (out / "clip-00005-index.png").unlink()
    before = {path: path.stat().st_mtime_ns for path in out.glob("clip-00001-*")}
    capsys.readouterr()
    assert predict(checkpoint, out, clip, "--resume", "--shares", tmp_path / "s.json") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "4 of 6 are done already"
    assert [line.partition(":")[0][-5:] for line in lines[1:]] == ["00002", "00005"]
    assert before == {path: path.stat().st_mtime_ns for path in out.glob("clip-00001-*")}
    rows = json.loads((tmp_path / "s.json").read_text())
    assert [row["name"] for row in rows] == [f"clip-0000{number}" for number in range(6)]
    for row in rows:
        found = {CLASSES[i]: round(s, 6) for i, s in shares(index_of(out, row["name"])).items()}
        assert {name: share for name, share in row["shares"].items() if share} == found


def test_a_video_becomes_a_video(checkpoint, clip, tmp_path, capsys):
    """Its frames are the overlays that a folder gets, as near as the coding is."""
    new, out = tmp_path / "new" / "labels.mp4", tmp_path / "out"
    assert predict(checkpoint, out, clip) == 0
    capsys.readouterr()
    assert predict(checkpoint, new, clip, "--shares", tmp_path / "s.csv") == 0
    printed = capsys.readouterr()
    assert printed.out.startswith(f"{new}: 6 frames of 64 x 48 pixels by libx264, ")
    assert printed.err == ""
    images, times = shown(new)
    assert np.allclose(times, np.arange(6) / 25)
    for number, image in enumerate(images):
        with Image.open(out / f"clip-0000{number}-overlay.png") as picture:
            assert near(image, np.array(picture)) < 5
    with av.open(str(new)) as container:
        assert [stream.codec_context.name for stream in container.streams.audio] == ["aac"]
    assert {path.name for path in new.parent.iterdir()} == {"labels.mp4", "labels-legend.png"}
    rows = (tmp_path / "s.csv").read_text().splitlines()
    assert rows[0] == ",".join(["name", *CLASSES])
    assert [row.partition(",")[0] for row in rows[1:]] == [f"clip-0000{n}" for n in range(6)]


def test_resumed_video(checkpoint, clip, tmp_path, capsys):
    options = ("--resume", "--shares", tmp_path / "s.csv")
    new = tmp_path / "labels.mp4"
    for done in (False, True):
        assert predict(checkpoint, new, clip, *options) == 0
        assert capsys.readouterr().out.startswith(f"{new} is done already" if done else f"{new}: 6")
    for file in (new, tmp_path / "labels-legend.png", tmp_path / "s.csv"):
        os.utime(file, (1, 1))
        assert predict(checkpoint, new, clip, *options) == 0
        assert capsys.readouterr().out.startswith(f"{new}: 6")


def test_an_interrupted_video_leaves_nothing(checkpoint, clip, tmp_path, monkeypatch, capsys):
    real, calls = labeller.Labeller.__call__, []

    def label(self, name, *options):
        calls.append(name)
        if name == "clip-00004":
            raise KeyboardInterrupt
        return real(self, name, *options)

    monkeypatch.setattr(labeller.Labeller, "__call__", label)
    assert predict(checkpoint, tmp_path / "new.mp4", clip) == 130
    nothing = f"nothing of it is at {tmp_path}/new.mp4: a clip is written when it is whole"
    assert capsys.readouterr().err == f"dlseg: stopped; {nothing}\n"
    assert {path.name for path in tmp_path.iterdir()} == {"clip.mp4"}
    assert calls == [f"clip-0000{number}" for number in range(5)]


@pytest.mark.nightly
@pytest.mark.skipif(sys.platform == "win32", reason="the signals are POSIX's")
def test_a_stopped_process_leaves_nothing(checkpoint, tmp_path):
    write_clip(tmp_path / "clip.mp4", pictures(1000), options={"movflags": "faststart"})
    words = ("predict", "clip.mp4", "--checkpoint", str(checkpoint), "--out", "new.mp4")
    with started(tmp_path, *words) as process:
        wait_until(lambda: [p for p in tmp_path.glob("*.part") if p.stat().st_size], process)
        assert stop(process, signal.SIGTERM) == 143
    assert told(tmp_path).startswith("dlseg: stopped; nothing of it is at new.mp4")
    assert {path.name for path in tmp_path.iterdir()} == {"clip.mp4", "stderr.txt"}


class Constant(nn.Module):
    """Finds the fourth of ten classes everywhere."""

    def forward(self, x):
        return torch.eye(10)[3, None, :, None, None].expand(len(x), -1, *x.shape[2:])


def test_a_long_clip_is_predicted_by_a_prepared_network(checkpoint, clip, tmp_path, monkeypatch):
    made = []

    def constant(model, images):
        made.append(tuple(images.shape))
        return nn.Sequential(nn.Identity(), Constant())

    monkeypatch.setattr("dlseg.inference.prepare", constant)
    for long, used in ((7, False), (6, True)):
        monkeypatch.setattr(labeller, "LONG", long)
        for number, options in enumerate(((), ("--scales", 0.5), ("--tile", 32))):
            out = tmp_path / f"out-{long}-{number}"
            assert predict(checkpoint, out, clip, *options) == 0
            assert bool((index_of(out, "clip-00005") == 3).all()) == used
    whole, tile = (1, 3, 48, 64), (1, 3, 32, 32)
    assert made == [whole, whole, tile]
    assert predict(checkpoint, tmp_path / "new.mp4", clip) == 0
    assert made[3:] == [whole]


def test_a_network_that_cannot_be_prepared_is_taken_as_it_is(
    checkpoint, clip, tmp_path, monkeypatch
):
    def refuse(model, images):
        raise RuntimeError("the outputs differ")

    monkeypatch.setattr("dlseg.inference.prepare", refuse)
    monkeypatch.setattr(labeller, "LONG", 6)
    assert predict(checkpoint, tmp_path / "out", clip) == 0
    assert len(list((tmp_path / "out").iterdir())) == 6 * len(KINDS)


def test_strength_and_classes_reach_the_frames(checkpoint, clip, tmp_path):
    assert predict(checkpoint, tmp_path / "out", clip) == 0
    assert (
        predict(checkpoint, tmp_path / "new.mp4", clip, "--strength", 1, "--show", "lamp a,5") == 0
    )
    for number, image in read_video(clip):
        labels = index_of(tmp_path / "out", f"clip-0000{number}")
        wanted = overlay(image, labels, PALETTE, 1, {CLASSES.index("lamp A"), 5})
        assert near(shown(tmp_path / "new.mp4")[0][number], wanted) < 6


def test_a_gif_becomes_a_video_too(checkpoint, tmp_path):
    first, *others = map(Image.fromarray, pictures(4))
    first.save(tmp_path / "a.gif", save_all=True, append_images=others, duration=[40, 80, 200, 40])
    assert predict(checkpoint, tmp_path / "new.mp4", tmp_path / "a.gif") == 0
    assert np.allclose(shown(tmp_path / "new.mp4")[1], [0, 0.04, 0.12, 0.32])


def refused(capsys, checkpoint, out, *arguments):
    assert predict(checkpoint, out, *arguments) == 2
    message = capsys.readouterr().err
    assert message.startswith("dlseg: ") and message.count("\n") == 1
    return message


def test_what_cannot_become_a_video(checkpoint, clip, tmp_path, capsys):
    other = write_clip(tmp_path / "other.mkv", pictures(1))
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    for words, out, images in (
        ("is a video: name one to draw, got 2 files", "new.mp4", (clip, other)),
        ("is a video: name one to draw, got 0 files", "new.mp4", ()),
        ("a.png; or name a folder", "new.mp4", (tmp_path / "a.png",)),
        ("videos are written as .mp4; name one, or a folder", "new.avi", (clip,)),
        ("--out would overwrite", "clip.mp4", (clip,)),
        ("there is no such file", "new.mp4", (tmp_path / "none.mp4",)),
    ):
        assert words in refused(capsys, checkpoint, tmp_path / out, *images)
    assert len(shown(clip)[0]) == 6
    (tmp_path / "folder.mp4").mkdir()
    assert predict(checkpoint, tmp_path / "folder.mp4", other) == 0
    assert len(list((tmp_path / "folder.mp4").iterdir())) == len(KINDS)


def test_faults_of_videos(checkpoint, clip, tmp_path, capsys):
    (tmp_path / "text.mp4").write_text("no video")
    for out in ("new.mp4", "out"):
        message = refused(capsys, checkpoint, tmp_path / out, tmp_path / "text.mp4")
        assert "text.mp4: is no video that can be read" in message
    path = write_clip(tmp_path / "cut.mp4", pictures(20), options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: -path.stat().st_size // 4])
    assert "is damaged behind frame" in refused(capsys, checkpoint, tmp_path / "new.mp4", path)
    assert not (tmp_path / "new.mp4").exists()
    good = len(find_pictures([path], tmp_path / "out"))
    message = refused(capsys, checkpoint, tmp_path / "out", path)
    assert f"is damaged behind frame {good} of those" in message
    assert 0 < good < 20 and len(list((tmp_path / "out").iterdir())) == good * len(KINDS)


def test_without_pyav_the_line_that_installs_it(checkpoint, clip, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for out in ("new.mp4", "out"):
        message = refused(capsys, checkpoint, tmp_path / out, clip)
        assert "av is not installed; run: pip install" in message and "[video]" in message
