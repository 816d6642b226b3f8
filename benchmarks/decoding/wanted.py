"""What every contestant is asked for: the frames that ``clips`` takes from a video in its mode ``exact``."""

from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path

from clips import ClipSpec, DecodeLimits
from clips.planned_video import open_video

SPEC = ClipSpec(num_frames=8, height=224, width=224, fit="stretch")
"""Stretched, because not every peer can crop while it scales."""


@dataclass(frozen=True)
class Wanted:
    """One video, and its frames to decode. The video lies in memory (``/dev/shm``), for those who take no bytes."""

    name: str
    path: Path
    stream_index: int
    """The video stream that ``clips`` takes; some peers would choose a larger one."""
    indices: tuple[int, ...]
    """Place of each wanted frame among those that a decoder gives from front to back, from 0."""
    packet_indices: tuple[int, ...]
    """Place of each wanted frame among the packets in order of presentation: another one where packets give no frame."""
    seconds: tuple[float, ...]
    """The middle of the time for which each wanted frame is on screen: no rounding leads to its neighbour."""
    times: tuple[int, ...]
    """Presentation time of each wanted frame, ticks."""
    frame_count: int
    duration_seconds: float


def wanted(name: str, path: Path) -> Wanted:
    """The frames in the middles of eight equal segments, found without decoding: ``indices`` are those of packets as yet.

    Raises: ClipError: ``clips`` refuses the video.
    """
    with open_video(path, SPEC, DecodeLimits()) as video:
        shown = sorted({frame.time for frame in video.frames if frame.time is not None})
        ends = [*shown[1:], int(video.window.end)]
        indices = [max(0, bisect_right(shown, target) - 1) for target in video.targets]
        tick = video.stream.time_base or 1
        return Wanted(
            name=name,
            path=path,
            stream_index=video.stream.index,
            indices=tuple(indices),
            packet_indices=tuple(indices),
            seconds=tuple(float((shown[i] + ends[i]) * tick / 2) for i in indices),
            times=tuple(shown[i] for i in indices),
            frame_count=len(shown),
            duration_seconds=float((video.window.end - video.window.start) * tick),
        )
