"""Videos read and drawn anew: frames, times, sound, turned and odd ones, damaged ones."""

from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from dlseg.data import DataError
from dlseg.inference import count_frames, expected_frames, read_video, redraw, redraw_video
from tests.clips import near, pictures, shown, turn, wave, write_clip

KINDS = {  # name of the file -> its codec
    "clip.mp4": "libx264",
    "clip.mov": "mpeg4",
    "clip.mkv": "libx264",
    "clip.webm": "libvpx-vp9",
    "clip.avi": "mpeg4",
    "clip.ts": "libx264",
    "clip.mpg": "mpeg2video",
}


def frames(path, *options):
    return [image for _, image in read_video(path, *options)]


def same(images, others) -> bool:
    return len(images) == len(others) and all(
        near(image, other) < 4 for image, other in zip(images, others, strict=True)
    )


@pytest.mark.parametrize("name", KINDS)
def test_frames_of_many_kinds_of_files(name, tmp_path):
    images = pictures()
    path = write_clip(tmp_path / name, images, KINDS[name])
    assert same(frames(path), images)
    assert count_frames(path) == 6
    if path.suffix != ".mpg":  # whose header says nothing
        assert abs(expected_frames(path) - 6) <= 1
    assert [number for number, _ in read_video(path, {1, 4})] == [1, 4]
    assert same(frames(path, {1, 4}), [images[1], images[4]])


@pytest.mark.parametrize("name", KINDS)
def test_drawn_anew_each_frame_keeps_its_place_and_time(name, tmp_path):
    path = write_clip(tmp_path / name, pictures(12), KINDS[name])
    made = redraw_video(path, tmp_path / "new.mp4", lambda image: 255 - image)
    images, times = shown(tmp_path / "new.mp4")
    assert (made.frames, made.size, made.encoder, made.remarks) == (12, (48, 64), "libx264", [])
    assert same(images, [255 - image for image in shown(path)[0]])
    assert np.allclose(np.diff(times), 1 / 25, atol=2e-3) and times[0] == 0
    with av.open(str(tmp_path / "new.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert stream.average_rate == 25


def test_a_variable_rate_stays_one(tmp_path):
    times = [0, 40, 45, 200, 1000, 1001]
    path = write_clip(tmp_path / "clip.mkv", pictures(), times=times)
    redraw_video(path, tmp_path / "new.mp4", np.copy)
    assert np.allclose(shown(tmp_path / "new.mp4")[1], np.array(times) / 1000, atol=1e-6)


# The matrix (a, b, c, d) of a turn or a mirror, and what NumPy does.
TURNS = {
    "right": ((0, 1, -1, 0), lambda image: np.rot90(image, -1)),
    "around": ((-1, 0, 0, -1), lambda image: np.rot90(image, 2)),
    "left": ((0, -1, 1, 0), lambda image: np.rot90(image)),
    "mirrored": ((-1, 0, 0, 1), lambda image: image[:, ::-1]),
    "upside down": ((1, 0, 0, -1), lambda image: image[::-1]),
    "transposed": ((0, 1, 1, 0), lambda image: image.swapaxes(0, 1)),
    "other diagonal": ((0, -1, -1, 0), lambda image: np.rot90(image, 2).swapaxes(0, 1)),
}


@pytest.mark.parametrize("way", TURNS)
def test_a_turned_clip_is_turned_upright_once(way, tmp_path):
    matrix, move = TURNS[way]
    images = pictures()
    path = write_clip(tmp_path / "clip.mp4", images, ratio=Fraction(4, 3))
    turn(path, matrix)
    upright = [move(image) for image in images]
    assert same(frames(path), upright)
    seen = []
    redraw_video(path, tmp_path / "new.mp4", lambda image: seen.append(image) or image)
    assert same(seen, upright) and same(frames(tmp_path / "new.mp4"), seen)
    with av.open(str(tmp_path / "new.mp4")) as container:
        assert next(container.decode(video=0)).rotation == 0
        ratio = container.streams.video[0].sample_aspect_ratio
    assert ratio == (Fraction(3, 4) if upright[0].shape[0] == 64 else Fraction(4, 3))


def test_a_turn_to_the_right_is_ffmpegs(tmp_path):
    """FFmpeg counts degrees to the left."""
    path = write_clip(tmp_path / "clip.mp4", pictures(2))
    turn(path, TURNS["right"][0])
    with av.open(str(path)) as container:
        assert next(container.decode(video=0)).rotation == -90


@pytest.mark.parametrize(("height", "width"), [(47, 64), (48, 63), (33, 35)])
def test_odd_sides_get_their_last_line_twice(height, width, tmp_path):
    images = pictures(4, height, width)
    path = write_clip(tmp_path / "clip.mkv", images, "ffv1", pix_fmt="yuv444p")
    made = redraw_video(path, tmp_path / "new.mp4", np.copy)
    even = np.pad(images[0], ((0, height % 2), (0, width % 2), (0, 0)), "edge")
    drawn = shown(tmp_path / "new.mp4")[0]
    assert len(drawn) == 4 and near(drawn[0], even) < 4
    assert made.size == (height, width)
    size = f"{even.shape[1]} x {even.shape[0]} pixels"
    assert made.remarks == [
        f"{size}, since H.264 has even sides: the last row or column is there twice"
    ]


def packets(path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


@pytest.mark.parametrize(("name", "codec"), [("clip.mp4", "aac"), ("clip.mkv", "libmp3lame")])
def test_sound_is_copied(name, codec, tmp_path):
    path = write_clip(tmp_path / name, pictures(25), sound=codec)
    made = redraw_video(path, tmp_path / "new.mp4", np.copy)
    assert made.frames == 25 and made.remarks == []
    assert packets(tmp_path / "new.mp4") == packets(path) != []


def test_sound_that_mp4_cannot_hold_is_left_out_and_told(tmp_path):
    path = write_clip(tmp_path / "clip.avi", pictures(), "mpeg4", sound="pcm_s16le")
    made = redraw_video(path, tmp_path / "new.mp4", np.copy)
    assert made.remarks == ["its sound is left out: players know no pcm_s16le in MP4"]
    with av.open(str(tmp_path / "new.mp4")) as container:
        assert not container.streams.audio


@pytest.mark.parametrize("matrix", [1, 5])
@pytest.mark.parametrize("wide", [1, 2])
def test_colours_stay_whatever_the_header_says_of_them(matrix, wide, tmp_path):
    """BT.709 and BT.601, in the limited range and the full one."""
    image = pictures(1)[0]
    path = tmp_path / "clip.mkv"
    with av.open(str(path), "w") as target:
        stream = target.add_stream("libx264", rate=25, options={"crf": "1"})
        stream.height, stream.width, stream.pix_fmt = *image.shape[:2], "yuv420p"
        context = stream.codec_context
        context.colorspace, context.color_range = matrix, wide
        frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(
            format="yuv420p", dst_colorspace=matrix, dst_color_range=wide
        )
        target.mux(stream.encode(frame))
        target.mux(stream.encode())
    assert same(frames(path), [image])
    redraw_video(path, tmp_path / "new.mp4", np.copy)
    assert same(frames(tmp_path / "new.mp4"), [image])


def test_without_x264_the_next_encoder_is_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(redraw, "ENCODERS", {"nothing": {}, "mpeg4": {"qscale": "3"}})
    times = [0, 40, 45, 200, 1000, 1001]
    path = write_clip(tmp_path / "clip.mkv", pictures(), times=times)
    made = redraw_video(path, tmp_path / "new.mp4", np.copy)
    images, seconds = shown(tmp_path / "new.mp4")
    assert made.encoder == "mpeg4" and same(images, shown(path)[0])
    assert np.allclose(seconds, np.array(times) / 1000, atol=1e-3)


# What is no video, or no whole one


def cut(path: Path, share: float) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    return path


def test_faults_are_told_in_a_line(tmp_path):
    (tmp_path / "text.mp4").write_text("hello" * 100)
    (tmp_path / "empty.mp4").write_bytes(b"")
    write_clip(tmp_path / "whole.mp4", pictures(30))
    (tmp_path / "half.mp4").write_bytes((tmp_path / "whole.mp4").read_bytes()[:900])
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile whole.mp4\n")
    with av.open(str(tmp_path / "sound.mp4"), "w") as target:
        stream = target.add_stream("aac", rate=16000)
        target.mux(stream.encode(wave(9)))
        target.mux(stream.encode())
    for name, words in {
        "text.mp4": "is no video that can be read",
        "empty.mp4": "is empty; copy the file again",
        "half.mp4": "is no video that can be read",
        "list.mp4": "is no video that can be read",  # it would have other files read
        "sound.mp4": "holds no pictures",
        "none.mp4": "there is no such file",
        ".": "is a folder",
    }.items():
        for call in (
            count_frames,
            expected_frames,
            frames,
            lambda path: redraw_video(path, tmp_path / "new.mp4", np.copy),
        ):
            with pytest.raises(DataError, match=words) as caught:
                call(tmp_path / name)
            assert "\n" not in str(caught.value)
        assert not (tmp_path / "new.mp4").exists() and not list(tmp_path.glob("*.part"))


def test_of_a_damaged_video_the_good_frames_are_read_and_no_copy_is_left(tmp_path):
    path = write_clip(tmp_path / "clip.mp4", pictures(40), options={"movflags": "faststart"})
    cut(path, 0.8)
    (tmp_path / "new.mp4").write_bytes(b"before")
    seen = []
    with pytest.raises(DataError, match=r"is damaged behind frame \d+ of those that are shown"):
        list(read_video(path))
    with pytest.raises(DataError, match="is damaged behind"):
        redraw_video(path, tmp_path / "new.mp4", lambda image: seen.append(image) or image)
    assert 0 < len(seen) == count_frames(path) < 40
    assert (tmp_path / "new.mp4").read_bytes() == b"before"
    assert {file.name for file in tmp_path.iterdir()} == {"clip.mp4", "new.mp4"}


def test_a_video_that_ends_before_its_header_says_is_told(tmp_path):
    """A format that is read as it comes has no end that would be missed."""
    path = cut(write_clip(tmp_path / "clip.mkv", pictures(40)), 0.5)
    made = redraw_video(path, tmp_path / "new.mp4", np.copy)
    assert 0 < made.frames < 30
    assert made.remarks == [
        f"its header tells of about 40 frames, {made.frames} were found: is it whole?"
    ]


def test_what_draw_returns_is_looked_at(tmp_path):
    path = write_clip(tmp_path / "clip.mp4", pictures())
    for draw, words in (
        (lambda image: image[1:], "draw must keep the shape"),
        (lambda image: image / 255, "a drawn frame must be uint8"),
    ):
        with pytest.raises(ValueError, match=words):
            redraw_video(path, tmp_path / "new.mp4", draw)
    assert not (tmp_path / "new.mp4").exists()


def test_a_full_disk_is_an_error_of_the_system(tmp_path, monkeypatch):
    class Full:
        """A file that takes 100 bytes."""

        def __init__(self, file):
            self.file = file

        def write(self, content):
            if self.file.tell() + len(content) > 100:
                raise OSError(28, "No space left on device")
            return self.file.write(content)

        def __getattr__(self, name):
            return getattr(self.file, name)

    real = redraw.new_file

    @contextmanager
    def new_file(path):
        with real(path) as file:
            yield Full(file)

    monkeypatch.setattr(redraw, "new_file", new_file)
    path = write_clip(tmp_path / "clip.mp4", pictures())
    with pytest.raises(OSError, match="No space left"):
        redraw_video(path, tmp_path / "new.mp4", np.copy)
    assert not (tmp_path / "new.mp4").exists()


def test_large_frames_are_refused_before_they_are_decoded(tmp_path):
    path = write_clip(tmp_path / "clip.mp4", pictures())
    with pytest.raises(DataError, match=r"has frames of 0.00307 megapixels, the limit is 0.003"):
        next(read_video(path, max_pixels=3000))
    assert len(frames(path, None, 64 * 48)) == 6
