"""Quicker steps: the kernels they run on, how near their results are, and what they leave alone."""

import pytest
import torch
from torch import nn
from torch.profiler import profile

from dlseg.models import build_model, describe
from dlseg.training import Recipe, evaluate, load_checkpoint, speed, train
from dlseg.training.speed import fast_pointwise
from tests.training.toys import Blocks, Net, tiny

CPU = torch.device("cpu")
FASTER = [{"bfloat16": True}, {"channels_last": True}, {"bfloat16": True, "channels_last": True}]


@pytest.fixture
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def amd(monkeypatch, one_thread):
    monkeypatch.setattr(speed, "_maker", lambda: "vendor_id\t: AuthenticAMD")


def v3plus() -> nn.Module:
    torch.manual_seed(0)
    return build_model(describe("deeplabv3plus-resnet50", 5, 16, 0.125)).train()


def slow_convolutions(model: nn.Module, images: torch.Tensor) -> tuple[int, torch.Tensor]:
    """How many ran as a product of MKL, and the gradient of the first layer."""
    model.zero_grad()
    torch.manual_seed(1)  # of dropout
    with profile(activities=[torch.profiler.ProfilerActivity.CPU]) as seen:
        model(images).square().mean().backward()
    counts = {event.key: event.count for event in seen.key_averages()}
    return counts.get("aten::_slow_conv2d_forward", 0), next(model.parameters()).grad.clone()


@pytest.mark.skipif(not torch.backends.mkl.is_available(), reason="this torch has no MKL")
def test_no_pointwise_convolution_takes_the_slow_product(amd):
    model, images = v3plus(), torch.randn(2, 3, 65, 65)
    before, expected = slow_convolutions(model, images)
    with fast_pointwise(model, CPU):
        during, found = slow_convolutions(model, images)
    after, again = slow_convolutions(model, images)
    # 1x1 without a stride: 34 in the backbone, 5 in the head.
    assert before == after > 30 and during == 0
    assert torch.equal(again, expected)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.skipif(not torch.backends.mkl.is_available(), reason="this torch has no MKL")
def test_rates_come_back_after_an_error_too(amd):
    model = v3plus()
    before, inside = rates(model), {}
    with pytest.raises(KeyboardInterrupt), fast_pointwise(model, CPU):
        inside = rates(model)
        raise KeyboardInterrupt
    changed = [name for name, rate in inside.items() if rate != before[name]]
    assert len(changed) > 30 and rates(model) == before
    assert all(model.get_submodule(name).kernel_size == (1, 1) for name in changed)


def rates(model: nn.Module) -> dict[str, tuple]:
    layers = model.named_modules()
    return {name: layer.dilation for name, layer in layers if isinstance(layer, nn.Conv2d)}


@pytest.mark.parametrize(
    ("maker", "threads", "device"),
    [("GenuineIntel", 1, "cpu"), ("AuthenticAMD", 2, "cpu"), ("AuthenticAMD", 1, "cuda")],
)
def test_elsewhere_nothing_is_changed(monkeypatch, one_thread, maker, threads, device):
    monkeypatch.setattr(speed, "_maker", lambda: maker)
    torch.set_num_threads(threads)
    model = v3plus()
    before = str(model)
    with fast_pointwise(model, torch.device(device)):
        assert str(model) == before


def test_the_engine_uses_it_and_puts_it_back(amd):
    seen, model = [], Net()
    train(
        model, Blocks(), tiny(iterations=1), watch=lambda *_: seen.append(model.classifier.dilation)
    )
    assert seen == [(2, 2) if torch.backends.mkl.is_available() else (1, 1)]
    assert model.classifier.dilation == (1, 1)


@pytest.mark.parametrize("changes", FASTER, ids=str)
def test_quicker_steps_learn_as_well(changes):
    recipe = {"iterations": 60, "batch_size": 8, "learning_rate": 0.2}
    networks = Net(), Net()
    train(networks[0], Blocks(40), tiny(**recipe))
    history = train(networks[1], Blocks(40), tiny(**recipe, **changes))
    scores = [evaluate(network, Blocks(40)).mean_iou() for network in networks]
    assert history.losses[-1] < 0.5 * history.losses[0]
    assert abs(scores[0] - scores[1]) < 0.05
    assert {p.dtype for p in networks[1].parameters()} == {torch.float32}
    last = networks[1].backbone.conv2.weight.is_contiguous(memory_format=torch.channels_last)
    assert last == ("channels_last" in changes)


def test_bfloat16_rounds_the_maps_and_not_the_loss():
    """A first loss near float32's, not the same; eight bits of a number are 0.4 %."""
    plain, half = (
        train(Net(), Blocks(), tiny(iterations=1, bfloat16=b)).losses[0] for b in (False, True)
    )
    assert plain != half and abs(half / plain - 1) < 0.01


@pytest.mark.parametrize("changes", FASTER, ids=str)
def test_a_resumed_run_has_the_bits_of_a_whole_one(tmp_path, changes):
    recipe = tiny(**changes)

    def stop(iteration, loss, rate):
        if iteration == 6:
            raise KeyboardInterrupt

    options = {"folder": tmp_path / "stopped", "checkpoint_every": 4}
    with pytest.raises(KeyboardInterrupt):
        train(Net(dropout=0.5), Blocks(), recipe, watch=stop, **options)
    train(Net(dropout=0.5, seed=9), Blocks(), recipe, resume=True, **options)
    train(Net(dropout=0.5), Blocks(), recipe, folder=tmp_path / "whole")
    stopped, whole = (load_checkpoint(tmp_path / n / "last.pt") for n in ("stopped", "whole"))
    assert stopped["losses"] == whole["losses"]
    for name, value in whole["weights"].items():
        assert torch.equal(value, stopped["weights"][name]), name


def test_the_recipe_of_an_old_checkpoint_is_without_them():
    entries = {name: value for name, value in vars(tiny()).items()}
    del entries["bfloat16"], entries["channels_last"]
    assert Recipe(**entries) == tiny() and not (tiny().bfloat16 or tiny().channels_last)
