"""Images and masks: what comes back, and every fault named with its remedy."""

import io
import os
import pickle
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dlseg import data
from dlseg.data.faults import DataError, printable
from dlseg.data.files import Pair, read_label, write_bands, write_image, write_label
from dlseg.data.palette import CITYSCAPES_PALETTE, labels_from_colours, voc_palette
from dlseg.data.pictures import read_image
from tests.data.folders import random_image, random_labels, save_palette_png
from tests.data.handmade import png


def refusal(call, path) -> str:
    """The message of the DataError; it names the file and has a remedy."""
    with pytest.raises(DataError) as caught:
        call()
    fault = caught.value.fault
    assert fault.path == path and fault.serious and fault.problem and fault.remedy
    assert str(caught.value) == f"{path}: {fault.problem}; {fault.remedy}"
    return str(caught.value)


# Colours


# The first 21 colours of Pascal VOC and its void colour, as its own tools write them.
VOC_COLOURS = """
0 0 0, 128 0 0, 0 128 0, 128 128 0, 0 0 128, 128 0 128, 0 128 128, 128 128 128, 64 0 0, 192 0 0,
64 128 0, 192 128 0, 64 0 128, 192 0 128, 64 128 128, 192 128 128, 0 64 0, 128 64 0, 0 192 0,
128 192 0, 0 64 128"""


def test_voc_palette_is_that_of_its_tools():
    expected = [[int(value) for value in colour.split()] for colour in VOC_COLOURS.split(",")]
    assert voc_palette()[:21].tolist() == expected
    assert voc_palette()[255].tolist() == [224, 224, 192]


def test_voc_palette_has_a_colour_for_every_label():
    assert len({tuple(colour) for colour in voc_palette().tolist()}) == 256


def test_cityscapes_palette():
    assert CITYSCAPES_PALETTE.shape == (256, 3) and CITYSCAPES_PALETTE.dtype == np.uint8
    assert not CITYSCAPES_PALETTE[19:].any()


@pytest.mark.parametrize("palette", [voc_palette(), CITYSCAPES_PALETTE], ids=["voc", "cityscapes"])
def test_colours_lead_back_to_labels(palette):
    label = random_labels(0, 18)
    label[0] = 255
    assert np.array_equal(labels_from_colours(palette[label], palette), label)


def test_foreign_colours():
    mask = voc_palette()[random_labels(0, 20)]
    mask[2, 3] = (1, 2, 3)
    with pytest.raises(ValueError, match=r"1 pixels have colours .* the first \(1, 2, 3\); take"):
        labels_from_colours(mask, voc_palette())
    with pytest.raises(ValueError, match=r"uint8 \(H, W, 3\), got float64 \(6, 9, 3\)"):
        labels_from_colours(mask / 255, voc_palette())


# Round trips


@pytest.mark.parametrize("palette", [None, voc_palette()], ids=["grey", "palette"])
def test_labels_survive_saving(tmp_path, palette):
    label = np.arange(256, dtype=np.uint8).reshape(8, 32)
    write_label(tmp_path / "a.png", label, palette)
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == ("L" if palette is None else "P")
        colours = np.array(image.convert("RGB"))
    read = read_label(tmp_path / "a.png", 256)
    assert np.array_equal(read, label) and read.dtype == np.uint8 and read.flags.writeable
    expected = np.stack([label] * 3, axis=-1) if palette is None else palette[label]
    assert np.array_equal(colours, expected)
    assert os.listdir(tmp_path) == ["a.png"]


def test_written_as_pillow_writes(tmp_path):
    label = random_labels(0, 20)
    save_palette_png(tmp_path / "theirs.png", label)
    write_label(tmp_path / "ours.png", label, voc_palette())
    assert (tmp_path / "ours.png").read_bytes() == (tmp_path / "theirs.png").read_bytes()


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_short_palettes_are_read_as_indices(tmp_path, bits):
    label = random_labels(0, 2**bits - 1)
    image = Image.fromarray(label)
    image.putpalette(voc_palette().tobytes())
    image.save(tmp_path / "a.png", bits=bits)
    assert (tmp_path / "a.png").read_bytes()[24] == bits
    assert np.array_equal(read_label(tmp_path / "a.png", 21), label)


def test_write_label_refuses_other_arrays(tmp_path):
    with pytest.raises(ValueError, match=r"uint8 \(H, W\), got int64 \(6, 9\)"):
        write_label(tmp_path / "a.png", random_labels(0, 20).astype(np.int64))
    with pytest.raises(ValueError, match=r"uint8 \(H, W\), got uint8 \(6, 0\)"):
        write_label(tmp_path / "a.png", random_labels(0, 20)[:, :0])
    with pytest.raises(ValueError, match=r"palette must be uint8 \(256, 3\), got complex64 \("):
        write_label(tmp_path / "a.png", random_labels(0, 20), voc_palette().astype("c8"))
    image = random_image(0)
    for other in (image.astype(bool), image[:, :0], image[..., 0], image.tolist(), None):
        with pytest.raises(ValueError, match=r"image must be uint8 \(H, W, 3\), got"):
            write_image(tmp_path / "a.png", other)
    assert os.listdir(tmp_path) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        write_label(tmp_path / "file" / "a.png", random_labels(0, 20))


def test_images_survive_saving(tmp_path):
    for shape in ((6, 9), (1, 1), (1500, 1000)):  # the last in two bands
        write_image(tmp_path / "a.png", random_image(0, *shape))
        with Image.open(tmp_path / "a.png") as image:
            assert image.mode == "RGB" and np.array_equal(np.array(image), random_image(0, *shape))
    assert os.listdir(tmp_path) == ["a.png"]


def test_images_are_packed_as_well_as_pillow_packs_them(tmp_path):
    smooth = np.array(Image.fromarray(random_image(0)).resize((300, 200), Image.Resampling.BICUBIC))
    write_image(tmp_path / "ours.png", smooth)
    Image.fromarray(smooth).save(tmp_path / "theirs.png")
    ours, theirs = ((tmp_path / f"{name}.png").stat().st_size for name in ("ours", "theirs"))
    assert ours < 1.3 * theirs


def test_an_interrupted_write_leaves_the_old_file(tmp_path):
    def bands():
        yield random_image(1)
        raise OSError("disk full")

    write_image(tmp_path / "x.png", random_image(0))
    with pytest.raises(OSError, match="disk full"):
        write_bands(tmp_path / "x.png", 12, 9, bands())
    assert [path.name for path in tmp_path.iterdir()] == ["x.png"]
    assert np.array_equal(read_image(tmp_path / "x.png"), random_image(0))


# Faults


def test_missing_and_unreadable(tmp_path):
    path = tmp_path / "a.png"
    for read in (read_image, lambda path: read_label(path, 21)):
        assert "there is no such file; look for it" in refusal(lambda: read(path), path)  # noqa: B023
    assert "is a folder; name a file in it" in refusal(lambda: read_image(tmp_path), tmp_path)
    write_image(tmp_path / "a.jpg", random_image(0))
    assert "name a.jpg, which is there" in refusal(lambda: read_image(path), path)


def test_other_causes_of_an_unreadable_file(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    for error, words in (
        (PermissionError(13, "Permission denied"), "you may not read it; .* chmod u"),
        (OSError(5, "Input/output error"), "cannot be read: Input/output error; copy it to ano"),
    ):
        monkeypatch.setattr(type(path), "open", Mock(side_effect=error))
        with pytest.raises(DataError, match=words):
            read_image(path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_a_file_that_one_may_not_read(tmp_path):
    path = tmp_path / "a.png"
    write_image(path, random_image(0))
    path.chmod(0)
    assert "chmod u+r" in refusal(lambda: read_image(path), path)
    path.chmod(0o400)
    assert read_image(path).shape == (6, 9, 3)


COLOURS = np.array([[0, 0, 0], [200, 0, 0], [0, 200, 50]], np.uint8)


@pytest.mark.parametrize("kind", ["RGB", "RGBA", "deep"])
def test_mask_in_colours(tmp_path, kind):
    path, label, new = tmp_path / "a.png", random_labels(0, 2), tmp_path / "new.png"
    if kind == "deep":
        path.write_bytes(png(COLOURS[label].astype(np.uint16) * 257, 16))
    else:
        Image.fromarray(COLOURS[label]).convert(kind).save(path)
    message = refusal(lambda: read_label(path, 21), path)
    assert "no image of class indices (Pillow's mode RGB" in message
    read = "read_image(OLD, white=65535)" if kind == "deep" else "read_image(OLD)"
    assert f"write_label(NEW, labels_from_colours({read}, COLOURS)) of dlseg.data" in message
    words = {"NEW": new, "OLD": path, "COLOURS": COLOURS}
    exec(
        "write_label(NEW, " + message.partition("write_label(NEW, ")[2].partition(" of ")[0],
        vars(data) | words,
    )
    assert np.array_equal(read_label(new, 21), label)


@pytest.mark.parametrize("kind", ["RGB", "RGBA", "LA"])
def test_grey_mask_saved_in_colours(tmp_path, kind):
    path, new = tmp_path / "a.png", tmp_path / "new.png"
    Image.fromarray(random_labels(0, 20)).convert(kind).save(path)
    message = refusal(lambda: read_label(path, 21), path)
    assert f"is grey, but saved in colours (Pillow's mode {kind})" in message
    assert "write_label(NEW, read_image(OLD)[..., 0])" in message
    write_label(new, read_image(path)[..., 0])
    assert np.array_equal(read_label(new, 21), random_labels(0, 20))


def test_masks_of_other_depths_hold_the_same_labels(tmp_path):
    """Pillow shows the 1 of four bits as 17, and of one bit as 255: both are other labels."""
    for bits in (1, 2, 4, 8, 16):
        label = random_labels(0, min(20, 2**bits - 1))
        (tmp_path / "a.png").write_bytes(png(label, bits))
        found = read_label(tmp_path / "a.png", 21)
        assert found.dtype == np.uint8 and np.array_equal(found, label)
    label = random_labels(0, 20)
    for kind in (np.uint8, np.uint16, np.int32, np.float32):
        Image.fromarray(label.astype(kind)).save(tmp_path / "a.tif")
        found = read_label(tmp_path / "a.tif", 21)
        assert found.dtype == np.uint8 and np.array_equal(found, label)
    Image.fromarray(label > 9).save(tmp_path / "b.png")
    assert np.array_equal(read_label(tmp_path / "b.png", 21), label > 9)


@pytest.mark.parametrize(
    ("values", "shown"),
    [(np.uint16([[3, 300]]), "300"), (np.int32([[-1, 3]]), "-1"), (np.float32([[0.5, 3]]), "0.5")],
)
def test_values_of_deep_masks_that_are_no_labels(tmp_path, values, shown):
    path = tmp_path / "a.tif"
    Image.fromarray(values).save(path)
    message = refusal(lambda: read_label(path, 21), path)
    assert f"holds the labels {shown} in 1 of 2 pixels; labels must be 0 to 20 or 255" in message


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_mask_in_a_format_that_changes_labels(tmp_path, kind):
    path = tmp_path / "a.png"
    Image.fromarray(random_labels(0, 20)).save(path, format=kind)
    message = refusal(lambda: read_label(path, 21), path)
    assert f"the mask is a {kind} file; take the original PNG: {kind} changes labels" in message


def test_labels_out_of_range(tmp_path):
    path = tmp_path / "a.png"
    label = random_labels(0, 1)
    label[1, :3] = (40, 80, 120)
    write_label(path, label)
    message = refusal(lambda: read_label(path, 21), path)
    assert (
        "holds the labels 40, 80, 120 in 3 of 54 pixels; labels must be 0 to 20 or 255" in message
    )
    assert np.array_equal(read_label(path, 121), label)
    write_label(path, np.arange(54, dtype=np.uint8).reshape(6, 9))
    assert "labels 21, 22, 23, 24, 25, ... in 33" in refusal(lambda: read_label(path, 21), path)


def test_ignored_labels(tmp_path):
    path = tmp_path / "a.png"
    write_label(path, np.full((2, 2), 255, dtype=np.uint8))
    assert (read_label(path, 21) == 255).all()
    message = refusal(lambda: read_label(path, 21, ignore_index=None), path)
    assert "must be 0 to 20:" in message
    message = refusal(lambda: read_label(path, 21, ignore_index=0), path)
    assert "must be 0 to 20 or 0:" in message


@pytest.fixture(scope="module")
def sound() -> dict[str, bytes]:
    """The files of an image and of a mask, large enough that their data are not all header."""
    files = {}
    for kind, image in (("JPEG", random_image(0, 40, 40)), ("PNG", random_labels(0, 20))):
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, format=kind)
        files[kind] = buffer.getvalue()
    return files


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_truncated_files(tmp_path, sound, kind):
    path = tmp_path / "a"
    content = sound[kind]
    last = len(content) - {"JPEG": 2, "PNG": 4}[kind]  # the end of an empty last part may lack
    for length in {*range(0, last, 7), last - 1}:
        path.write_bytes(content[:length])
        message = refusal(lambda: read_image(path), path)
        assert "is damaged" in message or "is empty" in message or "is neither JPEG" in message


@settings(max_examples=150, deadline=None)
@given(draw=st.data())
def test_damaged_bytes_give_an_image_or_a_fault(tmp_path_factory, sound, draw):
    """Never another error, and from a PNG never other labels; JPEG has no checksum."""
    kind = draw.draw(st.sampled_from(["JPEG", "PNG"]))
    content = bytearray(sound[kind])
    for _ in range(draw.draw(st.integers(1, 4))):
        content[draw.draw(st.integers(0, len(content) - 1))] = draw.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(content)
    for read in (read_image, lambda path: read_label(path, 21)):
        try:
            array = read(path)
        except DataError as error:
            assert error.fault.path == path
        else:
            expected = random_labels(0, 20)
            expected = expected if array.ndim == 2 else np.stack([expected] * 3, axis=-1)
            assert kind == "JPEG" or np.array_equal(array, expected)


def test_one_wrong_bit_in_a_mask(tmp_path, sound):
    path = tmp_path / "a.png"
    content = bytearray(sound["PNG"])
    content[50] ^= 1
    path.write_bytes(content)
    assert "is damaged" in refusal(lambda: read_label(path, 21), path)


def test_pair_of_two_sizes(tmp_path):
    Image.fromarray(random_image(0)).save(tmp_path / "a.jpg")
    write_label(tmp_path / "a.png", random_labels(0, 20)[:, 1:])
    pair = Pair(tmp_path / "a.jpg", tmp_path / "a.png", 21)
    message = refusal(pair.read, tmp_path / "a.png")
    assert "6 x 8 pixels (height x width), its image 6 x 9; " in message
    assert str(tmp_path / "a.jpg") in message


def test_pair_of_which_one_is_turned(tmp_path):
    image = Image.fromarray(random_image(0))
    exif = image.getexif()
    exif[274] = 6
    image.save(tmp_path / "a.jpg", exif=exif)
    write_label(tmp_path / "a.png", random_labels(0, 20))
    pair = Pair(tmp_path / "a.jpg", tmp_path / "a.png", 21)
    message = refusal(pair.read, tmp_path / "a.png")
    assert "its image 9 x 6 as its orientation (EXIF) turns it; turn the mask" in message
    write_label(tmp_path / "a.png", np.rot90(random_labels(0, 20), -1).copy())
    assert pair.read()[1].shape == (9, 6)


def test_a_name_that_cannot_be_printed_is_told_on_one_line(tmp_path):
    for name in ("a\nb.png", os.fsdecode(b"a\xff.png")):
        with pytest.raises(DataError) as caught:
            read_image(tmp_path / name)
        assert str(caught.value).isprintable() and "there is no such file" in str(caught.value)
    assert printable("ü/a b.png") == "ü/a b.png"


def test_faults_travel_between_processes(tmp_path):
    with pytest.raises(DataError) as caught:
        read_image(tmp_path / "a.png")
    copy = pickle.loads(pickle.dumps(caught.value))
    assert copy.fault == caught.value.fault and str(copy) == str(caught.value)
