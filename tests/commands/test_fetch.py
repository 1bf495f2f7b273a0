"""`dlseg fetch`, with files at hand and a repository on this machine: nothing is fetched."""

import hashlib
import shutil
import socket
import subprocess
from dataclasses import replace

import pytest
from PIL import Image

from dlseg.backbones import PUBLISHED
from dlseg.commands import fetch
from dlseg.commands.main import main
from dlseg.models import RELEASED

NAME = "imagenet-resnet18"


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Folders of this test's own, and no way out."""

    def refuse(*_arguments, **_options):
        raise AssertionError("a test reached out")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DLSEG_SEED", f"{tmp_path / 'none'}:{tmp_path / 'seed'}")
    monkeypatch.setattr("torch.hub._hub_dir", None)


@pytest.fixture
def seed(tmp_path, monkeypatch):
    """A file in the place of ResNet-18's, in a folder of seeds."""
    weights = replace(PUBLISHED["resnet18"], sha256=hashlib.sha256(b"weights").hexdigest()[:8])
    monkeypatch.setitem(PUBLISHED, "resnet18", weights)
    path = tmp_path / "seed" / weights.file
    path.parent.mkdir()
    path.write_bytes(b"weights")
    return path


def test_the_list_says_what_is_here(seed, tmp_path, capsys):
    hidden = seed.rename(tmp_path / seed.name)
    assert main(["fetch"]) == 0
    before = capsys.readouterr().out
    hidden.rename(seed)
    assert main(["fetch", NAME]) == 0 and "46.8 MB" in capsys.readouterr().out
    assert main(["fetch", "--list"]) == 0
    after = capsys.readouterr().out
    known = [*RELEASED, *(f"imagenet-{name}" for name in PUBLISHED), "camvid"]
    assert [line.split()[0] for line in before.splitlines()] == known
    assert [line for line in after.splitlines() if line.startswith("here")] == [
        next(line for line in after.splitlines() if f" {NAME} " in line)
    ]
    assert "2.2 MB  Apache-2.0" in before and "187.0 MB  CC BY-NC 4.0" in before


def test_a_file_at_hand_is_not_fetched(seed, tmp_path, capsys):
    """It is used where it lies: in the cache that is named, else among the seeds."""
    kept = tmp_path / "other/hub/checkpoints" / seed.name
    for path in (seed, kept):
        assert main(["fetch", NAME, "--cache", str(tmp_path / "other")]) == 0
        assert capsys.readouterr().out.splitlines()[-1] == f"  {path}"
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(b"weights")
    assert not (tmp_path / "home").exists()


def test_another_file_of_that_name_is_refused(seed, tmp_path, capsys):
    seed.write_bytes(b"something else")
    assert main(["fetch", NAME]) == 2
    message = capsys.readouterr().err
    assert f"{seed} is damaged; delete it and try again (expected SHA-256" in message
    assert "To do it by hand" in message and not list((tmp_path / "home").rglob("*.pth"))


def test_an_unknown_name_is_answered_by_all(capsys):
    assert main(["fetch", NAME, "deeplab"]) == 2
    assert "nothing is called 'deeplab'; there are deeplabv3-mobilenetv2" in capsys.readouterr().err


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with a folder CamVid, whose last commit is the one that is asked for."""
    root = tmp_path / "repository"
    (root / "CamVid/train").mkdir(parents=True)
    (root / "CamVid/train/a.png").write_bytes(b"picture")
    (root / "Models").mkdir()
    (root / "Models/b").write_bytes(b"not asked for")
    author = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "."], [*author, "commit", "-qm", "all"]):
        subprocess.run(["git", *words], cwd=root, check=True)
    said = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True)
    monkeypatch.setattr(fetch, "COMMIT", said.stdout.strip())
    return root.as_uri()


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")
def test_camvid_comes_by_git_at_one_commit(repository, tmp_path):
    target = tmp_path / "home/data/camvid"
    for _ in range(2):  # the second time it is there
        fetch.fetch_camvid(tmp_path / "home/hub/checkpoints", repository)
    assert [path.relative_to(target).as_posix() for path in target.rglob("*")] == [
        "train",
        "train/a.png",
    ]
    assert [path.name for path in target.parent.iterdir()] == ["camvid"]


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")
def test_camvid_that_cannot_be_had_leaves_nothing(repository, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "COMMIT", "0" * 40)
    with pytest.raises(
        OSError, match=r"cannot get camvid: .*To do it by hand, download .*commit 0"
    ):
        fetch.fetch_camvid(tmp_path / "home/hub/checkpoints", repository)
    assert not list((tmp_path / "home/data").iterdir())


@pytest.mark.parametrize("command", [["predict", "a.png", "--checkpoint"], ["evaluate"]])
def test_a_network_that_cannot_be_fetched_is_one_line(command, tmp_path, monkeypatch, capsys):
    """With what to save by hand, and where."""

    def refuse(*_arguments, **_options):
        raise OSError("no network here")

    monkeypatch.setattr("dlseg.fetch.urlopen", refuse)
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (8, 8)).save("a.png")
    more = ["--data", "photographs"] if command == ["evaluate"] else []
    assert main([*command, "deeplabv3-mobilenetv2-voc", *more]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and "no network here. To do it by hand, save http" in message
