"""``POST /timeline``: a longer video in, an event for each of its windows out, as soon as it is ready; segments last."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from app.api.auth import require_api_key
from app.api.classify import VIDEO_BODY
from app.api.dependencies import ServiceDependency
from app.api.disconnect import while_connected
from app.api.documented import ASKED, UPLOAD, VIDEO, problems, stream
from app.api.event_stream import EventStream
from app.api.examples import TIMELINE
from app.api.predictions import told
from app.api.problems import problem_body
from app.api.queries import TimelineQuery
from app.api.schemas import VideoFileBody
from app.api.timeline_events import (
    Event,
    FailedEvent,
    SegmentBody,
    SegmentsEvent,
    TimelineEvent,
    VideoEvent,
    WindowEvent,
    WindowProblemEvent,
)
from app.api.uploads import received_video
from app.errors import Draining, ModelUnloaded, Problem
from app.inference.timeline import Timeline, TimelineWork, WindowOutcome, WindowResult
from app.inference.windows import SlidingWindow
from app.observability import metrics
from app.observability.stages import keep_record, timed
from clips import Manifest

router = APIRouter(tags=["classify"])


async def _until_answered() -> AsyncIterator[AsyncExitStack]:
    """What is entered here ends once the whole answer was sent, or the caller has left."""
    async with AsyncExitStack() as stack:
        yield stack


@router.post(
    "/timeline",
    summary="Classify a longer video window by window",
    responses=stream(TimelineEvent, TIMELINE) | problems(*ASKED, *UPLOAD, *VIDEO, ModelUnloaded),
    openapi_extra=VIDEO_BODY,
    dependencies=[Depends(require_api_key)],
    response_class=EventStream,
    status_code=200,  # which FastAPI would else look for in the class
)
async def timeline(
    request: Request,
    service: ServiceDependency,
    query: Annotated[TimelineQuery, Query()],
    held: Annotated[AsyncExitStack, Depends(_until_answered)],
) -> Response:
    """Send the video as for `/classify`. One event a line (NDJSON), or Server-Sent Events with `Accept: text/event-stream`.

    A video that cannot be classified at all, and one with too many windows, is answered with a problem and no events.
    """
    timelines, classifier = service.timelines, service.classifier
    wanted = held.enter_context(classifier.opened(query.model, query.version))
    held.enter_context(timelines.enter())
    place = held.enter_context(classifier.admission.enter())
    request.state.model = wanted.published.title
    timeout_ms = min(query.timeout_ms or service.request_timeout_ms, service.request_timeout_ms)
    with keep_record() as stages:
        request.state.stages = stages
        with timed("upload"):
            video = await held.enter_async_context(received_video(request, service.upload_limits))
        place.upload_of_parts_ended()
        work = TimelineWork(video, wanted, place, timeout_ms / 1000)
        sliding = SlidingWindow(query.window_seconds, query.stride_seconds or query.window_seconds)
        begun = await while_connected(request, timelines.begin(work, sliding))
    events = _events(request, begun, query.top_k)
    return EventStream(request, events, interrupted=_failed(Draining(), request.state.request_id))


async def _events(request: Request, timeline: Timeline, top_k: int) -> AsyncGenerator[Event, None]:
    state, manifest = request.state, timeline.model.manifest
    state.windows = 0
    try:
        yield VideoEvent(
            event="video",
            model=manifest.name,
            version=manifest.version,
            video=VideoFileBody.model_validate(timeline.facts, from_attributes=True),
            windows=len(timeline.windows),
        )
        async with aclosing(timeline.outcomes()) as outcomes:
            async for outcome in outcomes:
                yield _event(manifest, state.windows, outcome, top_k, state.request_id)
                state.windows += 1
    except Problem as problem:
        state.problem_code = problem.code
        metrics.PROBLEMS.labels(problem.code).inc()
        yield _failed(problem, state.request_id)
        return
    finally:
        state.failed_windows = timeline.failed_windows
    segments = [SegmentBody(**asdict(segment)) for segment in timeline.segments()]
    yield SegmentsEvent(event="segments", segments=segments, failed_windows=timeline.failed_windows)


def _failed(problem: Problem, request_id: str) -> FailedEvent:
    return FailedEvent(
        event="failed", problem=problem_body(problem, request_id), retry_after_seconds=problem.retry_after_seconds
    )


def _event(manifest: Manifest, index: int, outcome: WindowOutcome, top_k: int, request_id: str) -> Event:
    start, end = outcome.window
    assert end is not None, "windows of a timeline have an end"
    if isinstance(outcome, WindowResult):
        return WindowEvent(
            event="window",
            index=index,
            start_seconds=start,
            end_seconds=end,
            **told(manifest, outcome.predictions, top_k),
            partial=outcome.partial,
        )
    metrics.PROBLEMS.labels(outcome.problem.code).inc()
    return WindowProblemEvent(
        event="problem",
        index=index,
        start_seconds=start,
        end_seconds=end,
        problem=problem_body(outcome.problem, request_id),
        retry_after_seconds=outcome.problem.retry_after_seconds,
    )
