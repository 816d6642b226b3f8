"""A longer video, window by window: as ``classify`` does with one clip, in order and as soon as they are ready.

windows   [0] | [1 2 3 4] | [5 6 7 8] | ...      the first alone: it tells how long the video is, and whether it is one at all
          decoded together, so that the container is read once for several; groups of one video and of others take turns
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from time import monotonic

from app.errors import DeadlineExceeded, InferenceFailed, InvalidParameter, Problem, QueueFull, RefusedVideo, StorageFull
from app.inference.admission import Place
from app.inference.classify import Classification, Classifier, Prediction
from app.inference.decode_endings import WorkerEnded
from app.inference.fair_pool import FairPool
from app.inference.frame_memory import size_bytes
from app.inference.segments import Segment, labels_of, merged
from app.inference.served import ServedModel
from app.inference.stays import Stays
from app.inference.video_file import VideoFile
from app.inference.windows import SlidingWindow
from clips import ClipSpec, TimeWindow, VideoFacts

MOST_WINDOWS_AT_ONCE = 4
"""Decoded together. At 480p and 30 frames a second of a video of 5 minutes, 71 in place of 114 ms a window; 66 with eight."""

_GROUP_BYTES = 64 * 2**20
"""Most memory for the frames of a group; a single window may have more."""
_STOPS_IN_A_ROW = 3
"""So many windows in a row that stop their decode process are enough: each costs a process and its time."""
_OF_A_WINDOW = (RefusedVideo, InferenceFailed, DeadlineExceeded, StorageFull)
"""Problems that leave the other windows as they are."""


@dataclass(frozen=True)
class TimelinePolicy:
    """What all timelines together may take."""

    groups_at_once: int
    """Groups of windows that are decoded or wait for the model, of all videos."""
    max_timelines: int
    max_windows: int
    """Of one video."""
    timeout_seconds: float
    """For one video, from the end of its upload to its last window."""


@dataclass(frozen=True)
class WindowResult:
    """A window that was classified."""

    window: TimeWindow
    predictions: list[Prediction]
    """All labels, most probable first."""
    partial: bool
    """Whether frames are missing from the video, or are damaged in the window or just before it."""


@dataclass(frozen=True)
class WindowProblem:
    """A window that was not; the others are none the worse for it."""

    window: TimeWindow
    problem: Problem


WindowOutcome = WindowResult | WindowProblem


class Timelines:
    """All timelines. Used from one event loop."""

    def __init__(self, classifier: Classifier, policy: TimelinePolicy, clock: Callable[[], float] = monotonic) -> None:
        self.policy = policy
        self._classifier, self._clock = classifier, clock
        self._inside, self._stays = 0, Stays()
        self._turns: FairPool[int] = FairPool()
        for turn in range(policy.groups_at_once):
            self._turns.put(turn)

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Room for one more. Raises: QueueFull."""
        if self._inside >= self.policy.max_timelines:
            raise QueueFull(self._stays.next_end_seconds(self._inside))
        self._inside += 1
        begun = self._clock()
        try:
            yield
        finally:
            self._inside -= 1
            self._stays.ended(self._clock() - begun)

    async def begin(self, work: "TimelineWork", sliding: SlidingWindow) -> "Timeline":
        """Classify the first window.

        Raises: InvalidParameter: there are more windows than may be. Problem: what ``Classifier.classify`` raises.
        """
        first_window = [TimeWindow(0.0, sliding.length_seconds)]
        (first,) = await self.classified(work, first_window, monotonic() + work.timeout_seconds)
        duration_seconds, most = first.clip.video.duration_seconds, self.policy.max_windows
        if (count := sliding.count(duration_seconds)) > most:
            raise InvalidParameter(
                f"The video of {duration_seconds:.1f} s has {count} windows, and at most {most} are classified: "
                "make stride_seconds longer."
            )
        return Timeline(self, work, first, sliding.over(duration_seconds))

    async def classified(
        self, work: "TimelineWork", windows: Sequence[TimeWindow], turn_deadline: float
    ) -> list[Classification]:
        """What the model makes of ``windows``, which are decoded together once it is their turn. Raises: Problem."""
        async with self._turn(turn_deadline, work):
            deadline = monotonic() + work.timeout_seconds
            with work.place.part(len(windows)):  # among those that others wait for
                return await self._classifier.classify_windows(work.video, work.model, windows, deadline, flow=work)

    @asynccontextmanager
    async def _turn(self, deadline: float, work: "TimelineWork") -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(deadline - monotonic()):
                turn = await self._turns.get(work)
        except TimeoutError:
            raise DeadlineExceeded from None
        try:
            yield
        finally:
            self._turns.put(turn)


@dataclass(frozen=True, eq=False)
class TimelineWork:
    """One video that was received."""

    video: VideoFile
    model: ServedModel
    place: Place
    timeout_seconds: float
    """For each group of windows once its turn has come, and for the first to come."""
    begun: float = field(default_factory=monotonic)
    """A time of ``time.monotonic``."""


class Timeline:
    """The windows of one video, of which the first is classified."""

    def __init__(self, timelines: Timelines, work: TimelineWork, first: Classification, windows: Sequence[TimeWindow]) -> None:
        self.model, self.windows = work.model, windows
        self.facts: VideoFacts = first.clip.video
        self.failed_windows = 0
        """Windows without a result so far."""
        self._timelines, self._work = timelines, work
        self._first = _result(windows[0], first)
        self._ends = work.begun + timelines.policy.timeout_seconds
        self._labels: list[dict[str, float]] = []  # of each window so far; what else was found is not kept
        self._stops = 0  # windows in a row, up to the last one, that stopped their decode process
        self._at_once = windows_at_once(work.model.manifest.clip_spec)

    async def outcomes(self) -> AsyncGenerator[WindowOutcome, None]:
        """One for each window, in order. Closing the generator ends the work on those that are to come.

        Raises: Draining, ModelUnloaded, DeadlineExceeded, RefusedVideo: the rest of the video is not looked at.
        """
        yield self._kept(self._first)
        begun = 1
        running: deque[tuple[Sequence[TimeWindow], asyncio.Task[list[WindowOutcome] | None]]] = deque()
        try:
            while running or begun < len(self.windows):
                while begun < len(self.windows) and len(running) < self._timelines.policy.groups_at_once:
                    group = self.windows[begun : begun + self._at_once]
                    running.append((group, asyncio.create_task(self._together(group))))
                    begun += len(group)
                group, task = running.popleft()
                outcomes = await task
                for outcome in outcomes or ():
                    yield self._kept(outcome)
                for window in group if outcomes is None else ():
                    yield self._kept(await self._alone(window))
                if (running or begun < len(self.windows)) and monotonic() > self._ends:
                    raise DeadlineExceeded("The time for this video is over; make stride_seconds longer, or send it in parts.")
        finally:
            for _, task in running:
                task.cancel()
            await asyncio.gather(*(task for _, task in running), return_exceptions=True)

    def segments(self) -> list[Segment]:
        """What the windows so far say, in few lines."""
        return merged(self.windows[: len(self._labels)], self._labels)

    def _kept(self, outcome: WindowOutcome) -> WindowOutcome:
        if isinstance(outcome, WindowResult):
            self._labels.append(labels_of(self.model.manifest, outcome.predictions))
            self._stops = 0
            return outcome
        self._labels.append({})
        self.failed_windows += 1
        self._stops = self._stops + 1 if _stopped_the_decoder(outcome.problem) else 0
        if self._stops >= _STOPS_IN_A_ROW:
            raise outcome.problem
        return outcome

    async def _together(self, windows: Sequence[TimeWindow]) -> list[WindowOutcome] | None:
        """None where one of several fails by itself: each is to be tried alone, so that only the one to blame fails."""
        try:
            found = await self._timelines.classified(self._work, windows, self._ends)
        except _OF_A_WINDOW as problem:
            if isinstance(problem, RefusedVideo | InferenceFailed) and len(windows) > 1:
                self._at_once = 1 if _stopped_the_decoder(problem) else self._at_once
                return None
            return [WindowProblem(window, problem) for window in windows]
        return [_result(window, classification) for window, classification in zip(windows, found, strict=True)]

    async def _alone(self, window: TimeWindow) -> WindowOutcome:
        outcomes = await self._together([window])
        assert outcomes, "one window has an outcome"
        return outcomes[0]


def windows_at_once(spec: ClipSpec) -> int:
    """As many as are decoded together."""
    return max(1, min(MOST_WINDOWS_AT_ONCE, _GROUP_BYTES // size_bytes((1, *spec.shape))))


def _result(window: TimeWindow, classification: Classification) -> WindowResult:
    return WindowResult(window, classification.predictions, classification.clip.video.partial)


def _stopped_the_decoder(problem: Problem) -> bool:
    """Whether the video took a decode process with it, as ``decode_endings.failure`` tells."""
    return problem.__cause__ is not None and isinstance(problem.__cause__.__cause__, WorkerEnded)
