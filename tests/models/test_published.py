"""Published networks: fetched from a server on this machine, checked, and loaded.

No test contacts another host: connections to anything but 127.0.0.1 fail the test.
"""

import hashlib
import io
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch

from dlseg.backbones import MobileNetV2, ResNet, Weights, load_into
from dlseg.models import torchvision_deeplabv3, with_aux
from dlseg.models.published import COCO_VOC
from tests.backbones.counting import without_weights
from tests.peers import randomise


def small(aux=True, num_classes=21, seed=0):
    """torchvision's network, narrow."""
    torch.manual_seed(seed)
    return torchvision_deeplabv3("resnet18", num_classes, width=0.1, aux=aux)


def saved(state) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


TRAINED = small(seed=1).state_dict()
GOOD = saved(TRAINED)
PREFIX = hashlib.sha256(GOOD).hexdigest()[:8]


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
        for name in ("tiny", "damaged"):
            url = f"{host}/{name}_coco-{PREFIX}.pth"
            row = Weights(name, url, PREFIX, 0.1, 1.0, "this test", ("aux_classifier.",))
            monkeypatch.setitem(COCO_VOC, name, row)
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
        load_into(model, "tiny", COCO_VOC)
        assert_has(model, TRAINED)
    assert server.asked == [f"/tiny_coco-{PREFIX}.pth"]
    kept = tmp_path / "home" / "hub" / "checkpoints" / f"tiny_coco-{PREFIX}.pth"
    assert kept.read_bytes() == GOOD


def test_option_of_the_network(monkeypatch):
    """weights="coco_voc" asks for the file of its depth, and only then."""
    asked = []
    monkeypatch.setattr("dlseg.models.published.load_into", lambda model, *row: asked.append(row))
    for name in ("resnet50", "resnet101"):
        without_weights(torchvision_deeplabv3, name)
        assert asked == []
        without_weights(torchvision_deeplabv3, name, weights="coco_voc")
        assert asked.pop() == (f"deeplabv3_{name}", COCO_VOC)


def test_auxiliary_head_looks_at_block3():
    model = small()
    randomise(model)
    x = torch.randn(2, 3, 65, 65, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        before, aux_before = with_aux(model, x)
        assert torch.equal(before, model(x))
        model.backbone.layer4[0].conv1.weight.neg_()
        after, aux_after = with_aux(model, x)
    assert not torch.equal(before, after) and torch.equal(aux_before, aux_after)
    assert not model.backbone.layer3._forward_hooks
    sum(maps.square().sum() for maps in with_aux(model.train(), x)).backward()
    assert all(values.grad.abs().max() > 0 for values in model.parameters())


def test_damaged_download(server, tmp_path):
    model = small()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(OSError, match=r"cannot get the weights damaged: what .* sent is damaged"):
        load_into(model, "damaged", COCO_VOC)
    assert_has(model, before)
    assert not list((tmp_path / "home" / "hub" / "checkpoints").iterdir())


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (small(num_classes=20), r"classifier.4.weight is \(21.*and 1 more\."),
        (small(aux=False, num_classes=20), r"classifier.4.weight is \(21.*in the model"),
        (ResNet(depth=18, width=0.1), "do not fit this ResNet: "),
    ],
)
def test_wrong_model_keeps_its_weights(server, model, said):
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(ValueError, match=said + ".*Build the network that was trained"):
        load_into(model, "tiny", COCO_VOC)
    assert_has(model, before)


def test_bad_input_says_what_to_do():
    with pytest.raises(ValueError, match="no published weights 'x'; there are deeplabv3_resnet50,"):
        load_into(small(), "x", COCO_VOC)
    with pytest.raises(ValueError, match="must be one of resnet50, resnet101, got 'resnet18'"):
        torchvision_deeplabv3("resnet18", weights="coco_voc")
    with pytest.raises(ValueError, match="got 'coco'"):
        torchvision_deeplabv3(weights="coco")
    with pytest.raises(ValueError, match="an auxiliary head needs a ResNet, got MobileNetV2"):
        torchvision_deeplabv3(MobileNetV2(8, width=0.1), aux=True)
    with pytest.raises(ValueError, match="no auxiliary head; build it with aux=True"):
        with_aux(small(aux=False), torch.zeros(1, 3, 8, 8))
