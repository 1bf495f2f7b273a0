"""Frames of a video file, upright and RGB, decoded one at a time by FFmpeg's libraries (PyAV).

Needs the extra `video`. A file is read for what it is, and alone: formats that are lists of other
files, or of addresses, are refused.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dlseg.checks import need
from dlseg.data import MAX_PIXELS, DataError, Fault
from dlseg.paths import check_path

# FFmpeg's names of the formats whose files hold the pictures themselves.
FORMATS = "mov,matroska,avi,mpegts,mpeg,mpegvideo,h264,hevc,flv,asf,ogg,mxf,gif"
AGAIN = "copy the file again, or let ffmpeg mend what it can: ffmpeg -i OLD NEW.mp4"


def count_frames(path: str | Path) -> int:
    """How many frames of a video can be decoded, found by decoding them.

    A header may tell of frames that are never shown, or of none. What lies behind a damaged place
    does not count. Raises as `read_video`, DataError also where there is no frame at all.
    """
    count = 0
    with opened(path) as video:
        try:
            for _ in video.content():
                count += 1
        except DataError:
            if not count:
                raise
    if not count:
        raise DataError(Fault(video.path, "holds no frame that can be read", AGAIN))
    return count


def expected_frames(path: str | Path) -> int:
    """About how many frames a video has, from its header, which may err; 0: it does not say.

    Raises as `read_video`.
    """
    with opened(path) as video:
        return video.expected()


def read_video(
    path: str | Path, numbers: Collection[int] | None = None, max_pixels: float = MAX_PIXELS
) -> Iterator[tuple[int, np.ndarray]]:
    """Frames of a video file: (number from 0, uint8 (H, W, 3)), RGB, turned as its header says.

    One is in memory at a time. numbers: those wanted; None: all. The others are decoded too, for a
    frame is coded as what changed since another. max_pixels: of a frame; larger ones are refused.
    Raises DataError for what is no video or too large, and for a damaged one behind the last good
    frame; ValueError for a path that cannot be; CommandError without PyAV.
    """
    with opened(path, max_pixels) as video:
        for number, frame in enumerate(video.content()):
            if numbers is None or number in numbers:
                yield number, upright_rgb(frame)


@dataclass(frozen=True)
class Video:
    """An open video file. container, stream: PyAV's, the stream that of the pictures."""

    path: Path
    container: object
    stream: object

    def content(self, sounds: Sequence = ()) -> Iterator:
        """Decoded frames, and packets of the streams `sounds`, in the order of the file."""
        packets, count = self.container.demux(self.stream, *sounds), 0
        while True:
            with _explained(self.path, f"is damaged behind frame {count} of those that are shown"):
                packet = next(packets, None)
                if packet is None:
                    return
                pictures = packet.stream.index == self.stream.index
                things = packet.decode() if pictures else [packet]
            yield from things
            count += len(things) if pictures else 0

    def expected(self) -> int:
        """About how many frames there are, from the header, which may err; 0: it does not say."""
        stream, rate = self.stream, self.stream.average_rate
        if stream.frames or not rate:
            return stream.frames
        own = stream.duration and float(stream.duration * stream.time_base)
        return round((own or (self.container.duration or 0) / 1e6) * rate)


@contextmanager
def opened(path: str | Path, max_pixels: float = MAX_PIXELS) -> Iterator[Video]:
    """A video file, open for reading. Raises as `read_video`."""
    need("av", "video")
    import av

    path = check_path("the video", path)
    with ExitStack() as stack:
        with _explained(path, "is no video that can be read: damaged, not whole, or another file"):
            file = stack.enter_context(path.open("rb"))
            if not file.read(1):
                raise DataError(Fault(path, "is empty", "copy the file again"))
            file.seek(0)
            options = {"format_whitelist": FORMATS}
            container = stack.enter_context(av.open(file, options=options))
        if not container.streams.video:
            raise DataError(Fault(path, "holds no pictures", "name a video"))
        video = Video(path, container, container.streams.video[0])
        _check_size(path, video.stream.width * video.stream.height, max_pixels)
        yield video


def upright_rgb(frame) -> np.ndarray:
    """A frame of PyAV as uint8 (H, W, 3), turned and mirrored as its display matrix says."""
    array = frame.to_ndarray(format="rgb24")
    transposed, across, down = turned(frame)
    array = array.swapaxes(0, 1) if transposed else array
    return np.ascontiguousarray(array[:: -1 if down else 1, :: -1 if across else 1])


def turned(frame) -> tuple[bool, bool, bool]:
    """How a frame is turned: rows and columns swapped; after that columns, rows backwards.

    Its matrix (a b u / c d v / x y w), 9 int32, shows the point (x, y) at (a x + c y, b x + d y).
    One that turns by no multiple of a right angle is left out.
    Source: ISO/IEC 14496-12, section 6.2.2.
    """
    found = frame.side_data.get("DISPLAYMATRIX")
    if found is None:
        return False, False, False
    a, b, _, c, d = np.frombuffer(bytes(found), np.int32)[:5].tolist()
    if not (a or d):
        return True, c < 0, b < 0
    return (False, a < 0, d < 0) if not (b or c) else (False, False, False)


@contextmanager
def _explained(path: Path, problem: str) -> Iterator[None]:
    """What Python and FFmpeg raise about a file as DataError; `problem`: where it is the content's.

    Nothing of the caller's may be in the block: its errors would be taken for the file's.
    """
    import av

    try:
        yield
    except (DataError, MemoryError):
        raise
    except FileNotFoundError as error:
        raise DataError(Fault(path, "there is no such file", "look for it")) from error
    except IsADirectoryError as error:
        raise DataError(Fault(path, "is a folder", "name a file in it")) from error
    except av.error.FFmpegError as error:
        raise DataError(Fault(path, f"{problem} ({error.strerror})", AGAIN)) from error
    except OSError as error:
        remedy = "give yourself the right to read it, or copy it to another place"
        raise DataError(Fault(path, f"cannot be read: {error.strerror}", remedy)) from error


def _check_size(path: Path, pixels: int, max_pixels: float) -> None:
    if not pixels:
        raise DataError(Fault(path, "does not say how large its frames are", AGAIN))
    if pixels > max_pixels:
        problem = f"has frames of {pixels / 1e6:.3g} megapixels, the limit is {max_pixels / 1e6:g}"
        remedy = f"--max-pixels {pixels / 1e6 + 0.1:.1f} of dlseg predict lifts it"
        raise DataError(Fault(path, problem, remedy))
