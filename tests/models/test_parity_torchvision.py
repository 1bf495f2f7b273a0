"""torchvision's DeepLab v3 with random weights, taken over as they are: the same logits."""

from functools import cache, partial

import pytest
import torch
from torch import nn

from dlseg.models import torchvision_deeplabv3, with_aux
from dlseg.models.published import COCO_VOC
from tests.backbones.counting import multiply_adds, parameters, without_weights
from tests.peers import distance, load_torchvision, randomise

segmentation = load_torchvision().models.segmentation

TOLERANCE = 1e-4  # relative; what was found is below 1e-6
COUNTS = {  # parameters without and with auxiliary head, multiply-adds at 513 and 520 with it
    50: (39_638_869, 42_004_074, 168_652_962_240, 178.722),
    101: (58_630_997, 60_996_202, 248_674_056_640, 258.743),
}


@cache
def pair(depth: int, aux: bool) -> tuple[nn.Module, nn.Module]:
    """Ours and the peer, with the same random weights and statistics, in eval mode."""
    build = getattr(segmentation, f"deeplabv3_resnet{depth}")
    peer = build(weights=None, weights_backbone=None, num_classes=21, aux_loss=aux)
    randomise(peer)
    ours = torchvision_deeplabv3(f"resnet{depth}", aux=aux).eval()
    ours.load_state_dict(peer.state_dict())
    return ours, peer


@pytest.mark.parametrize(("depth", "aux"), [(50, False), (50, True), (101, True)])
def test_logits(depth, aux):
    ours, peer = pair(depth, aux)
    x = torch.randn(1, 3, 65, 97, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        theirs = peer(x)
        logits, aux_logits = with_aux(ours, x) if aux else (ours(x), None)
        assert theirs.keys() == ({"out", "aux"} if aux else {"out"})
        assert distance(logits, theirs["out"]) < TOLERANCE
        if aux:
            assert distance(aux_logits, theirs["aux"]) < TOLERANCE


@pytest.mark.parametrize("depth", [50, 101])
def test_names_and_counts(depth):
    """The same tensors in the same order, with and without the auxiliary head."""
    without, with_aux, work, _ = COUNTS[depth]
    build = getattr(segmentation, f"deeplabv3_resnet{depth}")
    for aux, count in ((False, without), (True, with_aux)):
        ours = without_weights(torchvision_deeplabv3, f"resnet{depth}", aux=aux)
        peer = without_weights(build, weights=None, weights_backbone=None, aux_loss=aux)
        shapes = [(key, value.shape) for key, value in peer.state_dict().items()]
        assert [(key, value.shape) for key, value in ours.state_dict().items()] == shapes
        assert parameters(ours) == parameters(peer) == count
    assert multiply_adds(ours, 513) == work


@pytest.mark.parametrize("depth", [50, 101])
def test_work_that_torchvision_states(depth):
    """At 520 pixels, with the auxiliary head, which `forward` leaves away."""
    model = without_weights(torchvision_deeplabv3, f"resnet{depth}", aux=True)
    assert round(multiply_adds(partial(with_aux, model), 520) / 1e9, 3) == COUNTS[depth][3]
    meta = published(depth).meta
    assert meta["_ops"] == COUNTS[depth][3] and meta["num_params"] == COUNTS[depth][1]


def test_dropout_and_auxiliary_head_in_training():
    """Same layers, same dropout: with the same seed even the training logits agree."""
    ours, peer = pair(50, True)
    x = torch.randn(2, 3, 33, 33, generator=torch.Generator().manual_seed(2))
    before = {key: value.clone() for key, value in peer.state_dict().items()}
    with torch.no_grad():
        torch.manual_seed(3)
        logits, aux = with_aux(ours.train(), x)
        torch.manual_seed(3)
        theirs = peer.train()(x)
    for model in (ours, peer):  # running statistics moved
        model.eval().load_state_dict(before)
    assert distance(logits, theirs["out"]) < TOLERANCE
    assert distance(aux, theirs["aux"]) < TOLERANCE


def published(depth):
    return getattr(segmentation, f"DeepLabV3_ResNet{depth}_Weights").COCO_WITH_VOC_LABELS_V1


@pytest.mark.parametrize("depth", [50, 101])
def test_table_is_what_torchvision_publishes(depth):
    ours, theirs = COCO_VOC[f"deeplabv3_resnet{depth}"], published(depth)
    assert ours.url == theirs.url
    metrics = theirs.meta["_metrics"]["COCO-val2017-VOC-labels"]
    assert ours.score == metrics["miou"]
    assert len(theirs.meta["categories"]) == 21
