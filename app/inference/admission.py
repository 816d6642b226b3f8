"""How many requests the server carries at once: one gate, passed before the first byte of the video is read.

    door --(max_uploads)--> arriving --> received (max_queue_size, max_wait): decode, queue, model --> answer

Requests are refused at the door only: when ``max_queue_size`` videos were received and wait for their answer, when
``max_uploads`` are still arriving, or when videos have waited longer than ``max_wait_seconds`` for some time. A video that is
let in is never refused later for want of room, so no upload and no decoded clip is thrown away. Two counts, because a slow
sender must not take the place of a video that is there: it takes one of the arriving. The price: what was arriving while the
others filled up comes on top, so at most their sum is ever inside.

A queue has two reasons. A burst goes away by itself: refusing it would waste a server that is idle soon after. More load than
the server can take never goes away: then a long queue helps nobody, since each video waits for all of it and who gives up is
answered too late. So a long wait is allowed for ``BURST_SECONDS``, and then the queue is kept short until the load is gone.

Source: controlled delay (Nichols and Jacobson, RFC 8289), here at the door in place of dropping from the queue.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from time import monotonic

from app.errors import DeadlineExceeded, InferenceFailed, QueueFull, RefusedVideo
from app.inference.pace import Pace
from app.inference.stays import Stays
from app.observability import metrics

BURST_SECONDS = 0.15
"""How long videos may wait for more than the longest wait before new ones are refused. At three times the load 0.25 s let in 25
more than are answered within a second on two cores."""
_LOAD_IS_GONE = 0.5
"""Share of the longest wait below which a burst is allowed again."""


@dataclass(frozen=True)
class AdmissionPolicy:
    """How many videos may be inside."""

    max_queue_size: int
    """Received and not yet answered, when the next is let in."""
    max_uploads: int
    """Still arriving."""
    max_wait_seconds: float = 0.0
    """For those that are received, but for bursts; 0 for no bound."""
    keeps_busy: int = 1
    """Requests that are let in whatever they wait: fewer would leave processors idle."""
    side_by_side: int = 1
    """Videos that are worked on at the same time."""

    @property
    def max_videos(self) -> int:
        """Most that are inside at any time."""
        return self.max_queue_size + self.max_uploads


class Place:
    """One request inside, or one video of it."""

    def __init__(self, admission: "Admission", flow: Hashable) -> None:
        self._admission, self._flow = admission, flow
        self._is_arriving, self._is_work, self._has_left = True, True, False
        self._videos = self._parts = 0
        self._begun = admission.upload_begins(flow)

    def upload_ended(self) -> None:
        """The video is there: it now counts among those that wait for their answer."""
        self._stop_arriving()
        self._videos = 1
        self._admission.move(self._flow, received=+1)

    def upload_of_parts_ended(self) -> None:
        """As ``upload_ended``, where the answer is given in parts: the request counts only while one is worked on."""
        self._is_work = False
        self._stop_arriving()

    @contextmanager
    def part(self, videos: int) -> Iterator[None]:
        """A part of the answer is worked on, as much work as ``videos``; several parts may be at once."""
        self._parts += 1
        is_first = self._parts == 1 and not self._has_left
        if is_first:
            self._videos = 1
        self._admission.move(self._flow, received=int(is_first), in_parts=videos)
        answered = 0
        try:
            yield
            answered = videos
        finally:
            self._parts -= 1
            if self._has_left:
                self._admission.move(self._flow, in_parts=-videos)
            else:
                self._videos = 1 if self._parts else 0
                self._admission.move(self._flow, received=self._videos - 1, in_parts=-videos, answered=answered)

    def hold(self, clips: int) -> None:
        """The request turned out to carry so many. Raises: QueueFull: there is no room for them beside the others."""
        if clips > self._videos:
            self._admission.check_room(clips - self._videos)
        self._admission.move(self._flow, received=clips - self._videos)
        self._videos = clips

    def was_known(self) -> None:
        """The answer took no work: it says nothing about the pace."""
        self._is_work = False

    def leave(self, *, answered: bool) -> None:
        """The request is over; ``answered``: after all the work that there was with it."""
        self._has_left = True
        if self._is_arriving:
            self._stop_arriving()
        else:
            done = self._videos if answered and self._is_work else 0
            self._admission.move(self._flow, received=-self._videos, answered=done)

    def _stop_arriving(self) -> None:
        self._is_arriving = False
        self._admission.upload_ends(self._flow, self._begun)


class Admission:
    """The gate. Used from one event loop."""

    def __init__(self, policy: AdmissionPolicy, clock: Callable[[], float] = monotonic) -> None:
        self._policy, self._clock = policy, clock
        self._arriving: Counter[Hashable] = Counter()
        self._received: Counter[Hashable] = Counter()
        self._uploads = Stays()
        self._in_parts = 0
        """As much work as so many videos, in answers that are given in parts."""
        self._pace = Pace(policy.side_by_side)
        self._long_wait_since: float | None = None

    @property
    def expected_wait_seconds(self) -> float:
        """Until those that were received are answered, at the pace of the last ones."""
        return self._received.total() * self._pace.seconds_per_answer

    @contextmanager
    def enter(self, flow: Hashable = None) -> Iterator[Place]:
        """A place from the door to the answer, for one video. Those of one ``flow`` are of one request, which is let in once.

        Raises: QueueFull.
        """
        if (arriving := self._arriving.total()) >= self._policy.max_uploads:
            raise QueueFull(max(self._uploads.next_end_seconds(arriving), self._excess_seconds()))
        self.check_room(1)
        if flow not in self._arriving and flow not in self._received and self._has_too_much_load():
            raise QueueFull(self._excess_seconds())
        place = Place(self, object() if flow is None else flow)
        answered = False
        try:
            yield place
            answered = True
        except (RefusedVideo, InferenceFailed, DeadlineExceeded) as problem:
            answered = problem.http_status != HTTPStatus.UNSUPPORTED_MEDIA_TYPE  # found in no time
            raise
        finally:
            place.leave(answered=answered)

    def check_room(self, videos: int) -> None:
        """Raises: QueueFull: so many more would be more than the queue may hold."""
        if self._received.total() + videos > self._policy.max_queue_size:
            raise QueueFull(self._excess_seconds())

    def upload_begins(self, flow: Hashable) -> float:
        """Called by places alone. When that was, for ``upload_ends``."""
        self.move(flow, arriving=+1)
        return self._clock()

    def upload_ends(self, flow: Hashable, begun: float) -> None:
        """Called by places alone, whether the video is there or not."""
        self._uploads.ended(self._clock() - begun)
        self.move(flow, arriving=-1)

    def move(self, flow: Hashable, *, arriving: int = 0, received: int = 0, in_parts: int = 0, answered: int = 0) -> None:
        """Called by places alone."""
        _add(self._arriving, flow, arriving)
        _add(self._received, flow, received)
        self._in_parts += in_parts
        self._pace.holds(self._received.total() + self._in_parts, self._clock())
        for _ in range(answered):
            self._pace.answered()
        metrics.UPLOADS.set(self._arriving.total())
        metrics.ADMITTED.set(self._received.total())
        metrics.EXPECTED_WAIT_SECONDS.set(self.expected_wait_seconds)

    def _newcomer_wait_seconds(self) -> float:
        """Requests take turns, so a new one waits for one video of each other, however many they carry."""
        return len(self._received) * self._pace.seconds_per_answer

    def _has_too_much_load(self) -> bool:
        """Whether the wait has been too long for longer than a burst lasts."""
        longest, wait = self._policy.max_wait_seconds, self._newcomer_wait_seconds()
        if wait < _LOAD_IS_GONE * longest:
            self._long_wait_since = None
        if not longest or wait <= longest or len(self._received) < self._policy.keeps_busy:
            return False
        if self._long_wait_since is None:
            self._long_wait_since = self._clock()
        return self._clock() - self._long_wait_since >= BURST_SECONDS

    def _excess_seconds(self) -> float:
        """Until the wait is what it may be, if nobody else comes; below 0 where it is."""
        return self.expected_wait_seconds - self._policy.max_wait_seconds


def _add(counter: Counter[Hashable], flow: Hashable, number: int) -> None:
    """Flows without a video are gone."""
    counter[flow] += number
    if not counter[flow]:
        del counter[flow]
