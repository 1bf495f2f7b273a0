"""Checkpoints: whole or not at all, and nothing but data in them."""

import errno
import os
import pickle

import pytest
import torch

from dlseg import aside
from dlseg.training import (
    CheckpointError,
    Recipe,
    checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from tests.training.toys import blank

FULL = blank(weights={"w": torch.arange(10_000.0)})


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_saved_comes_back(tmp_path):
    path = tmp_path / "new" / "last.pt"
    save_checkpoint(path, FULL)
    entries = load_checkpoint(path)
    assert entries.pop("version") == checkpoint.VERSION
    assert torch.equal(entries.pop("weights")["w"], FULL["weights"]["w"])
    again = Recipe(**entries.pop("recipe"))
    assert again == Recipe() and entries == {
        name: value for name, value in FULL.items() if name not in ("weights", "recipe")
    }
    assert names(path.parent) == ["last.pt"]


def disk_full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def half_written(entries, file):
    file.write(b"half of a checkpoint")
    disk_full()


@pytest.mark.parametrize("fault", ["save", "fsync"])
def test_a_full_disk_leaves_the_last_good_one(tmp_path, monkeypatch, fault):
    path = tmp_path / "last.pt"
    save_checkpoint(path, FULL)
    good = path.read_bytes()
    if fault == "save":
        monkeypatch.setattr(checkpoint.torch, "save", half_written)
    else:
        monkeypatch.setattr(aside.os, "fsync", disk_full)
    words = f"cannot write .*No space left on device; the last good one is still {path}"
    with pytest.raises(CheckpointError, match=words):
        save_checkpoint(path, FULL | {"iteration": 1, "losses": [0.5]})
    assert path.read_bytes() == good and names(tmp_path) == ["last.pt"]


def test_a_full_disk_without_help(tmp_path):
    """The system's own error, through PyTorch's writer."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(CheckpointError, match="cannot write the checkpoint"):
            save_checkpoint(tmp_path / "last.pt", FULL)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(tmp_path) == []


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(CheckpointError, match=r"cannot write .* choose another folder"):
        save_checkpoint(tmp_path / "file" / "last.pt", FULL)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_read_only_folder(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(CheckpointError, match="Permission denied"):
        save_checkpoint(tmp_path / "last.pt", FULL)


def test_a_read_only_folder_for_root_too(tmp_path, monkeypatch):
    save_checkpoint(tmp_path / "last.pt", FULL)
    good = (tmp_path / "last.pt").read_bytes()

    def denied(*_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(aside.Path, "open", denied)
    with pytest.raises(CheckpointError, match="Permission denied; the last good one"):
        save_checkpoint(tmp_path / "last.pt", FULL)
    monkeypatch.undo()
    assert (tmp_path / "last.pt").read_bytes() == good


@pytest.mark.parametrize("damage", ["cut", "flipped bit", "text", "empty"])
def test_a_damaged_checkpoint_is_told(tmp_path, damage):
    path = tmp_path / "last.pt"
    save_checkpoint(path, FULL)
    data = bytearray(path.read_bytes())
    place = data.index(torch.arange(5000.0, 5010.0).numpy().tobytes())
    data[place] ^= 1  # in the weights: without a checksum, another number
    damaged = {"cut": data[:-100], "flipped bit": data, "text": b"hello", "empty": b""}
    path.write_bytes(damaged[damage])
    with pytest.raises(CheckpointError, match=f"{path} is no good .*damaged.*; take an older"):
        load_checkpoint(path)


class Evil:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("evil",)


def test_no_code_runs_from_a_checkpoint(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(FULL | {"version": 1, "extra": Evil()}, "last.pt")
    with pytest.raises(CheckpointError, match="holds more than tensors, numbers") as caught:
        load_checkpoint("last.pt")
    assert "weights_only" not in str(caught.value)
    (tmp_path / "raw.pt").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(CheckpointError, match="no file that PyTorch wrote"):
        load_checkpoint("raw.pt")
    assert not (tmp_path / "evil").exists()


def test_missing_foreign_and_newer_files(tmp_path):
    with pytest.raises(CheckpointError, match=r"there is no checkpoint .*none\.pt"):
        load_checkpoint(tmp_path / "none.pt")
    with pytest.raises(CheckpointError, match=r"is a folder; give the last\.pt of a training"):
        load_checkpoint(tmp_path)
    torch.save({"weight": torch.zeros(1)}, tmp_path / "foreign.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    for name in ("foreign.pt", "list.pt"):
        with pytest.raises(CheckpointError, match="is no checkpoint of dlseg"):
            load_checkpoint(tmp_path / name)
    torch.save(FULL | {"version": 99}, tmp_path / "newer.pt")
    with pytest.raises(CheckpointError, match="has version 99, and this dlseg reads version 1"):
        load_checkpoint(tmp_path / "newer.pt")
