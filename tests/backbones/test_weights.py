"""Published weights: the table against torchvision, fetching from a server on this machine.

No test contacts another host: connections to anything but 127.0.0.1 fail the test.
"""

import hashlib
import io
import os
import socket
import sys
import threading
from collections import Counter
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from torch import nn
from tqdm import tqdm

from dlseg.backbones import PUBLISHED, Weights, load_into, load_published
from dlseg.backbones.weights import fetch
from tests.peers import load_torchvision

HEAD = ("top.", "fc.")


class Tiny(nn.Module):
    """A backbone as small as can be: with a classifier it also has a layer `top` more."""

    def __init__(self, num_classes=None, channels=4):
        super().__init__()
        self.conv1 = nn.Conv2d(3, channels, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        if num_classes is not None:
            self.top = nn.Linear(channels, channels)
            self.fc = nn.Linear(channels, num_classes)


def saved(state, **how) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer, **how)
    return buffer.getvalue()


torch.manual_seed(0)
TRAINED = Tiny(num_classes=1000).state_dict()
GOOD = saved(TRAINED)
HALF = len(GOOD) // 2
PREFIX = hashlib.sha256(GOOD).hexdigest()[:8]
TAMPERED = GOOD[:100] + bytes([GOOD[100] ^ 1]) + GOOD[101:]


class Server(ThreadingHTTPServer):
    """Serves GOOD in the way that the first part of the path names, and counts requests."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests, self.ranges = Counter(), []
        self.finished = threading.Event()
        self.two_arrived = threading.Barrier(2, timeout=30)

    def published(self, way: str) -> Weights:
        """Weights whose file this server has."""
        url = f"http://127.0.0.1:{self.server_port}/{way}/tiny-{PREFIX}.pth"
        return Weights("tiny", url, PREFIX, 0.1, 1.0, "this test", HEAD)


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        way = self.path.split("/")[1]
        self.server.requests[way] += 1
        if way == "missing":
            self.send_error(404)
            return
        if way == "silent":
            self.server.finished.wait()
            return
        if way == "together":
            self.server.two_arrived.wait()
        if way == "parts":
            self.send_part(self.headers["Range"])
            return
        self.send_response(200)
        if way != "unannounced":
            self.send_header("Content-Length", str(len(GOOD) + 1000 * (way == "truncated")))
        self.end_headers()
        half = HALF
        self.wfile.write(TAMPERED if way == "tampered" else GOOD[:half])
        if way == "hanging":
            self.server.finished.wait()
        if way not in ("tampered", "hanging"):
            self.wfile.write(GOOD[half:])

    def send_part(self, wanted):
        """As servers do that can go on: the rest, or that there is none."""
        self.server.ranges.append(wanted)
        begin = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        self.send_response(416 if begin >= len(GOOD) else 206 if wanted else 200)
        self.send_header("Content-Length", str(max(len(GOOD) - begin, 0)))
        self.end_headers()
        self.wfile.write(GOOD[begin:])


@pytest.fixture(scope="module")
def server():
    with Server() as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield running
        running.finished.set()
        running.shutdown()


@pytest.fixture(autouse=True)
def only_this_machine(monkeypatch, tmp_path):
    connect = socket.create_connection

    def guarded(address, *arguments, **options):
        assert address[0] == "127.0.0.1", f"a test reached out for {address}"
        return connect(address, *arguments, **options)

    monkeypatch.setattr(socket, "create_connection", guarded)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("TORCH_HUB", raising=False)
    monkeypatch.setattr(torch.hub, "_hub_dir", None)


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()] if folder.exists() else []


def refusal(wanted: Weights, folder: Path) -> str:
    """The message of the error; nothing that could be taken for the file is left behind."""
    with pytest.raises(OSError) as caught:
        fetch(wanted, folder)
    message = str(caught.value)
    by_hand = f"save {wanted.url} as {folder / wanted.file}; its SHA-256 must begin with {PREFIX}"
    assert message.startswith("cannot get the weights tiny: ") and by_hand in message
    return message


# The table


def test_table_is_what_torchvision_publishes():
    models = load_torchvision().models
    for published in PUBLISHED.values():
        enum, member = published.source.split(", ")[1].split(".")
        peer = getattr(models, enum)[member]
        assert published.url == peer.url
        assert abs(published.megabytes - peer.meta["_file_size"] * 2**20 / 1e6) <= 0.051
        assert published.score == peer.meta["_metrics"]["ImageNet-1K"]["acc@1"]


@pytest.mark.parametrize("published", PUBLISHED.values(), ids=PUBLISHED)
def test_file_name_holds_the_hash(published):
    network = published.name.removesuffix("-v2")
    assert published.file == f"{network}-{published.sha256}.pth"
    assert len(published.sha256) == 8 and int(published.sha256, 16)
    assert published.url == f"https://download.pytorch.org/models/{published.file}"


# Fetching


@pytest.mark.parametrize("way", ["good", "unannounced"])
def test_downloads_once(server, tmp_path, way):
    before = server.requests[way]
    for _ in range(2):
        path = fetch(server.published(way), tmp_path / "new" / "folder")
        assert path.read_bytes() == GOOD
    assert server.requests[way] == before + 1
    assert names(path.parent) == [f"tiny-{PREFIX}.pth"]


def test_default_folder_is_that_of_torchvision(server, tmp_path):
    path = fetch(server.published("good"))
    assert path == tmp_path / "home" / "hub" / "checkpoints" / f"tiny-{PREFIX}.pth"
    # What torchvision itself would call does not download again.
    before = server.requests["good"]
    state = torch.hub.load_state_dict_from_url(server.published("good").url, weights_only=True)
    assert state.keys() == TRAINED.keys() and server.requests["good"] == before


@pytest.mark.parametrize(
    ("way", "said"),
    [
        ("tampered", f"sent is damaged; try again (expected SHA-256 {PREFIX}..., got "),
        ("missing", "HTTP Error 404: Not Found"),
        ("silent", "timed out"),
    ],
)
def test_bad_download_leaves_nothing(server, tmp_path, monkeypatch, way, said):
    monkeypatch.setattr("dlseg.fetch.TIMEOUT", 0.2)
    assert said in refusal(server.published(way), tmp_path)
    assert names(tmp_path) == []
    assert fetch(server.published("good"), tmp_path).read_bytes() == GOOD


@pytest.mark.parametrize(
    ("way", "said", "kept"),
    [
        ("truncated", "the connection closed 1000 bytes before the end; try again", -1),
        ("hanging", "timed out", HALF),
    ],
)
def test_a_download_that_broke_off_goes_on(server, tmp_path, monkeypatch, way, said, kept):
    monkeypatch.setattr("dlseg.fetch.TIMEOUT", 0.2)
    assert said in refusal(server.published(way), tmp_path)
    begun = tmp_path / f"tiny-{PREFIX}.pth.begun"
    assert begun.read_bytes() == (GOOD[:kept] if kept > 0 else GOOD)
    server.ranges.clear()
    assert fetch(server.published("parts"), tmp_path).read_bytes() == GOOD
    assert server.ranges == ([f"bytes={kept}-"] if kept > 0 else [f"bytes={len(GOOD)}-", None])
    assert names(tmp_path) == [f"tiny-{PREFIX}.pth"]


def test_a_server_that_sends_all_again(server, tmp_path):
    wanted = server.published("good")
    (tmp_path / f"{wanted.file}.begun").write_bytes(b"x" * (len(GOOD) + 9))
    assert fetch(wanted, tmp_path).read_bytes() == GOOD
    assert names(tmp_path) == [wanted.file]


def test_a_wrong_beginning_is_not_gone_on_from_twice(server, tmp_path):
    wanted = server.published("parts")
    (tmp_path / f"{wanted.file}.begun").write_bytes(TAMPERED[:HALF])
    assert "sent is damaged; try again" in refusal(wanted, tmp_path)
    assert fetch(wanted, tmp_path).read_bytes() == GOOD


def test_a_link_in_the_place_of_a_beginning_is_not_followed(server, tmp_path):
    wanted, other = server.published("parts"), tmp_path / "other"
    other.write_bytes(b"mine")
    (tmp_path / f"{wanted.file}.begun").symlink_to(other)
    assert fetch(wanted, tmp_path).read_bytes() == GOOD
    assert other.read_bytes() == b"mine"


def test_nobody_answers(server, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        url = f"http://127.0.0.1:{free.getsockname()[1]}/tiny-{PREFIX}.pth"
        assert "refused" in refusal(replace(server.published("good"), url=url), tmp_path)
    assert names(tmp_path) == []


@pytest.mark.parametrize("damaged", [TAMPERED, GOOD[:-1], b""], ids=["bit", "short", "empty"])
def test_damaged_file_in_the_cache_is_refused_and_kept(server, tmp_path, damaged):
    wanted = server.published("good")
    before = server.requests["good"]
    (tmp_path / wanted.file).write_bytes(damaged)
    found = hashlib.sha256(damaged).hexdigest()[:8]
    said = f"{tmp_path / wanted.file} is damaged; delete it and try again "
    assert said + f"(expected SHA-256 {PREFIX}..., got {found}...)" in refusal(wanted, tmp_path)
    assert (tmp_path / wanted.file).read_bytes() == damaged and server.requests["good"] == before


def test_rest_of_a_killed_download_is_never_used(server, tmp_path):
    wanted = server.published("good")
    rest = tmp_path / f"{wanted.file}.0123.part"
    rest.write_bytes(GOOD[:10])
    assert fetch(wanted, tmp_path).read_bytes() == GOOD
    assert rest.read_bytes() == GOOD[:10]


def test_an_interrupted_download_keeps_what_came(server, tmp_path, monkeypatch):
    class Interrupted(tqdm):
        def update(self, n=1):
            raise KeyboardInterrupt

    monkeypatch.setattr("dlseg.fetch.tqdm", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetch(server.published("good"), tmp_path)
    assert names(tmp_path) == [f"tiny-{PREFIX}.pth.begun"]


def test_two_downloads_at_once_end_with_one_good_file(server, tmp_path):
    paths = []
    threads = [
        threading.Thread(target=lambda: paths.append(fetch(server.published("together"), tmp_path)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.requests["together"] == 2  # the server answered neither before both had asked
    assert len(paths) == 2 and paths[0] == paths[1]
    assert paths[0].read_bytes() == GOOD and names(tmp_path) == [paths[0].name]


def test_folder_that_cannot_be_made(server, tmp_path):
    (tmp_path / "file").touch()
    assert "file" in refusal(server.published("good"), tmp_path / "file" / "cache")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_read_only_folder(server, tmp_path):
    tmp_path.chmod(0o500)
    assert "Permission denied" in refusal(server.published("good"), tmp_path)


def test_no_room_for_the_file(server, tmp_path):
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(GOOD) // 2, hard))
    try:
        message = refusal(server.published("good"), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "File too large" in message
    assert fetch(server.published("parts"), tmp_path).read_bytes() == GOOD
    assert server.ranges[-1] == f"bytes={HALF}-"


def test_progress_only_on_a_terminal(server, tmp_path, monkeypatch, capfd):
    fetch(server.published("good"), tmp_path / "silent")
    assert capfd.readouterr() == ("", "")

    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    fetch(server.published("good"), tmp_path / "shown")
    assert f"tiny-{PREFIX}.pth: 100%" in terminal.getvalue()


# Loading


@pytest.fixture
def cached(monkeypatch, tmp_path):
    """Puts bytes into the cache and into the table as tiny; nothing is downloaded."""

    def put(content: bytes) -> None:
        prefix = hashlib.sha256(content).hexdigest()[:8]
        url = f"https://unreachable.invalid/tiny-{prefix}.pth"
        entry = Weights("tiny", url, prefix, 0.1, 1.0, "this test", HEAD)
        folder = tmp_path / "home" / "hub" / "checkpoints"
        folder.mkdir(parents=True)
        (folder / entry.file).write_bytes(content)
        monkeypatch.setitem(PUBLISHED, "tiny", entry)

    return put


def assert_has(model: nn.Module, trained: dict) -> None:
    state = model.state_dict()
    assert all(torch.equal(state[key], trained[key]) for key in state)


@pytest.mark.parametrize("num_classes", [None, 1000])
def test_loads_with_and_without_classifier(cached, num_classes):
    cached(GOOD)
    model = Tiny(num_classes)
    load_into(model, "tiny")
    assert_has(model, TRAINED)


def test_load_published_keeps_the_classifier(cached):
    cached(GOOD)
    state = load_published("tiny")
    assert state.keys() == TRAINED.keys()
    assert {value.device.type for value in state.values()} == {"cpu"}


def test_oldest_files_load(cached):
    # VGG's are of 2017: another format, parameters for tensors, no counters, no versions.
    old = {
        key: nn.Parameter(value)
        for key, value in TRAINED.items()
        if not key.endswith("num_batches_tracked")
    }
    cached(saved(old, _use_new_zipfile_serialization=False))
    model = Tiny(1000)
    load_into(model, "tiny")
    assert_has(model, TRAINED)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (Tiny(21), r"fc.weight is \(1000, 4\) in the file and \(21, 4\) in the model"),
        (Tiny(channels=8), r"conv1.weight is \(4, 3, 3, 3\) in the file and \(8, 3, 3, 3\)"),
        (
            nn.Conv2d(3, 4, 3),
            r"this Conv2d: 2 missing: weight, bias; [0-9] unexpected: .*, .*, .* and [0-9] more\.",
        ),
    ],
)
def test_wrong_model_keeps_its_weights(cached, model, said):
    cached(GOOD)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(ValueError, match=said + ".*Build the network that was trained"):
        load_into(model, "tiny")
    assert_has(model, before)


@pytest.mark.parametrize("name", ["resnet51", "xception65", "imagenet", ""])
def test_unknown_name(name):
    said = f"no published weights '{name}'; there are vgg16, vgg16_bn, "
    with pytest.raises(ValueError, match=said):
        load_into(Tiny(), name)


class Bomb:
    def __reduce__(self):
        return Path.touch, (Path(os.environ["TORCH_HOME"], "exploded"),)


def test_nothing_but_tensors_is_unpickled(cached, tmp_path):
    cached(saved({"conv1.weight": Bomb()}))
    with pytest.raises(ValueError, match="holds more than tensors, numbers and texts") as caught:
        load_into(Tiny(), "tiny")
    assert "weights_only" not in str(caught.value)
    assert not (tmp_path / "home" / "exploded").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"conv1.weight": torch.full((4, 3, 3, 3), float("nan"))}, "conv1.weight holds 108 of 108"),
        (
            {"conv1.weight": torch.zeros(4, 3, 3, 3).cfloat()},
            "conv1.weight must be a tensor of real",
        ),
        ({"conv1.weight": [0.0]}, "conv1.weight must be a tensor, got a list of 1"),
        ({5: torch.zeros(1)}, "a key of weights must be a text of one line, got 5"),
        (
            {"bn1.weight": torch.ones(4).long()},
            r"bn1.weight is \(4,\) int64 in the file and \(4,\)",
        ),
    ],
)
def test_what_is_no_state_dict_is_named(cached, change, said):
    cached(saved(TRAINED | change))
    model = Tiny(1000)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(ValueError, match=said):
        load_into(model, "tiny")
    assert_has(model, before)


@pytest.mark.parametrize(
    "content",
    [b"", b"text", GOOD[:-50], saved([torch.zeros(1)])],
    ids=["empty", "text", "cut", "a list"],
)
def test_what_is_no_file_of_weights(cached, content):
    cached(content)
    with pytest.raises(ValueError, match="delete it and try again"):
        load_published("tiny")
