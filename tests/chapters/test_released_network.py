"""What the kept maps of photographs come from: the trained network, and what is done with it.

What needs the trained weights is skipped where they are not at hand. The rest takes a small network
of the same kind with drawn weights.
"""

import numpy as np
import pytest
import torch
from PIL import Image

from dlseg.data import MASKED, PHOTOGRAPHS, normalise, photograph, traced, voc_palette
from dlseg.fetch import SEED, at_hand
from dlseg.metrics import ConfusionMatrix
from dlseg.models import RELEASED, DeepLabV3
from dlseg.models.released import AuthorsMobileNetV2
from support import released
from tests.peers import distance

STRIDES = (32, 16, 8, 4)


@pytest.fixture
def weights():
    """Skips where the trained weights are not at hand."""
    pytest.importorskip("tflite", reason="tflite is not installed: pip install -e '.[read]'")
    file = RELEASED[released.NAME].weights.file
    if at_hand(file) is None:
        pytest.skip(f"{file} is not at hand: dlseg fetch {released.NAME}")


@pytest.fixture(scope="module")
def small() -> dict[int, DeepLabV3]:
    """A small network at every output stride, of the same drawn weights."""
    torch.manual_seed(0)
    first = drawn(16)
    made = pytest.MonkeyPatch()
    made.setattr(released, "released_network", lambda _name, stride: drawn(stride, first))
    found = {stride: released.network.__wrapped__(stride) for stride in STRIDES}
    made.undo()
    return found


def drawn(output_stride: int, like: DeepLabV3 | None = None) -> DeepLabV3:
    backbone = AuthorsMobileNetV2(output_stride, width=0.25)
    model = DeepLabV3(backbone, 21, atrous_rates=(), channels=8, align_corners=True).eval()
    if like is not None:
        model.load_state_dict(like.state_dict())
    return model


def picture(side: int = 129) -> torch.Tensor:
    return normalise(photograph("cat", side))[None]


# At other output strides


@pytest.mark.parametrize("stride", STRIDES[1:])
def test_half_the_stride_holds_the_map_at_every_second_unit(small, stride):
    with torch.no_grad():
        coarse, fine = (small[s].backbone(picture()).last for s in (2 * stride, stride))
    assert coarse.shape[2] == -(-fine.shape[2] // 2) > 1
    assert distance(fine[:, :, ::2, ::2], coarse) < 1e-5
    assert small[stride].output_stride == stride


def test_so_do_the_scores_where_the_pooled_vector_is_the_same(small, monkeypatch):
    x, found = picture(), {}
    monkeypatch.setattr(released, "stretched", lambda scores, _x: scores)
    for stride in (8, 4):
        monkeypatch.setattr(released, "network", lambda model=small[stride]: model)
        with torch.no_grad():
            found[stride] = released.with_pool(x, torch.full((1, 8, 1, 1), 0.3))
    assert distance(found[4][:, :, ::2, ::2], found[8]) < 1e-5


def test_the_trained_network_too(weights):
    x = picture()
    with torch.no_grad():
        coarse, fine = (released.network(stride).backbone(x).last for stride in (8, 4))
        assert distance(fine[:, :, ::2, ::2], coarse) < 1e-5
        own = released.with_pool(x, released.pool_of(x))
        assert distance(own, released.network()(x)) < 1e-5
        right = released.misread(lambda v: v / 128 - 1)(x)
        assert distance(right, released.at(16)(x)) < 1e-4


# What is done with an image


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_colours_come_back(name):
    found = released.colours(released.image(name))[0].permute(1, 2, 0)
    assert np.array_equal(found.numpy(), photograph(name))


@pytest.mark.parametrize("setting", [s for s in released.SETTINGS if s != "half"])
def test_every_setting_gives_scores_of_each_pixel(small, monkeypatch, setting):
    monkeypatch.setattr(released, "network", lambda stride=16: small[stride])
    x = picture(65)
    with torch.no_grad():
        found = released.SETTINGS[setting](x)
    assert found.shape == (1, 21, *x.shape[2:]) and found.isfinite().all()
    if setting.startswith(("scale", "max")):
        assert found.amin() >= 0 and found.amax() <= 1


def test_the_wrong_numbers_are_the_wrong_numbers(small, monkeypatch):
    """What reaches MobileNetV2 itself behind the authors' range."""
    seen = []
    small[16].backbone.features[0].register_forward_pre_hook(
        lambda _m, given: seen.append(given[0])
    )
    monkeypatch.setattr(released, "network", lambda stride=16: small[stride])
    x, colours = picture(65), released.colours(picture(65))
    wanted = {
        "bgr": colours.flip(1) / 128 - 1,
        "zero-to-one": colours / 255,
        "imagenet": x,
        "raw": colours,
    }
    with torch.no_grad():
        for setting in wanted:
            released.SETTINGS[setting](x)
    for found, numbers in zip(seen, wanted.values(), strict=True):
        assert (found - numbers).abs().max() < 2e-3


def test_a_gradient_by_moving_pixels(small, monkeypatch):
    """The derivative of a unit's sum, along a random change of the image."""
    double = drawn(16, small[16]).double()
    x = normalise(photograph("camera", 65))[None].double()
    monkeypatch.setattr(released, "network", lambda: double)
    monkeypatch.setattr(released, "image", lambda _name: x.clone())
    found = released.looks("camera", "unit")
    last = double.backbone(x).last
    row, column = (round(p * (n - 1)) for p, n in zip((0.35, 0.3), last.shape[2:], strict=True))
    moved = torch.zeros_like(x)
    for down, across in ((20, 20), (24, 12), (30, 40)):
        gradient = 0.0
        for channel in range(3):
            moved.zero_()[0, channel, down, across] = 1e-5
            with torch.no_grad():
                both = [
                    double.backbone(x + s * moved).last[0, :, row, column].sum() for s in (1, -1)
                ]
            gradient += abs(both[0] - both[1]).item() / 2e-5
        assert found[down, across] == pytest.approx(gradient, rel=1e-4, abs=1e-9)


# What is kept


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_maps_are_pictures_in_the_colours_of_pascal_voc(name):
    for setting in released.settings():
        with Image.open(released.path(name, setting)) as file:
            assert file.mode == "P"
            palette = np.array(file.getpalette(), np.uint8).reshape(-1, 3)
        assert np.array_equal(palette, voc_palette()[: len(palette)]), setting


def test_figures_are_kept_of_every_map_and_of_no_other():
    files = {path.stem for path in released.path("cat", "os16").parent.glob("*.png")}
    wanted = {f"{name}-{setting}" for name in PHOTOGRAPHS for setting in released.settings()}
    assert wanted <= files
    for name in PHOTOGRAPHS:
        keys = {*released.figures(name)} - {"seconds", "shares"}
        assert keys == ({"iou", "band"} if name in released.CLASSED else set())
    assert set(released.CLASSED) < set(MASKED)


@pytest.mark.parametrize("name", released.CLASSED)
def test_iou_by_a_confusion_matrix(name):
    """In every setting, as networks are evaluated."""
    truth = traced(name)
    label = int(truth[truth != 255].max())
    for setting in released.settings():
        matrix = ConfusionMatrix(21, ignore_index=255)
        matrix.update(truth, released.committed(name, setting))
        iou = matrix.iou()[label].item()
        assert released.figures(name, setting)["iou"] == pytest.approx(iou, abs=6e-5)
    said = released.figures(name)
    found = released.scores_of(released.committed(name), name)
    assert (said["iou"], said["band"]) == pytest.approx(found, abs=6e-5)


@pytest.mark.parametrize("seed", range(3))
def test_scores_of_a_small_map_by_plain_loops(monkeypatch, seed):
    truth, sharp, found = made(seed)
    monkeypatch.setattr(released, "traced", lambda _name, rim=2: truth if rim else sharp)
    iou, near = released.scores_of(found, "cat")
    assert (iou, near) == pytest.approx((counted_iou(found, truth), counted_band(found, sharp)))
    assert 0.3 < iou < 0.95 and 0.3 < near < 0.95


def made(seed: int) -> tuple[np.ndarray, ...]:
    """A mask with a rim of void and a spot of it, the mask without the rim, and what was found."""
    rng, rows = np.random.default_rng(seed), np.arange(24)[:, None]
    sharp = np.where((rows > 6) & (np.arange(30) > 9), 8, 0).astype(np.uint8)
    sharp[14:17, 20:24] = 255
    truth = sharp.copy()
    truth[5:9, 8:] = truth[5:, 8:12] = 255
    found = np.where(sharp == 8, 8, 0).astype(np.uint8)
    found[rng.random(found.shape) < 0.3] = 5
    return truth, sharp, found


def counted_iou(found: np.ndarray, truth: np.ndarray) -> float:
    pairs = [(f, t) for f, t in zip(found.flat, truth.flat, strict=True) if t != 255]
    return pairs.count((8, 8)) / sum(8 in pair for pair in pairs)


def counted_band(found: np.ndarray, sharp: np.ndarray) -> float:
    """Of pixels that are not void, those at most 4 from one with another class beside it."""
    edge = [
        (row, column)
        for row, column in np.ndindex(sharp.shape)
        for down, across in ((0, 1), (1, 0), (0, -1), (-1, 0))
        if 0 <= row + down < sharp.shape[0]
        and 0 <= column + across < sharp.shape[1]
        and {sharp[row, column], sharp[row + down, column + across]} == {0, 8}
    ]
    near = [
        (row, column)
        for row, column in np.ndindex(sharp.shape)
        if sharp[row, column] != 255
        and any((row - i) ** 2 + (column - j) ** 2 <= 16 for i, j in edge)
    ]
    return sum(found[place] == sharp[place] for place in near) / len(near)


@pytest.mark.parametrize("stride", [32, 16])
@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_kept_scores_have_a_unit_every_stride(name, stride):
    sides = photograph(name).shape[:2]
    found = released.scores(name, stride)
    assert found.shape == (1, 21, *(-(-side // stride) for side in sides))
    assert found.dtype == torch.float32


@pytest.mark.parametrize("name", released.LOOKING)
def test_a_kept_field_has_every_second_pixel(name):
    for what in ("unit", "score"):
        field = released.kept_looks(name, what)
        assert field.shape == tuple((side + 1) // 2 for side in photograph(name).shape[:2])
        assert field.min() >= 0 and field.max() <= 1


# The network against what is kept


def test_weights_are_here_where_a_folder_has_them(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv(SEED, "")
    assert not released.here()
    (tmp_path / RELEASED[released.NAME].weights.file).touch()
    monkeypatch.setenv(SEED, str(tmp_path))
    assert released.here()


def test_a_spoilt_map_is_told_apart(weights, monkeypatch):
    kept = released.committed("hopper", "os32")
    assert np.array_equal(released.labels("hopper", "os32"), kept)
    spoilt = kept.copy()
    spoilt[:8] = 20
    monkeypatch.setattr(released, "committed", lambda _name, _setting: spoilt)
    words = r"hopper, os32: 0\.98\d\d of .*; run: python assets/experiments/photographs\.py"
    with pytest.raises(RuntimeError, match=words):
        released.labels("hopper", "os32")


@pytest.mark.parametrize("setting", ["os32", "smaller", "unaligned", "scale0.5", "pool-horse"])
def test_the_network_gives_what_is_kept(weights, setting):
    found = released.compute("cat", setting)
    assert (found == released.committed("cat", setting)).mean() > released.SAME


def test_it_gives_the_kept_scores_and_fields(weights):
    with torch.no_grad():
        found = released.network(32).scores(released.image("cat"))
    assert distance(released.scores("cat", 32), found) < 1e-3  # half precision
    for what in ("unit", "score"):
        field = released.looks("cat", what)
        root = np.sqrt(field / field.max())[::2, ::2]
        assert np.abs(root - released.kept_looks("cat", what)).mean() < 1e-3


@pytest.mark.nightly
def test_it_labels_the_mosaic_as_is_kept(weights):
    for how, found in released.mosaic_labels().items():
        assert (found == released.committed("mosaic", how)).mean() > released.SAME
