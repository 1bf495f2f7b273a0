"""Paired transforms: labels stay on their pixels, take no new values, and follow the seed."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dlseg.data.scenes import PALETTE
from dlseg.data.transforms import (
    STD,
    ColourJitter,
    Compose,
    RandomCrop,
    RandomFlip,
    RandomScale,
    RandomScaleCrop,
    resize,
    resize_part,
    to_tensors,
)

CODES = PALETTE[:10]  # a colour per label: an image in them says its own labels
SCALES = st.tuples(st.floats(0.5, 2), st.floats(1, 2)).map(lambda v: RandomScale(v[0], v[0] * v[1]))
CROPS = st.integers(1, 90).map(RandomCrop)
BOTH = st.builds(RandomScaleCrop, SCALES, CROPS)
STEPS = st.one_of(SCALES, CROPS, BOTH, st.just(RandomFlip()))
SIDES = st.integers(1, 60)
FILL = (124, 116, 104)  # 255 times ImageNet's mean


def blocks(height: int, width: int, seed: int = 0, side: int = 9) -> tuple:
    """An image of blocks in the colours of their labels, and the labels."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 10, (-(-height // side), -(-width // side)), dtype=np.uint8)
    label = label.repeat(side, 0).repeat(side, 1)[:height, :width]
    return CODES[label], np.ascontiguousarray(label)


def noise(height: int, width: int) -> tuple:
    rng = np.random.default_rng(0)
    return (
        rng.integers(0, 256, (height, width, 3), dtype=np.uint8),
        rng.integers(0, 10, (height, width), dtype=np.uint8),
    )


def inner(label: np.ndarray, reach: int) -> np.ndarray:
    """Pixels whose neighbours up to `reach` steps away all have their label, and are seen."""
    around = np.lib.stride_tricks.sliding_window_view(
        np.pad(label, reach, constant_values=254), (2 * reach + 1, 2 * reach + 1)
    )
    return (around == label[..., None, None]).all(axis=(2, 3))


@given(SIDES, SIDES, st.lists(STEPS, max_size=4), st.integers(0, 2**32))
@settings(max_examples=150, deadline=None)
def test_wherever_an_image_still_says_a_label_it_is_the_right_one(height, width, steps, seed):
    """After any chain: pixels that are no mixture have the colour of their label, or the fill's."""
    image, label = blocks(height, width, seed)
    known = set(np.unique(label)) | {255}
    image, label = Compose(steps)(image, label, np.random.default_rng(seed))
    assert image.dtype == label.dtype == np.uint8 and image.shape == (*label.shape, 3)
    assert set(np.unique(label)) <= known
    for value in known:
        colour = FILL if value == 255 else CODES[value]
        assert np.all(label[(image == colour).all(axis=2)] == value)
        if not any(isinstance(step, RandomScale | RandomScaleCrop) for step in steps):
            assert np.all(image[label == value] == colour)


@given(st.integers(20, 60), SCALES, st.integers(30, 90), st.integers(0, 2**32))
@settings(max_examples=80, deadline=None)
def test_away_from_boundaries_the_image_says_its_labels(side, scale, size, seed):
    apart = [scale, RandomFlip(), RandomCrop(size), RandomFlip()]
    for chain in (apart, [RandomScaleCrop(scale, RandomCrop(size)), RandomFlip()]):
        image, label = Compose(chain)(*blocks(side, side, seed), np.random.default_rng(seed))
        colours = np.concatenate([CODES, np.tile(np.uint8(FILL), (246, 1))])
        sure = inner(label, 2)
        assert label.shape == (size, size) and sure.any()
        assert np.array_equal(image[sure], colours[label[sure]])


@given(st.integers(8, 60), st.floats(0.5, 2))
@settings(max_examples=100, deadline=None)
def test_image_and_label_agree_on_where_a_pixel_is(side, factor):
    """A ramp, 4 grey values a pixel, against labels that number the pixels: half a pixel apart."""
    label = np.broadcast_to(np.arange(side, dtype=np.uint8), (5, side)).copy()
    image = np.repeat(4 * label[..., None], 3, axis=2)
    image, label = resize(image, label, 5, round(side * factor))
    # At the ends the ramp stops. Grey values are rounded, hence a quarter of a half more.
    middle = (label > 1) & (label < side - 2)
    assert abs(image[..., 0] / 4 - label)[middle].max() <= 0.5 + 0.125


@given(st.integers(1, 60), st.integers(1, 60))
@settings(max_examples=60, deadline=None)
def test_nearest_takes_the_pixel_that_holds_the_centre(old, new):
    label = np.arange(old, dtype=np.uint8)[None]
    image = np.zeros((1, old, 3), np.uint8)
    expected = (2 * np.arange(new) + 1) * old // (2 * new)  # floor((i + 1/2) old / new)
    ties = (2 * np.arange(new) + 1) * old % (2 * new) == 0  # a centre on an edge: either is right
    result = resize(image, label, 1, new)[1][0].astype(int)
    assert np.array_equal(result[~ties], expected[~ties])
    assert np.all((expected - result)[ties] <= 1) and np.all((expected - result)[ties] >= 0)


def resized(image: np.ndarray, label: np.ndarray, height: int, width: int) -> tuple:
    """The definition: Pillow's whole picture, and for each pixel the label under its centre."""
    picture = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
    rows, columns = (
        [math.floor((2 * i + 1) * old / (2 * new)) for i in range(new)]
        for old, new in zip(label.shape, (height, width), strict=True)
    )
    return np.array(picture), label[np.ix_(rows, columns)]


def distance(one: np.ndarray, other: np.ndarray) -> float:
    """The largest difference of two images."""
    return float(np.abs(one.astype(float) - other).max())


def shares(old: int, new: int) -> np.ndarray:
    """The bilinear filter along one side, (new, old): what each old pixel is worth to a new one."""
    centres = (np.arange(new) + 0.5) * old / new
    away = np.abs(np.arange(old) + 0.5 - centres[:, None]) / max(1, old / new)
    weights = np.maximum(0, 1 - away)
    return weights / weights.sum(1, keepdims=True)


ROUNDED = 2  # Pillow rounds twice, along rows and along columns: both may fall another way


SLICES = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted)


def part_of(side: int, ends: list) -> slice:
    start = min(side - 1, int(ends[0] * side))
    return slice(start, max(start + 1, math.ceil(ends[1] * side)))


@given(SIDES, SIDES, st.integers(1, 150), st.integers(1, 150), SLICES, SLICES)
@settings(max_examples=150, deadline=None)
def test_a_part_is_what_is_cut_out_of_the_resized_picture(height, width, high, wide, above, left):
    """Noise of all values: a shift by a hundredth of a pixel would show as two grey values."""
    rows, columns = part_of(high, above), part_of(wide, left)
    pair = noise(height, width)
    image, label = resize_part(*pair, high, wide, rows, columns)
    whole, labels = resized(*pair, high, wide)
    assert np.array_equal(label, labels[rows, columns])
    assert image.dtype == np.uint8 and distance(image, whole[rows, columns]) <= ROUNDED
    down, across = shares(height, high)[rows], shares(width, wide)[columns]
    exact = np.einsum("ih,hwc,jw->ijc", down, pair[0].astype(float), across, optimize=True)
    assert distance(image, exact) <= 0.5 + 0.5 + 0.02
    assert np.array_equal(resize(*pair, high, wide)[0], whole)


@pytest.mark.parametrize("new", [600_000, 29_999, 300, 1])
@pytest.mark.parametrize("place", [0, 0.37, 1])
def test_far_from_the_corner_a_part_is_as_exact(new, place):
    """Where single precision has no quarters of a pixel left for places on the whole side."""
    pair = noise(1, 30_000)
    size = min(new, 64)
    start = int(place * (new - size))
    columns = slice(start, start + size)
    image, label = resize_part(*pair, 1, new, slice(0, 1), columns)
    whole, labels = resized(*pair, 1, new)
    assert np.array_equal(label, labels[:, columns])
    assert distance(image, whole[:, columns]) <= ROUNDED


@given(SIDES, SIDES, SCALES, CROPS, st.integers(0, 2**32))
@settings(max_examples=150, deadline=None)
def test_scale_and_crop_in_one_are_both_in_turn(height, width, scale, crop, seed):
    """The same place, labels and padding; and what is drawn after them is the same, too."""
    first, second = np.random.default_rng(seed), np.random.default_rng(seed)
    pair = noise(height, width)
    image, label = RandomScaleCrop(scale, crop)(*pair, first)
    expected, labels = crop(*scale(*pair, second), second)
    assert np.array_equal(label, labels) and distance(image, expected) <= ROUNDED
    assert first.random() == second.random()


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (9, 1)])
@pytest.mark.parametrize("factor", [0.001, 0.5, 1, 100])
@pytest.mark.parametrize("size", [1, 5, 200])
def test_the_smallest_pictures_and_the_outermost_factors(shape, factor, size):
    pair = noise(*shape)
    steps = RandomScale(factor, factor), RandomCrop(size)
    both = RandomScaleCrop(*steps)(*pair, np.random.default_rng(3))
    apart = Compose(steps)(*pair, np.random.default_rng(3))
    assert np.array_equal(both[1], apart[1]) and distance(both[0], apart[0]) <= ROUNDED
    assert both[0].shape == (size, size, 3)


def test_scale_covers_its_range_on_both_sides_alike():
    rng = np.random.default_rng(0)
    pair = blocks(40, 20)
    sizes = np.array([RandomScale(0.5, 2.0)(*pair, rng)[1].shape for _ in range(400)])
    assert sizes.min(0).tolist() == [20, 10] and sizes.max(0).tolist() == [80, 40]
    assert abs(sizes[:, 0] / 2 - sizes[:, 1]).max() <= 1
    assert abs(sizes[:, 0].mean() / 40 - 1.25) < 0.05  # evenly drawn


def test_a_scale_of_one_changes_nothing():
    image, label = noise(17, 23)
    same = RandomScale(1, 1)(image, label, np.random.default_rng(0))
    assert np.array_equal(same[0], image) and np.array_equal(same[1], label)


def test_a_crop_is_a_part_of_the_picture_and_every_part_comes():
    image, label = noise(7, 6)
    rng = np.random.default_rng(0)
    places = set()
    for _ in range(200):
        part, mask = RandomCrop(4)(image, label, rng)
        result = [
            (y, x)
            for y in range(4)
            for x in range(3)
            if np.array_equal(part, image[y : y + 4, x : x + 4])
            and np.array_equal(mask, label[y : y + 4, x : x + 4])
        ]
        assert len(result) == 1
        places.update(result)
    assert len(places) == 4 * 3


def test_a_small_picture_is_padded_on_any_side():
    image, label = noise(3, 9)
    rng = np.random.default_rng(0)
    rows = set()
    for _ in range(60):
        part, mask = RandomCrop(5, fill=(1, 2, 3))(image, label, rng)
        assert part.shape == (5, 5, 3) and mask.shape == (5, 5)
        outside = mask == 255
        assert outside.sum() == 2 * 5 and np.all(part[outside] == (1, 2, 3))
        rows.add(int(np.flatnonzero(~outside[:, 0])[0]))
        start = next(
            x for x in range(5) if np.array_equal(label[:, x : x + 5], mask[rows_of(mask)])
        )
        assert np.array_equal(part[rows_of(mask)], image[:, start : start + 5])
    assert rows == {0, 1, 2}


def rows_of(mask: np.ndarray) -> np.ndarray:
    return mask[:, 0] != 255


def test_padding_is_nothing_to_a_network():
    image, label = RandomCrop(8)(*noise(1, 1), np.random.default_rng(0))
    x, _ = to_tensors(image, label)
    outside = torch.from_numpy(label == 255)
    assert outside.sum() == 63 and x[:, outside].abs().max() < 0.5 / 255 / min(STD) + 1e-6


def test_flip_mirrors_both_half_of_the_time():
    image, label = noise(5, 8)
    rng = np.random.default_rng(0)
    flipped = 0
    for _ in range(400):
        new_image, new_label = RandomFlip()(image, label, rng)
        mirrored = np.array_equal(new_label, label[:, ::-1])
        step = -1 if mirrored else 1
        assert np.array_equal(new_label, label[:, ::step])
        assert np.array_equal(new_image, image[:, ::step])
        flipped += mirrored
    assert 160 < flipped < 240
    assert np.array_equal(RandomFlip(1)(image, label, rng)[0], image[:, ::-1])
    assert np.array_equal(RandomFlip(0)(image, label, rng)[0], image)


def test_tensors_are_copies_however_arrays_lie_in_memory():
    """Of one pixel NumPy calls any order contiguous; torch takes no negative step."""
    image, label = noise(1, 1)
    wanted, _ = to_tensors(image.copy(), label)
    for array in (image, image[:, ::-1], image[::-1], image[..., ::-1][..., ::-1]):
        array.flags.writeable = False
        x, y = to_tensors(array, label[::-1])
        assert torch.equal(x, wanted) and y.tolist() == label.tolist()
    flipped = RandomFlip(1)(image, label, np.random.default_rng(0))
    assert all(torch.from_numpy(array).numel() for array in flipped)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_colour_leaves_labels_and_stays_within_its_factors(bright, contrast, colour, seed):
    image, label = blocks(12, 12, seed)
    rng = np.random.default_rng(seed)
    new, same = ColourJitter(bright, contrast, colour)(image, label, rng)
    assert np.array_equal(same, label) and new.dtype == np.uint8 and new.shape == image.shape


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_colour_is_brightness_then_saturation_then_contrast(bright, contrast, colour, seed):
    """One after the other in double precision, rounded at the end."""
    image, label = noise(9, 13)
    b, c, s = (
        rng.uniform(1 - a, 1 + a)
        for rng in [np.random.default_rng(seed)]
        for a in (bright, contrast, colour)
    )
    x = image * b
    grey = (x @ [0.299, 0.587, 0.114])[..., None]
    x = grey + s * (x - grey)
    x = np.clip(grey.mean() + c * (x - grey.mean()), 0, 255)
    jitter = ColourJitter(bright, contrast, colour)
    new, _ = jitter(image, label, np.random.default_rng(seed))
    assert np.abs(new - x).max() <= 0.5 + 1e-3


def test_no_jitter_is_no_change_and_each_factor_does_its_own():
    image, label = noise(30, 30)
    image = image // 3 + 80  # far from black and white, so that nothing is cut off

    def changed(**factors) -> np.ndarray:
        jitter = ColourJitter(**{"brightness": 0, "contrast": 0, "saturation": 0, **factors})
        return jitter(image, label, np.random.default_rng(1))[0].astype(float)

    assert np.array_equal(changed(), image)
    grey = [0.299, 0.587, 0.114]
    ratio = changed(brightness=0.3) / image
    assert ratio.std() < 0.01 and abs(ratio.mean() - 1) > 0.005
    contrast = changed(contrast=0.3)
    assert abs((contrast @ grey).mean() - (image @ grey).mean()) < 0.5
    assert abs((contrast @ grey).std() / (image @ grey).std() - 1) > 0.05
    saturation = changed(saturation=0.3)
    assert abs(saturation @ grey - image @ grey).max() < 1
    assert abs(np.ptp(saturation, axis=2).mean() / np.ptp(image, axis=2).mean() - 1) > 0.02


def test_a_chain_follows_its_seed():
    both = RandomScaleCrop(RandomScale(), RandomCrop(24))
    chain = Compose([RandomScale(), both, RandomFlip(), ColourJitter()])
    image, label = noise(30, 20)
    kept = image.copy(), label.copy()
    once, again, other = (chain(image, label, np.random.default_rng(s)) for s in (5, 5, 6))
    assert all(np.array_equal(a, b) for a, b in zip(once, again, strict=True))
    assert not np.array_equal(once[0], other[0])
    assert np.array_equal(image, kept[0]) and np.array_equal(label, kept[1])  # left alone


def test_to_tensors():
    image, label = noise(4, 6)
    label[0, 0] = 255
    x, y = to_tensors(image, label)
    assert x.shape == (3, 4, 6) and x.dtype == torch.float32 and x.is_contiguous()
    assert y.shape == (4, 6) and y.dtype == torch.int64 and y[0, 0] == 255
    # ImageNet's, as every published backbone expects them: torchvision's models, "transforms".
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    expected = (image[3, 5] / 255 - mean) / std
    assert np.allclose(x[:, 3, 5].numpy(), expected, atol=1e-6)
    assert np.array_equal(y.numpy(), label)
    plain, _ = to_tensors(image, label, mean=np.zeros(3), std=np.ones(3))
    assert plain.dtype == torch.float32
    assert np.array_equal((plain * 255).round().byte().permute(1, 2, 0).numpy(), image)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RandomScale(0, 1), r"low and high must be positive numbers .* got \(0, 1\)$"),
        (lambda: RandomScale(2, 1), "low <= high, got low=2, high=1"),
        (lambda: RandomScale(1, float("nan")), r"low and high must be .* got \(1, nan\)$"),
        (
            lambda: RandomScale(1, 1e300),
            r"low and high must be .* up to 100, .* got \(1, 1e\+300\)$",
        ),
        (lambda: RandomCrop(2**40), "size must be an integer <= 1048576, got"),
        (lambda: RandomCrop(0), "size must be an integer >= 1, got 0"),
        (lambda: RandomFlip(1.5), r"probability must be in \[0, 1\], got 1.5"),
        (lambda: ColourJitter(contrast=-0.1), r"contrast must be in \[0, 1\], got -0.1"),
    ],
)
def test_bad_settings(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    "transform",
    [
        RandomScale(),
        RandomCrop(3),
        RandomScaleCrop(RandomScale(), RandomCrop(3)),
        RandomFlip(),
        ColourJitter(),
    ],
    ids=repr,
)
def test_a_pair_that_is_none(transform):
    image, label = noise(4, 5)
    rng = np.random.default_rng(0)
    wrong = [
        (image, label.T),
        (image[..., 0], label),
        (image.astype(np.float32), label),
        (image, label.astype(np.int64)),
        (image.transpose(2, 0, 1), label),
    ]
    for pair in wrong:
        with pytest.raises(ValueError, match=r"expected an image, uint8 \(H, W, 3\), and a label"):
            transform(*pair, rng)
