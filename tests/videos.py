"""Small real videos for tests. The brightness of a frame is its number, so a test can tell which frames a clip took.

    video = numbered_video(num_frames=48)                     # MP4, H.264
    frame_number(load_clip(video, spec).frames[0])            # 3

``solid_video((255, 0, 0))`` is all red, for a model that names colours.
"""

import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
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
    b_frames: int | None = None
    """At most so many in a row; None leaves it to the encoder."""
    options: tuple[tuple[str, str], ...] = ()
    """FFmpeg's options of the container and of the codec: ``(("movflags", "faststart"),)``."""


H264_MP4 = Encoding()
H264_MKV = Encoding(container="matroska")
MPEG4_AVI = Encoding(container="avi", codec="mpeg4")
VP9_WEBM = Encoding(container="webm", codec="libvpx-vp9")
MPEG2_TS = Encoding(container="mpegts", codec="mpeg2video")


@contextmanager
def _same_scheduling() -> Iterator[None]:
    """SVT-AV1, run by root, makes the thread that calls it a real-time one (SCHED_FIFO 99), and so all that it starts."""
    before = (os.sched_getscheduler(0), os.sched_getparam(0)) if hasattr(os, "sched_getscheduler") else None
    try:
        yield
    finally:
        if before:
            os.sched_setscheduler(0, *before)


@_same_scheduling()
def encode(pictures: Iterable[Picture], encoding: Encoding = H264_MP4, times: Sequence[int] | None = None) -> bytes:
    """A file of these pictures (each uint8 RGB, shape (height, width, 3)).

    ``times`` are presentation times in units of one frame interval, for a variable frame rate: [0, 1, 2, 10].
    """
    pictures = list(pictures)
    file = io.BytesIO()
    # without random identifiers: the same pictures make the same file
    options = {"fflags": "+bitexact", **dict(encoding.options)}
    with av.open(file, "w", format=encoding.container, container_options=options) as container:
        stream = container.add_stream(encoding.codec, rate=encoding.frames_per_second, options=options)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = encoding.pixel_format
        stream.codec_context.gop_size = encoding.keyframe_interval
        stream.codec_context.thread_count = 1
        if encoding.b_frames is not None:
            stream.codec_context.max_b_frames = encoding.b_frames
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


_GRAIN = np.random.default_rng(0).integers(-16, 17, (288, 608, 1)).astype(np.int16)


def grainy_picture(number: int, width: int = 64, height: int = 48) -> Picture:
    """As bright as its number, with grain that moves sideways: a frame decoded without those it needs looks different."""
    start = number % 256
    return (numbered_picture(number, width, height) + _GRAIN[:height, start : start + width]).clip(0, 255).astype(np.uint8)


def frame_number(picture: Picture) -> int:
    """The number that ``numbered_picture`` or ``grainy_picture`` drew, read from the middle of the picture."""
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


def grainy_video(num_frames: int = 48, encoding: Encoding = H264_MP4, width: int = 64, height: int = 48) -> bytes:
    """Grainy frames numbered from 0."""
    return encode((grainy_picture(i, width, height) for i in range(num_frames)), encoding)


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


def growing_video(num_frames: int = 40) -> bytes:
    """An MPEG transport stream of grainy frames, 64 x 48 px in the first half and 128 x 96 px in the second."""
    file = io.BytesIO()
    half = num_frames // 2
    with av.open(file, "w", format="mpegts") as container:
        stream = container.add_stream("libx264", rate=25)
        larger = av.CodecContext.create("libx264", "w")
        encoders = (stream.codec_context, larger)
        for encoder, width in zip(encoders, (64, 128), strict=True):
            encoder.width, encoder.height, encoder.pix_fmt, encoder.framerate = width, width * 3 // 4, "yuv420p", Fraction(25)
            encoder.time_base, encoder.thread_count = Fraction(1, 25), 1
        for encoder, numbers in zip(encoders, (range(half), range(half, num_frames)), strict=True):
            for number in (*numbers, None):
                for packet in encoder.encode(number if number is None else _grainy_frame(number, encoder.width)):
                    packet.stream = stream
                    container.mux(packet)
    return file.getvalue()


def _grainy_frame(number: int, width: int) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(grainy_picture(number, width, width * 3 // 4), format="rgb24")
    frame.pts, frame.time_base = number, Fraction(1, 25)
    return frame


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


def remuxed(video: bytes, container: str, rewrite: Callable[[list[bytes]], list[bytes]]) -> bytes:
    """The coded frames of a video as ``rewrite`` changes them, in another container, at the times that they had.

    A frame that becomes empty is left out.
    """
    file = io.BytesIO()
    with av.open(io.BytesIO(video)) as source, av.open(file, "w", format=container) as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream, opaque=True)
        packets = [packet for packet in source.demux(stream) if packet.size]
        for data, old in zip(rewrite([bytes(packet) for packet in packets]), packets, strict=True):
            if data:
                new = av.Packet(data)
                new.pts, new.dts, new.duration, new.time_base = old.pts, old.dts, old.duration, old.time_base
                new.is_keyframe, new.stream = old.is_keyframe, copy
                target.mux(new)
    return file.getvalue()


def trimmed(video: bytes, frames: int, frames_per_second: int = 25) -> bytes:
    """MP4 whose first ``frames`` are cut off by an edit list: they are stored, for others refer to them, and not shown."""
    file = io.BytesIO()
    with av.open(io.BytesIO(video)) as source, av.open(file, "w", format="mp4") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        start = round(frames / frames_per_second / (stream.time_base or 1))
        for packet in source.demux(stream):
            if packet.size and packet.pts is not None and packet.dts is not None:
                packet.pts, packet.dts, packet.stream = packet.pts - start, packet.dts - start, copy
                target.mux(packet)
    return file.getvalue()


def with_index_in_front(mp4: bytes) -> bytes:
    """The same MP4 with its index before its frames, so that a player can start before all of it has arrived."""
    start, end = mp4.index(b"mdat") - 4, mp4.index(b"moov") - 4
    index = bytearray(mp4[end:])
    at = index.index(b"stco") + 8
    entries = np.frombuffer(index, ">u4", int.from_bytes(index[at : at + 4], "big"), at + 4)
    moved = (entries + len(index)).astype(">u4").tobytes()
    return mp4[:start] + index[: at + 4] + moved + index[at + 4 + len(moved) :] + mp4[start:end]


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
