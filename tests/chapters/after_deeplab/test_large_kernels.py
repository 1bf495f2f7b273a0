"""Large kernels against torchvision, timm and SciPy; what they see, and how much it counts."""

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import nn

from dlseg.inspect import gradient_support, receptive_field
from support.after_deeplab.fields import fields_of_span, held_within
from support.after_deeplab.large_kernels import ConvNeXtBlock, LargeKernel, StripAttention
from tests.peers import load_timm, load_torchvision


def copied(theirs: nn.Module, ours: nn.Module, names: dict[str, str]) -> None:
    """Give the parameters of `theirs` to `ours`; names: of each of ours."""
    state = dict(theirs.named_parameters())
    assert set(names.values()) == set(state)
    with torch.no_grad():
        for name, parameter in ours.named_parameters():
            parameter.copy_(state[names[name]].reshape(parameter.shape))


def block_names(scale, *parts):
    ours = ("look", "norm", "widen", "narrow")
    pairs = zip(ours, parts, strict=True)
    names = {f"{a}.{kind}": f"{b}.{kind}" for a, b in pairs for kind in ("weight", "bias")}
    return names | {"scale": scale}


PEERS = {
    "torchvision": block_names("layer_scale", "block.0", "block.2", "block.3", "block.5"),
    "timm": block_names("gamma", "conv_dw", "norm", "mlp.fc1", "mlp.fc2"),
}


def peer_block(peer: str, channels: int) -> nn.Module:
    torch.manual_seed(3)
    if peer == "torchvision":
        load_torchvision()
        from torchvision.models.convnext import CNBlock

        return CNBlock(channels, 0.7, 0.0).double().eval()
    load_timm()
    from timm.models.convnext import ConvNeXtBlock as Theirs

    return Theirs(channels, ls_init_value=0.7).double().eval()


@pytest.mark.parametrize("peer", PEERS)
def test_convnext_block_against_peers(peer):
    theirs, ours = peer_block(peer, 6), ConvNeXtBlock(6).double()
    copied(theirs, ours, PEERS[peer])
    x = torch.randn(2, 6, 11, 9).double()
    assert (ours(x) - theirs(x)).abs().max() < 1e-12


def with_statistics(layer: nn.Module) -> nn.Module:
    """Batch norms that scale, shift, and have seen something."""
    for norm in (one for one in layer.modules() if isinstance(one, nn.BatchNorm2d)):
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias)
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
    return layer.double().eval()


@pytest.mark.parametrize(("kernel_size", "small"), [(31, 5), (13, 3), (7, 7)])
def test_two_kernels_folded_into_one(kernel_size, small):
    torch.manual_seed(4)
    layer, x = (
        with_statistics(LargeKernel(3, kernel_size, small)),
        torch.randn(2, 3, 40, 35).double(),
    )
    folded = layer.folded()
    assert folded.kernel_size == (kernel_size,) * 2
    assert sum(one.numel() for one in folded.parameters()) == 3 * kernel_size**2 + 3
    before = [one.clone() for one in layer.state_dict().values()]
    assert (folded(x) - layer(x)).abs().max() < 1e-12
    assert all(map(torch.equal, before, layer.state_dict().values()))


def correlated(planes, conv):
    """Depthwise convolution of planes (C, H, W) by SciPy, zeros outside."""
    parts = zip(planes, conv.weight[:, 0].numpy(), conv.bias.numpy(), strict=True)
    return np.stack([ndimage.correlate(x, w, mode="constant") + b for x, w, b in parts])


def test_strip_attention_against_scipy():
    torch.manual_seed(5)
    layer, x = StripAttention(3).double(), torch.randn(1, 3, 25, 23).double()
    with torch.no_grad():
        near = correlated(x[0].numpy(), layer.near)
        total = near.copy()
        for row, column in layer.strips:
            total += correlated(correlated(near, row), column)
        weights = np.tensordot(layer.mix.weight[:, :, 0, 0].numpy(), total, 1)
        expected = x[0].numpy() * (weights + layer.mix.bias.numpy()[:, None, None])
        assert np.abs(layer(x)[0].numpy() - expected).max() < 1e-12


@pytest.mark.parametrize(
    ("make", "size"),
    [
        (lambda: ConvNeXtBlock(2), 7),
        (lambda: ConvNeXtBlock(2, 7, 3), 19),
        (lambda: LargeKernel(2, 31), 31),
        (lambda: StripAttention(2), 25),
    ],
)
def test_fields(make, size):
    """Of the trace and of the gradient; the strips reach 21 - 1 beyond the 5 of the first."""
    report, seen = receptive_field(make(), (2, 40, 40)), gradient_support(make(), (2, 40, 40))
    assert report.size == size
    assert seen.rows[1] - seen.rows[0] + 1 == seen.columns[1] - seen.columns[0] + 1 == size


def test_strips_see_a_square_but_few_of_its_pixels_weigh():
    layer = StripAttention(2)
    assert gradient_support(layer, (2, 33, 33)).mask.sum() == 25**2
    weights = sum(one.numel() for one in layer.strips.parameters() if one.dim() > 1)
    assert weights == 2 * 2 * (7 + 11 + 21)


def test_one_span_five_ways():
    """All see 31 x 31, or holes of it; how far out the gradient still counts differs by far."""
    fields = fields_of_span(samples=6)
    energies = {name: field.energy for name, field in fields.items()}
    assert all(len(energy) == 31 for energy in energies.values())
    assert fields["one 31x31"].taps == 961 and fields["one 3x3 at rate 15"].taps == 9
    assert fields["four 3x3, rates 1, 2, 4, 8"].taps == 36
    within = {name: held_within(energy) for name, energy in energies.items()}
    assert within["fifteen 3x3"] < within["four 3x3, rates 1, 2, 4, 8"] < within["one 31x31"]
    seen = {name: (energy > 0).sum() for name, energy in energies.items()}
    assert seen["one 3x3 at rate 15"] == 9 and seen["one 31x31"] == 961 == seen["fifteen 3x3"]
    assert seen["four 3x3, rates 1, 2, 4, 8"] == 961
