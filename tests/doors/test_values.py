"""What came through one door and not through its twin, each with its right value."""

from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

from dlseg.commands.main import main
from dlseg.crf import DenseCRF, Kernel, appearance, iou_score, smoothness
from dlseg.crf.fast.filtering import METHODS
from dlseg.data import RandomCrop
from dlseg.doors import check_finite, logits_of
from dlseg.inference import export_onnx, onnx_differences, prepare, probabilities
from dlseg.inspect import cost, gradient_support, receptive_field
from dlseg.metrics import ConfusionMatrix, TrimapCurve, band
from dlseg.training import Recipe, TrainingPictures, evaluate, segmentation_loss


class Data:
    """Pictures of three classes whose label 2 counts nowhere."""

    classes, num_classes, ignore_index = ("a", "b", "void"), 3, 2

    def __len__(self):
        return 2

    def __getitem__(self, index):
        rng = np.random.default_rng(index)
        return rng.integers(0, 256, (9, 8, 3), np.uint8), rng.integers(0, 3, (9, 8), np.uint8)


class OutAndAux(nn.Module):
    """Returns what torchvision's networks return."""

    def __init__(self, classes: int = 3):
        super().__init__()
        self.conv = nn.Conv2d(3, classes, 1)

    def forward(self, x):
        return OrderedDict(out=self.conv(x), aux=self.conv(x) + 1)


def test_an_ignored_class_enters_no_mean_though_it_is_predicted():
    labels, predictions = np.array([[0, 1, 1, 2]]), np.array([[0, 1, 0, 2]])
    matrix = ConfusionMatrix(3, ignore_index=0)
    matrix.update(labels, predictions)
    assert matrix.mean_iou() == pytest.approx((1 / 2 + 1) / 2)
    assert torch.isnan(matrix.iou()[0]) and matrix.mean_accuracy() == pytest.approx(0.75)
    curve = TrimapCurve([9], 3, ignore_index=0)
    curve.update(labels, predictions)
    assert curve.mean_iou()[9] == pytest.approx(0.75)
    logits = 9 * nn.functional.one_hot(torch.from_numpy(predictions)).movedim(-1, 0).float()
    image = torch.zeros(3, 1, 4, dtype=torch.uint8)
    score = iou_score([(logits, image, torch.from_numpy(labels))], 0, ignore_index=0)
    assert score([smoothness()]) == pytest.approx(0.75)


def test_matrices_of_other_void_are_not_merged():
    with pytest.raises(ValueError, match="void 255 and 0"):
        ConfusionMatrix(3).merge(ConfusionMatrix(3, 0))


def test_the_data_set_says_which_label_counts_nowhere():
    data, model = Data(), OutAndAux()
    matrix = evaluate(model, data)
    assert matrix.ignore_index == 2 and not matrix.matrix[2].any()
    assert matrix.matrix.sum() == sum(int((data[i][1] != 2).sum()) for i in range(2))
    recipe = Recipe(iterations=1, batch_size=2, crop_size=16, scale=(1, 1))
    _, crop = TrainingPictures(data, recipe)[0]
    assert set(crop.unique().tolist()) == {0, 1, 2}  # what lies outside is 2 as well
    assert (crop == 2).sum() >= 16 * 16 - 9 * 8
    logits, labels = torch.randn(1, 3, 2, 2), torch.tensor([[[0, 2], [2, 2]]])
    expected = nn.functional.cross_entropy(logits[..., 0, 0], labels[..., 0, 0])
    torch.testing.assert_close(segmentation_loss((logits,), labels, ignore_index=2), expected)
    assert (RandomCrop(4, ignore_index=7)(*data[0], np.random.default_rng(0))[1] < 3).all()


def test_other_classes_are_not_scored():
    with pytest.raises(ValueError, match="the model has 10 classes and the data set 3"):
        evaluate(OutAndAux(10), Data())


def test_the_command_names_both_lists_of_classes(tmp_path, monkeypatch, capsys):
    from dlseg.data import registry
    from dlseg.training import load_checkpoint, save_checkpoint

    monkeypatch.setattr(registry, "TRAIN_SCENES", 2)
    monkeypatch.setattr(registry, "VALIDATION_SCENES", 1)
    monkeypatch.setenv("DLSEG_DEVICE", "cpu")  # commands set it
    monkeypatch.chdir(tmp_path)
    words = ["--width", "0.05", "--iterations", "1", "--batch-size", "2", "--crop-size", "64"]
    assert main(["train", *words, "--workers", "0", "--device", "cpu"]) == 0
    last = tmp_path / "runs/1/last.pt"
    options = ["evaluate", str(last), "--device", "cpu", "--workers", "0"]
    assert main(options) == 0
    entries = load_checkpoint(last)
    entries.pop("version")
    entries["extra"]["classes"][3] = "cow"
    save_checkpoint(last, entries)
    capsys.readouterr()
    assert main(options) == 2
    assert "1 of 10 names differ, the first 'cow'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ({"aux": torch.zeros(1, 2, 3, 3)}, "got dict of aux"),
        (None, "got NoneType"),
        (torch.zeros(1, 2, 3), r"got torch.float32 \(1, 2, 3\)"),
        ((torch.zeros(1, 2, 3), 1), r"got tuple with torch.float32 \(1, 2, 3\)"),
        (torch.zeros(1, 2, 3, 3).long(), "got torch.int64"),
        (torch.full((1, 2, 3, 3), torch.nan), "logits must be finite, got 18 values .* 18 of them"),
        (np.zeros((1, 2, 3, 3)), "got float64"),
    ],
)
def test_what_are_no_logits(output, message):
    with pytest.raises(ValueError, match=message):
        logits_of(output)


def test_a_sum_that_overflows_is_no_infinity():
    check_finite("x", torch.full((9, 9), 6e4, dtype=torch.half))
    with pytest.raises(ValueError, match="x must be finite, got 1 values"):
        check_finite("x", torch.tensor([1, torch.inf]))


def test_a_dictionary_is_predicted_prepared_and_exported(tmp_path):
    model, images = OutAndAux().eval(), torch.randn(1, 3, 8, 9)
    expected = model.conv(images).softmax(1)
    torch.testing.assert_close(probabilities(model, images), expected.detach())
    torch.testing.assert_close(prepare(model, images)(images)["out"].softmax(1), expected.detach())
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    export_onnx(model, tmp_path / "net.onnx")
    found = onnx_differences(model, tmp_path / "net.onnx", [(1, 3, 8, 9)])
    assert found[1, 3, 8, 9].relative < 1e-5
    with pytest.raises(ValueError, match=r"torch.float32 and the model torch.float64"):
        export_onnx(OutAndAux().double(), tmp_path / "other.onnx")


def grey_case():
    """A grey picture of two halves, and probabilities of which a quarter is wrong."""
    generator = torch.Generator().manual_seed(0)
    image = torch.zeros(1, 1, 24, 36)
    image[..., 18:] = 255
    true = (torch.arange(36) >= 18).expand(24, 36)
    right = torch.where(true, 0.6, 0.4)[None, None]
    flipped = torch.rand(1, 1, 24, 36, generator=generator) < 0.25
    p = torch.where(flipped, 1 - right, right)
    return image, torch.cat([1 - p, p], 1).log(), true


@pytest.mark.parametrize("method", METHODS)
def test_a_grey_image_in_0_to_1_is_refused_and_in_0_to_255_it_is_right(method):
    image, logits, true = grey_case()
    crf = DenseCRF([appearance(), smoothness()], method=method)
    assert (crf(logits, image)[0].argmax(0) == true).float().mean() > 0.99
    with pytest.raises(ValueError, match="multiply it by 255 if it is in"):
        crf(logits, image / 255)
    with pytest.raises(ValueError, match="give background and foreground"):
        crf(logits[:, :1], image)
    with pytest.raises(ValueError, match="srgb is too small: the image runs over"):
        DenseCRF([Kernel(3, 1e-9)], method=method)(logits, image)
    with pytest.raises(ValueError, match="sxy is too small: the image runs over"):
        DenseCRF([Kernel(1e-9)], method=method)(logits, image)
    with pytest.raises(ValueError, match="must be float32 or float64, got"):
        crf(logits.half(), image)


def test_the_exact_method_is_exact_for_a_small_sigma():
    """In float32 the squares of far features would lose what the differences are made of."""
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (1, 3, 9, 8), generator=generator, dtype=torch.uint8)
    logits = torch.randn(1, 3, 9, 8, generator=generator)
    crf = DenseCRF([Kernel(3, 0.05)], 2, method="exact")
    torch.testing.assert_close(
        crf(logits, image), crf(logits.double(), image).float(), rtol=1e-4, atol=1e-5
    )


def test_numpy_integers_do_not_overflow():
    mask = torch.zeros(40, 40, dtype=torch.bool)
    mask[20, 20] = True
    assert torch.equal(band(mask, np.int8(12)), band(mask, 12))  # 12 x 12 is no int8


def test_convolutions_of_other_dimensions_are_followed_and_other_channels_refused():
    model = nn.Sequential(nn.Conv1d(1, 1, 3), nn.Conv1d(1, 1, 3, dilation=2))
    assert receptive_field(model, (1, 100)).size == cost(model, (1, 100)).field == 7
    assert gradient_support(model, (1, 100)).mask.sum() == 7
    for call in (receptive_field, cost, gradient_support):
        with pytest.raises(ValueError, match=r"shape \(1, 2, 100\): .*channel"):
            call(model, (2, 100))
        with pytest.raises(ValueError, match=r"shape \(1, 5, 9, 9\): .*channel"):
            call(nn.Conv2d(3, 2, 3), (5, 9, 9))
    flat = nn.Sequential(nn.Conv2d(1, 1, (1, 3)), nn.Conv2d(1, 1, (1, 3), dilation=(1, 2)))
    assert receptive_field(flat, (1, 100)).size == (1, 7)
