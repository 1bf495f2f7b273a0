"""One test for each pitfall of chapter 14: it fails where somebody steps into it."""

import re
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

from dlseg.arithmetic import Layer, stack_fields, valid_tap_fractions, vgg16
from dlseg.backbones import Features, ResNet
from dlseg.crf import DenseCRF, appearance, smoothness, unary_from_probabilities
from dlseg.crf.drop_in import dense_crf
from dlseg.data import Scenes
from dlseg.data.check import check_folder
from dlseg.data.files import DataError, read_label, write_label
from dlseg.data.palette import labels_from_colours, voc_palette
from dlseg.data.transforms import RandomScale
from dlseg.inference import probabilities
from dlseg.layers import atrous_conv2d
from dlseg.metrics import ConfusionMatrix
from dlseg.models import (
    ASPP,
    DeepLabV3,
    DeepLabV3Cascade,
    DeepLabV3Plus,
    SumASPP,
    at_output_stride,
    auxiliary_head,
)
from dlseg.training import Recipe, TrainingPictures, segmentation_loss, train
from dlseg.training.losses import ScoreMaps
from dlseg.training.optimiser import prepare_batch_norm
from tests.backbones.counting import without_weights
from tests.chapters.tools import NOTEBOOKS, prose
from tests.data.folders import write_voc
from tests.peers import randomise


def small(output_stride=16, first_unit="previous", dropout=0.1, **options):
    """A DeepLab v3 that is quick, with statistics in its batch norms."""
    torch.manual_seed(0)
    backbone = ResNet(output_stride, depth=18, first_unit=first_unit, width=0.1)
    options = {"channels": 16, "atrous_rates": (2, 4, 6)} | options
    network = DeepLabV3(backbone, 10, **options)
    network.classifier[0].project[-1].p = dropout
    randomise(network)
    return network


def images(count=2, side=65):
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(1))


class Sampling(nn.Module):
    """A backbone that makes no mistake: unit i is the pixel number 16 i."""

    channels, output_stride = 3, 16

    def forward(self, x):
        return Features(x, x[:, :, ::16, ::16])


# Sizes and alignment


@pytest.mark.parametrize(
    ("side", "align_corners", "moves"),
    [(513, True, True), (512, False, True), (512, True, False), (513, False, False)],
)
def test_answers_move_along_with_the_picture(side, align_corners, moves):
    torch.manual_seed(0)
    network = DeepLabV3(
        Sampling(), 4, channels=8, atrous_rates=(), image_pooling=False, align_corners=align_corners
    )
    picture = torch.zeros(1, 3, 33, side)
    picture[..., 160:176] = torch.randn(16)
    with torch.no_grad():
        before, after = (network.eval()(x) for x in (picture, picture.roll(16, -1)))
    same = torch.allclose(after[..., 96:272], before.roll(16, -1)[..., 96:272], atol=1e-6)
    assert before.std() > 1e-3 and same == moves


def test_fcn_crops_at_19():
    first, *others = vgg16()
    field = stack_fields([replace(first, padding=100), *others, Layer(7)])[-1]
    line = torch.zeros(1, 1, 1, 9)
    line[..., 0] = 1  # unit 0, painted by a stretch of 64 taps and stride 32
    painted = F.conv_transpose2d(line, torch.ones(1, 1, 1, 64), stride=(1, 32))[0, 0, 0]
    middle = painted.nonzero().double().mean().item()
    assert middle - field.centre(0) == 19


# Labels


def test_void_counts_nowhere():
    _, truth = Scenes(1, "test")[0]
    labels, guess = torch.from_numpy(truth).long()[None], np.where(truth == 255, 5, truth)
    matrix, background = ConfusionMatrix(10), ConfusionMatrix(10)
    matrix.update(truth, guess)
    background.update(np.where(truth == 255, 0, truth), guess)
    assert (truth == 255).any() and matrix.mean_iou() == 1 > background.mean_iou()
    maps = torch.randn(1, 10, 96, 96)
    other = torch.where(labels == 255, torch.randn(1, 1, 96, 96), maps)
    assert segmentation_loss([maps], labels) == segmentation_loss([other], labels)
    with pytest.raises(IndexError):
        F.cross_entropy(maps, labels)


def test_labels_that_are_no_class_are_refused(tmp_path):
    mask = np.zeros((9, 9), np.uint8)
    mask[4:] = 40
    write_label(tmp_path / "mask.png", mask)
    with pytest.raises(DataError, match="holds the labels 40"):
        read_label(tmp_path / "mask.png", 4)
    with pytest.raises(ValueError, match="got 40"):
        ConfusionMatrix(4).update(mask, np.zeros_like(mask))

    class Own:
        num_classes = 4

        def __len__(self):
            return 1

        def __getitem__(self, _index):
            return np.zeros((9, 9, 3), np.uint8), mask

    with pytest.raises(ValueError, match=r"picture 0 must be .* got 40"):
        TrainingPictures(Own(), Recipe(crop_size=9))[0]


def test_masks_are_read_as_indices(tmp_path):
    label = np.array([[0, 15], [255, 1]], np.uint8)
    path = tmp_path / "mask.png"
    write_label(path, label, voc_palette())
    assert (read_label(path, 21) == label).all()
    with Image.open(path) as opened:
        assert opened.mode == "P"
        colours = opened.convert("RGB")
        assert (np.array(opened.convert("L")) != label).any()
    assert (labels_from_colours(np.array(colours), voc_palette()) == label).all()
    colours.save(path)
    with pytest.raises(DataError, match="no image of class indices"):
        read_label(path, 21)


def test_resizing_invents_no_label():
    edge = np.zeros((8, 8), np.uint8)
    edge[:, 4:] = 15
    pair = np.zeros((8, 8, 3), np.uint8), edge
    larger = RandomScale(1.7, 1.7)(*pair, np.random.default_rng(0))[1]
    assert larger.shape == (14, 14) and set(np.unique(larger)) == {0, 15}
    mixed = np.array(Image.fromarray(edge).resize((14, 14), Image.Resampling.BILINEAR))
    assert set(np.unique(mixed)) > {0, 15}


def test_lists_that_share_pictures_are_found(tmp_path):
    folder = write_voc(tmp_path)
    lists = folder / "ImageSets" / "Segmentation"
    assert not [fault for fault in check_folder(tmp_path) if fault.serious]
    with (lists / "train.txt").open("a") as file:
        file.write((lists / "val.txt").read_text())
    problems = [fault.problem for fault in check_folder(tmp_path) if fault.serious]
    assert len(problems) == 1 and "1 of its names are in val.txt too" in problems[0]


# Batch norm


def test_no_batch_of_the_training_is_short():
    """33 pictures in batches of 16: the third batch has 15 of the next epoch."""
    recipe = Recipe(iterations=5, batch_size=16)
    pictures = TrainingPictures(Scenes(33), recipe)
    assert len(pictures) == 5 * 16
    seen = [pictures.index(position) for position in range(2 * 33)]
    assert sorted(seen[:33]) == sorted(seen[33:]) == list(range(33))
    network = small().train()
    with pytest.raises(ValueError, match="one value per channel of a batch of 1 image"):
        network(images(1))
    assert network(images(2)).isfinite().all()


def test_frozen_batch_norm_ignores_company():
    network, x = small(dropout=0.0), images(3)
    for frozen, same in ((True, True), (False, False)):
        prepare_batch_norm(network, Recipe(freeze_batch_norm=frozen))
        with torch.no_grad():
            pairs = [network(x[[0, other]])[0] for other in (1, 2)]
        assert torch.allclose(*pairs, atol=1e-5) == same


def test_momentum_is_the_share_of_the_new():
    """TensorFlow's decay is the share of the old: after 100 steps 97 % of the start are left."""
    network = small()
    prepare_batch_norm(network, Recipe(batch_norm_decay=0.9997))
    norm = network.backbone.bn1
    norm.reset_running_stats()
    for _ in range(100):
        norm(torch.full((2, norm.num_features, 2, 2), 3.0))
    assert norm.running_mean == pytest.approx(3 * (1 - 0.9997**100))


# Rates


@pytest.mark.parametrize("output_stride", [8, 16, 32])
def test_rates_reach_as_far_at_every_output_stride(output_stride):
    network = without_weights(DeepLabV3, "resnet18", output_stride=output_stride)
    reach = [conv[0].dilation[0] * output_stride for conv in network.classifier[0].convs[1:4]]
    assert reach == [96, 192, 288]


def test_a_rate_as_large_as_the_map_is_a_1x1():
    assert valid_tap_fractions(33, 36)[1] == 1
    assert valid_tap_fractions(33, 18)[9] == 0 < valid_tap_fractions(65, 18)[9]


@pytest.mark.parametrize(("first_unit", "same"), [("previous", True), ("whole", False)])
def test_a_dense_map_holds_the_coarse_one(first_unit, same):
    coarse = small(image_pooling=False).double()
    build = partial(small, first_unit=first_unit, image_pooling=False)
    dense, x = at_output_stride(coarse, build, 8).eval(), images(1).double()
    with torch.no_grad():
        old, new = coarse.scores(x), dense.scores(x)[:, :, ::2, ::2]
    assert torch.allclose(old, new, rtol=0, atol=1e-9 * float(old.abs().max())) == same


@pytest.mark.parametrize(("side", "align_corners", "slide"), [(129, True, 0), (128, False, 4)])
def test_another_output_stride_slides_the_mask_unless_corners_are_aligned(
    side, align_corners, slide
):
    """Each pixel says its column; half a unit belongs to the stretch without aligned corners."""
    columns = torch.arange(side, dtype=torch.float64).expand(1, 1, side, side)
    answers = [
        F.interpolate(columns[..., ::s, ::s], (side, side), None, "bilinear", align_corners)
        for s in (16, 8)
    ]
    moved = (answers[1] - answers[0])[0, 0, 64, 32:96]
    assert torch.allclose(moved, torch.full_like(moved, slide), atol=1e-9)


def test_a_flat_map_stays_flat():
    flat, taps = torch.ones(1, 1, 15, 15), torch.ones(1, 1, 3, 3)
    assert atrous_conv2d(flat, taps, 2).unique().numel() == 1
    painted = F.conv_transpose2d(flat, taps, stride=2)[..., 4:-4, 4:-4]
    assert painted.unique().tolist() == [1, 2, 4]
    larger = F.interpolate(flat, (30, 30), mode="bilinear")
    assert F.conv2d(larger, taps).unique().numel() == 1


# The head


class HastyASPP(SumASPP):
    """The mistake: it returns inside its loop."""

    def forward(self, x):
        y = self.branches[0](x)
        for branch in self.branches[1:]:
            return y + branch(x)


@pytest.mark.parametrize(("make", "dead"), [(SumASPP, []), (HastyASPP, [2, 3])])
def test_every_branch_has_an_influence(make, dead):
    torch.manual_seed(0)
    pyramid, x = make(8, 3, (1, 2, 3, 4)), torch.randn(1, 8, 9, 9)
    pyramid(x).sum().backward()
    silent = [k for k, branch in enumerate(pyramid.branches) if branch[0].weight.grad is None]
    assert silent == dead


def test_aspp_and_extra_blocks_never_meet():
    parallel = without_weights(DeepLabV3, "resnet18")
    deeper = without_weights(DeepLabV3Cascade, "resnet18")
    for network, has_aspp in ((parallel, True), (deeper, False)):
        assert any(isinstance(module, ASPP) for module in network.modules()) == has_aspp
        assert hasattr(network, "blocks") != has_aspp


# Weights from elsewhere


def test_a_foreign_state_dict_is_refused():
    trained, fresh = small(), small()
    renamed = {f"module.{name}": tensor for name, tensor in trained.state_dict().items()}
    with pytest.raises(RuntimeError, match="Missing key"):
        fresh.load_state_dict(renamed)
    stripped = {name.removeprefix("module."): tensor for name, tensor in renamed.items()}
    fresh.load_state_dict(stripped)


def test_a_conversion_keeps_the_maps():
    """A network with another epsilon, its scales corrected: the same; uncorrected: not."""
    theirs, ours = small().double(), small().double()
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-3
    ours.load_state_dict(theirs.state_dict())
    x = images(1).double()
    with torch.no_grad():
        assert not torch.allclose(ours(x), theirs(x), rtol=0, atol=1e-9)
        for module in ours.modules():
            if isinstance(module, nn.BatchNorm2d):
                variance = module.running_var
                module.weight *= ((variance + module.eps) / (variance + 1e-3)).sqrt()
        assert torch.allclose(ours(x), theirs(x), rtol=0, atol=1e-9)


@pytest.mark.parametrize(("side", "same"), [(33, True), (32, False)])
def test_tensorflow_pads_even_maps_elsewhere(side, same):
    torch.manual_seed(0)
    conv, x = nn.Conv2d(3, 4, 3, 2, 1, bias=False), torch.randn(1, 3, side, side)
    total = max((-(-side // 2) - 1) * 2 + 3 - side, 0)
    padded = F.pad(x, (total // 2, total - total // 2) * 2)
    theirs = F.conv2d(padded, conv.weight, stride=2)
    assert theirs.shape == conv(x).shape
    assert torch.allclose(theirs, conv(x), atol=1e-6) == same


# Training


def test_a_crop_of_void_has_a_loss_of_zero():
    logits = torch.zeros(2, 10, 4, 4, requires_grad=True)
    labels = torch.full((2, 4, 4), 255)
    assert F.cross_entropy(logits, labels, ignore_index=255).isnan()
    assert segmentation_loss([logits], labels) == 0
    labels[1] = 0  # the mean is over the pixels that count, not over the crops
    loss = segmentation_loss([logits], labels)
    assert loss.item() == pytest.approx(np.log(10))
    loss.backward()
    assert logits.grad.isfinite().all()


def test_the_first_step_learns_background_unless_classes_are_weighted():
    labels = torch.from_numpy(Scenes(8, "test").pool()[1]).long()
    count = torch.bincount(labels[labels != 255], minlength=10)
    for weight, raised in ((None, [0]), (count.sum() / count, [])):
        scores = torch.zeros(10, requires_grad=True)
        maps = scores[None, :, None, None].expand(8, 10, 96, 96)
        F.cross_entropy(maps, labels, weight, ignore_index=255).backward()
        assert [c for c in range(10) if scores.grad[c] < -1e-6] == raised


def test_dropout_changes_nothing_at_the_test():
    one, other = small(dropout=0.1), small(dropout=0.5)
    other.load_state_dict(one.state_dict())
    x = images()
    with torch.no_grad():
        assert torch.equal(one.eval()(x), other.eval()(x))
        assert not torch.equal(one.train()(x), other.train()(x))


def test_an_auxiliary_head_is_not_forgotten():
    with_aux, without = small(), small()
    with_aux.aux_classifier = auxiliary_head(with_aux.backbone, 10)
    with pytest.raises(RuntimeError, match="aux_classifier"):
        without.load_state_dict(with_aux.state_dict())
    with pytest.raises(ValueError, match="auxiliary head"):
        ScoreMaps(with_aux, loss="upsampled")
    with pytest.raises(ValueError, match="auxiliary head"):
        train(with_aux, Scenes(4), Recipe(iterations=1, batch_size=2))


# Evaluation


def test_predictions_ignore_company_and_leave_no_trace():
    network, x = small().train(), images(3)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    pairs = [probabilities(network, x[[0, other]])[0] for other in (1, 2)]
    assert torch.allclose(*pairs, atol=1e-6) and network.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    with torch.no_grad():
        pairs = [network(x[[0, other]])[0] for other in (1, 2)]
    assert not torch.allclose(*pairs, atol=1e-6)
    assert not torch.equal(network.backbone.bn1.running_mean, before["backbone.bn1.running_mean"])


# The CRF


def test_the_crf_needs_nothing_compiled():
    image = np.zeros((12, 16, 3), np.uint8)
    image[:, 8:] = 255
    chances = np.full((2, 12, 16), 0.5, np.float32)
    chances[:, 6, 2], chances[:, 6, 13] = (0.9, 0.1), (0.1, 0.9)
    refined = dense_crf(image, chances)
    assert (refined.argmax(0) == (image[..., 0] == 255)).all()


def test_colours_from_0_to_1_are_refused():
    image = torch.rand(1, 3, 8, 8)
    unary = torch.zeros(1, 2, 8, 8)
    with pytest.raises(ValueError, match=r"colours must lie in 0\.\.255"):
        DenseCRF([appearance()])(unary, image)
    DenseCRF([appearance()])(unary, 255 * image)


@pytest.mark.parametrize(("weight", "left"), [(0.5, 24), (3, 0)])
def test_smoothness_deletes_a_wire(weight, left):
    wire = torch.eye(24)
    chance = 0.2 + 0.6 * wire
    unary = unary_from_probabilities(torch.stack([1 - chance, chance]))[None]
    crf = DenseCRF([smoothness(3, weight)], method="exact")
    with torch.no_grad():
        q = crf(-unary, torch.zeros(1, 3, 24, 24, dtype=torch.uint8))
    assert (q[0].argmax(0) * wire).sum() == left


# Where programs disagree


@pytest.mark.parametrize(
    ("options", "side", "same"),
    [
        ({"align_corners": True}, 64, False),
        ({"atrous_rates": (4, 8, 12)}, 64, False),
        ({"dropout": 0.5}, 64, True),
        ({"backbone": {"first_unit": "whole"}}, 64, False),
        ({"backbone": {"style": "slim"}}, 64, False),
        ({"backbone": {"multi_grid": (1, 2)}}, 64, False),
        ({"backbone": {"style": "caffe"}}, 64, False),  # its pool rounds up
        ({"backbone": {"style": "caffe"}}, 65, True),
    ],
)
def test_weights_load_under_every_switch_and_most_answers_change(options, side, same):
    def build(backbone=(), dropout=0.1, **more):
        torch.manual_seed(0)
        narrow = ResNet(depth=18, width=0.1, **dict(backbone))
        more = {"channels": 16, "atrous_rates": (2, 4, 6)} | more
        network = DeepLabV3Plus(narrow, 10, **more)
        network.aspp.project[3].p = dropout
        return network

    base, other = build(), build(**options)
    randomise(base)
    other.load_state_dict(base.state_dict())
    x = images(1, side)
    with torch.no_grad():
        before, after = base(x), other.eval()(x)
    assert before.shape == after.shape
    assert (float((after - before).abs().max() / before.abs().max()) < 1e-5) == same


@pytest.mark.parametrize("name", [one.name for one in NOTEBOOKS if one.number == "14"])
def test_tests_that_the_chapter_names_are_here(name):
    named = re.findall(r"`(test_\w+)`", prose(name))
    assert len(named) == 22 and set(named) <= set(globals())
