"""Archives of data sets: fetched from a server on this machine, checked, unpacked safely."""

import hashlib
import io
import math
import os
import socket
import tarfile
import threading
import zipfile
from collections import Counter
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from dlseg.data.check import check_folder
from dlseg.data.download import VOC2012, Archive, extract, obtain
from dlseg.data.voc import VOC
from dlseg.fetch import Checksum
from tests.data.folders import write_cityscapes, write_voc
from tests.peers import load_torchvision

pytestmark = pytest.mark.skipif(
    not hasattr(tarfile, "data_filter"), reason="Python before 3.11.4 unpacks no tar safely"
)


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.requests[self.path] += 1
        content = self.server.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {}
        self.requests = Counter()

    def publish(self, name: str, content: bytes, top: str) -> Archive:
        self.files[f"/{name}"] = content
        url = f"http://127.0.0.1:{self.server_port}/{name}"
        return Archive(url, Checksum("md5", hashlib.md5(content).hexdigest()), top)


@pytest.fixture
def server():
    with Server() as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture(autouse=True)
def only_this_machine(monkeypatch):
    connect = socket.create_connection

    def guarded(address, *arguments, **options):
        assert address[0] == "127.0.0.1", f"a test reached out for {address}"
        return connect(address, *arguments, **options)

    monkeypatch.setattr(socket, "create_connection", guarded)
    monkeypatch.setenv("no_proxy", "*")


def tar(*members: tarfile.TarInfo, mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(bytes(member.size)))
    return buffer.getvalue()


def entry(name: str, size: int = 3, kind: bytes = tarfile.REGTYPE, link: str = ""):
    member = tarfile.TarInfo(name)
    member.size, member.type, member.linkname = size, kind, link
    return member


def zipped(*names: str, link: bool = False) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            member = zipfile.ZipInfo(name)
            member.external_attr = (0o120777 if link else 0o100644) << 16
            archive.writestr(member, "abc")
    return buffer.getvalue()


def everything(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# Fetching


def voc_archive(tmp_path) -> bytes:
    """The true layout in a tar, with a file beside VOCdevkit."""
    write_voc(tmp_path / "made")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(entry("README"), io.BytesIO(b"abc"))
        archive.add(tmp_path / "made" / "VOCdevkit", "VOCdevkit")
    return buffer.getvalue()


def test_voc_from_archive_to_samples(server, tmp_path):
    archive = server.publish("VOCtrainval.tar", voc_archive(tmp_path), "VOCdevkit")
    folder = tmp_path / "new" / "data"
    for _ in range(2):
        assert obtain(archive, folder) == folder / "VOCdevkit"
    assert server.requests["/VOCtrainval.tar"] == 1
    assert sorted(path.name for path in folder.iterdir()) == ["VOCdevkit", "VOCtrainval.tar"]
    assert len(VOC(folder, "trainval")) == 3
    assert not any(fault.serious for fault in check_folder(folder))
    assert everything(folder / "VOCdevkit") == everything(tmp_path / "made" / "VOCdevkit")


def test_archive_put_there_by_hand_is_used(server, tmp_path):
    content = voc_archive(tmp_path)
    archive = server.publish("VOCtrainval.tar", content, "VOCdevkit")
    (tmp_path / "VOCtrainval.tar").write_bytes(content)
    obtain(archive, tmp_path)
    assert not server.requests and len(VOC(tmp_path, "val")) == 1


def test_wrong_checksum_unpacks_nothing(server, tmp_path):
    archive = server.publish("a.tar", tar(entry("VOCdevkit/a")), "VOCdevkit")
    wrong = replace(archive, checksum=Checksum("md5", "0" * 32))
    message = (
        r"cannot get a.tar: what .* is damaged; try again \(expected MD5 0{32}, got [0-9a-f]{32}\)"
    )
    message += rf"\. To do it by hand, save {archive.url} as .*; its MD5 must be 0{{32}}$"
    with pytest.raises(OSError, match=message):
        obtain(wrong, tmp_path / "new")
    assert everything(tmp_path / "new") == []


def test_damaged_archive_put_there_by_hand(server, tmp_path):
    archive = server.publish("a.tar", tar(entry("VOCdevkit/a")), "VOCdevkit")
    (tmp_path / "a.tar").write_bytes(b"damaged")
    with pytest.raises(OSError, match=r"a.tar is damaged; delete it and try again"):
        obtain(archive, tmp_path)
    assert everything(tmp_path) == ["a.tar"] and not server.requests


def test_missing_on_the_server(server, tmp_path):
    archive = server.publish("a.tar", b"", "VOCdevkit")
    server.files.clear()
    with pytest.raises(OSError, match=r"HTTP Error 404: Not Found. To do it by hand, save"):
        obtain(archive, tmp_path)


def test_address_and_checksum_of_voc_are_those_of_torchvision():
    load_torchvision()
    from torchvision.datasets.voc import DATASET_YEAR_DICT

    peer = DATASET_YEAR_DICT["2012"]
    assert VOC2012.url == peer["url"] and VOC2012.file == peer["filename"]
    assert VOC2012.checksum == Checksum("md5", peer["md5"])
    assert peer["base_dir"].startswith(VOC2012.top)


@pytest.mark.parametrize(
    ("algorithm", "digits", "message"),
    [
        ("md5", "", "8 to 32 lower-case hex digits, got '': copy the MD5 from where"),
        ("md5", "0" * 33, "8 to 32 lower-case hex digits"),
        ("sha256", "0123456", "8 to 64 lower-case hex digits, got '0123456'"),
        ("sha256", "F" * 64, "lower-case"),
        ("crc32", "0" * 8, "algorithm must be one of md5, sha256, got 'crc32'"),
    ],
)
def test_checksum_must_be_one(algorithm, digits, message):
    with pytest.raises(ValueError, match=message):
        Checksum(algorithm, digits)


# Unpacking


def test_a_checksum_in_words_and_by_its_first_digits(tmp_path):
    file = tmp_path / "a"
    file.write_bytes(b"content")
    whole = hashlib.sha256(b"content").hexdigest()
    assert str(Checksum("sha256", whole)) == f"its SHA-256 must be {whole}"
    assert str(Checksum("md5", "0" * 31)) == f"its MD5 must begin with {'0' * 31}"
    for digits in (whole, whole[:8]):
        Checksum("sha256", digits).verify(file, "odd")
    with pytest.raises(OSError, match=rf"odd \(expected SHA-256 0{{9}}..., got {whole[:9]}...\)"):
        Checksum("sha256", "0" * 9).verify(file, "odd")
    with pytest.raises(OSError, match=rf"\(expected SHA-256 0{{64}}, got {whole}\)"):
        Checksum("sha256", "0" * 64).verify(file, "odd")


def test_zips_of_cityscapes(tmp_path):
    made = write_cityscapes(tmp_path / "made")
    root = tmp_path / "root"
    for top in ("leftImg8bit", "gtFine"):
        path = tmp_path / f"{top}_trainvaltest.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("license.txt", "in both archives")
            for file in sorted((made / top).rglob("*")):
                archive.write(file, file.relative_to(made))
        assert extract(path, top, root) == root / top
    assert everything(root) == everything(made)
    assert not any(fault.serious for fault in check_folder(root))


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_tars_of_any_compression(tmp_path, mode):
    (tmp_path / "a").write_bytes(tar(entry("top/deep/file"), entry("beside"), mode=mode))
    extract(tmp_path / "a", "top", tmp_path / "out")
    assert everything(tmp_path / "out") == ["top", "top/deep", "top/deep/file"]


BAD = {
    "above": tar(entry("top/a"), entry("top/../../evil")),
    "above, beside": tar(entry("top/a"), entry("../evil")),
    "absolute": tar(entry("top/a"), entry("/tmp/evil")),
    "symbolic link": tar(entry("top/a"), entry("top/b", 0, tarfile.SYMTYPE, "../../evil")),
    "inner link": tar(entry("top/a"), entry("top/b", 0, tarfile.SYMTYPE, "a")),
    "hard link": tar(entry("top/a"), entry("top/b", 0, tarfile.LNKTYPE, "../../evil")),
    "device": tar(entry("top/a"), entry("top/b", 0, tarfile.CHRTYPE)),
    "zip, above": zipped("top/a", "top/../../evil"),
    "zip, absolute": zipped("top/a", "/tmp/evil"),
    "zip, drive": zipped("top/a", "C:/evil"),
    "zip, backslash": zipped("top/a", "top\\..\\..\\evil"),
    "zip, link": zipped("top/a", link=True),
}


@pytest.mark.parametrize("content", BAD.values(), ids=BAD)
def test_unsafe_archives_leave_nothing(tmp_path, content):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "archive").write_bytes(content)
    with pytest.raises(ValueError, match=r"archive is not unpacked: its member '.*'.* get another"):
        extract(tmp_path / "in" / "archive", "top", tmp_path / "in" / "out")
    assert everything(tmp_path) == ["in", "in/archive", "in/out"]


def changed(name: str = "top/a", **fields) -> bytes:
    """A tar with one member of one byte, and other fields in its header."""
    member = entry(name, 1)
    for field, value in fields.items():
        setattr(member, field, value)
    return tar(member)


def odd_zip(place: int, value: int, local: int | None = None) -> bytes:
    """A zip with another byte in its directory, and in the header of its member."""
    content = bytearray(zipped("top/a"))
    content[content.index(b"PK\1\2") + place] = value
    if local is not None:
        content[content.index(b"PK\3\4") + local] = value
    return bytes(content)


def bomb() -> bytes:
    """A zip a thousand times smaller than what is in it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("top/a", bytes(2_000_000))
    return buffer.getvalue()


def long_header() -> bytes:
    """A tar whose first header announces a name of 10 GB."""
    header = entry("name", 10**10, tarfile.GNUTYPE_LONGNAME)
    return header.tobuf(tarfile.GNU_FORMAT) + bytes(10_240)


WASTE = {
    "large tar": (tar(entry("top/a", 2_000_000)), r"holds more than 0.001 GB or 1000000 files"),
    "large tar, beside": (tar(entry("top/a"), entry("b", 2_000_000)), "more than 0.001 GB"),
    "large tgz": (tar(entry("top/a", 2_000_000), mode="w:gz"), "or give a limit"),
    "bomb": (bomb(), "more than 0.001 GB"),
    "many": (tar(*(entry(f"top/{n}") for n in range(11))), "or 10 files; if that is right"),
    "long header": (long_header(), "a header of 10000000000 bytes belongs to no data set"),
    "deep": (changed("top/" + "a/" * 3000 + "b"), "lies more than 100 folders deep"),
    "twice": (tar(entry("top/a"), entry("top/./a")), "'top/a' is there twice"),
    "twice, zip": (zipped("top/a", "top//a"), "'top/a' is there twice"),
    "in a file": (tar(entry("top/a"), entry("top/a/b")), "'top/a/b' lies in a file"),
    "folder, then file": (zipped("top/a/b", "top/a"), "'top/a' is there twice"),
    "encrypted": (odd_zip(8, 1, 6), "its member 'top/a' is encrypted"),
    "method 99": (odd_zip(10, 99, 8), "needs another program to unpack it: That compression"),
    "version 25.5": (odd_zip(6, 255), "needs another program to unpack it: zip file version 25.5"),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(("content", "words"), WASTE.values(), ids=WASTE)
def test_archives_that_cost_too_much_or_cannot_be_read(tmp_path, monkeypatch, content, words):
    if "10 files" in words:
        monkeypatch.setattr("dlseg.data.download.MEMBERS", 10)
    (tmp_path / "archive").write_bytes(content)
    with pytest.raises(ValueError, match=words):
        extract(tmp_path / "archive", "top", tmp_path / "out", limit=1_000_000)
    assert everything(tmp_path) == ["archive", "out"]


def test_the_limit_grows_with_the_archive_and_can_be_lifted(tmp_path, monkeypatch):
    (tmp_path / "a.zip").write_bytes(bomb())
    monkeypatch.setattr("dlseg.data.download.LEAST_LIMIT", 1000)
    with pytest.raises(ValueError, match="or give a limit"):
        extract(tmp_path / "a.zip", "top", tmp_path)
    assert extract(tmp_path / "a.zip", "top", tmp_path, limit=math.inf) == tmp_path / "top"
    assert (tmp_path / "top" / "a").stat().st_size == 2_000_000
    (tmp_path / "b.tar").write_bytes(tar(entry("top/a", 2_000_000)))
    extract(tmp_path / "b.tar", "top", tmp_path / "b")  # not much smaller than what is in it


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_tar_sets_no_dangerous_permissions(tmp_path):
    """Python's filter "data" takes set-user-id and the others' right to write away."""
    (tmp_path / "a.tar").write_bytes(changed(mode=0o4777))
    file = extract(tmp_path / "a.tar", "top", tmp_path) / "a"
    assert file.stat().st_mode & 0o7777 == 0o755


def test_a_time_that_no_file_can_have(tmp_path):
    (tmp_path / "a.tar").write_bytes(changed(mtime=1e300))
    assert (extract(tmp_path / "a.tar", "top", tmp_path) / "a").read_bytes() == b"\0"


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "a.tar").write_bytes(tar(entry("top")))
    with pytest.raises(ValueError, match="holds no folder top"):
        extract(tmp_path / "a.tar", "top", tmp_path)


SOUND = {"tar": tar(entry("top/a", 30000)), "tgz": tar(entry("top/a", 30000), mode="w:gz")}
SOUND["zip"] = zipped("top/a")


def foreign_name() -> bytes:
    """A zip with a name that is said to be UTF-8, and is none."""
    content = bytearray(SOUND["zip"])
    entry = content.rindex(b"PK\1\2")
    content[entry + 9] |= 8  # of the flags: UTF-8
    content[entry + 46] = 0xF3  # the name
    return bytes(content)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text",
        SOUND["tar"][:9000],
        SOUND["tgz"][:-20],
        SOUND["zip"][:-30],
        SOUND["zip"].replace(b"abc", b"abd", 1),
        foreign_name(),
    ],
    ids=["empty", "text", "tar", "tgz", "zip", "zip, wrong byte", "zip, wrong name"],
)
def test_damaged_archives_leave_nothing(tmp_path, content):
    (tmp_path / "archive").write_bytes(content)
    with pytest.raises(ValueError, match=r"archive is .*damaged.*; get it again"):
        extract(tmp_path / "archive", "top", tmp_path / "out")
    assert everything(tmp_path / "out") == []


def test_another_archive(tmp_path):
    (tmp_path / "a.tar").write_bytes(SOUND["tar"])
    with pytest.raises(ValueError, match=r"a.tar holds no folder gtFine; is it another archive"):
        extract(tmp_path / "a.tar", "gtFine", tmp_path / "out")
    assert everything(tmp_path / "out") == []


def test_what_is_there_is_kept(tmp_path):
    (tmp_path / "a.tar").write_bytes(SOUND["tar"])
    (tmp_path / "top").mkdir()
    with pytest.raises(FileExistsError, match="top is there already; delete it to unpack"):
        extract(tmp_path / "a.tar", "top", tmp_path)
    assert everything(tmp_path) == ["a.tar", "top"]


def test_no_room_leaves_nothing(tmp_path):
    resource = pytest.importorskip("resource")
    (tmp_path / "a.tar").write_bytes(SOUND["tar"])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            extract(tmp_path / "a.tar", "top", tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert everything(tmp_path / "out") == []
