"""pydensecrf's names without pydensecrf: the same script, the same numbers; wrong calls told."""

import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

import dlseg.crf.pydensecrf as dcrf
from dlseg.crf import PRESETS, Kernel, Lattice, dense_crf, features, lattice_mean_field
from tests.crf.toys import coarse_logits, load_pydensecrf, mean_field, photograph, random_case

SCRIPT = Path(__file__).parent / "script_for_pydensecrf.py"
SIZE = (60, 52)
SYMMETRIC = "NORMALIZE_SYMMETRIC"
FORMS = [
    (3, SYMMETRIC),
    (3.0, "NORMALIZE_BEFORE"),
    (np.float32(2), "NORMALIZE_AFTER"),
    (0.05, "NO_NORMALIZATION"),  # messages add up over all pixels
    (np.array([-1, -2, -3, -1.5], np.float32), SYMMETRIC),
    (np.random.default_rng(0).random((4, 4)).astype(np.float32), "NORMALIZE_AFTER"),
]


@pytest.fixture(scope="module")
def case():
    """Photograph (H, W, 3), labels 1..3 with 0 for unknown, probabilities (4, H, W), forms."""
    image = photograph(SIZE)
    p = coarse_logits(image, 4).softmax(1)[0].numpy()
    known = np.random.default_rng(0).random(SIZE) < 0.7
    photo = image[0].permute(1, 2, 0).contiguous().numpy()
    return photo, np.where(known, p[:3].argmax(0) + 1, 0), p, FORMS


@pytest.fixture(scope="module")
def ours(case, tmp_path_factory):
    """What the script finds once its import lines say dlseg.crf.pydensecrf."""
    lines = SCRIPT.read_text(encoding="utf-8").splitlines()
    moved = [line.replace(" pydensecrf.", " dlseg.crf.pydensecrf.") for line in lines]
    changed = [line for line, new in zip(lines, moved, strict=True) if line != new]
    assert len(changed) == 2 and all(line.startswith(("import", "from")) for line in changed)
    script = tmp_path_factory.mktemp("script") / "moved.py"
    script.write_text("\n".join(moved), encoding="utf-8")
    return runpy.run_path(str(script))["run"](*case)


def test_a_script_finds_the_same_after_changing_its_import_lines(case, ours):
    load_pydensecrf()
    theirs = runpy.run_path(str(SCRIPT))["run"](*case)
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        scale = max(1, np.abs(value).max())
        np.testing.assert_allclose(ours[name], value, rtol=0, atol=5e-5 * scale, err_msg=name)
        if "labels" in name:
            np.testing.assert_array_equal(ours[name], value, err_msg=name)
        elif np.ndim(value) == 2 and name != "values":
            np.testing.assert_array_equal(np.argmax(ours[name], 0), np.argmax(value, 0), name)


def test_the_script_does_something(case, ours):
    """Without the peer too: beliefs are sums of 1, differ with the form, and move labels."""
    marked = case[1]
    known = marked > 0
    moved = ours["labels, pixels"] + 1 != marked
    assert 0.01 < moved[known].mean() < 0.2
    found = [ours[f"network {number}"] for number in range(len(FORMS))]
    for number, beliefs in enumerate(found):
        np.testing.assert_allclose(beliefs.sum(0), 1, atol=1e-5)
        assert np.abs(beliefs - ours["alone"]).max() > 0.1
        assert all(np.abs(beliefs - other).max() > 0.01 for other in found[:number])
    np.testing.assert_allclose(ours["alone"], case[2].reshape(4, -1), atol=1e-5)
    np.testing.assert_allclose(ours["steps, pixels"], ours["beliefs, pixels"], atol=1e-4)


def crf_of(p, kernels):
    crf = dcrf.DenseCRF2D(SIZE[1], SIZE[0], len(p))
    crf.setUnaryEnergy(dcrf.unary_from_softmax(p))
    photo = photograph(SIZE)[0].permute(1, 2, 0).numpy()  # not contiguous
    for kernel in kernels:
        if kernel.srgb is None:
            crf.addPairwiseGaussian(kernel.sxy, kernel.weight)
        else:
            crf.addPairwiseBilateral(kernel.sxy, kernel.srgb, photo, kernel.weight)
    return crf


@pytest.mark.parametrize("preset", ["pydensecrf", "deeplab-v2-resnet101"])
def test_the_same_as_the_printed_lattice_and_near_the_module(case, preset):
    photo, _, p, _ = case
    smooth, colour = PRESETS[preset]
    found = crf_of(p, [smooth, colour]).inference(5).reshape(p.shape)
    printed = lattice_mean_field(
        torch.from_numpy(dcrf.unary_from_softmax(p).reshape(p.shape)),
        torch.from_numpy(photo),
        [(k.sxy, k.srgb, k.weight) for k in (smooth, colour)],
        5,
    )
    np.testing.assert_allclose(found, printed, atol=1e-4)
    assert (found.argmax(0) == printed.argmax(0).numpy()).mean() > 0.999
    sizes = colour.sxy, colour.srgb, colour.weight, smooth.sxy, smooth.weight
    module = dense_crf(photo, p, 5, *sizes)
    assert np.abs(found - module).mean() < 0.01
    assert (found.argmax(0) == module.argmax(0)).mean() > 0.99


def test_divergence_by_hand():
    """All pairs of two labels, by loops; the lattice is exact where all points are one."""
    rng = np.random.default_rng(0)
    q, u = rng.random((2, 2, 6)).astype(np.float32)
    q /= q.sum(0)
    crf = dcrf.DenseCRF(6, 2)
    crf.setUnaryEnergy(u)
    crf.addPairwiseEnergy(np.zeros((3, 6)), 2.0)  # k = 1 for all pairs, each row sums up to 6
    expected = (q * (np.log(q) + u)).sum()
    for first in range(6):
        for second in range(6):
            expected -= 2 / 6 * sum(q[label, first] * q[label, second] for label in range(2))
    assert crf.klDivergence(q) == pytest.approx(expected, rel=1e-5)


def test_inference_is_its_steps_and_changes_its_argument_in_place(case):
    crf = crf_of(case[2], PRESETS["pydensecrf"])
    q, first, second = crf.startInference()
    kept = q
    for _ in range(3):
        assert crf.stepInference(q, first, second) is None
    assert q is kept
    np.testing.assert_allclose(q, crf.inference(3), atol=1e-4)
    np.testing.assert_array_equal(crf.startInference()[0], crf.inference(0))


def test_the_exact_crf_is_near():
    """White noise on 6x7 pixels, as the matrices of all pairs have it."""
    unary, image = random_case(dtype=torch.float32)
    kernels = [Kernel(3, None, 2.0), Kernel(9, 60, 3.0)]
    expected = mean_field(unary, image, kernels, 5)[0].flatten(1).numpy()
    crf = dcrf.DenseCRF2D(7, 6, 3)
    crf.setUnaryEnergy(unary[0].flatten(1).numpy())
    crf.addPairwiseGaussian(3, 2)
    crf.addPairwiseBilateral(9, 60, image[0].permute(1, 2, 0).numpy(), 3)
    found = crf.inference(5)
    assert np.abs(found - expected).mean() < 0.05
    assert (found.argmax(0) == expected.argmax(0)).mean() > 0.9


FLAT = np.zeros((2, 20), np.float32)
PHOTO = np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8)


def small():
    crf = dcrf.DenseCRF2D(5, 4, 2)
    crf.setUnaryEnergy(np.random.default_rng(0).random((2, 20)))  # float64
    return crf


def test_what_differs_in_memory_alone_is_taken():
    """pydensecrf refuses float64, arrays that are not contiguous, and read-only ones."""
    energy = np.random.default_rng(0).random((2, 20)).astype(np.float32)
    forms = []
    for change in (np.ascontiguousarray, np.asfortranarray, np.float64):
        crf = dcrf.DenseCRF2D(5, 4, 2)
        given, photo = change(energy.copy()), np.array(PHOTO[:, ::-1][:, ::-1])
        given.flags.writeable = photo.flags.writeable = False
        crf.setUnaryEnergy(given)
        crf.addPairwiseGaussian(sxy=np.array([3, 2]), compat=3)
        crf.addPairwiseBilateral(9, [20, 30, 40], np.asfortranarray(photo), [-2, -3])
        forms.append(crf.inference(3))
    np.testing.assert_array_equal(forms[0], forms[1])
    np.testing.assert_array_equal(forms[0], forms[2])
    crf.setUnaryEnergy(energy)
    energy[:] = 0
    np.testing.assert_array_equal(crf.inference(3), forms[0])  # it keeps a copy


def test_a_label_may_be_ruled_out():
    energy = np.zeros((3, 20))
    energy[0, :4], energy[1] = np.inf, 1
    crf = dcrf.DenseCRF2D(5, 4, 3)
    crf.setUnaryEnergy(energy)
    for compat in (3, np.array([-3, -3, -3])):
        crf.addPairwiseBilateral(9, 60, PHOTO, compat)
        q = crf.inference(3)
        assert np.isfinite(q).all() and (q[0, :4] == 0).all() and (q[0, 4:] > 0).all()
        assert np.isfinite(crf.klDivergence(q))


def test_three_forms_of_the_unary():
    weights, values = np.random.default_rng(0).random((2, 2, 3)), None
    weights, values = weights[0], np.random.default_rng(1).random((3, 20))
    found = []
    for give in (
        lambda crf: crf.setUnary(dcrf.ConstUnary(weights @ values)),
        lambda crf: crf.setUnary(dcrf.LogisticUnary(weights, values)),
        lambda crf: crf.setUnaryEnergy(weights, values),
    ):
        crf = dcrf.DenseCRF(20, 2)
        give(crf)
        found.append(crf.inference(0))
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], atol=1e-6)


@pytest.mark.parametrize("kernel", ["CONST_KERNEL", "DIAG_KERNEL", "FULL_KERNEL", 2])
def test_all_kernel_types_infer_alike(kernel):
    kind = getattr(dcrf, kernel) if isinstance(kernel, str) else kernel
    found = []
    for options in ({"kernel": kind}, {}):
        crf = small()
        crf.addPairwiseGaussian(3, 2, **options)
        found.append(crf.inference(2))
    np.testing.assert_array_equal(*found)


WRONG = {
    "unary turned": (lambda c: c.setUnaryEnergy(FLAT.T), r"\(2, 20\), got \(20, 2\)"),
    "unary of maps": (lambda c: c.setUnaryEnergy(FLAT.reshape(2, 4, 5)), r"reshape\(C, -1\)"),
    "unary of labels": (lambda c: c.setUnaryEnergy(FLAT.astype(int)), "unary must be floats"),
    "unary with NaN": (lambda c: c.setUnaryEnergy(FLAT * np.nan), "got 40 that are NaN"),
    "no label left": (lambda c: c.setUnaryEnergy(FLAT + np.inf), "one of them finite"),
    "-inf": (lambda c: c.setUnaryEnergy(FLAT - np.inf), "one of them finite"),
    "no unary": (lambda c: dcrf.DenseCRF2D(5, 4, 2).inference(1), "call setUnaryEnergy first"),
    "setUnary of an array": (lambda c: c.setUnary(FLAT), "ConstUnary or a Logistic"),
    "logistic": (lambda c: c.setUnaryEnergy(FLAT, FLAT), r"one K, got \(2, 20\) and \(2, 20\)"),
    "one label": (lambda c: dcrf.DenseCRF2D(5, 4, 1), "nlabels must be an integer >= 2"),
    "no width": (lambda c: dcrf.DenseCRF2D(0, 4, 2), "w must be an integer >= 1"),
    "photo turned": (
        lambda c: c.addPairwiseBilateral(9, 9, PHOTO.swapaxes(0, 1), 3),
        r"\(4, 5, 3\), got \(5, 4, 3\) \(width and height exchanged\?\)",
    ),
    "photo of floats": (lambda c: c.addPairwiseBilateral(9, 9, PHOTO / 255, 3), "rgbim .* uint8"),
    "grey photo": (lambda c: c.addPairwiseBilateral(9, 9, PHOTO[..., :1], 3), "uint8"),
    "srgb": (lambda c: c.addPairwiseBilateral(9, (1, 2), PHOTO, 3), "srgb has 2 numbers"),
    "tiny srgb": (lambda c: c.addPairwiseBilateral(9, 1e-3, PHOTO, 3), "srgb is too small"),
    "sxy": (lambda c: c.addPairwiseGaussian(0, 3), "sxy must be above 0"),
    "features turned": (
        lambda c: c.addPairwiseEnergy(FLAT.T, 3),
        r"features must be \(d, npoints\) = \(d, 20\), got \(20, 2\)",
    ),
    "features with NaN": (lambda c: c.addPairwiseEnergy(FLAT * np.nan, 3), "features must be fin"),
    "nine features": (lambda c: c.addPairwiseEnergy(np.zeros((9, 20)), 3), "d in 1..8"),
    "compat of another size": (lambda c: c.addPairwiseGaussian(3, [1, 2, 3]), "3 classes"),
    "no compat": (lambda c: c.addPairwiseGaussian(3, None), "compat must be a number, .* None"),
    "compat with NaN": (lambda c: c.addPairwiseGaussian(3, np.nan), "compat must be .* got nan"),
    "compat of text": (lambda c: c.addPairwiseGaussian(3, "three"), "compat must be .* 'three'"),
    "compat that is no square": (lambda c: c.addPairwiseGaussian(3, FLAT), r"compat .* \(2, 20\)"),
    "normalization": (
        lambda c: c.addPairwiseGaussian(3, 3, normalization="symmetric"),
        "normalization must be one of NO_NORMALIZATION, .*, got 'symmetric'",
    ),
    "kernel": (lambda c: c.addPairwiseGaussian(3, 3, 7), "kernel must be one of CONST_KERNEL"),
    "iterations": (lambda c: c.inference(-1), "niter must be an integer >= 0"),
    "Q of another size": (lambda c: c.klDivergence(FLAT[:, 1:]), r"\(2, 20\), got \(2, 19\)"),
    "Q of float64": (lambda c: c.stepInference(np.zeros((2, 20))), "Q must be as startInference"),
    "marked": (lambda c: dcrf.unary_from_labels(np.array([0, 3]), 2, 0.7), "got 0 to 3"),
    "void": (lambda c: dcrf.unary_from_labels(np.array([0, 255]), 2, 0.7, False), "labels must be"),
    "labels of floats": (lambda c: dcrf.unary_from_labels(FLAT, 2, 0.7), "labels must be integers"),
    "no trust": (lambda c: dcrf.unary_from_labels(FLAT.astype(int), 2, 0.5), "gt_prob must lie"),
    "logits": (lambda c: dcrf.unary_from_softmax(FLAT + 3), r"in 0..1, got 3..3; logits"),
    "softmax with NaN": (lambda c: dcrf.unary_from_softmax(FLAT * np.nan), "in 0..1, got nan"),
    "softmax of labels": (lambda c: dcrf.unary_from_softmax(PHOTO), "sm must be floats"),
    "scale": (lambda c: dcrf.unary_from_softmax(FLAT, scale=2), "scale must be"),
    "sdims": (lambda c: dcrf.create_pairwise_gaussian((1, 2, 3), (4, 5)), "sdims must be .* or 2"),
    "schan": (lambda c: dcrf.create_pairwise_bilateral(3, (1, 2), PHOTO, 2), "schan must be .* 3"),
    "chdim": (lambda c: dcrf.create_pairwise_bilateral(3, 1, PHOTO, 3), "chdim must be an axis"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_wrong_calls_are_told(what):
    call, message = WRONG[what]
    with pytest.raises(ValueError, match=message):
        call(small())


def test_utilities_by_hand():
    known = dcrf.unary_from_labels(np.array([[1, 2], [0, 2]], np.uint8), 2, 0.8)
    expected = [[0.8, 0.2, 0.5, 0.2], [0.2, 0.8, 0.5, 0.8]]
    np.testing.assert_allclose(known, -np.log(expected), rtol=1e-6)
    known = dcrf.unary_from_labels(np.array([1, 0]), 2, 0.8, zero_unsure=False)
    np.testing.assert_allclose(known, -np.log([[0.2, 0.8], [0.8, 0.2]]), rtol=1e-6)
    sm = np.array([[[0.0, 0.25]], [[1.0, 0.75]]])
    found = dcrf.unary_from_softmax(sm, scale=0.5)
    np.testing.assert_allclose(found, -np.log([[0.25, 0.375], [0.75, 0.625]]), rtol=1e-6)
    assert dcrf.unary_from_softmax(sm)[0, 0] == pytest.approx(-np.log(1e-5))
    assert dcrf.unary_from_softmax(sm, clip=None)[0, 0] == np.inf
    found = dcrf.create_pairwise_bilateral((2, 4), (10, 5), np.arange(8).reshape(2, 2, 2), 0)
    expected = [[0, 0, 0.5, 0.5], [0, 0.25, 0, 0.25], [0, 0.1, 0.2, 0.3], [0.8, 1, 1.2, 1.4]]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert found.dtype == known.dtype == np.float32
    volume = dcrf.create_pairwise_bilateral(2, 5, np.zeros((2, 3, 4)))  # no channels
    assert volume.shape == (4, 24)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (lambda: dcrf.compute_unary(np.array([1, 2]), 3), lambda: ([1, 2], 3, 0.5)),
        (lambda: dcrf.softmax_to_unary(FLAT + 0.5), None),
        (lambda: dcrf.softmax_to_unary(FLAT + 0.5, 0.5), None),
    ],
)
def test_old_names_are_told(old, new):
    with pytest.warns(DeprecationWarning, match="is the old name of unary_from_"):
        found = old()
    if new:
        labels, *rest = new()
        np.testing.assert_array_equal(found, dcrf.unary_from_labels(np.array(labels), *rest))
    else:
        np.testing.assert_allclose(found, np.log(2), rtol=1e-6)


@pytest.mark.parametrize("first", [False, True])
def test_points_between_two_simplices_go_to_one_side(first):
    """In the first column x is 0, and two coordinates of the lattice are equal."""
    f = features(torch.zeros(1, 1, *SIZE), Kernel(3))
    lattice = Lattice(f, first_axis=first)
    ones = torch.ones(1, f.shape[1], 1)
    # Weights of one pixel's vertices, which stay a mean whichever way.
    assert torch.allclose(lattice.slice.weights.view(-1, 3).sum(1), ones[0, :, 0])
    assert lattice.size == {False: 473, True: 451}[first]
    y, x = torch.meshgrid(*map(torch.arange, SIZE), indexing="ij")
    near = torch.exp(-((y - 30) ** 2 + (x - 26) ** 2) / 18).flatten()
    middle = 30 * SIZE[1] + 26
    spot = torch.zeros(1, f.shape[1], 1)
    spot[0, middle] = 1
    assert (lattice(spot)[0, :, 0] - near).abs().max() < 0.2
