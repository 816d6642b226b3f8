"""``load_clip``: the only way from the bytes of a video to the input of a model.

    bytes --demux--> packets --coded_frames--> times and references --sampling, plan--> packets to decode
          --decode--> frames --swscale, rotate, crop--> uint8 array

One pass over the container collects the coded frames of the video stream (compressed, and refused where they add up to much
more than the file). Their presentation times decide which frames to take, and what they are predicted from which others to
decode. Header fields that a broken or hostile file can set freely (duration, frame count, nominal size) are never trusted.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from os import PathLike
from pathlib import Path

import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from clips.coded_frames import coded_frames
from clips.container import VideoBytes, VideoPacket, open_container, read_packets, video_stream
from clips.errors import DecodeFailed, DurationOutOfRange, TooFewFrames
from clips.limits import DecodeLimits
from clips.missing import missing_frames
from clips.pictures import Damage, Pictures
from clips.plan import CodedFrame, Plan, nearest_references, plan_decoding
from clips.sampling import Window, frames_on_screen, segment_centres, stream_window
from clips.spec import ClipSpec

VideoSource = bytes | str | PathLike[str] | VideoBytes

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
    partial: bool
    """Whether frames are missing, or were damaged."""
    missing_fraction: float
    """Share of the announced frames that the file does not hold, or whose data was found damaged; 0 to 1."""


@dataclass(frozen=True)
class Clip:
    """The input of a model, and where it came from."""

    frames: NDArray[np.uint8]
    """Shape (num_frames, height, width, 3), uint8, RGB, C-contiguous."""
    frame_times_seconds: tuple[float, ...]
    """Presentation time of each frame, counted from the first frame of the video."""
    video: VideoFacts


@dataclass(frozen=True)
class Opened:
    """A video whose packets were read and whose decoding is planned; nothing is decoded yet."""

    container: str
    stream: VideoStream
    packets: list[VideoPacket]
    frames: list[CodedFrame]
    missing: int
    """Frames that the file announces and does not hold."""
    window: Window
    targets: list[Fraction]
    """Times to show, in ticks."""
    picks: list[int]
    """For each target, the number of the coded frame to take."""
    plan: Plan


def load_clip(
    source: VideoSource, spec: ClipSpec, limits: DecodeLimits | None = None, *, out: NDArray[np.uint8] | None = None
) -> Clip:
    """Decode one clip: ``spec.num_frames`` frames from the middles of equal segments of the whole video.

    ``source`` is the video's bytes, a file that holds them, or the path of a local one. Only the bytes decide what it is: no
    name reaches FFmpeg, so a name can neither choose a demuxer nor open another file. The same bytes and spec give the same
    array. ``out`` receives the frames (uint8, C-contiguous, of ``spec.shape``) where the caller has memory for them.

    Raises: ClipError: the video cannot become a clip (``clips.errors`` draws the tree). OSError: the path cannot be read.
    """
    limits = limits or DecodeLimits()
    frames = np.empty(spec.shape, np.uint8) if out is None else out
    with open_video(source, spec, limits) as video:
        pictures = Pictures(frames, spec, limits, video.stream)
        times = pictures.fill(video.packets, video.frames, video.picks, video.targets, video.plan)
        assert pictures.shown
        return Clip(
            frames=frames,
            frame_times_seconds=tuple(_seconds(time - video.window.start, video.stream) for time in times),
            video=VideoFacts(
                container=video.container,
                codec=video.stream.codec_context.name,
                width=pictures.shown.width,
                height=pictures.shown.height,
                duration_seconds=_seconds(video.window.end - video.window.start, video.stream),
                frame_count=len(video.packets),
                partial=bool(video.missing or pictures.damage.damaged),
                missing_fraction=_missing_fraction(video, pictures.damage),
            ),
        )


@contextmanager
def open_video(source: VideoSource, spec: ClipSpec, limits: DecodeLimits) -> Iterator[Opened]:
    """Read the packets of a video and plan its decoding. Raises: ClipError, OSError."""
    with _opened(source) as file, open_container(file, limits) as container:
        stream = video_stream(container, limits)
        size_bytes = _size_bytes(file)
        packets = read_packets(container, stream, limits, max_bytes=2 * size_bytes + _ADDED_BYTES)
        missing = missing_frames(file, size_bytes, container, stream, packets)
        _check_missing(missing, len(packets), limits)
        frames = coded_frames(packets, stream, container.format.name)
        window = _window(packets, frames, stream, limits)
        targets = segment_centres(window, spec.num_frames)
        picks = _picks(frames, window, targets, spec)
        plan = plan_decoding(frames, picks)
        if plan.cost > limits.max_decoded_frames:
            raise DurationOutOfRange(
                f"{plan.cost} frames would have to be decoded; at most {limits.max_decoded_frames} are. "
                "Send a shorter video, or one with more keyframes."
            )
        yield Opened(container.format.name, stream, packets, frames, missing, window, targets, picks, plan)


@contextmanager
def _opened(source: VideoSource) -> Iterator[VideoBytes]:
    if isinstance(source, bytes):
        yield io.BytesIO(source)
    elif isinstance(source, str | PathLike):
        with Path(source).open("rb") as file:
            yield file
    else:
        yield source


def _size_bytes(video: VideoBytes) -> int:
    place = video.tell()
    video.seek(0, io.SEEK_END)
    size = video.tell()
    video.seek(place)
    return size


def _check_missing(missing: int, present: int, limits: DecodeLimits) -> None:
    if missing > limits.max_missing_fraction * (missing + present):
        raise DecodeFailed(f"{missing} of {missing + present} frames are missing: the file was cut short. Send all of it.")


def _window(packets: list[VideoPacket], frames: list[CodedFrame], stream: VideoStream, limits: DecodeLimits) -> Window:
    timestamps = _rising_timestamps(frames)
    if len(timestamps) < limits.min_frames:
        raise TooFewFrames(f"The video has {len(timestamps)} frame(s); at least {limits.min_frames} are needed.")
    last = next(packet for packet, frame in zip(packets, frames, strict=True) if frame.time == timestamps[-1])
    window = stream_window(timestamps, last.duration)
    duration_seconds = _seconds(window.end - window.start, stream)
    if duration_seconds > limits.max_duration_seconds:
        raise DurationOutOfRange(
            f"The video lasts {duration_seconds:.0f} s; at most {limits.max_duration_seconds:.0f} s are accepted."
        )
    return window


def _rising_timestamps(frames: list[CodedFrame]) -> list[int]:
    return sorted({frame.time for frame in frames if frame.time is not None})


def _picks(frames: list[CodedFrame], window: Window, targets: list[Fraction], spec: ClipSpec) -> list[int]:
    number_at = {frame.time: number for number, frame in reversed(list(enumerate(frames)))}
    exact = [number_at[time] for time in frames_on_screen(_rising_timestamps(frames), targets)]
    if spec.sampling == "exact":
        return exact
    return nearest_references(frames, exact, targets, reach=(window.end - window.start) / (2 * spec.num_frames))


def _missing_fraction(video: Opened, damage: Damage) -> float:
    return round((video.missing + damage.damaged) / (video.missing + len(video.packets)), 4)


def _seconds(ticks: Fraction, stream: VideoStream) -> float:
    return float(ticks * (stream.time_base or Fraction(1)))
