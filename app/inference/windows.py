"""Windows that slide over a longer video: pure functions of time."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from clips import TimeWindow

_SAME_SECONDS = 1e-6
"""Sums of floats that are the same time may differ a little."""


@dataclass(frozen=True)
class SlidingWindow:
    """How windows follow each other.

    length 4 s, stride 3 s, video of 12 s:   |0--4|
                                                |3--7|
                                                   |6-10|
                                                     |8-12|    the last one ends with the video, so that nothing is left out
    """

    length_seconds: float
    stride_seconds: float
    """From the start of one to the start of the next; less than the length makes them overlap."""

    def count(self, duration_seconds: float) -> int:
        """How many there are in a video of this length."""
        return 1 + max(0, ceil(round((duration_seconds - self.length_seconds) / self.stride_seconds, 6)))

    def over(self, duration_seconds: float) -> list[TimeWindow]:
        """All of them, by rising start. A video that is no longer than one window is one window."""
        count = self.count(duration_seconds)
        if count == 1:
            return [TimeWindow(0.0, duration_seconds)]
        starts = [number * self.stride_seconds for number in range(count - 1)]
        return [
            *(TimeWindow(start, start + self.length_seconds) for start in starts),
            TimeWindow(duration_seconds - self.length_seconds, duration_seconds),
        ]


def shares(windows: Sequence[TimeWindow]) -> list[TimeWindow]:
    """The time that each window speaks for: where two overlap, each up to the middle of what they have in common.

    |--------|                    |------|
         |--------|        ->            |------|        windows that do not touch keep what they have
    """
    starts = [window.start_seconds for window in windows]
    ends = [window.end_seconds or 0.0 for window in windows]
    for before in range(len(windows) - 1):
        if starts[before + 1] <= ends[before] + _SAME_SECONDS:
            starts[before + 1] = ends[before] = (starts[before + 1] + ends[before]) / 2
    return [TimeWindow(start, end) for start, end in zip(starts, ends, strict=True)]
