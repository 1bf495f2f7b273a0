"""The folder of lost things: what is wrong is found, and mended where one answer is right."""

import numpy as np
import pytest

from dlseg.data import Folder, mend, read_label, survey
from support.your_own_pictures import lost


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("lost") / "found"
    lost.write(path)
    return path


def test_every_picture_shows_something_and_most_of_it_is_ground():
    counts = np.zeros(len(lost.CLASSES), int)
    for number in range(lost.PICTURES):
        image, labels = lost.picture(number)
        assert image.shape == (lost.HEIGHT, lost.WIDTH, 3) and labels.max() > 0
        counts += np.bincount(labels.ravel(), minlength=len(counts))
    shares = counts / counts.sum()
    assert shares[0] > 0.9 and shares.min() == shares[lost.CLASSES.index("key")] > 0


def test_a_picture_is_the_same_each_time_and_another_by_another_seed():
    for one, other in zip(lost.picture(3), lost.picture(3), strict=True):
        assert (one == other).all()
    assert (lost.picture(3)[1] != lost.picture(3, seed=1)[1]).any()


def test_the_survey_finds_what_was_spoilt_and_no_more(folder):
    found = survey(folder, "folder")
    told = {(fault.path.name, fault.problem.split(":")[0]) for fault in found.faults}
    small, whole = (f"{lost.HEIGHT // n} x {lost.WIDTH // n}" for n in (2, 1))
    assert told == {
        ("images", "pictures without a mask, not used"),
        ("masks", "masks without a picture, not used"),
        (
            f"{lost.name_of(lost.SMALLER)}.png",
            f"the mask has {small} pixels (height x width), its image {whole}",
        ),
        (f"{lost.name_of(lost.OUTSIDE)}.png", "labels outside the classes"),
    }
    (twin,) = found.together
    assert twin.path.stem in [lost.name_of(number) for number in lost.COPY]


def test_mending_leaves_a_folder_that_opens_clean_and_the_other_list_as_it_is(folder, tmp_path):
    mended = mend(survey(folder, "folder"), tmp_path / "mended")
    assert len(mended.left) == 3
    assert not survey(tmp_path / "mended", "folder").faults
    pairs = {
        pair.image.stem: pair
        for split in ("train", "val")
        for pair in Folder(tmp_path / "mended", split).pairs
    }
    in_colours = read_label(pairs[lost.name_of(lost.IN_COLOURS)].label, len(lost.CLASSES))
    assert (in_colours == lost.picture(lost.IN_COLOURS)[1]).all()
    for number in lost.OTHER_LIST:
        labels = read_label(pairs[lost.name_of(number)].label, len(lost.CLASSES))
        right = lost.picture(number)[1]
        assert ((labels == 4) == (right == 1)).all() and ((labels == 1) == (right == 4)).all()
