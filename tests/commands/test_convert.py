"""`dlseg convert`, and the commands on networks that are not this package's."""

import sys
from pkgutil import resolve_name

import numpy as np
import pytest
import torch
from PIL import Image

from dlseg.commands.main import main
from dlseg.data import normalise
from dlseg.models import described
from dlseg.training import load_network, save_network
from tests.models.test_calls import own  # noqa: F401, a fixture
from tests.peers import load_smp, randomise

NAMES = ["sky", "road", "tree"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DLSEG_DEVICE", "cpu")  # commands set it
    noise = np.random.default_rng(0).integers(0, 255, (50, 70, 3)).astype(np.uint8)
    Image.fromarray(noise).save("picture.png")
    return tmp_path


def dlseg(capsys, *words):
    code = main([str(word) for word in words])
    out, err = capsys.readouterr()
    return code, out, err


def test_from_a_state_dict_to_labels(folder, capsys):
    """The labels are those of the peer on the padded picture."""
    torch.manual_seed(0)
    peer = load_smp().DeepLabV3Plus("resnet18", encoder_weights=None, classes=3)
    randomise(peer, 64)
    torch.save({"state_dict": peer.state_dict()}, "smp.pth")
    (folder / "names.txt").write_text("sky\nroad\n\ntree\n", encoding="utf-8")
    code, out, err = dlseg(
        capsys, "convert", "smp.pth", "net.pt", "--from", "smp", "--classes", "names.txt"
    )
    assert code == 0, err
    assert out.splitlines() == [
        "a state dict under 'state_dict': dlseg.models.smp_deeplabv3plus of 3 classes, "
        "output stride 16",
        "written net.pt",
    ]
    model, entries = load_network("net.pt")
    assert entries["extra"]["classes"] == NAMES
    code, out, err = dlseg(
        capsys, "predict", "picture.png", "--checkpoint", "net.pt", "--out", "labels"
    )
    assert code == 0, err
    image = normalise(np.array(Image.open("picture.png")))
    with torch.no_grad():
        expected = model(image[None]).argmax(1)[0].numpy()
    assert np.array_equal(np.array(Image.open("labels/picture-index.png")), expected)
    assert any(name in out for name in NAMES)


def test_what_cannot_be_converted(folder, capsys):
    torch.save({"w": torch.zeros(1)}, "odd.pth")
    peer = load_smp().DeepLabV3("resnet18", encoder_weights=None, classes=2)
    torch.save(peer.state_dict(), "smp.pth")
    (folder / "names.txt").write_text("one\n", encoding="utf-8")
    for words, expected in (
        (["none.pth", "--from", "smp"], "there is no checkpoint none.pth"),
        (["picture.png", "--from", "smp"], "or is damaged; give another file"),
        (["odd.pth", "--from", "smp"], "odd.pth: no network of smp that is known here"),
        (["smp.pth", "--from", "transformers"], "no network of transformers"),
        (["smp.pth", "--from", "smp", "--classes", "none.txt"], "cannot read none.txt"),
        (["smp.pth", "--from", "smp", "--classes", "names.txt"], "names 1 classes, the network"),
    ):
        code, _, err = dlseg(capsys, "convert", words[0], "net.pt", *words[1:])
        assert code == 2 and err.count("\n") == 1 and expected in err, err
    assert not (folder / "net.pt").exists()


@pytest.fixture
def of_ones_own(own, folder):  # noqa: F811
    """The checkpoint of a network in a module of the current folder, which is then forgotten."""
    model, description = described(resolve_name(f"{own}.Net"), channels=5)
    save_network("net.pt", model, description, NAMES)
    del sys.modules[own]
    sys.path.remove(str(folder))
    return model


PREDICT = ["predict", "picture.png", "--checkpoint", "net.pt", "--out", "labels"]


@pytest.mark.parametrize(
    "words",
    [PREDICT, ["evaluate", "net.pt", "--data", "scenes"], ["export", "net.pt", "net.onnx"]],
)
def test_a_network_that_is_not_trusted(of_ones_own, folder, capsys, words):
    if words[0] == "export":
        pytest.importorskip("onnxscript")
    (folder / "imported").unlink()
    code, _, err = dlseg(capsys, *words)
    assert code == 2 and err.count("\n") == 1
    assert "which is not of dlseg; if you trust the file" in err and "--trust-imports" in err
    assert not (folder / "imported").exists()


def test_a_network_of_the_current_folder(of_ones_own, folder, capsys):
    before = sys.path.copy()
    code, out, err = dlseg(capsys, *PREDICT, "--trust-imports")
    assert code == 0, err
    assert any(name in out for name in NAMES) and sys.path == before
    image = normalise(np.array(Image.open("picture.png")))
    with torch.no_grad():
        expected = of_ones_own(image[None])["out"].argmax(1)[0].numpy()
    assert np.array_equal(np.array(Image.open("labels/picture-index.png")), expected)
    code, _, err = dlseg(
        capsys, "evaluate", "net.pt", "--data", "scenes", "--trust-imports", "--workers", "0"
    )
    assert code == 2 and "the model has 3 classes and the data set 10" in err


def test_a_network_of_the_current_folder_is_exported(of_ones_own, capsys):
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    words = ["export", "net.pt", "net.onnx", "--size", "32x32", "--check", "--trust-imports"]
    code, out, err = dlseg(capsys, *words)
    assert code == 0, err
    assert "float32 (1, 3, 32, 32)" in out
