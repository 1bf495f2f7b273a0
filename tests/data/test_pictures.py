"""Pictures of every kind that people have: read as viewers show them, or refused with the cause."""

import struct
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import PIL
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps, PngImagePlugin, TiffImagePlugin

from dlseg.data.decode import frame_numbers
from dlseg.data.faults import DataError
from dlseg.data.files import read_label, write_image
from dlseg.data.pictures import Decoded, read_image, read_pictures
from tests.data.folders import random_image, random_labels
from tests.data.handmade import png, png_part, tiff, ycck
from tests.data.test_files import refusal

EXACT = ("png", "tif", "gif", "webp", "bmp")


def save(path, image, **options):
    """As Pillow writes it, without loss."""
    if path.suffix == ".webp":
        options |= {"lossless": True, "exact": True}
    image.save(path, **options)
    return path


# Formats and modes


@pytest.mark.parametrize("suffix", EXACT)
@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P"])
def test_formats_without_loss(tmp_path, suffix, mode):
    image = Image.fromarray(random_image(0)).convert(mode)
    if suffix == "gif":
        image = image.convert("P")
    path = save(tmp_path / f"a.{suffix}", image)
    found = read_image(path)
    assert found.dtype == np.uint8 and found.flags.writeable
    assert np.array_equal(found, np.array(image.convert("RGB")))
    with Image.open(path) as opened:
        assert np.array_equal(found, np.array(opened.convert("RGB")))


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_as_pillow_opens_it(tmp_path, mode, progressive):
    path = tmp_path / "a.jpg"
    Image.fromarray(random_image(0)).convert(mode).save(path, progressive=progressive)
    with Image.open(path) as image:
        assert np.array_equal(read_image(path), np.array(image.convert("RGB")))


def test_jpeg_of_four_channels_as_photoshop_writes_it(tmp_path):
    """Luma and colours of the inks, by the formula of JFIF and that of inks on white paper."""
    inks = np.zeros((16, 32, 4), np.uint8)
    inks[:, :8], inks[:, 8:16], inks[:, 16:24] = (250, 20, 60, 0), (0, 200, 30, 40), (9, 9, 180, 90)
    inks[:, 24:] = (30, 10, 0, 200)
    (tmp_path / "a.jpg").write_bytes(ycck(inks))
    paper = 255 - inks.astype(float)
    wanted = paper[..., :3] * paper[..., 3:] / 255
    assert np.abs(read_image(tmp_path / "a.jpg") - wanted).max() <= 4


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_compressed_tiff(tmp_path, compression):
    path = tmp_path / "a.tif"
    Image.fromarray(random_image(0)).save(path, compression=compression)
    assert np.array_equal(read_image(path), random_image(0))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("interlaced", [False, True])
def test_png_of_few_bits_and_interlaced(tmp_path, bits, interlaced):
    values = random_labels(0, 2**bits - 1)
    (tmp_path / "a.png").write_bytes(png(values, bits, interlaced))
    grey = values.astype(float) * 255 / (2**bits - 1)
    assert np.array_equal(read_image(tmp_path / "a.png"), np.stack([grey] * 3, -1))
    assert np.array_equal(read_label(tmp_path / "a.png", 256), values)


def test_the_first_picture_of_a_phone_is_read(tmp_path):
    """An MPO, a JPEG with a second picture for depth or stereo."""
    first, second = (Image.fromarray(random_image(seed, 16, 16)) for seed in (0, 1))
    first.save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[second])
    first.save(tmp_path / "b.jpg")
    assert frame_numbers(tmp_path / "a.jpg") == [0]
    assert np.array_equal(read_image(tmp_path / "a.jpg"), read_image(tmp_path / "b.jpg"))


def test_the_content_decides_and_not_the_name(tmp_path):
    Image.fromarray(random_image(0)).save(tmp_path / "a.jpg", format="PNG")
    assert np.array_equal(read_image(tmp_path / "a.jpg"), random_image(0))


# Transparency


def on_white(colours, cover):
    return np.round(colours * cover + 255 * (1 - cover))


def test_what_is_transparent_lies_on_white(tmp_path):
    colours, cover = random_image(0), random_image(1)[..., :1]
    both = np.concatenate([colours, cover], -1)
    Image.fromarray(both).save(tmp_path / "rgba.png")
    found = read_image(tmp_path / "rgba.png").astype(float)
    assert np.abs(found - on_white(colours, cover / 255)).max() <= 1
    Image.fromarray(both[..., 2:]).save(tmp_path / "la.png")
    found = read_image(tmp_path / "la.png").astype(float)
    assert np.abs(found - on_white(both[..., 2:3], cover / 255)).max() <= 1


@pytest.mark.parametrize("suffix", ["png", "gif"])
def test_a_transparent_colour_of_a_palette(tmp_path, suffix):
    image = Image.fromarray(random_labels(0, 3))
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120])
    image.save(tmp_path / f"a.{suffix}", transparency=2)
    colours = np.array([[10, 20, 30], [40, 50, 60], [255, 255, 255], [100, 110, 120]])
    assert np.array_equal(read_image(tmp_path / f"a.{suffix}"), colours[random_labels(0, 3)])
    if suffix == "png":
        assert np.array_equal(read_label(tmp_path / "a.png", 4), random_labels(0, 3))


def test_a_transparent_colour_of_rgb(tmp_path):
    colours = random_image(0)
    key = png_part(b"tRNS", struct.pack(">HHH", *colours[2, 3].tolist()))
    (tmp_path / "a.png").write_bytes(png(colours, 8, False, key))
    colours[2, 3] = 255
    assert np.array_equal(read_image(tmp_path / "a.png"), colours)


# Orientation


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_orientation(tmp_path, suffix, orientation):
    image, path = Image.fromarray(random_image(0, 20, 30)), tmp_path / f"a.{suffix}"
    exif = image.getexif()
    exif[274] = orientation
    save(path, image, exif=exif)
    with Image.open(path) as opened:
        wanted = np.array(ImageOps.exif_transpose(opened))
    assert wanted.shape == ((30, 20, 3) if orientation > 4 else (20, 30, 3))
    assert np.array_equal(read_image(path), wanted)
    [picture] = read_pictures(path)
    assert picture.shape == wanted.shape
    for rows, columns in ((slice(3, 9), slice(5, 18)), (slice(0, 1), slice(None))):
        assert np.array_equal(picture[rows, columns], wanted[rows, columns])
    assert np.array_equal(picture[2:4], wanted[2:4])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_orientation_of_a_mask(tmp_path, suffix, orientation):
    image, path = Image.fromarray(random_labels(0, 20)), tmp_path / f"a.{suffix}"
    exif = image.getexif()
    exif[274] = orientation
    image.save(path, exif=exif)
    turns = (None, 0, 3, 1, 5, 4, 6, 2)  # Pillow's numbers; of a grey TIFF it forgets to turn
    turn = turns[orientation - 1]
    wanted = image if turn is None else image.transpose(Image.Transpose(turn))
    assert np.array_equal(read_label(path, 21), np.array(wanted))


def test_nonsense_for_an_orientation_is_none(tmp_path):
    image = Image.fromarray(random_image(0))
    for number in (0, 9, 77):
        exif = image.getexif()
        exif[274] = number
        image.save(tmp_path / "a.png", exif=exif)
        assert np.array_equal(read_image(tmp_path / "a.png"), random_image(0))
    (tmp_path / "b.png").write_bytes(png(random_image(0), 8, False, png_part(b"eXIf", b"MM\0*??")))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert np.array_equal(read_image(tmp_path / "b.png"), random_image(0))


# More than 8 bits


DEEP = np.random.default_rng(0).integers(0, 1024, (6, 9, 4)).astype(np.uint16)


def scaled(values, white):
    values = np.clip(np.floor(values.astype(float) * 255 / white + 0.5), 0, 255)
    return values if values.ndim == 3 else np.stack([values] * 3, -1)


@pytest.mark.parametrize("kind", ["grey.png", "rgb.png", "rgb.tif", "mm.tif", "grey.tif"])
def test_deep_files_are_refused_and_the_remedy_reads_them(tmp_path, kind):
    name, _, suffix = kind.partition(".")
    values = DEEP[..., 0] if name == "grey" else DEEP[..., :3]
    path = tmp_path / f"a.{suffix}"
    if suffix == "png":
        path.write_bytes(png(values, 16))
    elif name == "grey":
        Image.fromarray(values).save(path)
    else:
        path.write_bytes(tiff(values, ">" if name == "mm" else "<"))
    message = refusal(lambda: read_image(path), path)
    assert "has 16 bits per channel, and does not say which value is white" in message
    assert "write_image(NEW, read_image(OLD, white=65535))" in message
    new = tmp_path / "new.png"
    write_image(new, read_image(path, white=1023))
    assert np.array_equal(read_image(new), scaled(values, 1023))


def test_deep_with_transparency(tmp_path):
    values = DEEP.copy()
    values[..., 3] = 65535
    values[0, 0, 3] = 0
    path = tmp_path / "a.png"
    path.write_bytes(png(values, 16))
    assert "16 bits" in refusal(lambda: read_image(path), path)
    found, wanted = read_image(path, white=1023), scaled(values[..., :3], 1023)
    wanted[0, 0] = 255
    assert np.array_equal(found, wanted)
    path.write_bytes(png(values[..., 2:], 16))  # grey: Pillow has but the first byte of each two
    for white in (None, 1023):
        message = refusal(lambda: read_image(path, white=white), path)  # noqa: B023
        assert "16 bits" in message and "save it as PNG of 8 bits with" in message


def test_floating_point(tmp_path):
    values, path = DEEP[..., 0] / np.float32(1023), tmp_path / "a.tif"
    Image.fromarray(values).save(path)
    message = refusal(lambda: read_image(path), path)
    assert "holds floating-point numbers, and does not say" in message and "white=1.0" in message
    assert np.array_equal(read_image(path, white=1.0), scaled(values, 1))
    for white in (0, -1.0, np.nan, 1e-320, True, "1"):
        with pytest.raises(ValueError, match=r"^white must be a number, at least 1e-30, got"):
            read_image(path, white=white)


def test_floats_that_are_no_numbers(tmp_path):
    """NaN of both kinds, of which one makes NumPy warn, and what white makes too large."""
    values, path = (
        np.array([[np.nan, np.nan, 3e38], [np.inf, -np.inf, 1]], "f4"),
        tmp_path / "a.tif",
    )
    values.view(np.uint32)[0, 0] = 0x7FA00000
    Image.fromarray(values).save(path)
    assert read_image(path, white=1.0)[..., 0].tolist() == [[0, 0, 255], [255, 0, 255]]
    message = refusal(lambda: read_label(path, 4), path)
    assert "holds the labels -inf, 3e+38, inf, nan" in message and "in 5 of 6 pixels" in message


def test_white_changes_nothing_in_8_bits(tmp_path):
    Image.fromarray(random_image(0)).save(tmp_path / "a.png")
    assert np.array_equal(read_image(tmp_path / "a.png", white=10), random_image(0))


# Several pictures in a file


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "tif"])
def test_frames_and_pages(tmp_path, suffix):
    frames = [Image.fromarray(random_image(seed)).convert("P").convert("RGB") for seed in range(3)]
    path = tmp_path / f"a.{suffix}"
    save(path, frames[0], save_all=True, append_images=frames[1:])
    assert frame_numbers(path) == [0, 1, 2]
    message = refusal(lambda: read_image(path), path)
    assert "holds 3 pictures" in message and "read_image(OLD, frame=0)" in message
    wanted = [np.array(frame) for frame in frames]
    for number in (0, 2, 1):
        assert np.array_equal(read_image(path, frame=number), wanted[number])
    found = [np.array(picture) for picture in read_pictures(path, [0, 1, 2])]
    assert np.array_equal(found, wanted)
    write_image(tmp_path / "new.png", read_image(path, frame=0))
    assert np.array_equal(read_image(tmp_path / "new.png"), wanted[0])


def test_smaller_copies_in_a_tiff_are_no_pages(tmp_path):
    path = tmp_path / "a.tif"
    with TiffImagePlugin.AppendingTiffWriter(path, new=True) as file:
        for seed, kind in enumerate((0, 1, 4)):
            Image.fromarray(random_image(seed)).save(file, format="TIFF", tiffinfo={254: kind})
            file.newFrame()
    assert frame_numbers(path) == [0]
    assert np.array_equal(read_image(path), random_image(0))


# Large pictures


@pytest.mark.parametrize("suffix", [*EXACT, "jpg"])
def test_the_limit_is_our_own(tmp_path, monkeypatch, suffix):
    path = save(tmp_path / f"a.{suffix}", Image.fromarray(random_image(0)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)  # Pillow would warn, and refuse from 21 on
    weight = 3 if suffix == "webp" else 1
    if suffix != "webp":  # of which Pillow's decoder refuses by itself; see the next test
        assert read_image(path, max_pixels=54 * weight).shape == (6, 9, 3)
        for picture in read_pictures(path, max_pixels=54 * weight):
            assert picture[1:6].shape == (5, 9, 3)  # 45 pixels
    message = refusal(lambda: read_image(path, max_pixels=54 * weight - 1), path)
    assert "has 1 megapixels, the limit is" in message and "damaged" not in message


@pytest.mark.skipif(PIL.__version__ < "13", reason="Pillow 13 is the first to have this limit")
def test_pillows_limit_of_webp_is_named(tmp_path, monkeypatch):
    path = save(tmp_path / "a.webp", Image.fromarray(random_image(0)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    message = refusal(lambda: read_image(path), path)
    assert "more pixels than Pillow reads of a WEBP; save it as PNG" in message


def test_the_limit_in_plain_words(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png(np.zeros((1, 1), np.uint8), 8))
    content = bytearray(path.read_bytes())
    content[16:24] = struct.pack(">II", 18000, 18000)
    content[29:33] = png_part(b"IHDR", bytes(content[16:29]))[-4:]
    path.write_bytes(content)
    message = refusal(lambda: read_image(path), path)
    assert "has 324 megapixels, the limit is 250; --max-pixels 324 of dlseg predict" in message


@pytest.mark.parametrize("kind", ["progressive", "webp", "gif", "tif"])
def test_hungry_decoders_have_a_third_of_the_limit(tmp_path, kind):
    image = Image.fromarray(random_image(0, 100, 100)).convert("L").convert("RGB")
    path = tmp_path / f"a.{'jpg' if kind == 'progressive' else kind}"
    exif = image.getexif()
    exif[274] = 6
    options = {
        "progressive": {"progressive": True},
        "gif": {"save_all": True, "append_images": [Image.new("RGB", (100, 100))]},
        "tif": {"exif": exif},
    }
    save(path, image, **options.get(kind, {}))
    message = refusal(lambda: read_image(path, 29999, frame=0), path)
    assert "takes more memory to decode" in message
    assert read_image(path, 30000, frame=0).shape == (100, 100, 3)


def test_a_window_is_all_that_is_converted(tmp_path):
    """The picture itself stays as the decoder left it: a byte a pixel for this one."""
    Image.fromarray(random_labels(0, 20)).save(tmp_path / "a.png")
    [picture] = read_pictures(tmp_path / "a.png")
    assert isinstance(picture, Decoded) and picture.image.mode == "L"
    assert picture[1:3, 2:4].shape == (2, 2, 3)


# Damage, and what is none


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A file of each format, larger than its header."""
    folder, files = tmp_path_factory.mktemp("sound"), {}
    for suffix in (*EXACT, "jpg"):
        path = folder / f"a.{suffix}"
        Image.fromarray(random_image(0, 40, 40)).save(path)
        files[suffix] = path.read_bytes()
    return files


@pytest.mark.parametrize("suffix", [*EXACT, "jpg"])
def test_half_a_file_is_damaged(tmp_path, sound, suffix):
    path = tmp_path / "a"
    for share in (0.3, 0.5, 0.9):
        path.write_bytes(sound[suffix][: int(len(sound[suffix]) * share)])
        message = refusal(lambda: read_image(path), path)
        assert "is damaged: it" in message and "copy the file again" in message
    path.write_bytes(sound[suffix])  # the remedy
    assert read_image(path).shape == (40, 40, 3)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_damaged_bytes_give_a_picture_or_a_fault(tmp_path_factory, sound, data):
    from dlseg.data.faults import DataError

    suffix = data.draw(st.sampled_from([*EXACT, "jpg"]))
    content = bytearray(sound[suffix])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "bytes"
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks on headers
        for read in (read_image, lambda path: read_label(path, 21), frame_numbers):
            try:
                read(path)
            except DataError as error:
                assert error.fault.path == path and error.fault.remedy


def test_long_texts_and_profiles_are_no_damage(tmp_path):
    """Pillow refuses more than a megabyte, which a generator's settings or a profile may have."""
    info = PngImagePlugin.PngInfo()
    info.add_text("workflow", "settings " * 300_000, zip=True)
    profile = np.random.default_rng(0).bytes(2_000_000)
    image = Image.fromarray(random_image(0))
    image.save(tmp_path / "a.png", pnginfo=info)
    image.save(tmp_path / "b.png", icc_profile=profile)
    for name in ("a.png", "b.png"):
        assert np.array_equal(read_image(tmp_path / name), random_image(0))


def test_a_jpeg_of_12_bits_is_not_damaged(tmp_path, sound):
    content, path = bytearray(sound["jpg"]), tmp_path / "a.jpg"
    content[content.index(b"\xff\xc0") + 4] = 12
    path.write_bytes(content)
    message = refusal(lambda: read_image(path), path)
    assert "has 12 bits per channel" in message and "damaged" not in message
    assert "save it as PNG of 8 bits" in message


def test_a_tiff_of_many_channels_is_not_damaged(tmp_path):
    values = np.zeros((4, 5, 7), np.uint16)
    (tmp_path / "a.tif").write_bytes(tiff(values))
    message = refusal(lambda: read_image(tmp_path / "a.tif"), tmp_path / "a.tif")
    assert "is a TIFF of 7 channels of 16 bits" in message and "damaged" not in message


def test_data_that_do_not_unpack_are_not_blamed_on_the_copy(tmp_path):
    content = png(np.zeros((9, 9), np.uint8), 8)
    start = content.index(b"IDAT")
    broken = content[: start - 4] + png_part(b"IDAT", b"nonsense") + png_part(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(broken)
    message = refusal(lambda: read_image(tmp_path / "a.png"), tmp_path / "a.png")
    assert "is a PNG that cannot be decoded" in message and "damaged" not in message


@pytest.mark.parametrize(
    ("content", "problem", "remedy"),
    [
        (b"", "is empty", "copy the file again"),
        (b"text", "is neither JPEG, PNG, TIFF, GIF, WebP nor BMP", "if it is a picture, save it"),
        (b"\0\0\0\x18ftypheic" + bytes(40), "is a HEIC file", "save it as PNG"),
        (b"\0\0\0\x18ftypavif" + bytes(40), "is an AVIF file", "save it as PNG"),
        (b"\0\0\0\x0cjP  \r\n", "is a JPEG 2000 file", "save it as PNG"),
        (b"%PDF-1.7", "is a PDF file", "save its page as PNG"),
        (b"\x93NUMPY\x01\0", "is a NumPy file", "save the array with write_image"),
        (
            b"version https://git-lfs.github",
            "is a pointer of Git LFS",
            "fetch the file itself: git lfs pull",
        ),
        (b"<!DOCTYPE html><html>", "is a web page", "get the picture itself"),
    ],
)
def test_what_is_no_picture_is_called_by_its_name(tmp_path, content, problem, remedy):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    message = refusal(lambda: read_image(path), path)
    assert f"{problem}; {remedy}" in message


def test_odd_tags_are_no_news(tmp_path, recwarn):
    """Pillow warns of them; two threads at once leave the filters as they were."""
    Image.new("L", (3, 2)).save(tmp_path / "a.tif")
    whole = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "cut.tif").write_bytes(whole[:-4])
    before = list(warnings.filters)
    with ThreadPoolExecutor(2) as pool:
        tried = [pool.submit(read_image, tmp_path / "cut.tif") for _ in range(20)]
    assert all(isinstance(one.exception(), DataError) for one in tried)
    assert not recwarn.list and warnings.filters == before
