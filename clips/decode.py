"""``load_clip``: the only way from the bytes of a video to the input of a model.

    bytes --demux--> packets --timestamps--> plan (sampling.py) --decode--> frames --swscale, rotate, crop--> uint8 array

One pass over the container collects the coded frames of the video stream (compressed, and refused where they add up to much
more than the file). Their presentation times decide which frames to take; decoding then stops after the last of them. Header
fields that a broken or hostile file can set freely (duration, frame count, nominal size) are never trusted.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from os import PathLike
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from clips.container import BROKEN_FILE, VideoPacket, open_container, read_packets, video_stream
from clips.errors import DecodeFailed, DurationOutOfRange, TooFewFrames
from clips.limits import DecodeLimits
from clips.picture import display_geometry, to_picture
from clips.sampling import Window, frames_on_screen, segment_centres, stream_window
from clips.spec import ClipSpec

VideoSource = bytes | str | PathLike[str]

# demuxers add parameter sets and start codes to the frames of a file, so its frames may be a little larger than itself
_ADDED_BYTES = 1 << 20


@dataclass(frozen=True)
class VideoFacts:
    """What the decoder saw of a video."""

    container: str
    """FFmpeg's name of the demuxer, such as ``mov,mp4,m4a,3gp,3g2,mj2``."""
    codec: str
    """FFmpeg's name of the decoder, such as ``h264``."""
    width: int
    """Columns as shown (after rotation and pixel aspect), px."""
    height: int
    """Rows as shown, px."""
    duration_seconds: float
    """From the first frame's presentation time to the end of the last."""
    frame_count: int
    """Coded frames in the stream."""


@dataclass(frozen=True)
class Clip:
    """The input of a model, and where it came from."""

    frames: NDArray[np.uint8]
    """Shape (num_frames, height, width, 3), uint8, RGB, C-contiguous."""
    frame_times_seconds: tuple[float, ...]
    """Presentation time of each frame, counted from the first frame of the video."""
    video: VideoFacts


def load_clip(source: VideoSource, spec: ClipSpec, limits: DecodeLimits | None = None) -> Clip:
    """Decode one clip: ``spec.num_frames`` frames from the middles of equal segments of the whole video.

    ``source`` is the video's bytes, or the path of a local file. Only the bytes decide what it is: no name reaches
    FFmpeg, so a name can neither choose a demuxer nor open another file. The same bytes and spec give the same array.

    Raises: ClipError: the video cannot become a clip (``clips.errors`` draws the tree). OSError: the path cannot be read.
    """
    data = source if isinstance(source, bytes) else Path(source).read_bytes()
    limits = limits or DecodeLimits()
    with open_container(data, limits) as container:
        stream = video_stream(container, limits)
        packets = read_packets(container, stream, limits, max_bytes=2 * len(data) + _ADDED_BYTES)
        timestamps = _rising_timestamps(packets)
        window = _window(packets, timestamps, stream, limits)
        targets = segment_centres(window, spec.num_frames)
        chosen = _decode_chosen(packets, frames_on_screen(timestamps, targets), targets, limits)
        shown = display_geometry(chosen[0], stream.sample_aspect_ratio)
        frames = np.empty(spec.shape, np.uint8)
        for position, frame in enumerate(chosen):
            frames[position] = to_picture(frame, spec, stream.sample_aspect_ratio, limits)
        return Clip(
            frames=frames,
            frame_times_seconds=tuple(_seconds(_time_of(frame) - window.start, stream) for frame in chosen),
            video=VideoFacts(
                container=container.format.name,
                codec=stream.codec_context.name,
                width=shown.width,
                height=shown.height,
                duration_seconds=_seconds(window.end - window.start, stream),
                frame_count=len(timestamps),
            ),
        )


def _rising_timestamps(packets: list[VideoPacket]) -> list[int]:
    """Distinct presentation times in ticks; a container that stores none has its decoding times read instead."""
    timed = [p.pts for p in packets if p.pts is not None] or [p.dts for p in packets if p.dts is not None]
    return sorted(set(timed))


def _window(packets: list[VideoPacket], timestamps: list[int], stream: VideoStream, limits: DecodeLimits) -> Window:
    if len(timestamps) < limits.min_frames:
        raise TooFewFrames(f"The video has {len(timestamps)} frame(s); at least {limits.min_frames} are needed.")
    last = max(packets, key=lambda p: (p.pts is not None, p.pts or 0))
    window = stream_window(timestamps, last.duration)
    duration_seconds = _seconds(window.end - window.start, stream)
    if duration_seconds > limits.max_duration_seconds:
        raise DurationOutOfRange(
            f"The video lasts {duration_seconds:.0f} s; at most {limits.max_duration_seconds:.0f} s are accepted."
        )
    return window


def _decode_chosen(
    packets: list[VideoPacket], wanted: list[int], targets: list[Fraction], limits: DecodeLimits
) -> list[VideoFrame]:
    """The frames whose timestamps are ``wanted``, one for each target, in order; decoding stops after the last of them.

    Where a wanted frame never appears (damaged data, or timestamps that the decoder corrects), the latest decoded frame
    that is not after the target stands in, or the first one decoded.

    Raises: DecodeFailed: too many packets were damaged. TooFewFrames: too few came out.
    """
    missing = set(wanted)
    exact: dict[int, VideoFrame] = {}
    latest: list[VideoFrame | None] = [None] * len(targets)
    first: VideoFrame | None = None
    decoded = damaged = read = 0
    for frames in _decode_packets(packets):
        read += 1
        damaged += frames is None
        for frame in frames or ():
            decoded += 1
            first = first or frame
            time = _time_of(frame)
            if time in missing:
                exact[time] = frame
                missing.discard(time)
            for i, target in enumerate(targets):
                before = latest[i]
                if wanted[i] not in exact and time <= target and (before is None or time >= _time_of(before)):
                    latest[i] = frame
        if not missing and decoded >= limits.min_frames:
            break
    _check_damage(damaged, read, decoded, limits)
    assert first is not None
    return [exact.get(time) or latest[i] or first for i, time in enumerate(wanted)]


def _decode_packets(packets: list[VideoPacket]) -> Iterator[list[VideoFrame] | None]:
    """The frames that each packet releases, then those the decoder held back; ``None`` for a packet that is damaged."""
    context = packets[0].stream.codec_context
    for packet in [*packets, None]:
        try:
            yield [frame for frame in context.decode(packet) if frame.width and frame.height]
        except av.error.EOFError:
            yield []
        except BROKEN_FILE:
            yield None


def _check_damage(damaged: int, read: int, decoded: int, limits: DecodeLimits) -> None:
    if damaged > limits.max_damaged_fraction * read or (damaged and decoded < limits.min_frames):
        raise DecodeFailed(f"{damaged} of {read} coded frames are damaged; send an intact file.")
    if decoded < limits.min_frames:
        raise TooFewFrames(f"Only {decoded} frame(s) could be decoded; at least {limits.min_frames} are needed.")


def _time_of(frame: VideoFrame) -> int:
    """Presentation time in ticks; a decoder that gives none gives its decoding time."""
    time = frame.pts if frame.pts is not None else frame.dts
    return time if time is not None else 0


def _seconds(ticks: Fraction, stream: VideoStream) -> float:
    return float(ticks * (stream.time_base or Fraction(1)))
