"""The split by seed and name: the same everywhere, and nothing moves when a picture is added."""

from hashlib import blake2b

import pytest

from dlseg.data import DataError, Folder, kind_and_folder, open_data, with_options
from dlseg.data.own.names import held_out
from tests.data.own.layouts import NAMES, two_folders

MANY = [f"picture {index}" for index in range(4000)]


def test_share_and_formula():
    chosen = held_out(MANY, 0.2, 3)
    assert abs(len(chosen) - 800) < 4 * (4000 * 0.2 * 0.8) ** 0.5
    for name in MANY[:50]:
        digest = blake2b(f"3\n{name}".encode(), digest_size=8).hexdigest()
        assert (name in chosen) == (int(digest, 16) < 0.2 * 2**64)


def test_a_picture_more_moves_no_other():
    few = held_out(MANY[::2], 0.2, 0)
    assert few == held_out(MANY, 0.2, 0) & set(MANY[::2])
    assert few == held_out(MANY[::-2] + MANY[::2], 0.2, 0) & set(MANY[::2])  # nor does the order


def test_seeds_and_shares_differ():
    assert held_out(MANY, 0.2, 0) != held_out(MANY, 0.2, 1)
    assert held_out(MANY, 0.1, 0) < held_out(MANY, 0.2, 0)


@pytest.mark.parametrize("share", [0.001, 0.5, 0.999])
@pytest.mark.parametrize("count", [2, 3, 5])
def test_one_on_each_side(count, share):
    for seed in range(20):
        assert 0 < len(held_out(MANY[:count], share, seed)) < count


def test_never_the_same_picture_on_both_sides(tmp_path):
    two_folders(tmp_path)
    for seed in range(5):
        parts = [
            set(open_data(f"folder:{tmp_path}", split, validate=0.4, seed=seed).names)
            for split in ("train", "val")
        ]
        assert not parts[0] & parts[1] and len(parts[0] | parts[1]) == len(NAMES)


def test_settings_of_the_folder_give_way_to_the_caller(tmp_path):
    two_folders(tmp_path)
    plain = {seed: Folder(tmp_path, "val", validate=0.5, seed=seed).names for seed in range(4)}
    assert len({tuple(names) for names in plain.values()}) > 1
    (tmp_path / "dataset.toml").write_text("validate = 0.5\nseed = 2\n")
    assert Folder(tmp_path, "val").names == plain[2]
    assert open_data(f"folder:{tmp_path}", "val", seed=1, validate=None).names == plain[1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed = -1", r"dataset.toml: seed must be an integer >= 0, got -1; mend or delete"),
        ("validate = 1.0", r"dataset.toml: validate must be a number from 0.001 to 0.999"),
        ("sed = 1", r"dataset.toml: sed is unknown; there may be classes, ignore_index, images"),
        ("seed", r"dataset.toml: is no TOML: .*; write lines such as"),
        ("classes = []", r"classes must be a list of 1 to 255"),
    ],
)
def test_faulty_settings(tmp_path, text, message):
    two_folders(tmp_path)
    (tmp_path / "dataset.toml").write_text(text)
    with pytest.raises(DataError, match=message):
        Folder(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"validate": 0}, "validate must be a share above 0 and below 1, got 0"),
        ({"validate": 1.5}, "validate must be a number, at least 0 and at most 1, got 1.5"),
        ({"seed": 0.5}, "seed must be an integer >= 0, got 0.5"),
        ({"colour": 1}, "takes no option colour: there is no such option"),
    ],
)
def test_faulty_options(tmp_path, options, message):
    two_folders(tmp_path)
    with pytest.raises(ValueError, match=message):
        open_data(f"folder:{tmp_path}", "train", **options)


def test_options_in_a_name(tmp_path):
    """As a checkpoint keeps them: the same pictures whoever opens it."""
    two_folders(tmp_path)
    plain = f"folder:{tmp_path}"
    name = with_options(plain, validate=0.5, seed=2)
    assert name == f"{plain}?validate=0.5&seed=2" and with_options(plain, seed=None) == plain
    assert with_options(name, seed=3) == f"{plain}?validate=0.5&seed=3"
    names = Folder(tmp_path, "val", validate=0.5, seed=2).names
    assert open_data(name, "val").names == names
    assert (
        open_data(name, "val", seed=3).names == Folder(tmp_path, "val", validate=0.5, seed=3).names
    )
    assert kind_and_folder(name) == ("folder", str(tmp_path))
    for wrong in ("?seed=x", "?seed=1&validate=2", "?colour=1", "?seed=-1"):
        with pytest.raises(ValueError, match=r"option|validate must be|seed must be"):
            open_data(plain + wrong, "val")
    with pytest.raises(ValueError, match="takes no option seed"):
        with_options("scenes", seed=1)


def test_a_folder_may_have_a_question_in_its_name(tmp_path):
    root = tmp_path / "what?"
    two_folders(root)
    assert len(open_data(f"folder:{root}", "train")) and len(
        open_data(f"folder:{root}?seed=1", "val")
    )


@pytest.mark.parametrize("name", ["scenes", "voc:x"])
def test_other_kinds_take_no_options(name):
    with pytest.raises(ValueError, match=f"^{name} takes no option seed: it is for folder:DIR$"):
        open_data(name, "train", seed=1)
