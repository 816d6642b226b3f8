"""How fast the server answers when it has all the work that it can do at a time: what the next video has to expect."""

from math import exp

_MEMORY_SECONDS = 5.0
"""What lies so far back counts a third."""
_ENOUGH_ANSWERS = 8
_LONGEST_GAP = 4.0
"""A gap counts as so many answers at the most, but as a second in any case: a machine that stood still is not slow."""


class Pace:
    """Answers and the time that the work on them took, both fading with their age.

    inside    |  1  |    | 1 | 2   | 3  |    of 2 that are worked on side by side: time with one counts half,
    answers         x        x     x    x    time without work does not count: an idle server is not a slow one
    """

    def __init__(self, side_by_side: int = 1) -> None:
        """``side_by_side``: so many videos are worked on at a time."""
        self._side_by_side = side_by_side
        self._busy_seconds = self._answers = 0.0
        self._inside = self._seen = 0
        self._since = self._passed = 0.0

    @property
    def seconds_per_answer(self) -> float:
        """0 until there were enough answers: the first ones took the way through an empty server."""
        return self._mean_seconds() if self._seen >= _ENOUGH_ANSWERS else 0.0

    def holds(self, videos: int, now: float) -> None:
        """So many are inside from ``now`` on, a time of a monotonic clock, s."""
        if not self._inside:  # those who left without an answer took the time before
            self._passed = 0.0
        self._passed += (now - self._since) * min(1.0, self._inside / self._side_by_side)
        self._inside, self._since = videos, now

    def answered(self) -> None:
        """One video is done. Several at once, as a batch gives them, count as what they are."""
        passed, self._passed = self._passed, 0.0
        if self._seen >= _ENOUGH_ANSWERS:
            passed = min(passed, max(1.0, _LONGEST_GAP * self._mean_seconds()))
        fading = exp(-passed / _MEMORY_SECONDS)
        self._busy_seconds = self._busy_seconds * fading + passed
        self._answers = self._answers * fading + 1
        self._seen += 1

    def _mean_seconds(self) -> float:
        return self._busy_seconds / self._answers
