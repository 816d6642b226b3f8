"""A longer video, window by window: as ``classify`` does with one clip, in order and as soon as they are ready.

windows   [0] | [1 2 3 4] | [5 6 7 8] | ...      the first alone: it tells how long the video is, and whether it is one at all
          decoded together, so that the container is read once for several; groups of one video and of others take turns
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from app.errors import DeadlineExceeded, InferenceFailed, InvalidParameter, Problem, RefusedVideo, StorageFull
from app.inference.classify import Classification, Classifier, Prediction
from app.inference.fair_pool import FairPool
from app.inference.segments import Segment, labels_of, merged
from app.inference.served import ServedModel
from app.inference.video_file import VideoFile
from app.inference.windows import SlidingWindow
from clips import TimeWindow, VideoFacts

WINDOWS_AT_ONCE = 4
"""Decoded together. At 480p and 30 frames a second of a video of 5 minutes, 71 in place of 114 ms a window; 66 with eight."""

_OF_A_WINDOW = (RefusedVideo, InferenceFailed, DeadlineExceeded, StorageFull)
"""Problems that leave the other windows as they are."""


@dataclass(frozen=True)
class WindowResult:
    """A window that was classified."""

    window: TimeWindow
    predictions: list[Prediction]
    """All labels, most probable first."""
    partial: bool
    """Whether frames are missing from the video, or are damaged in the window or beside it."""


@dataclass(frozen=True)
class WindowProblem:
    """A window that was not; the others are none the worse for it."""

    window: TimeWindow
    problem: Problem


WindowOutcome = WindowResult | WindowProblem


class Timelines:
    """What all timelines together may take. Used from one event loop."""

    def __init__(self, classifier: Classifier, groups_at_once: int, max_windows: int) -> None:
        """``groups_at_once``: that may be decoded or wait for the model, of all videos."""
        self.classifier, self.max_windows, self.groups_at_once = classifier, max_windows, groups_at_once
        self._turns: FairPool[int] = FairPool()
        for turn in range(groups_at_once):
            self._turns.put(turn)

    async def begin(self, video: VideoFile, model: ServedModel, sliding: SlidingWindow, timeout_seconds: float) -> "Timeline":
        """Classify the first window; ``timeout_seconds`` is for each group of windows.

        Raises: InvalidParameter: there are more windows than may be. Problem: what ``Classifier.classify`` raises.
        """
        timeline = Timeline(self, video, model, timeout_seconds)
        await timeline.begin(sliding)
        return timeline

    async def classified(self, timeline: "Timeline", windows: Sequence[TimeWindow]) -> list[Classification]:
        """Raises: Problem."""
        turn = await self._turns.get(timeline)
        try:
            return await self.classifier.classify_windows(
                timeline.video, timeline.model, windows, timeline.timeout_seconds, flow=timeline
            )
        finally:
            self._turns.put(turn)


class Timeline:
    """One video."""

    def __init__(self, timelines: Timelines, video: VideoFile, model: ServedModel, timeout_seconds: float) -> None:
        self._timelines = timelines
        self.video, self.model, self.timeout_seconds = video, model, timeout_seconds
        self.windows: list[TimeWindow] = []
        """All of the video's, by rising start; known once the first is classified."""
        self.failed_windows = 0
        """Windows without a result so far."""
        self._labels: list[dict[str, float]] = []  # of each window so far; what else was found is not kept

    async def begin(self, sliding: SlidingWindow) -> None:
        """Classify the first window. Raises: as ``Timelines.begin``."""
        (first,) = await self._timelines.classified(self, [TimeWindow(0.0, sliding.length_seconds)])
        self.facts: VideoFacts = first.clip.video
        count, most = sliding.count(self.facts.duration_seconds), self._timelines.max_windows
        if count > most:
            raise InvalidParameter(
                f"The video of {self.facts.duration_seconds:.1f} s has {count} windows, and at most {most} are classified: "
                "make stride_seconds longer."
            )
        self.windows = sliding.over(self.facts.duration_seconds)
        self._first = _result(self.windows[0], first)

    async def outcomes(self) -> AsyncGenerator[WindowOutcome, None]:
        """One for each window, in order. Closing the generator ends the work on those that are to come.

        Raises: Draining, ModelUnloaded: the rest of the video is not looked at.
        """
        yield self._kept(self._first)
        running: deque[asyncio.Task[list[WindowOutcome]]] = deque()
        try:
            for at in range(1, len(self.windows), WINDOWS_AT_ONCE):
                running.append(asyncio.create_task(self._group(self.windows[at : at + WINDOWS_AT_ONCE])))
                if len(running) >= self._timelines.groups_at_once:
                    for outcome in await running.popleft():
                        yield self._kept(outcome)
            while running:
                for outcome in await running.popleft():
                    yield self._kept(outcome)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    def segments(self) -> list[Segment]:
        """What the windows so far say, in few lines."""
        return merged(self.windows[: len(self._labels)], self._labels)

    def _kept(self, outcome: WindowOutcome) -> WindowOutcome:
        if isinstance(outcome, WindowResult):
            self._labels.append(labels_of(self.model.manifest, outcome.predictions))
        else:
            self._labels.append({})
            self.failed_windows += 1
        return outcome

    async def _group(self, windows: Sequence[TimeWindow]) -> list[WindowOutcome]:
        """Where they fail together, each is tried alone, so that only the one to blame fails."""
        try:
            found = await self._timelines.classified(self, windows)
        except _OF_A_WINDOW as problem:
            if len(windows) == 1:
                return [WindowProblem(windows[0], problem)]
            return [outcome for window in windows for outcome in await self._group([window])]
        return [_result(window, classification) for window, classification in zip(windows, found, strict=True)]


def _result(window: TimeWindow, classification: Classification) -> WindowResult:
    return WindowResult(window, classification.predictions, classification.clip.video.partial)
