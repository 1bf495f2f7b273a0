"""Images and masks: what comes back, and every fault named with its remedy."""

import io
import os
import pickle
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dlseg.data.files import DataError, Pair, read_image, read_label, write_label
from dlseg.data.palette import CITYSCAPES_PALETTE, labels_from_colours, voc_palette
from tests.data.folders import random_image, random_labels, save_palette_png


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
VOC_COLOURS = """0 0 0, 128 0 0, 0 128 0, 128 128 0, 0 0 128, 128 0 128, 0 128 128, 128 128 128, 64 0 0,
192 0 0, 64 128 0, 192 128 0, 64 0 128, 192 0 128, 64 128 128, 192 128 128, 0 64 0, 128 64 0,
0 192 0, 128 192 0, 0 64 128"""


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
    with pytest.raises(FileNotFoundError):
        write_label(tmp_path / "absent" / "a.png", random_labels(0, 20))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "CMYK"])
def test_images_come_as_rgb(tmp_path, mode):
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    saved = Image.fromarray(random_image(0)).convert(mode)
    saved.save(path)
    image = read_image(path)
    assert image.shape == (6, 9, 3) and image.dtype == np.uint8 and image.flags.writeable
    if mode != "CMYK":  # JPEG keeps no exact values
        assert np.array_equal(image, np.array(saved.convert("RGB")))


# Faults


def test_missing_and_unreadable(tmp_path):
    path = tmp_path / "a.png"
    for read in (read_image, lambda path: read_label(path, 21)):
        assert "there is no such file; unpack" in refusal(lambda: read(path), path)  # noqa: B023
    assert "cannot be read: Is a directory" in refusal(lambda: read_image(tmp_path), tmp_path)


def test_rgb_mask_given_as_indices(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(voc_palette()[random_labels(0, 20)]).save(path)
    message = refusal(lambda: read_label(path, 21), path)
    assert "no image of class indices (Pillow's mode RGB)" in message
    assert "labels_from_colours" in message
    # The remedy helps.
    write_label(path, labels_from_colours(read_image(path), voc_palette()), voc_palette())
    assert np.array_equal(read_label(path, 21), random_labels(0, 20))


@pytest.mark.parametrize("mode", ["1", "LA", "RGBA", "I;16"])
def test_other_modes_of_masks(tmp_path, mode):
    path = tmp_path / "a.png"
    Image.new(mode, (9, 6)).save(path)
    assert f"Pillow's mode {mode})" in refusal(lambda: read_label(path, 21), path)


def test_mask_as_jpeg(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(random_labels(0, 20)).save(path, format="JPEG")
    assert "JPEG has changed the labels" in refusal(lambda: read_label(path, 21), path)


def test_grey_mask_of_few_bits(tmp_path):
    """Pillow reads the 1 of four bits as 17, which is a class too: a silent error."""
    path = tmp_path / "a.png"
    image = Image.fromarray(np.ones((4, 4), dtype=np.uint8))
    image.putpalette(bytes(48))
    image.save(path, bits=4)
    content = bytearray(path.read_bytes())
    content[25] = 0  # colour type: grey instead of palette
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    path.write_bytes(content)
    with Image.open(path) as image:
        assert image.mode == "L" and image.getpixel((0, 0)) == 17
    assert "grey with 4 bits per pixel" in refusal(lambda: read_label(path, 21), path)


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


def test_deep_images(tmp_path):
    path = tmp_path / "a.png"
    Image.new("I;16", (9, 6)).save(path)
    assert "more than 8 bits per channel" in refusal(lambda: read_image(path), path)


@pytest.mark.parametrize("content", [b"", b"text", b"GIF89a" + bytes(20), b"\x89PNG\r\n\x1a\n"])
def test_no_image(tmp_path, content):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    message = refusal(lambda: read_image(path), path)
    assert "neither JPEG nor PNG" in message or "is damaged" in message


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
        assert "is damaged" in message or "neither JPEG nor PNG" in message


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damaged_bytes_give_an_image_or_a_fault(tmp_path_factory, sound, data):
    """Never another error, and from a PNG never other labels; JPEG has no checksum."""
    kind = data.draw(st.sampled_from(["JPEG", "PNG"]))
    content = bytearray(sound[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
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


def test_bomb(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    Image.fromarray(random_image(0)).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)  # Pillow refuses from twice as many on
    assert "is damaged: Image size (54 pixels)" in refusal(lambda: read_image(path), path)


def test_pair_of_two_sizes(tmp_path):
    Image.fromarray(random_image(0)).save(tmp_path / "a.jpg")
    write_label(tmp_path / "a.png", random_labels(0, 20)[:, 1:])
    pair = Pair(tmp_path / "a.jpg", tmp_path / "a.png", 21)
    message = refusal(pair.read, tmp_path / "a.png")
    assert "6 x 8 pixels (height x width), its image 6 x 9; " in message
    assert str(tmp_path / "a.jpg") in message


def test_faults_travel_between_processes(tmp_path):
    with pytest.raises(DataError) as caught:
        read_image(tmp_path / "a.png")
    copy = pickle.loads(pickle.dumps(caught.value))
    assert copy.fault == caught.value.fault and str(copy) == str(caught.value)
