"""How many videos are inside the server between upload and answer: one gate in front of decoding and queue.

Nothing that was admitted is refused later for want of room, so no decoded clip is ever thrown away.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from app.errors import QueueFull
from app.observability import metrics


class Admission:
    """A bounded count. Used from one event loop."""

    def __init__(self, max_videos: int) -> None:
        self._max_videos = max_videos
        self._inside = 0

    def check(self) -> None:
        """Refuse early, before an upload is read. Raises: QueueFull."""
        if self._inside >= self._max_videos:
            raise QueueFull

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Count one video in, and out again at the end. Raises: QueueFull."""
        self.check()
        self._count(+1)
        try:
            yield
        finally:
            self._count(-1)

    def _count(self, change: int) -> None:
        self._inside += change
        metrics.ADMITTED.set(self._inside)
