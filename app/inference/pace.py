"""How fast the server answers while it has work: what the next video has to expect."""

from math import exp

_MEMORY_SECONDS = 5.0
"""What lies so far back counts a third."""
_ENOUGH_ANSWERS = 8
_LONGEST_GAP = 4.0
"""A gap counts as so many answers at the most, but as a second in any case: a machine that stood still is not slow."""


class Pace:
    """Answers and the time in which there was work, both fading with their age.

    work      |=====|     |=========|        time without work does not count: an idle server is not a slow one
    answers       x x        x  x  x
    """

    def __init__(self) -> None:
        self._busy_seconds = self._answers = 0.0
        self._since = 0.0
        self._seen = 0

    @property
    def seconds_per_answer(self) -> float:
        """0 until there were enough answers: the first ones took the way through an empty server."""
        return self._mean_seconds() if self._seen >= _ENOUGH_ANSWERS else 0.0

    def work_begins(self, now: float) -> None:
        """The first video is there. ``now`` is a time of a monotonic clock, s."""
        self._since = now

    def answered(self, now: float) -> None:
        """One video is done. Several at once, as a batch gives them, count as what they are."""
        passed = now - self._since
        if self._seen >= _ENOUGH_ANSWERS:
            passed = min(passed, max(1.0, _LONGEST_GAP * self._mean_seconds()))
        fading = exp(-passed / _MEMORY_SECONDS)
        self._busy_seconds = self._busy_seconds * fading + passed
        self._answers = self._answers * fading + 1
        self._seen += 1
        self._since = now

    def _mean_seconds(self) -> float:
        return self._busy_seconds / self._answers
