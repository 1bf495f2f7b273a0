"""A video drawn anew, frame by frame: H.264 in an MP4 file, which every player shows.

Needs the extra `video`; PyAV's wheels bring x264. Time stamps stay, and so does the sound.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np

from dlseg.aside import new_file
from dlseg.checks import CommandError, check_rgb, described
from dlseg.data import MAX_PIXELS, DataError, Fault
from dlseg.inference.video import AGAIN, Video, opened, turned, upright_rgb

# The first that FFmpeg was built with is taken, with these options; mpeg4 plays on most players.
ENCODERS = {
    "libx264": {"crf": "20", "preset": "veryfast"},  # it looks 10 frames ahead, others 40
    "libopenh264": {},
    "mpeg4": {"qscale": "3"},
}
COARSE = Fraction(1, 60_000)  # of a second; mpeg4 counts time no finer than 1/65535
SOUNDS = ("aac", "mp3", "ac3", "eac3", "alac", "opus", "flac")  # that players know in MP4
# Numbers of H.273 in a video's header: matrices, the limited range, curves of high dynamic range.
BT709, UNSPECIFIED, BT601, BT2020, LIMITED, BROAD = 1, 2, 6, 9, 1, (16, 18)
ITU709, ITU601 = 1, 5  # the first two matrices as FFmpeg's converter numbers them


@dataclass
class Redrawn:
    """What `redraw_video` made: frames, their size (H, W), FFmpeg's name of the encoder.

    remarks: what is not as in the original, a line each.
    """

    frames: int = 0
    size: tuple[int, int] = (0, 0)
    encoder: str = ""
    remarks: list[str] = field(default_factory=list)


def redraw_video(
    path: str | Path,
    out: str | Path,
    draw: Callable[[np.ndarray], np.ndarray],
    max_pixels: float = MAX_PIXELS,
) -> Redrawn:
    """Write the video `path` as the MP4 file `out`, each of its frames as `draw` returns it.

    draw: from a frame, uint8 (H, W, 3), RGB and upright, to one of that shape; it is called for one
    after the other, and no more than some 20 are in memory.
    A frame keeps its time stamp, so that a variable rate stays one. Sound is copied where MP4 can
    hold it. H.264 has even sides: of an odd one the last row or column is there twice. The file
    appears under its name when it is whole.
    Raises as `read_video`; OSError where `out` cannot be written; ValueError for another shape.
    """
    with opened(path, max_pixels) as video:
        import av

        try:
            with new_file(out) as file, av.open(file, "w", format="mp4") as target:
                writer = _Writer(video, target)
                for thing in video.content(writer.sounds):
                    if isinstance(thing, av.VideoFrame):
                        writer.picture(thing, draw)
                    else:
                        writer.sound(thing)
                return writer.end()
        except av.error.FFmpegError as error:
            first = error.__context__  # closing fails too where something failed before
            if first is not None and not isinstance(first, av.error.FFmpegError):
                raise first from None
            problem = f"cannot be written as MP4 ({error.strerror})"
            remedy = "predict it to a folder, or without its sound, of: ffmpeg -i OLD -an NEW.mp4"
            raise DataError(Fault(video.path, problem, remedy)) from error


class _Writer:
    """Pictures and sound of one video on their way into another container of PyAV."""

    def __init__(self, video: Video, target):
        self.video, self.target, self.made = video, target, Redrawn()
        self.start = Fraction(video.container.start_time or 0, 1_000_000)  # seconds
        self.stream, self.last, self.waiting, self.copies = None, -1, [], {}
        for sound in video.container.streams.audio:
            name = sound.codec_context.codec.canonical_name if sound.codec_context else "such"
            if name in SOUNDS:
                self.copies[sound.index] = target.add_stream_from_template(sound)
            else:
                self.made.remarks.append(f"its sound is left out: players know no {name} in MP4")

    @property
    def sounds(self) -> list:
        """The streams of the video that are copied."""
        return [self.video.container.streams[index] for index in self.copies]

    def sound(self, packet) -> None:
        """Copy a packet; those before the first frame wait for it, as the header does."""
        if packet.dts is None:  # the end
            return
        shift = round(self.start / packet.time_base)
        packet.dts -= shift
        packet.pts = packet.dts if packet.pts is None else packet.pts - shift
        packet.stream = self.copies[packet.stream.index]
        self.waiting.append(packet)
        if self.stream is not None:
            self._flush()

    def picture(self, frame, draw: Callable[[np.ndarray], np.ndarray]) -> None:
        """Draw and encode a frame."""
        image = upright_rgb(frame)  # (H, W, 3)
        if self.stream is None:
            self._begin(frame, image.shape[:2])
        if image.shape[:2] != self.made.size:
            problem = f"changes the size of its frames behind frame {self.made.frames}"
            raise DataError(Fault(self.video.path, problem, "predict it to a folder"))
        drawn = draw(image)
        check_rgb("a drawn frame", drawn)
        if drawn.shape != image.shape:
            raise ValueError(f"draw must keep the shape {image.shape}, got {described(drawn)}")
        self.target.mux(self.stream.encode(self._encodable(drawn, frame)))
        self._flush()
        self.made.frames += 1

    def end(self) -> Redrawn:
        """Write what the encoder still holds."""
        if self.stream is None:
            raise DataError(Fault(self.video.path, "holds no frame that can be read", AGAIN))
        self.target.mux(self.stream.encode())
        expected = self.video.expected()
        if self.made.frames < 0.95 * expected - 2:
            text = f"its header tells of about {expected} frames, {self.made.frames} were found"
            self.made.remarks.append(f"{text}: is it whole?")
        return self.made

    def _begin(self, frame, size: tuple[int, int]) -> None:
        """Set up the encoder as the first frame is."""
        source, name = self.video.stream, _encoder()
        rate = source.average_rate or source.guessed_rate or 25
        stream = self.target.add_stream(name, rate=rate, options=dict(ENCODERS[name]))
        stream.height, stream.width = (side + side % 2 for side in size)
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = COARSE if name == "mpeg4" else source.time_base
        ratio = source.sample_aspect_ratio
        if ratio:  # of pixels that are no squares
            context.sample_aspect_ratio = 1 / ratio if turned(frame)[0] else ratio
        context.colorspace = _matrix(frame)
        context.color_range, context.color_primaries = LIMITED, frame.color_primaries
        context.color_trc = frame.color_trc
        self.stream, self.made.size, self.made.encoder = stream, size, name
        if any(side % 2 for side in size):
            text = f"{stream.width} x {stream.height} pixels, since H.264 has even sides"
            self.made.remarks.append(f"{text}: the last row or column is there twice")
        if frame.color_trc in BROAD:
            self.made.remarks.append("its high dynamic range is not toned down: it looks pale")

    def _encodable(self, image: np.ndarray, frame):
        """An image as a frame with the time stamp of `frame`, its sides made even."""
        import av

        height, width = image.shape[:2]
        even = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), "edge")
        made = av.VideoFrame.from_ndarray(even, format="rgb24").reformat(
            format="yuv420p",
            dst_colorspace=ITU709 if _matrix(frame) == BT709 else ITU601,
            dst_color_range=LIMITED,
        )
        tick = self.stream.codec_context.time_base
        if frame.pts is not None:
            self.last = max(self.last + 1, round((frame.pts * frame.time_base - self.start) / tick))
        else:
            self.last += max(1, round(1 / self.stream.codec_context.framerate / tick))
        made.pts, made.time_base = self.last, tick
        return made

    def _flush(self) -> None:
        """Write the sound that waits."""
        for packet in self.waiting:
            self.target.mux(packet)
        self.waiting.clear()


def _matrix(frame) -> int:
    """The matrix that the copy of a frame is written by: its own if it is one of three."""
    known = {BT709: BT709, BT2020: BT709, UNSPECIFIED: UNSPECIFIED}
    return known.get(int(frame.colorspace), BT601)


def _encoder() -> str:
    """The first of ENCODERS that is there."""
    import av

    for name in ENCODERS:
        try:
            av.codec.Codec(name, "w")
        except ValueError:  # PyAV's error for one that is not there
            continue
        return name
    raise CommandError("this FFmpeg can write no video; run: pip install --force-reinstall av")
