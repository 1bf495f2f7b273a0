"""Lists of classes as people and programs write them."""

import pytest

from dlseg.data import VOC, DataError, Folder
from dlseg.data.own.classes import read_classes
from tests.data.folders import VOC_LISTS, write_own, write_voc

NAMES, COLOURS = ("road", "traffic light"), ((128, 64, 128), (0, 1, 255))
PLAIN = {
    "lines": "road\ntraffic light\n",
    "a mark, blank lines, remarks": "\ufeff# mine\n\nroad  \r\n\ttraffic light",
    "numbers": "0: road\n1: traffic light\n",
    "Roboflow": "Pixel Value, Class\n0, road\n1, traffic light\n",
    "labelme": "__ignore__\nroad\ntraffic light\n",
    "CVAT without colours": "road:::\ntraffic light:::\n",
}
COLOURED = {
    "spaces": "road 128 64 128\ntraffic light 0 1 255",
    "commas": "name,r,g,b\nroad,128,64,128\ntraffic light, 0, 1, 255",
    "CVAT": "# label:color_rgb:parts:actions\nroad:128,64,128::\ntraffic light:0,1,255::",
    "colours first": "128 64 128\troad\n0 1 255\ttraffic light",
}


@pytest.mark.parametrize("form", PLAIN | COLOURED)
def test_forms(form, tmp_path):
    path = tmp_path / "classes.txt"
    path.write_text((PLAIN | COLOURED)[form], encoding="utf-8")
    classes = read_classes(path)
    assert classes.names == NAMES and (classes.void, classes.void_colour) == (255, None)
    assert classes.colours == (COLOURS if form in COLOURED else None)


@pytest.mark.parametrize(
    ("text", "void", "colour"),
    [("a\nb\nvoid", 2, None), ("a 1 1 1\nb 2 2 2\nIgnore 9 8 7", 2, (9, 8, 7))],
)
def test_a_last_line_for_void(text, void, colour, tmp_path):
    (tmp_path / "classes.txt").write_text(text)
    classes = read_classes(tmp_path / "classes.txt")
    assert classes.names == ("a", "b") and (classes.void, classes.void_colour) == (void, colour)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has 0 names of classes; write 1 to 255 names"),
        (b"a\nb\na", "has the class a twice; keep one line"),
        (b"a 1 2 3\nb 1 2 3", r"has the colour \(1, 2, 3\) twice"),
        (b"a 1 2 3\nb", "the class b has no colour, and others have; give all classes"),
        (b"\xff\xfea", "the list is no text in UTF-8; save it"),
        ("\n".join(f"name{i}" for i in range(256)).encode(), "has 256 names"),
        (b"a\x00\nb", "has a name that is none"),
    ],
)
def test_faulty_lists(content, message, tmp_path):
    (tmp_path / "classes.txt").write_bytes(content)
    with pytest.raises(DataError, match=f"classes.txt: {message}"):
        read_classes(tmp_path / "classes.txt")
    with pytest.raises(DataError, match=r"none\.txt: cannot be read: No such file"):
        read_classes(tmp_path / "none.txt")


def test_classes_from_the_caller(tmp_path):
    root = write_own(tmp_path)
    (root / "other.txt").write_text("a\nb\nc\nd\n")
    assert Folder(root).classes == ("sky", "road", "car")
    assert Folder(root, classes=root / "other.txt").classes == ("a", "b", "c", "d")
    assert Folder(root, classes=["x", "y", "z"]).classes == ("x", "y", "z")
    (root / "dataset.toml").write_text('classes = ["u", "v", "w"]\nignore_index = 0\n')
    dataset = Folder(root)
    assert dataset.classes == ("u", "v", "w") and dataset.ignore_index == 0
    for wrong in (3, [1, 2], {"a"}):
        with pytest.raises(ValueError, match="classes must be names, or the path of a list, got"):
            Folder(root, classes=wrong)


def test_voc_has_classes_of_its_own_where_a_list_lies_there(tmp_path):
    folder = write_voc(tmp_path)
    assert VOC(folder).classes == VOC.classes
    names = [f"thing {index}" for index in range(21)]
    (folder / "class_names.txt").write_text("\n".join(names))
    dataset = VOC(folder)
    assert dataset.classes == tuple(names) and len(dataset) == len(VOC_LISTS["train"])
    (folder / "class_names.txt").write_text("_background_\ncar\n")
    dataset = VOC(folder)
    assert dataset.num_classes == 2
    with pytest.raises(DataError, match="labels must be 0 to 1 or 255"):
        dataset[0]
