"""What a clip must be, worked out in the plainest way: every frame of the video is decoded, and the one on screen is taken.

Nothing here knows of plans, seeking or references; it shares with ``clips`` only the sampling rule and the conversion to RGB.
"""

import io
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from clips import WHOLE_VIDEO, ClipSpec, DecodeLimits, TimeWindow
from clips.container import TEXT_ERRORS
from clips.picture import to_picture
from clips.sampling import segment_centres, stream_window

_ANY_SIZE = DecodeLimits(max_pixels=1 << 28, max_aspect_ratio=1e6)


def front_to_back(video: bytes | Path, spec: ClipSpec, window: TimeWindow = WHOLE_VIDEO) -> NDArray[np.uint8]:
    """The frames of the clip that ``exact`` sampling must give, bit for bit."""
    times, last_duration = presentation_times(video)
    with _open(video) as container:
        aspect, time_base = _stream(container).sample_aspect_ratio, _stream(container).time_base or Fraction(1)
    targets = segment_centres(window.within(stream_window(times, last_duration), time_base), spec.num_frames)
    pictures: list[NDArray[np.uint8]] = []
    before: VideoFrame | None = None
    for time, frame in decoded_frames(video):
        while before and len(pictures) < len(targets) and time > targets[len(pictures)]:
            pictures.append(to_picture(before, spec, aspect, _ANY_SIZE))
        before = frame
    assert before
    last = to_picture(before, spec, aspect, _ANY_SIZE)
    return np.stack(pictures + [last] * (len(targets) - len(pictures)))


def presentation_times(video: bytes | Path) -> tuple[list[int], int | None]:
    """When frames are shown, in ticks, rising; and how long the last one stays."""
    with _open(video) as container:
        packets = [p for p in container.demux(_stream(container)) if p.size]
        if packets[-1].is_corrupt:
            packets.pop()
        stored = [
            (p.dts if _stores_no_times(container) or p.pts is None else p.pts, p.duration) for p in packets if not p.is_discard
        ]
    timed = [(time, duration) for time, duration in stored if time is not None]
    return sorted({time for time, _ in timed}), max(timed)[1]


def decoded_frames(video: bytes | Path) -> Iterator[tuple[int, VideoFrame]]:
    """Every frame that comes out, in the order in which they are shown, and its presentation time in ticks."""
    with _open(video) as container:
        stream = _stream(container)
        stream.codec_context.thread_count = 1
        if _stores_no_times(container):  # the n-th frame that comes out is shown at the n-th time
            yield from zip(presentation_times(video)[0], _decode(container, stream), strict=True)
            return
        for frame in _decode(container, stream):
            time = frame.pts if frame.pts is not None else frame.dts
            assert time is not None
            yield time, frame


def picture_types(video: bytes) -> str:
    """The type of each frame, in the order in which they are shown: ``IBBPBBP``."""
    return "".join(PictureType(frame.pict_type).name for _, frame in decoded_frames(video))


def _decode(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    for packet in container.demux(stream):
        try:
            yield from packet.decode()
        except av.error.InvalidDataError:
            continue


def _stores_no_times(container: InputContainer) -> bool:
    return container.format.name == "avi"


def _stream(container: InputContainer) -> VideoStream:
    return next(s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic)


def _open(video: bytes | Path) -> InputContainer:
    return av.open(io.BytesIO(video) if isinstance(video, bytes) else str(video), **TEXT_ERRORS)
