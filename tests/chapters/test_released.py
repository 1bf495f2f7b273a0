"""What chapters show of a trained network on photographs: kept maps, figures, settings."""

import numpy as np
import pytest
import torch
from PIL import Image

from dlseg.data import MASKED, PHOTOGRAPHS, VOC_CLASSES, normalise, photograph, traced
from dlseg.models import DeepLabV3
from dlseg.models.released import AuthorsMobileNetV2
from support import released
from tests.peers import distance


@pytest.fixture(scope="module")
def small() -> DeepLabV3:
    """A network of the released one's kind, with drawn weights."""
    torch.manual_seed(0)
    backbone = AuthorsMobileNetV2(16, width=0.25)
    return DeepLabV3(backbone, atrous_rates=(), channels=8, align_corners=True).eval()


# What is kept


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_every_setting_has_a_map_and_figures_that_fit(name):
    for setting in released.settings():
        found, said = released.committed(name, setting), released.figures(name, setting)
        assert found.shape == photograph(name).shape[:2] and found.max() < len(VOC_CLASSES)
        counted = {VOC_CLASSES[k]: (found == k).mean() for k in np.unique(found)}
        assert said["shares"] == pytest.approx(counted, abs=6e-5)
        assert dict(released.shares(found)) == pytest.approx(counted)
        if name in MASKED and traced(name).any():
            iou, near = released.scores_of(found, name)
            assert (said["iou"], said["band"]) == pytest.approx((iou, near), abs=6e-5)


def test_the_mosaic_holds_four_photographs():
    whole = released.mosaic()
    assert whole.shape == (1025, 1025, 3) == (*released.committed("mosaic", "whole").shape, 3)
    assert released.committed("mosaic", "tiles").shape == whole.shape[:2]
    for place, name in enumerate(released.MOSAIC):
        top, left = (512 * index for index in divmod(place, 2))
        part = whole[top : top + 513, left : left + 513].astype(float)
        side = min(photograph(name).shape[:2])
        high, wide = ((n - side) // 2 for n in photograph(name).shape[:2])
        square = Image.fromarray(photograph(name)[high : high + side, wide : wide + side])
        wanted = np.array(square.resize((513, 513)), float)
        assert np.abs(part - wanted)[9:-9, 9:-9].mean() < 6, name


@pytest.mark.parametrize("name", released.LOOKING)
def test_a_unit_looks_around_itself(name):
    down, across, _ = released.LOOKING[name]
    for what in ("unit", "score"):
        kept = released.kept_looks(name, what)
        assert kept.min() >= 0 and 0.85 < kept.max() <= 1
        rows, columns = np.indices(kept.shape)
        place = down * (kept.shape[0] - 1), across * (kept.shape[1] - 1)
        far = np.hypot(rows - place[0], columns - place[1])
        assert (kept[far < 30] ** 2).mean() > 2 * (kept[far > 100] ** 2).mean()


def test_kept_scores_say_what_the_kept_maps_say():
    """The coarse scores, stretched as the authors do, up to the rounding to half precision."""
    for name in PHOTOGRAPHS:
        for stride in (32, 16):
            x = torch.zeros(1, 3, *photograph(name).shape[:2])
            found = released.stretched(released.scores(name, stride), x).argmax(1)[0].numpy()
            assert (found == released.committed(name, f"os{stride}")).mean() > 0.995


def test_the_runtime_was_compared_on_all():
    for name in PHOTOGRAPHS:
        found = released.runtime(name)
        assert found["sure and same"] and len(found["layers"]) == len(found["steps"]) == 55
        assert found["largest margin of another label"] < 1
        if name != "coffee":
            assert found["same"] > 0.99
    ours, theirs = (released.committed("coffee", how) for how in ("square", "runtime"))
    assert round((ours == theirs).mean(), 4) == released.runtime("coffee")["same"]


# The same with the weights and without


def test_without_weights_nothing_is_computed(monkeypatch):
    monkeypatch.setattr(released, "here", lambda: False)
    monkeypatch.setattr(released, "compute", None)
    assert np.array_equal(released.labels("cat"), released.committed("cat"))


def test_a_spoilt_map_is_noticed_where_the_weights_are(monkeypatch):
    kept = released.committed("cat")
    monkeypatch.setattr(released, "here", lambda: True)
    for wrong, noticed in ((0.001, False), (0.003, True)):
        spoilt = kept.ravel().copy()
        spoilt[: round(wrong * spoilt.size)] += 1
        monkeypatch.setattr(released, "compute", lambda *_, y=spoilt: y.reshape(kept.shape))
        if noticed:
            with pytest.raises(RuntimeError, match=r"cat, os16: 0\.9970.*experiments/photographs"):
                released.labels("cat")
        else:
            assert np.array_equal(released.labels("cat"), kept)


# What can be done with an image


def test_settings_change_what_they_say(small, monkeypatch):
    """Own pool, right numbers and the whole size give the network's own answer."""
    monkeypatch.setattr(released, "network", lambda output_stride=16: small)
    x = normalise(photograph("cat", 129))[None]
    with torch.no_grad():
        logits = small(x)
        right = released.misread(lambda v: v / 128 - 1)(x)
        assert distance(right, logits) < 1e-5
        assert distance(released.with_pool(x, released.pool_of(x)), logits) < 1e-5
        assert distance(released.with_pool(x), logits) > 1e-3
        assert distance(released.scaled(1)(x), logits.softmax(1)) < 1e-5
        for setting in ("smaller", "unaligned", "max", "scale0.5", "raw", "bgr", "imagenet"):
            found = released.SETTINGS[setting](x)
            assert found.shape == logits.shape and distance(found, logits) > 1e-3
