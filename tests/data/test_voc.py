"""Pascal VOC 2012 in its own layout, on a folder of three images."""

import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from dlseg.data.files import DataError
from dlseg.data.palette import voc_palette
from dlseg.data.voc import VOC
from tests.data.folders import VOC_LISTS, random_labels, write_aug, write_voc
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
        (b"\xff\xfe\x00", "the list is no text"),
    ],
)
def test_faulty_list(folder, content, message):
    (folder / "ImageSets" / "Segmentation" / "val.txt").write_bytes(content)
    with pytest.raises(DataError, match="val.txt: " + message):
        VOC(folder, "val")


def test_list_that_cannot_be_read(folder):
    path = folder / "ImageSets" / "Segmentation" / "val.txt"
    path.unlink()
    path.mkdir()
    with pytest.raises(DataError, match=r"val.txt: cannot be read: Is a directory; make it a file"):
        VOC(folder, "val")


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
    with pytest.raises(DataError, match="there is no such file; unpack the data again"):
        next(samples)
    assert next(samples, None) is None  # at the end, the worker stops at once
