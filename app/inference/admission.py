"""How many requests the server carries at once: one gate, passed before the first byte of the video is read.

    door --(max_uploads)--> arriving --> received (max_queue_size): decode, queue, model --> answer

Requests are refused at the door only: when ``max_queue_size`` videos were received and wait for their answer, or when
``max_uploads`` are still arriving. Who is let in is never refused later for want of room, so no upload and no decoded clip is
thrown away. Two counts, because a slow sender must not take the place of a video that is there: it takes one of the arriving.
The price: what was arriving while the others filled up comes on top, so at most their sum is ever inside.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from app.errors import QueueFull
from app.observability import metrics


@dataclass(frozen=True)
class AdmissionPolicy:
    """How many videos may be inside."""

    max_queue_size: int
    """Received and not yet answered, when the next is let in."""
    max_uploads: int
    """Still arriving."""

    @property
    def max_videos(self) -> int:
        """Most that are inside at any time."""
        return self.max_queue_size + self.max_uploads


class Place:
    """One request inside."""

    def __init__(self, admission: "Admission") -> None:
        self._admission = admission
        self._has_arrived = False
        admission.count(arriving=+1)

    def upload_ended(self) -> None:
        """The video is there: it now counts among those that wait for their answer."""
        self._has_arrived = True
        self._admission.count(arriving=-1, received=+1)

    def leave(self) -> None:
        """The request is over."""
        if self._has_arrived:
            self._admission.count(received=-1)
        else:
            self._admission.count(arriving=-1)


class Admission:
    """The gate. Used from one event loop."""

    def __init__(self, policy: AdmissionPolicy) -> None:
        self._policy = policy
        self._arriving = self._received = 0

    @contextmanager
    def enter(self) -> Iterator[Place]:
        """A place from the door to the answer. Raises: QueueFull."""
        if self._received >= self._policy.max_queue_size or self._arriving >= self._policy.max_uploads:
            raise QueueFull
        place = Place(self)
        try:
            yield place
        finally:
            place.leave()

    def count(self, *, arriving: int = 0, received: int = 0) -> None:
        """Called by places alone."""
        self._arriving += arriving
        self._received += received
        metrics.UPLOADS.set(self._arriving)
        metrics.ADMITTED.set(self._received)
