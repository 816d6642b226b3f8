"""Which frames to take: pure functions over presentation times. No file, no decoder."""

from bisect import bisect_right
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple


class Window(NamedTuple):
    """A stretch of presentation time, from ``start`` up to but without ``end``, in ticks of the stream's time base."""

    start: Fraction
    end: Fraction


class TimeWindow(NamedTuple):
    """A part of a video, in seconds from its first frame."""

    start_seconds: float = 0.0
    end_seconds: float | None = None
    """Without it; None: the end of the video."""

    def within(self, whole: Window, time_base: Fraction) -> Window:
        """The part of ``whole`` that it covers.

        whole 0 s to 10 s:   TimeWindow(4, 6) -> 4 s to 6 s   TimeWindow(8, 12) -> 8 s to 10 s   TimeWindow() -> whole

        Raises: ValueError: nothing of the video is in it.
        """
        start = whole.start + max(Fraction(0), Fraction(self.start_seconds) / time_base)
        end = whole.end
        if self.end_seconds is not None:
            end = min(end, whole.start + Fraction(self.end_seconds) / time_base)
        if end <= start:
            raise ValueError(f"no frame of the video is on screen from {self.start_seconds} s to {self.end_seconds} s")
        return Window(start, end)


WHOLE_VIDEO = TimeWindow()


def stream_window(timestamps: Sequence[int], last_duration: int | None) -> Window:
    """The time during which any frame is on screen.

    ``timestamps`` are the presentation times of all coded frames in rising order, in ticks. The last frame stays for
    ``last_duration`` ticks, or for the median interval where the container does not say.

    Raises: ValueError: there is no timestamp.
    """
    if not timestamps:
        raise ValueError("a stream without timestamps has no window")
    if not last_duration or last_duration <= 0:
        intervals = sorted(b - a for a, b in pairwise(timestamps))
        last_duration = intervals[len(intervals) // 2] if intervals else 1
    return Window(Fraction(timestamps[0]), Fraction(timestamps[-1] + max(1, last_duration)))


def segment_centres(window: Window, num_frames: int) -> list[Fraction]:
    """Presentation times of the frames to take: the middle of each of ``num_frames`` equal segments.

    window 0 to 6, num_frames = 3:   |--x--|--x--|--x--|   ->  [1, 3, 5]

    Raises: ValueError: ``num_frames`` is below 1, or the window is empty.
    Source: temporal segment networks, arXiv:1608.00859 (the centre in place of a random frame).
    """
    if num_frames < 1:
        raise ValueError(f"num_frames must be at least 1, not {num_frames}")
    if window.end <= window.start:
        raise ValueError("the window is empty")
    segment = (window.end - window.start) / num_frames
    return [window.start + segment * i + segment / 2 for i in range(num_frames)]


def frames_on_screen(timestamps: Sequence[int], times: Sequence[Fraction]) -> list[int]:
    """The timestamp of the frame that is on screen at each time: the latest one that is not after it.

    timestamps   0     10    20          40         times [5, 25, 39, 40]  ->  [0, 20, 20, 40]
                 |--x--|-----|----x-----x|x

    ``timestamps`` rise; a time before the first frame gets the first frame.
    """
    return [timestamps[max(0, bisect_right(timestamps, time) - 1)] for time in times]
