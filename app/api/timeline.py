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
from app.api.problems import problem_body
from app.api.queries import TimelineQuery
from app.api.schemas import PredictionBody
from app.api.timeline_events import (
    Event,
    FailedEvent,
    SegmentBody,
    SegmentsEvent,
    TimelineEvent,
    TimelineVideoBody,
    VideoEvent,
    WindowEvent,
    WindowProblemEvent,
)
from app.api.uploads import received_video
from app.errors import ModelUnloaded, Problem
from app.inference.admission import Place
from app.inference.timeline import Timeline, WindowOutcome, WindowResult
from app.inference.windows import SlidingWindow
from app.observability import metrics
from app.observability.stages import keep_record, timed

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
    timelines = service.timelines
    wanted = held.enter_context(timelines.classifier.opened(query.model, query.version))
    place = held.enter_context(timelines.classifier.admission.enter())
    request.state.model = wanted.published.title
    sliding = SlidingWindow(query.window_seconds, query.stride_seconds or query.window_seconds)
    timeout_ms = min(query.timeout_ms or service.request_timeout_ms, service.request_timeout_ms)
    with keep_record() as stages:
        request.state.stages = stages
        with timed("upload"):
            video = await held.enter_async_context(received_video(request, service.upload_limits))
        place.upload_ended()
        begun = await while_connected(request, timelines.begin(video, wanted, sliding, timeout_ms / 1000))
    return EventStream(request, _events(request, begun, place, query.top_k))


async def _events(request: Request, timeline: Timeline, place: Place, top_k: int) -> AsyncGenerator[Event, None]:
    manifest, request_id = timeline.model.manifest, request.state.request_id
    facts = {name: value for name, value in asdict(timeline.facts).items() if name in TimelineVideoBody.model_fields}
    yield VideoEvent(
        event="video",
        model=manifest.name,
        version=manifest.version,
        video=TimelineVideoBody(**facts),
        windows=len(timeline.windows),
    )
    index = 0
    try:
        async with aclosing(timeline.outcomes()) as outcomes:
            async for outcome in outcomes:
                place.answered_one()
                yield _event(index, outcome, top_k, request_id)
                index += 1
    except Problem as problem:
        request.state.problem_code = problem.code
        metrics.PROBLEMS.labels(problem.code).inc()
        yield FailedEvent(
            event="failed", problem=problem_body(problem, request_id), retry_after_seconds=problem.retry_after_seconds
        )
        return
    finally:
        request.state.windows, request.state.failed_windows = index, timeline.failed_windows
    segments = [SegmentBody(**asdict(segment)) for segment in timeline.segments()]
    yield SegmentsEvent(event="segments", segments=segments, failed_windows=timeline.failed_windows)


def _event(index: int, outcome: WindowOutcome, top_k: int, request_id: str) -> Event:
    start, end = outcome.window
    assert end is not None, "windows of a timeline have an end"
    if isinstance(outcome, WindowResult):
        predictions = [PredictionBody(label=each.label, probability=each.probability) for each in outcome.predictions]
        return WindowEvent(
            event="window",
            index=index,
            start_seconds=start,
            end_seconds=end,
            predictions=predictions[: top_k or None],
            partial=outcome.partial,
        )
    metrics.PROBLEMS.labels(outcome.problem.code).inc()
    return WindowProblemEvent(
        event="problem", index=index, start_seconds=start, end_seconds=end, problem=problem_body(outcome.problem, request_id)
    )
