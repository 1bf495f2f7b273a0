"""Published networks: fetched from a server on this machine, checked, and loaded.

No test contacts another host: connections to anything but 127.0.0.1 fail the test.
"""

import hashlib
import io
import socket
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch

from dlseg.backbones import ResNet
from dlseg.models import DeepLabV3
from dlseg.models.implementations import torchvision_deeplabv3
from dlseg.models.published import COCO_VOC, PublishedNetwork, load_coco_voc
from tests.backbones.counting import without_weights


def small(aux=True, num_classes=21, seed=0):
    """torchvision's network, narrow."""
    torch.manual_seed(seed)
    backbone = ResNet(18, 8, width=0.1)
    return DeepLabV3(backbone, num_classes, channels=8, head="torchvision", aux=aux)


def saved(state) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


TRAINED = small(seed=1).state_dict()
GOOD = saved(TRAINED)
PREFIX = hashlib.sha256(GOOD).hexdigest()[:8]
TINY = PublishedNetwork("tiny", PREFIX, 1.0, 1.0)


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.asked.append(self.path)
        content = GOOD if "damaged" not in self.path else GOOD[:-1] + b"!"
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def server(monkeypatch, tmp_path):
    """A server whose files COCO_VOC names, in the place of those on the net."""
    connect = socket.create_connection

    def guarded(address, *arguments, **options):
        assert address[0] == "127.0.0.1", f"a test reached out for {address}"
        return connect(address, *arguments, **options)

    monkeypatch.setattr(socket, "create_connection", guarded)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("TORCH_HUB", raising=False)
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.asked = []
        host = f"http://127.0.0.1:{running.server_port}"
        monkeypatch.setattr(PublishedNetwork, "url", property(lambda n: f"{host}/{n.file}"))
        monkeypatch.setitem(COCO_VOC, "tiny", TINY)
        monkeypatch.setitem(COCO_VOC, "damaged", replace(TINY, name="damaged"))
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield running
        running.shutdown()


def assert_has(model, state):
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("aux", [True, False])
def test_fetched_once_and_loaded(server, tmp_path, aux):
    """With the auxiliary head that the file has, and without."""
    for _ in range(2):
        model = small(aux)
        load_coco_voc(model, "tiny")
        assert_has(model, TRAINED)
    assert server.asked == [f"/tiny_coco-{PREFIX}.pth"]
    kept = tmp_path / "home" / "hub" / "checkpoints" / f"tiny_coco-{PREFIX}.pth"
    assert kept.read_bytes() == GOOD


def test_option_of_the_network(server, tmp_path, monkeypatch):
    """weights="coco_voc" asks for the file of its depth, and only then."""
    asked = []
    monkeypatch.setattr(
        "dlseg.models.implementations.load_coco_voc", lambda model, name: asked.append(name)
    )
    for depth in (50, 101):
        without_weights(torchvision_deeplabv3, depth)
        assert asked == []
        without_weights(torchvision_deeplabv3, depth, weights="coco_voc")
        assert asked.pop() == f"deeplabv3_resnet{depth}"


def test_damaged_download(server, tmp_path):
    model = small()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(OSError, match=r"cannot get the weights damaged: what .* sent is damaged"):
        load_coco_voc(model, "damaged", tmp_path / "here")
    assert_has(model, before)
    assert not list((tmp_path / "here").iterdir())


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (small(num_classes=20), "its classifier.4.weight and 3 more"),
        (small(aux=False, num_classes=20), "its classifier.4.weight and 1 more"),
        (ResNet(18, width=0.1), "do not fit this ResNet, its"),
    ],
)
def test_wrong_model_keeps_its_weights(server, model, said):
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(ValueError, match=said + ".*build it with torchvision_deeplabv3 and 21 "):
        load_coco_voc(model, "tiny")
    assert_has(model, before)


def test_bad_input_says_what_to_do():
    with pytest.raises(ValueError, match="no published network 'x'; there are deeplabv3_resnet50,"):
        load_coco_voc(small(), "x")
    with pytest.raises(ValueError, match="with depth 50 and 101, got 18"):
        torchvision_deeplabv3(18)
    with pytest.raises(ValueError, match="weights must be None or \"coco_voc\", got 'imagenet'"):
        torchvision_deeplabv3(50, weights="imagenet")
