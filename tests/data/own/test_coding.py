"""Masks of every usual kind mean the same labels; what is no label is told with count and first."""

import numpy as np
import pytest
from PIL import Image

from dlseg.data import DataError, Folder, labels_from_colours, voc_palette
from dlseg.data.own.coding import Coding, OwnPair, look_at, read_mask
from tests.data.folders import random_image
from tests.data.handmade import png

SHAPE = (6, 9)
COLOURS = ((0, 0, 0), (250, 50, 83), (10, 200, 83))
LABELS = np.random.default_rng(0).permutation(np.arange(54) % 3).reshape(SHAPE).astype(np.uint8)
VOIDED = np.where(np.arange(54).reshape(SHAPE) < 9, 255, LABELS).astype(np.uint8)
OWN, PLAIN = Coding(3, colours=COLOURS), Coding(3)


def paletted(indices: np.ndarray, palette: np.ndarray) -> Image.Image:
    image = Image.fromarray(indices)
    image.putpalette(np.asarray(palette, np.uint8).tobytes())
    return image


def rgba(labels: np.ndarray) -> Image.Image:
    alpha = np.where(labels, 255, 0).astype(np.uint8)[..., None]
    return Image.fromarray(np.concatenate([np.array(COLOURS, np.uint8)[labels], alpha], 2))


# What is saved, the coding, and the labels that it means.
KINDS = {
    "8 bits": (Image.fromarray(VOIDED), PLAIN, VOIDED),
    "16 bits": (Image.fromarray(VOIDED.astype(np.uint16)), PLAIN, VOIDED),
    "32 bits": (Image.fromarray(VOIDED.astype(np.int32)), PLAIN, VOIDED),
    "1 bit": (Image.fromarray(LABELS > 0), Coding(2), (LABELS > 0).astype(np.uint8)),
    "palette": (paletted(VOIDED, voc_palette()), PLAIN, VOIDED),
    "palette whose colours are other classes'": (
        paletted(2 - LABELS, COLOURS[::-1]),
        OWN,
        LABELS,
    ),
    "palette of no classes": (paletted(VOIDED, voc_palette()), OWN, VOIDED),
    "own colours": (Image.fromarray(np.array(COLOURS, np.uint8)[LABELS]), OWN, LABELS),
    "own colours and alpha": (rgba(LABELS), OWN, LABELS),
    "VOC's colours": (Image.fromarray(voc_palette()[VOIDED]), PLAIN, VOIDED),
    "grey in colours": (Image.fromarray(VOIDED).convert("RGB"), PLAIN, VOIDED),
    "grey in colours, with a list": (Image.fromarray(VOIDED).convert("RGB"), OWN, VOIDED),
    "levels of grey": (
        Image.fromarray(LABELS * 100),
        Coding(3, colours=((0, 0, 0), (100, 100, 100), (200, 200, 200))),
        LABELS,
    ),
    "0 and 255": (Image.fromarray((LABELS > 0) * np.uint8(255)), Coding(2, white=255), LABELS > 0),
    "0 and 65535": (
        Image.fromarray((LABELS > 0) * np.uint16(65535)),
        Coding(2, white=65535),
        LABELS > 0,
    ),
    "black and white": (
        Image.fromarray((LABELS > 0) * np.uint8(255)).convert("RGB"),
        Coding(2, white=255),
        LABELS > 0,
    ),
    "void of another number": (Image.fromarray(LABELS), Coding(2, ignore_index=2), LABELS),
    "void within the classes": (Image.fromarray(LABELS), Coding(3, ignore_index=0), LABELS),
    "void with a colour": (
        Image.fromarray(np.array(COLOURS, np.uint8)[LABELS]),
        Coding(2, 7, COLOURS[:2], COLOURS[2]),
        np.where(LABELS == 2, 7, LABELS),
    ),
}


@pytest.mark.parametrize("end", ["png", "tif"])
@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_masks(kind, end, tmp_path):
    image, coding, expected = KINDS[kind]
    path = tmp_path / ("m.tif" if kind == "32 bits" else f"m.{end}")  # a PNG has 16 at most
    image.save(path)
    labels = read_mask(path, coding)
    assert labels.dtype == np.uint8 and np.array_equal(labels, expected)
    counted = OwnPair(path, path, coding.num_classes, coding.ignore_index, coding).count_labels()
    assert counted.mask == SHAPE and not counted.foreign
    assert np.array_equal(counted.counts, np.bincount(labels.ravel(), minlength=256))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_grey_of_few_bits(bits, tmp_path):
    """Of which other readers make 255."""
    top = min(2**bits, 200)
    rows = np.random.default_rng(bits).integers(0, top, SHAPE, dtype=np.uint8)
    rows[0, :2] = 0, top - 1
    (tmp_path / "m.png").write_bytes(png(rows, bits))
    assert np.array_equal(read_mask(tmp_path / "m.png", Coding(top)), rows)


@pytest.mark.parametrize("coding", [Coding(200), Coding(9, 3), Coding(2, white=255), OWN])
@pytest.mark.parametrize("seed", range(4))
def test_a_mask_counted_is_a_mask_read(seed, coding, tmp_path):
    """Whatever it holds: each pixel has the label that its value has when values are counted."""
    rng = np.random.default_rng(seed)
    arrays = [
        rng.integers(0, 256, SHAPE, dtype=np.uint8),
        rng.integers(0, 3, SHAPE).astype(np.uint16) * rng.integers(1, 9999, dtype=np.uint16),
        rng.integers(0, 2, (*SHAPE, 3), dtype=np.uint8) * np.uint8(rng.integers(1, 256)),
        random_image(seed, *SHAPE),
    ]
    for index, array in enumerate(arrays):
        path = tmp_path / f"{index}.png"
        Image.fromarray(array).save(path)
        labels, known = coding.labels(array)
        counted = OwnPair(path, path, 1, coding=coding).count_labels()
        assert np.array_equal(counted.counts, np.bincount(labels[known], minlength=256))
        wrong = [tuple(v) if array.ndim == 3 else v for v in array[~known].tolist()]
        assert counted.foreign == {value: wrong.count(value) for value in wrong}
        if known.all():
            assert np.array_equal(read_mask(path, coding), labels)
        else:
            with pytest.raises(DataError, match=rf"{len(wrong)} (pixels|of 54)"):
                read_mask(path, coding)


def test_colours_as_the_function_of_the_library_has_them():
    palette = np.array([*COLOURS, (1, 2, 3)], np.uint8)
    image = palette[np.random.default_rng(1).integers(0, 4, SHAPE)]
    labels, known = Coding(3, 255, COLOURS, (1, 2, 3)).labels(image)
    ours = labels_from_colours(image, palette)
    assert known.all() and np.array_equal(labels, np.where(ours == 3, 255, ours))


def test_orientation_of_a_mask(tmp_path):
    exif = Image.Exif()
    exif[0x112] = 6
    Image.fromarray(LABELS).save(tmp_path / "m.png", exif=exif)
    assert np.array_equal(read_mask(tmp_path / "m.png", PLAIN), np.rot90(LABELS, -1))
    assert look_at(tmp_path / "m.png").size == SHAPE[::-1]


def test_a_file_that_changed_is_looked_at_again(tmp_path):
    path = tmp_path / "m.png"
    Image.fromarray(LABELS).save(path)
    assert look_at(path) is look_at(path)
    Image.fromarray(np.zeros(SHAPE, np.uint8)).save(path)
    assert look_at(path).values.tolist() == [[0]]


@pytest.mark.parametrize(
    ("image", "coding", "message"),
    [
        (Image.fromarray(LABELS * 9), PLAIN, "holds labels such as 18 in 36 of 54 pixels"),
        (
            Image.fromarray(np.array([[[9, 8, 7], [0, 0, 0]]], np.uint8)),
            OWN,
            r"1 pixels have colours that no class has, the first \(9, 8, 7\); write them into clas",
        ),
        (Image.fromarray(LABELS).convert("CMYK"), OWN, "colours of a kind that is not read"),
    ],
)
def test_what_is_no_label(image, coding, message, tmp_path):
    image.save(tmp_path / "m.tif")
    with pytest.raises(DataError, match=message):
        read_mask(tmp_path / "m.tif", coding)


def test_jpeg_is_no_mask(tmp_path):
    Image.fromarray(LABELS).save(tmp_path / "m.jpg")
    with pytest.raises(DataError, match="the mask is a JPEG file; take the original PNG"):
        read_mask(tmp_path / "m.jpg", PLAIN)


# Which classes there are


def write(root, masks, text=None):
    for index, mask in enumerate(masks):
        for folder, array in (("images", random_image(index)), ("masks", mask)):
            (root / folder).mkdir(exist_ok=True)
            Image.fromarray(array).save(root / folder / f"{index}.png")
    if text is not None:
        (root / "classes.txt").write_text(text)
    return root


BINARY = [(LABELS > 0) * np.uint8(255), np.zeros(SHAPE, np.uint8), (LABELS > 1) * np.uint8(255)]


@pytest.mark.parametrize(
    ("masks", "text", "classes", "highest"),
    [
        (BINARY, None, ("background", "foreground"), 1),
        (BINARY, "no\nyes\n", ("no", "yes"), 1),
        (BINARY, "tumour\n", ("background", "tumour"), 1),
        ([b // 255 for b in BINARY], "tumour 255 0 0\n", ("background", "tumour"), 1),
        ([b * 257 for b in map(np.uint16, BINARY)], None, ("background", "foreground"), 1),
        ([LABELS, VOIDED], None, ("class 0", "class 1", "class 2"), 2),
        ([voc_palette()[VOIDED], LABELS], None, ("class 0", "class 1", "class 2"), 2),
    ],
)
def test_classes_that_follow_from_masks(masks, text, classes, highest, tmp_path):
    write(tmp_path, masks, text)
    for split in ("train", "val"):
        dataset = Folder(tmp_path, split)
        assert dataset.classes == classes and dataset.num_classes == len(classes)
        for name, (_, labels) in zip(dataset.names, dataset, strict=True):
            assert labels[labels != 255].max(initial=0) <= highest
            if highest == 1:
                assert np.array_equal(labels, masks[int(name)] > 0)


def test_255_is_void_where_the_caller_says_so(tmp_path):
    write(tmp_path, BINARY, "no\nyes\n")
    assert Folder(tmp_path, ignore_index=255).coding.white is None


def test_255_is_void_where_one_mask_has_1(tmp_path):
    write(tmp_path, [*BINARY * 4, LABELS // 2], "no\nyes\n")
    assert Folder(tmp_path).coding.white is None


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ([np.zeros(SHAPE, np.uint8)] * 2, "hold label 0 alone, of which no classes follow; label"),
        ([np.full(SHAPE, 300, np.uint16)] * 2, "hold no label at all"),
        (
            [np.array(COLOURS, np.uint8)[LABELS]] * 2,
            r"3 colours, and nothing says of which classes; write classes.txt, a line for each: "
            r"NAME \d+ \d+ \d+, NAME",
        ),
        ([random_image(0, 40, 40)] * 2, "colours, .*; take masks neither resized with smoothing"),
    ],
)
def test_masks_of_which_no_classes_follow(masks, message, tmp_path):
    write(tmp_path, masks)
    with pytest.raises(DataError, match=message):
        Folder(tmp_path)
