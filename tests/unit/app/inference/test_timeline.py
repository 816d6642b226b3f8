"""A timeline: windows in order, groups that fail taken apart, nothing left running. The way of one group is a stand-in."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from time import monotonic
from typing import Any, cast

import numpy as np
import pytest

from app.errors import DeadlineExceeded, Draining, InferenceFailed, InvalidParameter, Problem, QueueFull, RefusedVideo
from app.inference.admission import Admission, AdmissionPolicy, Place
from app.inference.classify import Classification, Classifier, Prediction
from app.inference.decode_endings import WorkerEnded
from app.inference.timeline import (
    MOST_WINDOWS_AT_ONCE,
    Timeline,
    TimelinePolicy,
    Timelines,
    TimelineWork,
    WindowOutcome,
    WindowProblem,
    windows_at_once,
)
from app.inference.windows import SlidingWindow
from clips import Clip, ClipSpec, DecodeFailed, TimeWindow, VideoFacts
from tests.unit.app.inference.echo_model import run

SECONDS = SlidingWindow(1.0, 1.0)
TIMEOUT_SECONDS = 30.0


class Way:
    """In the place of ``Classifier``: a window is answered by a label of its start, once ``gate`` is open."""

    def __init__(self, duration_seconds: float, problems: dict[int, Problem] | None = None) -> None:
        self.facts = VideoFacts("mov", "h264", 64, 48, duration_seconds, 10, False, 0.0, "cpu")
        self.problems = problems or {}
        self.groups: list[list[int]] = []
        self.inside = self.most_inside = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def classify_windows(
        self, _video: object, _model: object, windows: Sequence[TimeWindow], deadline: float, *, flow: object
    ) -> list[Classification]:
        assert isinstance(flow, TimelineWork)
        assert 0 < deadline - monotonic() <= TIMEOUT_SECONDS
        starts = [round(window.start_seconds) for window in windows]
        self.groups.append(starts)
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        try:
            if starts != [0]:
                await self.gate.wait()
            await asyncio.sleep(0)
            for start in starts:
                if start in self.problems:
                    raise self.problems[start]
        finally:
            self.inside -= 1
        return [self._classification(start) for start in starts]

    def _classification(self, start: int) -> Classification:
        clip = Clip(np.empty((0, 1, 1, 3), np.uint8), (), self.facts)
        return Classification(cast(Any, None), clip, [Prediction(f"second {start}", 1.0)], None)


def stopped() -> RefusedVideo:
    """What the classifier raises where a video took its decode process with it."""
    refusal = DecodeFailed("The video stopped the decoder.")
    refusal.__cause__ = WorkerEnded("timeout")
    problem = RefusedVideo(refusal)
    problem.__cause__ = refusal
    return problem


class Model:
    """Of which a timeline asks for thresholds and the size of clips alone."""

    class manifest:  # noqa: N801 as the attribute
        thresholds, clip_spec = None, ClipSpec()


def timelines_of(way: Way, groups_at_once: int = 3, timeout_seconds: float = 60.0) -> Timelines:
    return Timelines(cast(Classifier, way), TimelinePolicy(groups_at_once, 2, 100, timeout_seconds))


async def begun(way: Way, timelines: Timelines | None = None, admission: Admission | None = None) -> Timeline:
    """Its place is never left."""
    place = Place(admission or Admission(AdmissionPolicy(100, 100)), object())
    place.upload_of_parts_ended()
    work = TimelineWork(cast(Any, None), cast(Any, Model), place, TIMEOUT_SECONDS)
    return await (timelines or timelines_of(way)).begin(work, SECONDS)


async def all_of(outcomes: AsyncGenerator[WindowOutcome, None]) -> list[WindowOutcome]:
    return [outcome async for outcome in outcomes]


async def turns_of_the_loop() -> None:
    """Until all that can go on has gone on."""
    for _ in range(100):
        await asyncio.sleep(0)


def test_outcomes_come_in_order_and_the_first_window_goes_alone() -> None:
    async def test() -> None:
        way = Way(10.0)
        outcomes = await all_of((await begun(way)).outcomes())
        assert [round(outcome.window.start_seconds) for outcome in outcomes] == list(range(10))
        assert way.groups == [[0], [1, 2, 3, 4], [5, 6, 7, 8], [9]]
        assert len(way.groups[1]) == MOST_WINDOWS_AT_ONCE

    run(test)


def test_the_one_to_blame_fails_alone() -> None:
    async def test() -> None:
        refusal, late = RefusedVideo(DecodeFailed("damaged")), DeadlineExceeded()
        timeline = await begun(Way(10.0, {3: refusal, 9: late}))
        outcomes = await all_of(timeline.outcomes())
        failed = {round(o.window.start_seconds): o.problem for o in outcomes if isinstance(o, WindowProblem)}
        assert failed == {3: refusal, 9: late}
        assert len(outcomes) == 10
        assert timeline.failed_windows == 2
        assert all(not segment.start_seconds <= 3 < segment.end_seconds for segment in timeline.segments())

    run(test)


def test_a_server_that_stops_ends_the_stream_and_what_came_before_was_told() -> None:
    async def test() -> None:
        way = Way(10.0, {6: Draining()})
        outcomes = (await begun(way)).outcomes()
        assert [round((await anext(outcomes)).window.start_seconds) for _ in range(5)] == [0, 1, 2, 3, 4]
        with pytest.raises(Draining):
            await anext(outcomes)
        assert way.inside == 0

    run(test)


def test_a_problem_of_the_first_window_is_that_of_the_video() -> None:
    async def test() -> None:
        with pytest.raises(RefusedVideo):
            await begun(Way(10.0, {0: RefusedVideo(DecodeFailed("damaged"))}))

    run(test)


def test_too_many_windows_are_refused_after_the_first() -> None:
    async def test() -> None:
        way = Way(100.5)
        with pytest.raises(InvalidParameter, match="101 windows, and at most 100"):
            await begun(way)
        assert way.groups == [[0]]

    run(test)


def test_closing_the_stream_ends_the_groups_that_are_under_way() -> None:
    async def test() -> None:
        way = Way(50.0)
        timeline = await begun(way)
        way.gate.clear()
        async with aclosing(timeline.outcomes()) as outcomes:
            await anext(outcomes)
            waiting = asyncio.create_task(cast(Any, anext(outcomes)))
            await turns_of_the_loop()
            assert way.inside == 3
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        assert way.inside == 0
        way.gate.set()
        assert await all_of((await begun(way)).outcomes())

    run(test)


def test_all_timelines_together_have_no_more_groups_under_way_than_one() -> None:
    async def test() -> None:
        way = Way(30.0)
        timelines = timelines_of(way, groups_at_once=2)

        async def one() -> int:
            return len(await all_of((await begun(way, timelines)).outcomes()))

        assert await asyncio.gather(*(one() for _ in range(5))) == [30] * 5
        assert way.most_inside == 2

    run(test)


def test_a_reader_who_is_slow_holds_back_the_work() -> None:
    async def test() -> None:
        way = Way(100.0)
        async with aclosing((await begun(way)).outcomes()) as outcomes:
            for _ in range(2):
                await anext(outcomes)
            await turns_of_the_loop()
            assert len(way.groups) <= 1 + 3, "more than may be under way were begun"

    run(test)


def test_a_clip_on_which_the_model_fails_is_alone_with_it() -> None:
    async def test() -> None:
        timeline = await begun(Way(10.0, {3: InferenceFailed()}))
        await all_of(timeline.outcomes())
        assert timeline.failed_windows == 1

    run(test)


def test_what_fails_for_want_of_time_is_not_tried_again() -> None:
    async def test() -> None:
        way = Way(10.0, {6: DeadlineExceeded()})
        timeline = await begun(way)
        await all_of(timeline.outcomes())
        assert way.groups == [[0], [1, 2, 3, 4], [5, 6, 7, 8], [9]]
        assert timeline.failed_windows == 4

    run(test)


def test_a_video_that_stops_one_process_after_the_other_is_given_up() -> None:
    """Four windows in a group, each alone: three in a row are enough, however many windows are left."""

    async def test() -> None:
        way = Way(90.0, dict.fromkeys(range(2, 90), stopped()))
        timelines = timelines_of(way, groups_at_once=1)
        told = []
        with pytest.raises(RefusedVideo):
            told += [outcome async for outcome in (await begun(way, timelines)).outcomes()]
        assert way.groups == [[0], [1, 2, 3, 4], [1], [2], [3], [4]]

    run(test)


def test_windows_that_stop_a_process_now_and_then_are_tried_singly_and_the_others_come() -> None:
    async def test() -> None:
        way = Way(12.0, {2: stopped(), 3: stopped(), 7: stopped()})
        timeline = await begun(way, timelines_of(way, groups_at_once=1))
        outcomes = await all_of(timeline.outcomes())
        assert [isinstance(outcome, WindowProblem) for outcome in outcomes].count(True) == timeline.failed_windows == 3
        assert way.groups == [[0], [1, 2, 3, 4], [1], [2], [3], [4], *([number] for number in range(5, 12))]

    run(test)


def test_a_video_that_takes_too_long_as_a_whole_ends_with_that() -> None:
    async def test() -> None:
        way = Way(50.0)
        outcomes = (await begun(way, timelines_of(way, timeout_seconds=0.0))).outcomes()
        assert [round((await anext(outcomes)).window.start_seconds) for _ in range(5)] == [0, 1, 2, 3, 4]
        with pytest.raises(DeadlineExceeded, match="time for this video is over"):
            await anext(outcomes)
        assert way.inside == 0

    run(test)


def test_a_video_whose_last_window_is_late_is_complete_all_the_same() -> None:
    async def test() -> None:
        timeline = await begun(Way(5.0), timelines_of(Way(5.0), timeout_seconds=0.0))
        assert len(await all_of(timeline.outcomes())) == 5
        assert timeline.segments()

    run(test)


def test_windows_tell_the_pace_of_the_server() -> None:
    """A single video that comes is told to wait as long as windows take."""

    async def test() -> None:
        now = 0.0
        admission = Admission(AdmissionPolicy(4, 4, max_wait_seconds=1.0), clock=lambda: now)
        with admission.enter() as place:
            place.upload_of_parts_ended()
            for _ in range(5):
                with place.part(4):
                    now += 2.0
        with admission.enter() as single:
            single.upload_ended()
            assert admission.expected_wait_seconds == pytest.approx(0.5)

    run(test)


def test_waiting_for_a_turn_counts_as_time_of_the_request() -> None:
    async def test() -> None:
        way = Way(9.0)
        timelines = timelines_of(way, groups_at_once=1)
        way.gate.clear()
        async with aclosing((await begun(way, timelines)).outcomes()) as outcomes:
            await anext(outcomes)
            waiting = asyncio.create_task(cast(Any, anext(outcomes)))
            await turns_of_the_loop()
            with Admission(AdmissionPolicy(1, 1)).enter() as other:
                other.upload_of_parts_ended()
                work = TimelineWork(cast(Any, None), cast(Any, Model), other, timeout_seconds=0.0)
                with pytest.raises(DeadlineExceeded):
                    await timelines.begin(work, SECONDS)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

    run(test)


def test_a_timeline_counts_among_those_that_wait_only_while_it_is_worked_on() -> None:
    """So neither readers that stop nor timelines that wait for their turn keep single videos out."""

    async def test() -> None:
        way, admission = Way(90.0), Admission(AdmissionPolicy(4, 4))
        timelines = timelines_of(way, groups_at_once=2)
        stalled = [await begun(way, timelines, admission) for _ in range(10)]
        assert not admission._received
        way.gate.clear()
        streams = [timeline.outcomes() for timeline in stalled]
        for stream in streams:
            await anext(stream)
        waiting = [asyncio.create_task(cast(Any, anext(stream))) for stream in streams]
        await turns_of_the_loop()
        assert admission._received.total() <= 2
        way.gate.set()
        await asyncio.gather(*waiting)
        await turns_of_the_loop()
        assert not admission._received
        for stream in streams:
            await stream.aclose()

    run(test)


def test_a_part_that_outlives_its_request_leaves_no_trace() -> None:
    admission = Admission(AdmissionPolicy(4, 4))
    with admission.enter() as place:
        place.upload_of_parts_ended()
        part = place.part(4)
        part.__enter__()
    part.__exit__(None, None, None)
    with place.part(1):
        pass
    assert not admission._received
    assert not admission._arriving


def test_so_many_timelines_are_let_in_and_no_more() -> None:
    timelines = timelines_of(Way(1.0))
    with timelines.enter(), timelines.enter(), pytest.raises(QueueFull), timelines.enter():
        pass
    with timelines.enter():
        pass


def test_who_finds_no_room_is_told_when_the_next_timeline_will_be_over() -> None:
    now = 0.0
    timelines = Timelines(cast(Classifier, Way(1.0)), TimelinePolicy(3, 2, 100, 60.0), clock=lambda: now)

    def told() -> int | None:
        with timelines.enter(), timelines.enter(), pytest.raises(QueueFull) as refusal, timelines.enter():
            pass
        return refusal.value.retry_after_seconds

    assert told() == 1, "nobody knows yet"
    for seconds in [20.0] * 30 + [10.0, 30.0] * 2:
        with timelines.enter():
            now += seconds
    assert told() == 10


def test_large_clips_are_decoded_one_at_a_time() -> None:
    assert windows_at_once(ClipSpec()) == MOST_WINDOWS_AT_ONCE
    assert windows_at_once(ClipSpec(num_frames=64, height=1024, width=1024)) == 1
