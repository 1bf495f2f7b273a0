"""SegFormer against transformers with the same random weights, and what its parts see."""

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from dlseg.arithmetic import Layer, stack_fields
from dlseg.inspect import cost, gradient_support, receptive_field
from support.after_deeplab.segformer import (
    B0,
    EfficientAttention,
    Encoder,
    MLPDecoder,
    Patches,
    SegFormer,
    Stage,
)
from tests.peers import load_transformers, randomise

TINY = (Stage(8, 1, 1, 4, 7, 4), Stage(16, 2, 2, 2), Stage(24, 3, 1, 1), Stage(32, 4, 1, 1))
# The names of transformers' modules, by ours.
STAGE = {
    "patches.{}.0": "segformer.stages.{}.patch_embeddings.proj",
    "patches.{}.1": "segformer.stages.{}.patch_embeddings.layer_norm",
    "norms.{}": "segformer.stages.{}.layer_norm",
}
BLOCK = {
    "norm1": "layernorm_before",
    "norm2": "layernorm_after",
    "attention.query": "attention.q_proj",
    "attention.key": "attention.k_proj",
    "attention.value": "attention.v_proj",
    "attention.out": "attention.o_proj",
    "attention.reduce.0": "attention.sequence_reduction.sequence_reduction",
    "attention.reduce.1": "attention.sequence_reduction.layer_norm",
    "ffn.widen": "mlp.fc1",
    "ffn.conv": "mlp.dwconv.dwconv",
    "ffn.narrow": "mlp.fc2",
}
DECODER = {
    "align.{}": "decode_head.linear_projections.{}.proj",
    "fuse.0": "decode_head.linear_fuse",
    "fuse.1": "decode_head.batch_norm",
    "classifier": "decode_head.classifier",
}


def names():
    """Our modules and theirs."""
    found = {}
    for number, stage in enumerate(TINY):
        found |= {f"backbone.{a.format(number)}": b.format(number) for a, b in STAGE.items()}
        found |= {f"decoder.{a.format(number)}": b.format(number) for a, b in DECODER.items()}
        for block in range(stage.blocks):
            ours = f"backbone.blocks.{number}.{block}"
            theirs = f"segformer.stages.{number}.blocks.{block}"
            found |= {f"{ours}.{a}": f"{theirs}.{b}" for a, b in BLOCK.items()}
    return found


def peer():
    transformers = load_transformers()
    torch.manual_seed(0)
    return transformers.SegformerForSemanticSegmentation(
        transformers.SegformerConfig(
            num_labels=5,
            depths=[stage.blocks for stage in TINY],
            hidden_sizes=[stage.channels for stage in TINY],
            num_attention_heads=[stage.heads for stage in TINY],
            sr_ratios=[stage.reduction for stage in TINY],
            decoder_hidden_size=16,
        )
    ).eval()


class Logits(nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        return self.network(x).logits


def test_same_logits_as_transformers():
    theirs, ours = peer(), SegFormer(5, TINY, 16).eval()
    randomise(Logits(theirs), 64)
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            if name.endswith("bias"):
                nn.init.normal_(parameter, 0, 0.3)  # they begin at zero
    state, table = theirs.state_dict(), names()
    pairs = {key: key.rpartition(".") for key in ours.state_dict()}
    copied = {
        key: state[f"{table[module]}.{kind}"].view_as(ours.state_dict()[key])
        for key, (module, _, kind) in pairs.items()
    }
    assert len(copied) == len(state)
    ours.load_state_dict(copied)
    x = torch.randn(2, 3, 96, 64)
    with torch.no_grad():
        expected = theirs(x).logits
        assert expected.shape == (2, 5, 24, 16) and expected.std() > 0.05
        assert (ours.scores(x) - expected).abs().max() < 1e-5
        assert ours(x).shape == (2, 5, 96, 64)


def test_b0_has_as_many_parameters_as_theirs():
    """The defaults of transformers are B0; the decoder has 256 channels in both."""
    transformers = load_transformers()
    with torch.device("meta"):
        theirs = transformers.SegformerForSemanticSegmentation(
            transformers.SegformerConfig(num_labels=150)
        )
        ours = SegFormer(150)
    counts = [sum(one.numel() for one in network.parameters()) for network in (theirs, ours)]
    assert counts[0] == counts[1] == 3_752_694


def test_patches_overlap_and_their_field_is_that_of_convolutions():
    class Stack(nn.Sequential):
        def forward(self, x):
            for part in self:
                x = part(x).movedim(-1, 1)
            return x

    model = Stack(*Encoder(TINY).patches)
    assert all(isinstance(part, Patches) for part in model)
    fields = stack_fields([Layer(one.patch, one.stride, one.patch // 2) for one in TINY])
    report = receptive_field(model, 224)
    assert [field.size for field in fields] == [7, 15, 31, 63]
    assert (report.size, report.stride) == (63, 32) == (fields[-1].size, fields[-1].stride)
    assert all(stage.patch > stage.stride for stage in TINY)


class Attention(nn.Module):
    """Efficient attention on maps."""

    def __init__(self, reduction):
        super().__init__()
        self.attention = EfficientAttention(4, 2, reduction)

    def forward(self, x):
        return self.attention(x.movedim(1, -1)).movedim(-1, 1)


@pytest.mark.parametrize("reduction", [1, 2])
def test_efficient_attention_sees_all_and_asks_fewer(reduction):
    model, places = Attention(reduction), 12 * 8
    assert gradient_support(model, (4, 12, 8), (0, 0)).mask.all()
    with pytest.raises(ValueError, match="cannot follow"):
        receptive_field(model, (4, 12, 8))
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 4, 12, 8))
    asked = places // reduction**2
    linear = 2 * places * 16 + 2 * asked * 16 + (places * 16 if reduction > 1 else 0)
    assert counter.get_total_flops() // 2 == linear + 2 * places * asked * 4


class First(nn.Module):
    """The first stage, and a classifier: a LayerNorm's channels alone have no gradient together."""

    def __init__(self):
        super().__init__()
        self.backbone, self.classifier = Encoder(TINY[:1]), nn.Conv2d(8, 3, 1)

    def forward(self, x):
        return self.classifier(self.backbone(x)[0])


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.decoder = MLPDecoder([2], 3, 4)

    def forward(self, x):
        return self.decoder([x])


def test_the_first_stage_already_sees_the_picture_and_the_decoder_nothing_more():
    assert gradient_support(First(), 64, (0, 0)).mask.all()
    assert receptive_field(Decoder(), (2, 16, 16)).size == 1
    assert cost(Decoder(), (2, 16, 16)).multiply_adds == 256 * (2 * 4 + 4 * 4 + 4 * 3)


def test_b0_is_the_table():
    assert [stage.reduction for stage in B0] == [8, 4, 2, 1]
    assert [stage.channels // stage.heads for stage in B0] == [32, 32, 32, 32]
