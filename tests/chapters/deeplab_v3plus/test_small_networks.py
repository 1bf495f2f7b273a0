"""The small networks whose weights are kept score what their files say, and are small."""

import pytest
import torch

from dlseg.book import find_root
from dlseg.training import evaluate
from support import small_networks


@pytest.mark.parametrize("name", small_networks.NETWORKS)
def test_small_as_promised(name):
    model = small_networks.NETWORKS[name].build()
    assert sum(one.numel() for one in model.parameters()) <= 240_000
    assert (find_root() / small_networks.FOLDER / f"{name}.npz").stat().st_size <= 500_000


@pytest.mark.parametrize("name", small_networks.NETWORKS)
def test_the_kept_weights_score_what_is_told(name):
    """Of all 1,000 scenes nearly every pixel is the same on any processor."""
    about = small_networks.about(name)
    test = small_networks.NETWORKS[name].data(about["test"]["count"], "test")
    found = evaluate(small_networks.load(name), test)
    assert found.mean_iou() == pytest.approx(about["rounded"], abs=2e-4)
    assert found.iou().tolist() == pytest.approx(list(about["iou"].values()), abs=2e-3)
    assert about["rounded"] == pytest.approx(about["mean_iou"], abs=1e-3)


def test_other_rates_leave_the_weights_and_the_network_given_as_they_are():
    model, x = small_networks.load("scenes"), torch.rand(1, 3, 96, 96)
    other = small_networks.with_rates(model, (1, 1, 1))
    with torch.inference_mode():
        assert torch.equal(small_networks.with_rates(model, (2, 4, 6))(x), model(x))
        assert not torch.equal(other(x), model(x))
    pairs = zip(other.state_dict().values(), model.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
