"""``POST /classify/batch``: several videos in, a result or a problem for each, in order."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from app.api.auth import require_api_key
from app.api.batch_upload import FILES_FIELD, BatchVideo, received_videos
from app.api.classify import classification_body
from app.api.dependencies import ServiceDependency
from app.api.disconnect import while_connected
from app.api.documented import ASKED, answer, problems
from app.api.examples import BATCH
from app.api.problems import problem_body
from app.api.queries import ClassifyQuery
from app.api.schemas import BatchBody, BatchProblemBody, BatchResultBody
from app.errors import (
    Draining,
    MalformedUpload,
    ModelUnloaded,
    NotReady,
    Problem,
    QueueFull,
    UnknownModel,
    UnsupportedMediaType,
    UploadTimeout,
    UploadTooLarge,
)
from app.inference.classify import Classification, Classifier
from app.inference.served import ServedModel
from app.observability import metrics
from app.observability.stages import StageTimes, keep_record, note_longest, record, timed

router = APIRouter(tags=["classify"])

_FILE = {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}
_FILES = {"type": "array", "items": _FILE, "minItems": 1}
_FORM = {"type": "object", "properties": {FILES_FIELD: _FILES}, "required": [FILES_FIELD]}
_REQUEST_BODY: dict[str, Any] = {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _FORM}}}}

_REFUSED = (MalformedUpload, UploadTimeout, UploadTooLarge, UnsupportedMediaType, QueueFull)
_UNAVAILABLE = (NotReady, Draining, ModelUnloaded, UnknownModel)


@dataclass(frozen=True)
class _Outcome:
    """What became of one video."""

    found: Classification | Problem
    stages: StageTimes


@router.post(
    "/classify/batch",
    summary="Classify several videos",
    responses=answer(BATCH, "Server-Timing") | problems(*ASKED, *_REFUSED, *_UNAVAILABLE),
    openapi_extra=_REQUEST_BODY,
    dependencies=[Depends(require_api_key)],
)
async def classify_batch(request: Request, service: ServiceDependency, query: Annotated[ClassifyQuery, Query()]) -> BatchBody:
    """Send each video as a multipart field `files`. One that is broken, empty or too large fails alone."""
    timeout_ms = min(query.timeout_ms or service.request_timeout_ms, service.request_timeout_ms)
    classifier = service.classifier
    with classifier.opened(query.model, query.version) as wanted, keep_record() as stages:
        request.state.model, request.state.stages = wanted.published.title, stages
        async with AsyncExitStack() as stack:
            with timed("upload", counted=False):
                arriving = received_videos(request, classifier.admission, service.upload_limits, service.batch_limits)
                videos = await stack.enter_async_context(arriving)
            outcomes = await while_connected(request, _outcomes(classifier, wanted, timeout_ms / 1000, videos))
    results = [_item(index, outcome, query.top_k, request.state.request_id) for index, outcome in enumerate(outcomes)]
    request.state.videos, request.state.failed_videos = len(results), sum(item.outcome == "problem" for item in results)
    return BatchBody(model=wanted.manifest.name, version=wanted.manifest.version, results=results)


async def _outcomes(
    classifier: Classifier, model: ServedModel, timeout_seconds: float, videos: Sequence[BatchVideo]
) -> list[_Outcome]:
    """In the order of ``videos``, which take turns with those of other requests. Cancelling the call ends the work on all."""
    flow = object()
    times: list[StageTimes] = []

    async def outcome(video: BatchVideo) -> _Outcome:
        with keep_record() as stages:
            times.append(stages)
            if video.upload_seconds is not None:
                record("upload", video.upload_seconds)
            try:
                with video:
                    return _Outcome(await classifier.classify(video.video, model, timeout_seconds, flow), stages)
            except Problem as problem:
                return _Outcome(problem, stages)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(outcome(video)) for video in videos]
    finally:
        note_longest(times)
    return [task.result() for task in tasks]


def _item(index: int, outcome: _Outcome, top_k: int, request_id: str) -> BatchResultBody | BatchProblemBody:
    if not isinstance(outcome.found, Problem):
        result = classification_body(outcome.found, outcome.stages, top_k)
        return BatchResultBody(index=index, outcome="result", result=result)
    metrics.PROBLEMS.labels(outcome.found.code).inc()
    return BatchProblemBody(
        index=index,
        outcome="problem",
        problem=problem_body(outcome.found, request_id),
        retry_after_seconds=outcome.found.retry_after_seconds,
    )
