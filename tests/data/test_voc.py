"""Pascal VOC 2012 in its own layout, on a folder of three images."""

import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from dlseg.data.faults import DataError
from dlseg.data.palette import voc_palette
from dlseg.data.voc import VOC
from tests.data.folders import VOC_LISTS, random_image, random_labels, write_aug, write_voc
from tests.peers import load_torchvision


@pytest.fixture
def folder(tmp_path):
    return write_voc(tmp_path)


def test_samples(folder):
    for split, names in VOC_LISTS.items():
        dataset = VOC(folder, split)
        assert dataset.names == names and len(dataset) == len(names)
        for image, label in dataset:
            assert image.shape == (*label.shape, 3) == (6, 9, 3)
            assert image.dtype == label.dtype == np.uint8
            assert (label[0] == 255).all() and set(np.unique(label[1:])) <= set(range(21))
    _, label = VOC(folder, "val")[0]
    assert np.array_equal(label[1:], random_labels(1, 20)[1:])
    assert VOC(folder).split == "train"


def test_protocol():
    assert VOC.num_classes == len(VOC.classes) == 21 and VOC.ignore_index == 255
    assert VOC.classes[0] == "background" and VOC.classes[15] == "person"
    assert VOC.classes[1:] == tuple(sorted(VOC.classes[1:]))


@pytest.mark.parametrize("above", [".", "..", "../.."])
def test_found_from_above(folder, above):
    assert len(VOC(folder / above, "val")) == 1


def test_equals_torchvision(folder):
    module = load_torchvision()
    peer = module.datasets.VOCSegmentation(folder.parents[1], image_set="trainval")
    ours = VOC(folder, "trainval")
    assert len(peer) == len(ours) == 3
    for (image, label), (their_image, their_label) in zip(ours, peer, strict=True):
        assert np.array_equal(image, np.array(their_image))
        assert np.array_equal(label, np.array(their_label))
        assert their_label.getpalette() == ours.palette.ravel().tolist()
        assert np.array_equal(ours.palette[label], np.array(their_label.convert("RGB")))
    assert np.array_equal(ours.palette, voc_palette())


def test_trainaug_reads_grey_masks(folder):
    names = write_aug(folder)
    dataset = VOC(folder, "trainaug")
    assert dataset.names == names
    for seed, (_, label) in enumerate(dataset):
        assert np.array_equal(label, random_labels(10 + seed, 20))
    # train itself keeps VOC's own masks, with their borders.
    assert (VOC(folder, "train")[0][1] == 255).any() and not (dataset[0][1] == 255).any()


def test_lists_of_two_paths(folder):
    names = write_aug(folder)
    lines = [f"/JPEGImages/{name}.jpg /SegmentationClassAug/{name}.png\r\n" for name in names]
    (folder / "ImageSets" / "Segmentation" / "train_aug.txt").write_text("".join(lines))
    assert VOC(folder, "train_aug").pairs == VOC(folder, "trainaug").pairs


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ("trainaug", "trainaug.txt: there is no such list; it is no part of VOC, see"),
        ("vall", "vall.txt: there is no such list; .* choose one of: train, trainval, val$"),
        ("test", "test.txt: the masks of test are not published; evaluate on val"),
    ],
)
def test_missing_list(folder, split, message):
    with pytest.raises(DataError, match=message):
        VOC(folder, split)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the list is empty; write one name a line"),
        (b"\n \n", "the list is empty"),
        (b"a\nb\na\n", "1 names are there twice, the first a; keep one"),
        (b"\xff\xfe\x00", "the list is no text in UTF-8; save it as UTF-8, one name a line"),
    ],
)
def test_faulty_list(folder, content, message):
    (folder / "ImageSets" / "Segmentation" / "val.txt").write_bytes(content)
    with pytest.raises(DataError, match="val.txt: " + message):
        VOC(folder, "val")


def own_data(root, names, image="jpg", mask="png"):
    """Folders as VOC has them, of somebody's own pictures, without lists."""
    folder = root / "own"
    for part in ("JPEGImages", "SegmentationClass"):
        (folder / part).mkdir(parents=True)
    for seed, name in enumerate(names):
        Image.fromarray(random_image(seed)).save(folder / "JPEGImages" / f"{name}.{image}")
        Image.fromarray(random_labels(seed, 20)).save(
            folder / "SegmentationClass" / f"{name}.{mask}"
        )
    return folder


def write_list(folder, text, split="train"):
    path = folder / "ImageSets" / "Segmentation" / f"{split}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_names_with_dots_and_spaces(tmp_path):
    names = ["frame.0001", "frame.0002", "my photo", "0020.bm", "a"]
    folder = own_data(tmp_path, names)
    for text in ("\n".join(names), "\n".join(f"{name}.jpg" for name in names)):
        write_list(folder, text)
        dataset = VOC(folder)
        assert dataset.names == names
        for seed, (_, label) in enumerate(dataset):
            assert np.array_equal(label, random_labels(seed, 20))


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        *(("png", "png"), ("JPG", "PNG"), ("jpeg", "tif"), ("tif", "bmp")),
        *(("tiff", "tiff"), ("bmp", "gif"), ("webp", "png"), ("gif", "png")),
    ],
)
def test_images_and_masks_of_other_formats(tmp_path, image, mask):
    folder = own_data(tmp_path, ["a", "b.c"], image, mask)
    write_list(folder, "a\nb.c\n")
    for seed, (picture, label) in enumerate(VOC(folder)):
        assert picture.shape == (6, 9, 3)
        assert np.array_equal(label, random_labels(seed, 20))


def test_jpg_is_taken_first(tmp_path):
    folder = own_data(tmp_path, ["a"])
    Image.fromarray(random_image(1)).save(folder / "JPEGImages" / "a.png")
    write_list(folder, "a")
    assert VOC(folder).pairs[0].image.name == "a.jpg"


def test_a_folder_without_lists_says_to_write_one(tmp_path):
    folder = own_data(tmp_path, ["a", "b"])
    with pytest.raises(DataError, match=r"train.txt: .*; write one, the name of an image without"):
        VOC(folder)
    write_list(folder, "a\nb\n")
    assert len(VOC(folder)) == 2
    with pytest.raises(DataError, match=r"write one, .* a line, or choose one of: train$"):
        VOC(folder, "val")
    with pytest.raises(DataError, match=r"it is no part of VOC, see dlseg.data.voc; lists there"):
        VOC(folder, "trainaug")


def test_masks_where_labelme_puts_them(tmp_path):
    folder = own_data(tmp_path, ["a"])
    (folder / "SegmentationClass").rename(folder / "SegmentationClassPNG")
    (folder / "SegmentationClass").mkdir()
    np.save(folder / "SegmentationClass" / "a.npy", random_labels(0, 20))
    write_list(folder, "a")
    assert np.array_equal(VOC(folder)[0][1], random_labels(0, 20))


def test_list_that_cannot_be_read(folder):
    path = folder / "ImageSets" / "Segmentation" / "val.txt"
    path.unlink()
    path.mkdir()
    with pytest.raises(DataError, match=r"val.txt: cannot be read: Is a directory; write it anew"):
        VOC(folder, "val")
    path.rmdir()
    path.write_text("2007_000033")
    assert len(VOC(folder, "val")) == 1


def test_no_voc_here(tmp_path):
    with pytest.raises(DataError, match="there is no Pascal VOC here; give the folder that has"):
        VOC(tmp_path / "nowhere")


def test_faulty_files_are_told_when_read(folder):
    dataset = VOC(folder, "val")
    image, label = dataset.pairs[0].image, dataset.pairs[0].label
    Image.new("P", (5, 5)).save(label)
    with pytest.raises(DataError, match=r"2007_000033.png: the mask has 5 x 5 pixels"):
        dataset[0]
    label.unlink()
    with pytest.raises(DataError, match=r"2007_000033.png: there is no such file"):
        dataset[0]
    image.write_bytes(image.read_bytes()[:300])
    with pytest.raises(DataError, match=r"2007_000033.jpg: is"):
        dataset[0]


def test_worker_processes(folder):
    dataset = VOC(folder, "trainval")
    loader = DataLoader(dataset, batch_size=None, num_workers=2)
    for (image, label), (ours, our_label) in zip(list(loader), dataset, strict=True):
        assert torch.equal(torch.as_tensor(image), torch.from_numpy(ours))
        assert torch.equal(torch.as_tensor(label), torch.from_numpy(our_label))
    copy = pickle.loads(pickle.dumps(dataset))
    assert copy.pairs == dataset.pairs and copy.classes == dataset.classes


def test_fault_in_a_worker_keeps_its_words(folder):
    dataset = VOC(folder, "val")
    dataset.pairs[0].label.unlink()
    samples = iter(DataLoader(dataset, batch_size=None, num_workers=1))
    with pytest.raises(DataError, match="there is no such file; put it there"):
        next(samples)
    assert next(samples, None) is None  # at the end, the worker stops at once
