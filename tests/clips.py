"""Small videos for tests, written by PyAV; what a player would show of one; its header changed."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

LEVELS = (60, 120, 180, 240)  # far enough apart to be told in a coded frame


def pictures(count: int = 6, height: int = 48, width: int = 64) -> list[np.ndarray]:
    """Frames whose quarters differ, and which differ from each other by their brightness."""
    made = []
    for number in range(count):
        image = np.zeros((height, width, 3), np.uint8)
        bright = LEVELS[number % 4]
        image[: height // 2, : width // 2] = (bright, 20, 20)
        image[: height // 2, width // 2 :] = (20, bright, 20)
        image[height // 2 :, : width // 2] = (20, 20, bright)
        made.append(image)
    return made


def write_clip(
    path: Path,
    images: Sequence[np.ndarray],
    codec: str = "libx264",
    times: Sequence[int] | None = None,
    sound: str = "",
    pix_fmt: str = "yuv420p",
    ratio: Fraction | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """A video of the images, 25 frames a second or at `times`, in milliseconds.

    sound: codec of a tone as long as the pictures. ratio: of the sides of a pixel.
    """
    with av.open(str(path), "w", options=options or {}) as target:
        stream = target.add_stream(codec, rate=25)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = pix_fmt
        if ratio:
            stream.codec_context.sample_aspect_ratio = ratio
        if times:
            stream.codec_context.time_base = Fraction(1, 1000)
        tone = target.add_stream(sound, rate=16000) if sound else None
        for number, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            if times:
                frame.pts, frame.time_base = times[number], Fraction(1, 1000)
            target.mux(stream.encode(frame))
        target.mux(stream.encode())
        if tone:
            target.mux(tone.encode(wave(len(images))))
            target.mux(tone.encode())
    return path


def wave(frames: int) -> av.AudioFrame:
    """A tone for so many frames of pictures."""
    values = (np.sin(np.arange(16000 * frames // 25) / 3) * 20000).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(values[None], format="s16", layout="mono")
    frame.sample_rate, frame.pts = 16000, 0
    return frame


def turn(path: Path, matrix: Sequence[int]) -> None:
    """Write a matrix (a, b, c, d) into the header of an MP4 file: ISO/IEC 14496-12, 8.3.2."""
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 4 + 4 + 20 + 8 + 8  # version 0, times, layer and volume
    a, b, c, d = (65536 * value for value in matrix)
    nine = np.array([a, b, 0, c, d, 0, 0, 0, 1 << 30], ">i4")
    content[place : place + 36] = nine.tobytes()
    path.write_bytes(content)


def shown(path: Path) -> tuple[list[np.ndarray], list[float]]:
    """All frames of a video as PyAV decodes them, and their seconds."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        return [frame.to_ndarray(format="rgb24") for frame in frames], [f.time for f in frames]


def near(image: np.ndarray, other: np.ndarray) -> float:
    """Mean difference of two images; infinite where their shapes differ."""
    if image.shape != other.shape:
        return float("inf")
    return float(np.abs(image.astype(int) - other).mean())
