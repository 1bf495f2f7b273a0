"""DenseCRF as a module: three updates with one result, the proof of trimming, training."""

import math

import pytest
import torch
from torch.func import functional_call

from dlseg.crf.dense import DenseCRF
from dlseg.crf.fast import updates
from dlseg.crf.fast.filtering import build_filter
from dlseg.crf.fast.updates import PairUpdate, ProductUpdate, SoftmaxUpdate, trimmed
from dlseg.crf.kernels import Kernel, appearance, smoothness
from tests.crf.toys import coarse_logits, mean_field, photograph, random_case

KERNELS = (smoothness(2, 1.5), appearance(20, 60, 4))


def quiet_labels(dead=-9.0, seed=0):
    """A photograph and logits of 5 labels, of which the last two are improbable everywhere."""
    image = photograph((40, 44))
    logits = coarse_logits(image, 5, seed).double()
    logits[:, 3:] = dead + 0.5 * logits[:, 3:]
    return image, logits


@pytest.mark.parametrize("self_term", [True, False])
@pytest.mark.parametrize("classes", [2, 3, 7])
@torch.no_grad()
def test_every_update_is_the_softmax(classes, self_term):
    logits, image = random_case(batch=2, classes=classes)
    crf = DenseCRF(KERNELS, 4, self_term=self_term, trim=0).double()
    quick = crf.prepare(logits, image)
    assert isinstance(quick, PairUpdate if classes == 2 else ProductUpdate)
    slow = SoftmaxUpdate(logits, quick.filters, list(crf.weights))
    for _ in range(4):
        quick.step()
        slow.step()
        torch.testing.assert_close(quick.result(), slow.result())


@pytest.mark.parametrize(
    ("weight", "why"),
    [(-1.0, "negative"), ((1.0, 2, 3), "per class"), (50.0, "messages too large for exp")],
)
@torch.no_grad()
def test_the_softmax_takes_over_where_the_product_may_not(weight, why):
    logits, image = random_case(classes=3)
    crf = DenseCRF([appearance(20, 60, weight)], 3, "none").double()
    assert isinstance(crf.prepare(logits, image), SoftmaxUpdate), why
    exact = DenseCRF([appearance(20, 60, weight)], 3, "none", method="exact").double()
    q = exact(logits, image)
    expected = mean_field(-logits, image, exact.kernels, 3, "none")
    torch.testing.assert_close(q, expected, rtol=0, atol=1e-6)


def test_a_graph_calls_for_the_softmax():
    logits, image = random_case(classes=3)
    crf = DenseCRF(KERNELS)
    assert isinstance(crf.prepare(logits, image), SoftmaxUpdate)
    crf.requires_grad_(False)
    assert isinstance(crf.prepare(logits, image), ProductUpdate)
    assert isinstance(crf.prepare(logits.requires_grad_(), image), SoftmaxUpdate)


@torch.no_grad()
def test_the_bound_of_trimming_holds_for_messages_and_for_one_iteration():
    image, logits = quiet_labels()
    whole = DenseCRF(KERNELS, trim=0).double().prepare(logits, image)
    short = DenseCRF(KERNELS).double().prepare(logits, image)
    assert short.labels.tolist() == [0, 1, 2]
    ones = torch.ones(1, 40 * 44, 1, dtype=torch.float64)
    s = updates.messages(whole.filters, whole.weights, ones).max().item()
    t = logits.softmax(1).amax((0, 2, 3))[3:].tolist()
    mu = [smaller_root(s * largest) for largest in t]
    bound = sum(largest * math.expm1(root) for largest, root in zip(t, mu, strict=True))
    assert 0 < bound <= 0.01  # so it is at every pixel
    for _ in range(10):
        message = updates.messages(whole.filters, whole.weights, whole.q)[0, :, 3:].amax(0)
        for measured, root in zip(message.tolist(), mu, strict=True):
            assert 0 < measured <= root
        # One iteration from the same Q: the total variation at every pixel.
        short.q = whole.q[..., :3].contiguous()
        whole.step()
        short.step()
        distance = (whole.result() - short.result()).abs().sum(1).max().item() / 2
        assert 0 < distance <= bound


def smaller_root(slope):
    """mu of mu = slope exp(mu), by halving."""
    low, high = 0.0, 1.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if slope * math.exp(middle) > middle else (low, middle)
    return high


@torch.no_grad()
def test_trimmed_runs_end_where_whole_runs_do():
    image, logits = quiet_labels()
    whole = DenseCRF(KERNELS, trim=0).double()(logits, image)
    short = DenseCRF(KERNELS).double()(logits, image)
    assert 0 < (whole - short).abs().max() < 1e-3
    assert torch.equal(whole.argmax(1), short.argmax(1))
    torch.testing.assert_close(short.sum(1), torch.ones_like(short[:, 0]))


@torch.no_grad()
def test_every_image_is_trimmed_alone():
    image, logits = quiet_labels()
    images = torch.cat([image, image])
    both = torch.cat([logits, logits.roll(2, 1)])  # labels 3 and 4 live in the second image
    crf = DenseCRF(KERNELS).double()
    assert crf.prepare(both, images).labels.tolist() == [0, 1, 2, 3, 4]
    together = crf(both, images)
    for one in (0, 1):
        alone = crf(both[one : one + 1], images[one : one + 1])
        torch.testing.assert_close(together[one], alone[0])


def test_the_least_probable_are_trimmed_first_and_never_all():
    p = torch.tensor([0.9, 1e-4, 2e-3, 0.5, 1e-3]).view(1, 5, 1, 1)  # as if at one pixel
    strong = torch.tensor([10.0])
    # t (exp(mu) - 1) is about s t^2: 1e-7, 4e-5, 1e-5
    assert trimmed(p, strong, 2e-5).tolist() == [[False, True, False, False, True]]
    assert trimmed(p, strong, 1e-4).tolist() == [[False, True, True, False, True]]
    assert not trimmed(p, strong, 0.0).any()
    assert trimmed(p, torch.zeros(1), 0.5).sum() == 4
    assert not trimmed(p[:, 3:4], strong, 0.9).any()


def test_labels_that_are_improbable_at_different_pixels_do_not_add_up():
    """Fifty labels of at most 0.01, first each at a pixel of its own, then all at one pixel."""
    p = torch.zeros(1, 51, 1, 50)
    p[0, 1:, 0] = 0.01 * torch.eye(50)
    strong = torch.tensor([10.0])
    p[0, 0] = 1 - p[0, 1:].sum(0)
    assert trimmed(p, strong, 0.002).tolist() == [[False] + 50 * [True]]
    p[0, 1:, 0, 7] = 0.01
    p[0, 0] = 1 - p[0, 1:].sum(0)
    assert trimmed(p, strong, 0.002).sum() == 1


@pytest.mark.parametrize(
    "weight", [2.0, (1.0, 2.0, 0.5), [[0, 1, 2], [2, 0, 1], [1, 1, 0]]], ids=str
)
def test_gradients_to_unaries_weights_and_compatibility(weight):
    logits, image = random_case(classes=3, size=(2, 3))
    crf = DenseCRF([smoothness(2, weight), appearance(20, 60, weight)], 2).double()
    names = [name for name, _ in crf.named_parameters()]

    def q(logits, *weights):
        return functional_call(crf, dict(zip(names, weights, strict=True)), (logits, image))

    assert torch.autograd.gradcheck(q, (logits.requires_grad_(), *crf.parameters()))


def test_it_trains():
    """Labels that like their own kind, found from a noisy image by the gradient alone."""
    image = photograph((24, 24))
    logits = coarse_logits(image, 3).double()
    target = DenseCRF([appearance(30, 30, 6)], 3).double()(logits, image).argmax(1)
    crf = DenseCRF([smoothness(2, torch.zeros(3)), appearance(30, 30, torch.zeros(3, 3))], 3)
    crf = crf.double()
    optimiser = torch.optim.Adam(crf.parameters(), lr=0.3)
    losses = []
    for _ in range(15):
        loss = torch.nn.functional.nll_loss((crf(logits, image) + 1e-9).log(), target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    right = [(q.argmax(1) == target).double().mean() for q in (logits, crf(logits, image))]
    assert right[1] > right[0]


def test_logits_and_probabilities_are_two_forms_of_one_thing():
    logits, image = random_case(classes=4)
    for grad in (False, True):
        with torch.set_grad_enabled(grad):
            a = DenseCRF(KERNELS, trim=0).double()(logits, image)
            crf = DenseCRF(KERNELS, inputs="probabilities", trim=0).double()
            torch.testing.assert_close(crf(logits.softmax(1), image), a)
    certain = torch.zeros(1, 4, 6, 7).index_fill_(1, torch.tensor(2), 1.0)
    assert torch.equal(crf.float()(certain, image).round(), certain)


@torch.no_grad()
def test_steps_are_the_softmax_and_then_every_iteration():
    logits, image = random_case(classes=3)
    steps = list(DenseCRF(KERNELS, 3).steps(logits, image))
    torch.testing.assert_close(steps[0], logits.softmax(1))
    for count, q in enumerate(steps):
        torch.testing.assert_close(DenseCRF(KERNELS, count)(logits, image), q)


@torch.no_grad()
def test_bridges_help_where_colours_are_narrow():
    """The mean over three places; DeepLab v2's kernels."""
    kernels = (smoothness(1, 3), appearance(67, 3, 4))
    errors = {"lattice": 0.0, "bridged": 0.0}
    for top, left in ((0, 0), (100, 60), (150, 150)):
        image = photograph((300, 256))[:, :, top : top + 40, left : left + 40].contiguous()
        logits = coarse_logits(image, 5)
        exact = DenseCRF(kernels, method="exact")(logits, image)
        for method in errors:
            q = DenseCRF(kernels, method=method)(logits, image)
            errors[method] += (q - exact).abs().mean().item()
    assert errors["bridged"] < 0.7 * errors["lattice"]


@torch.no_grad()
def test_150_labels_all_alive():
    image = photograph((30, 31))
    logits = coarse_logits(image, 150)
    fast, exact = (DenseCRF(KERNELS, 2, method=how)(logits, image) for how in ("lattice", "exact"))
    assert fast.shape == (1, 150, 30, 31)
    torch.testing.assert_close(fast, exact, rtol=0, atol=0.02)


@torch.no_grad()
def test_any_feature_image_and_one_sigma_per_channel():
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(1, 4, 12, 13, generator=generator).cumsum(2).cumsum(3)
    logits = torch.randn(1, 3, 12, 13, generator=generator)
    kernel = Kernel((6, 9), (4.0, 5.0, 6.0, 7.0), 2.0)
    fast, exact = (DenseCRF([kernel], 3, method=how)(logits, image) for how in ("lattice", "exact"))
    assert (fast - exact).abs().mean() < 0.02
    other = DenseCRF([Kernel((9, 6), (4.0, 5.0, 6.0, 7.0), 2.0)], 3)(logits, image)
    assert (fast - other).abs().mean() > 1e-3


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"kernels": []}, "kernels must be a list of one or more Kernel"),
        ({"kernels": [(3, 13, 10)]}, "kernels must be a list of one or more Kernel"),
        ({"inputs": "scores"}, "inputs must be one of logits, probabilities, got 'scores'"),
        ({"method": "fast"}, "method must be one of lattice, bridged, exact, got 'fast'"),
        ({"iterations": 2.5}, "iterations must be an integer >= 0"),
        ({"trim": 1.0}, "trim must be at least 0 and below 1, got 1.0"),
        ({"normalization": "both"}, "normalization must be one of"),
    ],
)
def test_modules_that_cannot_be(arguments, text):
    with pytest.raises(ValueError, match=text):
        DenseCRF(**{"kernels": KERNELS, **arguments})


def test_probabilities_that_are_none_and_weights_of_other_classes():
    logits, image = random_case(classes=3)
    crf = DenseCRF(KERNELS, inputs="probabilities")
    with pytest.raises(ValueError, match="logits need a softmax first"):
        crf(logits, image)
    negative = logits.softmax(1)
    negative[0, :, 0, 0] = torch.tensor([-0.1, 0.6, 0.5])
    with pytest.raises(ValueError, match="at least 0"):
        crf(negative, image)
    with pytest.raises(ValueError, match="weight has 2 classes, the unary has 3"):
        DenseCRF([smoothness(3, (1.0, 2.0))])(logits, image)


def test_the_filters_of_a_batch_are_built_once(monkeypatch):
    logits, image = random_case(classes=3)
    built = []
    monkeypatch.setattr(
        "dlseg.crf.dense.build_filter", lambda *options: built.append(1) or build_filter(*options)
    )
    DenseCRF(KERNELS, 5)(logits, image)
    assert len(built) == 2
