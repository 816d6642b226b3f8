"""``load_clip`` and ``load_clips``: the only way from the bytes of a video to the input of a model.

    bytes --demux--> packets --coded_frames--> times and references --sampling, plan--> packets to decode
          --decode--> frames --swscale, rotate, crop--> uint8 array

One pass over the container collects the coded frames of the video stream (compressed, and refused where they add up to much
more than the file). Their presentation times decide which frames to take, and what they are predicted from which others to
decode. Header fields that a broken or hostile file can set freely (duration, frame count, nominal size) are never trusted.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from clips.acceleration import Accelerator, decoded_on
from clips.errors import ClipError
from clips.limits import DecodeLimits
from clips.pictures import Damage, Pictures
from clips.planned_video import PlannedVideo, VideoSource, open_video
from clips.sampling import WHOLE_VIDEO, TimeWindow
from clips.spec import ClipSpec


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
    decoded_on: Literal["cpu", "cuda"]


@dataclass(frozen=True)
class Clip:
    """The input of a model, and where it came from."""

    frames: NDArray[np.uint8]
    """Shape (num_frames, height, width, 3), uint8, RGB, C-contiguous."""
    frame_times_seconds: tuple[float, ...]
    """Presentation time of each frame, counted from the first frame of the video."""
    video: VideoFacts


def load_clip(
    source: VideoSource,
    spec: ClipSpec,
    limits: DecodeLimits | None = None,
    *,
    out: NDArray[np.uint8] | None = None,
    accelerator: Accelerator = "none",
) -> Clip:
    """Decode one clip: ``spec.num_frames`` frames from the middles of equal segments of the whole video.

    ``source`` is the video's bytes, a file that holds them, or the path of a local one. Only the bytes decide what it is: no
    name reaches FFmpeg, so a name can neither choose a demuxer nor open another file. The same bytes and spec give the same
    array. ``out`` receives the frames (uint8, C-contiguous, of ``spec.shape``) where the caller has memory for them.
    ``accelerator="cuda"`` decodes on the GPU what it can decode; ``VideoFacts.decoded_on`` says what happened.

    Raises: ClipError: the video cannot become a clip (``clips.errors`` draws the tree). OSError: the path cannot be read.
    AcceleratorUnavailable. MemoryError: the decoder may not have as much as the video takes.
    """
    frames = None if out is None else out[np.newaxis]
    (clip,) = load_clips(source, spec, (WHOLE_VIDEO,), limits, out=frames, accelerator=accelerator)
    return clip


def load_clips(  # noqa: PLR0913 what load_clip takes, and the windows
    source: VideoSource,
    spec: ClipSpec,
    windows: Sequence[TimeWindow],
    limits: DecodeLimits | None = None,
    *,
    out: NDArray[np.uint8] | None = None,
    accelerator: Accelerator = "none",
) -> list[Clip]:
    """One clip of each of ``windows``, as ``load_clip`` makes it of the whole video; they may overlap.

    The packets are read once and nothing is decoded twice, as long as nothing is damaged: what damage does to a clip must not
    depend on what else was asked for. ``out``: uint8 of shape (windows, frames, height, width, 3), C-contiguous.

    Raises: ValueError: there is no window, or nothing of the video is in one. And as ``load_clip``, where it is so of any.
    """
    if not windows:
        raise ValueError("no window of the video is asked for")
    frames = np.empty((len(windows), *spec.shape), np.uint8) if out is None else out
    limits = limits or DecodeLimits()

    def decoded(windows: Sequence[TimeWindow], frames: NDArray[np.uint8]) -> list[Clip]:
        """Nothing, where several windows cannot be decoded together."""
        with open_video(source, spec, limits, accelerator, windows) as video:
            pictures = Pictures(frames.reshape(-1, *spec.shape[1:]), spec, limits, video)
            ticks = pictures.fill() if len(windows) == 1 else pictures.fill_all()
            if ticks is None:
                return []
            times = [video.seconds(time - video.window.start) for time in ticks]
            facts, size = _facts(video, pictures), spec.num_frames
        return [Clip(clip, tuple(times[at * size : (at + 1) * size]), facts) for at, clip in enumerate(frames)]

    if len(windows) > 1:
        with suppress(ClipError):
            if clips := decoded(windows, frames):
                return clips
    return [clip for at, window in enumerate(windows) for clip in decoded([window], frames[at : at + 1])]


def _facts(video: PlannedVideo, pictures: Pictures) -> VideoFacts:
    assert pictures.shown
    return VideoFacts(
        container=video.container,
        codec=video.stream.codec_context.name,
        width=pictures.shown.width,
        height=pictures.shown.height,
        duration_seconds=video.seconds(video.window.end - video.window.start),
        frame_count=len(video.packets),
        partial=bool(video.missing or pictures.damage.seen),
        decoded_on=decoded_on(video.stream.codec_context),
        missing_fraction=_missing_fraction(video, pictures.damage),
    )


def _missing_fraction(video: PlannedVideo, damage: Damage) -> float:
    missing = video.missing + damage.seen
    return round(min(1.0, missing / (video.missing + len(video.packets))), 4)
