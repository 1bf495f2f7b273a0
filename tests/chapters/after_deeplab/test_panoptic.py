"""Panoptic-DeepLab in the small: targets, peaks and groups by loops, PQ against torchmetrics."""

import numpy as np
import pytest
import torch

from dlseg.data import Scenes
from dlseg.inspect import gradient_support
from support.after_deeplab import things
from support.after_deeplab.panoptic import (
    Maps,
    PanopticDeepLab,
    group,
    panoptic,
    peaks,
    targets,
)
from tests.peers import load_torchmetrics

OWNER = torch.tensor([[0, 1, 1, 0], [0, 1, 1, 7], [0, 0, 0, 7]])


def test_targets_by_loops():
    centres, offsets = targets(OWNER, sigma=2.0)
    middles = {1: (0.5, 1.5), 7: (1.5, 3.0)}
    for i in range(3):
        for j in range(4):
            hills = [np.exp(-((i - r) ** 2 + (j - c) ** 2) / 8) for r, c in middles.values()]
            assert centres[0, i, j] == pytest.approx(max(hills))
            own = middles.get(int(OWNER[i, j]))
            expected = (own[0] - i, own[1] - j) if own else (0, 0)
            assert offsets[:, i, j].tolist() == pytest.approx(expected)


def test_peaks_by_loops():
    torch.manual_seed(0)
    centres = torch.rand(1, 15, 13)
    expected = []
    for i in range(15):
        for j in range(13):
            near = centres[0, max(0, i - 2) : i + 3, max(0, j - 2) : j + 3]
            if centres[0, i, j] == near.max() and centres[0, i, j] > 0.8:
                expected.append((float(centres[0, i, j]), [i, j]))
    expected = [place for _, place in sorted(expected, reverse=True)]
    assert peaks(centres, 0.8, 5).tolist() == expected and len(expected) > 3
    assert peaks(centres, 0.8, 5, most=2).tolist() == expected[:2]
    assert peaks(centres, 2.0).tolist() == []


def test_groups_by_loops():
    torch.manual_seed(1)
    offsets, thing = 3 * torch.randn(2, 9, 8), torch.rand(9, 8) > 0.3
    middles = torch.tensor([[1, 2], [7, 1], [4, 6]])
    found = group(offsets, middles, thing)
    for i in range(9):
        for j in range(8):
            hit = (i + float(offsets[0, i, j]), j + float(offsets[1, i, j]))
            away = [(hit[0] - r) ** 2 + (hit[1] - c) ** 2 for r, c in middles.tolist()]
            assert found[i, j] == (1 + int(np.argmin(away)) if thing[i, j] else 0)
    assert (group(offsets, middles[:0], thing) == 0).all()


def right_maps(scene_index):
    """The maps of a network that knows everything."""
    _, kinds, owner = things.picture(Scenes(4, "val"), scene_index)
    centres, offsets = targets(owner)
    semantic = torch.nn.functional.one_hot(kinds.clamp(max=2), 3).movedim(-1, 0).float()
    return Maps(semantic[None], centres[None], offsets[None]), kinds, owner


@pytest.mark.parametrize("index", range(4))
def test_who_knows_the_maps_finds_the_things(index):
    maps, kinds, owner = right_maps(index)
    labels, numbers = panoptic(maps, [things.THING], window=3)
    quality = things.PanopticQuality(3)
    quality.update(labels, numbers, kinds, owner)
    assert quality.quality()[things.THING] > 0.9
    assert quality.missed[things.THING] <= 1  # two middles may lie within one window


def test_the_majority_names_a_thing():
    semantic = torch.zeros(1, 3, 3, 5)
    semantic[0, 1, :, :4], semantic[0, 2, 0, 0] = 1.0, 2.0
    centres, offsets = targets((semantic[0].argmax(0) > 0).long())
    labels, numbers = panoptic(Maps(semantic, centres[None], offsets[None]), [1, 2])
    assert (labels[:, :4] == 1).all() and (labels[:, 4] == 0).all()
    assert numbers.unique().tolist() == [0, 1]


def test_scenes_with_the_numbers_of_their_things():
    _, kinds, owner = things.picture(Scenes(2), 0)
    scene = Scenes(2).scene(0)
    names = [Scenes.classes[thing.label] for thing in scene.things]
    for number in owner.unique().tolist():
        if number:
            assert names[number - 1] not in ("ring", "wire", "background")
    assert set(kinds.unique().tolist()) <= {0, 1, 2, 255}
    assert ((owner > 0) == (kinds == things.THING)).all()


def test_quality_against_torchmetrics():
    load_torchmetrics()
    from torchmetrics.functional.detection import panoptic_quality

    torch.manual_seed(2)
    ours, pairs = things.PanopticQuality(3), []
    for index in range(3):
        _, kinds, owner = things.picture(Scenes(4, "val"), index)
        shifted = kinds.roll(2, 1).where(kinds.roll(2, 1) != 255, torch.tensor(0))
        numbers = owner.roll(2, 1)
        ours.update(shifted, numbers, kinds, owner)
        pairs.append((torch.stack([shifted, numbers], -1), torch.stack([kinds, owner], -1)))
    found, right = (torch.stack(parts) for parts in zip(*pairs, strict=True))
    options = {"things": {2}, "stuffs": {0, 1}, "return_per_class": True}
    theirs = panoptic_quality(found, right, **options)[0][[1, 2, 0]]  # it has things first
    assert (ours.quality() - theirs).abs().max() < 1e-6  # theirs counts in float32
    assert 0.2 < ours.quality()[2] < 0.95


def test_it_learns_and_both_decoders_see_as_far():
    torch.manual_seed(3)
    network = PanopticDeepLab(width=0.125, channels=16)
    losses = things.train_panoptic(network, Scenes(8), 8, 4, 0.01)
    assert losses[-1] < losses[0]
    quality = things.measured(network, Scenes(1, "val")).quality()
    assert quality.shape == (3,)

    class One(torch.nn.Module):
        def __init__(self, name):
            super().__init__()
            self.network, self.name = PanopticDeepLab(width=0.125, channels=8), name

        def forward(self, x):
            return getattr(self.network, self.name)(*self.network.backbone(x))

    masks = [gradient_support(One(name), 96, (2, 3)).mask for name in ("what", "which")]
    assert masks[0].all() and masks[1].all()  # by image pooling
