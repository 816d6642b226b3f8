"""Small real videos for tests. The brightness of a frame is its number, so a test can tell which frames a clip took.

    video = numbered_video(num_frames=48)                     # MP4, H.264
    frame_number(load_clip(video, spec).frames[0])            # 3

``solid_video((255, 0, 0))`` is all red, for a model that names colours.
"""

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Colour = tuple[int, int, int]

RED: Colour = (255, 0, 0)
GREEN: Colour = (0, 255, 0)
BLUE: Colour = (0, 0, 255)

MAX_NUMBER = 55
"""Numbers repeat after this many frames: a step of 4 in brightness survives compression, and 16 + 4 * 55 = 236."""


@dataclass(frozen=True)
class Encoding:
    """How pictures become a file."""

    container: str = "mp4"
    codec: str = "libx264"
    pixel_format: str = "yuv420p"
    frames_per_second: int = 25
    pixel_aspect: Fraction | None = None
    keyframe_interval: int = 12


H264_MP4 = Encoding()
H264_MKV = Encoding(container="matroska")
MPEG4_AVI = Encoding(container="avi", codec="mpeg4")
VP9_WEBM = Encoding(container="webm", codec="libvpx-vp9")
MPEG2_TS = Encoding(container="mpegts", codec="mpeg2video")


def encode(pictures: Iterable[Picture], encoding: Encoding = H264_MP4, times: Sequence[int] | None = None) -> bytes:
    """A file of these pictures (each uint8 RGB, shape (height, width, 3)).

    ``times`` are presentation times in units of one frame interval, for a variable frame rate: [0, 1, 2, 10].
    """
    pictures = list(pictures)
    file = io.BytesIO()
    with av.open(file, "w", format=encoding.container) as container:
        stream = container.add_stream(encoding.codec, rate=encoding.frames_per_second)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = encoding.pixel_format
        stream.codec_context.gop_size = encoding.keyframe_interval
        stream.codec_context.thread_count = 1
        stream.codec_context.time_base = Fraction(1, encoding.frames_per_second)
        if encoding.pixel_aspect:
            stream.codec_context.sample_aspect_ratio = encoding.pixel_aspect
        for picture, time in zip(pictures, times or range(len(pictures)), strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, encoding.frames_per_second)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def numbered_picture(number: int, width: int = 64, height: int = 48) -> Picture:
    """A grey picture whose brightness is the number."""
    return np.full((height, width, 3), 16 + 4 * (number % MAX_NUMBER), np.uint8)


def frame_number(picture: Picture) -> int:
    """The number that ``numbered_picture`` drew, read from the middle of the picture."""
    height, width = picture.shape[:2]
    middle = picture[height // 4 : 3 * height // 4 or 1, width // 4 : 3 * width // 4 or 1]
    return round((float(middle.mean()) - 16) / 4)


def numbered_video(
    num_frames: int = 48,
    width: int = 64,
    height: int = 48,
    encoding: Encoding = H264_MP4,
    times: Sequence[int] | None = None,
) -> bytes:
    """Grey frames numbered from 0."""
    return encode((numbered_picture(i, width, height) for i in range(num_frames)), encoding, times)


def solid_video(
    colour: Colour, num_frames: int = 24, width: int = 64, height: int = 48, encoding: Encoding = H264_MP4
) -> bytes:
    """One colour throughout."""
    return encode([solid_picture(colour, width, height)] * num_frames, encoding)


def solid_picture(colour: Colour, width: int = 64, height: int = 48) -> Picture:
    """One colour everywhere."""
    return np.broadcast_to(np.array(colour, np.uint8), (height, width, 3)).copy()


def left_right_video(left: Colour, right: Colour, num_frames: int = 24, width: int = 64, height: int = 48) -> bytes:
    """Two halves in two colours, so that a rotation shows."""
    picture = solid_picture(right, width, height)
    picture[:, : width // 2] = left
    return encode([picture] * num_frames)


def variable_rate_video(num_frames: int = 12) -> bytes:
    """Frames at 0, 1, 2, ... for the first half and ten times as far apart for the second."""
    half = num_frames // 2
    times = [i if i < half else half + 10 * (i - half) for i in range(num_frames)]
    return numbered_video(num_frames, encoding=replace(H264_MP4, container="matroska"), times=times)


def anamorphic_video(pixel_aspect: Fraction = Fraction(2)) -> bytes:
    """64 x 48 coded; shown ``pixel_aspect`` times as wide."""
    return numbered_video(encoding=replace(H264_MP4, pixel_aspect=pixel_aspect))


def one_frame_video() -> bytes:
    """A still picture in a video container."""
    return numbered_video(num_frames=1)


def large_video(width: int = 4352, height: int = 2432) -> bytes:
    """Two frames, each with more pixels than the default limits admit; small on disk."""
    return solid_video(RED, 2, width, height, replace(H264_MP4, codec="mpeg4"))


def audio_only() -> bytes:
    """A quarter of a second of silence in MP4."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 2048), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def rotated(mp4: bytes, quarter_turns: int) -> bytes:
    """The same MP4 with a display matrix that turns the picture clockwise by ``quarter_turns`` when shown."""
    one = 1 << 16
    a, b = ((one, 0), (0, one), (-one, 0), (0, -one))[quarter_turns % 4]
    matrix = (a, b, 0, -b, a, 0, 0, 0, 1 << 30)
    at = mp4.index(b"tkhd") + 4 + 40
    words = b"".join(word.to_bytes(4, "big", signed=True) for word in matrix)
    return mp4[:at] + words + mp4[at + 36 :]


def truncated(video: bytes, keep: float = 0.5) -> bytes:
    """The first part of a file, as a broken upload leaves it."""
    return video[: int(len(video) * keep)]


def damaged(mp4: bytes) -> bytes:
    """An MP4 whose coded frames are overwritten; its headers stay."""
    start = mp4.index(b"mdat") + 4
    end = mp4.index(b"moov") - 4
    noise = np.random.default_rng(0).integers(0, 256, end - start, np.uint8).tobytes()
    return mp4[:start] + noise + mp4[end:]


GOOD_VIDEOS: dict[str, Callable[[], bytes]] = {
    "mp4-h264": lambda: solid_video(RED),
    "mkv-h264": lambda: solid_video(RED, encoding=H264_MKV),
    "avi-mpeg4": lambda: solid_video(RED, encoding=MPEG4_AVI),
    "webm-vp9": lambda: solid_video(RED, encoding=VP9_WEBM),
    "ts-mpeg2": lambda: solid_video(RED, encoding=MPEG2_TS),
    "rotated": lambda: rotated(solid_video(RED), 1),
    "odd-size": lambda: solid_video(RED, width=62, height=46),
    "two-frames": lambda: solid_video(RED, num_frames=2),
}
"""Red videos of every kind that must classify alike."""
