"""``POST /classify/batch``: several videos in, a result or a problem for each, in order."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from app.api.auth import require_api_key
from app.api.batch_upload import FILES_FIELD, BatchVideo, received_videos
from app.api.classify import PROBLEMS, classification_body, times_body
from app.api.dependencies import ServiceDependency
from app.api.disconnect import while_connected
from app.api.problems import problem_body
from app.api.schemas import BatchBody, BatchProblemBody, BatchResultBody, ClassifyQuery
from app.errors import Problem
from app.inference.classify import Classification
from app.inference.flow import Flow

router = APIRouter(tags=["classify"])

_FILES = {"type": "array", "items": {"type": "string", "format": "binary"}, "minItems": 1}
_REQUEST_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {"type": "object", "properties": {FILES_FIELD: _FILES}, "required": [FILES_FIELD]},
                "encoding": {FILES_FIELD: {"contentType": "video/*, application/octet-stream"}},
            }
        },
    }
}
_EXAMPLE = {
    "model": "exercise10",
    "version": 1,
    "results": [
        {
            "index": 0,
            "outcome": "result",
            "result": {
                "model": "exercise10",
                "version": 1,
                "predictions": [{"label": "lunge", "probability": 0.93}, {"label": "squat", "probability": 0.05}],
                "video": {
                    "container": "mov",
                    "codec": "h264",
                    "width": 320,
                    "height": 240,
                    "duration_seconds": 4.0,
                    "frame_count": 100,
                    "partial": False,
                    "missing_fraction": 0.0,
                    "decoded_on": "cpu",
                    "frame_times_seconds": [0.24, 0.72, 1.24, 1.72, 2.24, 2.72, 3.24, 3.72],
                },
                "times_ms": {"upload": 3.1, "decode": 14.2, "queue": 0.6, "model": 38.5},
            },
        },
        {
            "index": 1,
            "outcome": "problem",
            "problem": {
                "type": "urn:clipserve:problem:too_few_frames",
                "title": "The video cannot be classified",
                "status": 422,
                "detail": "The video has 1 frame(s); at least 2 are needed.",
                "code": "too_few_frames",
                "request_id": "5f0c8f1e2b7d4a90",
            },
        },
    ],
}
_RESPONSES: dict[int | str, dict[str, Any]] = {200: {"content": {"application/json": {"example": _EXAMPLE}}}, **PROBLEMS}


@router.post(
    "/classify/batch",
    summary="Classify several videos",
    responses=_RESPONSES,
    openapi_extra=_REQUEST_BODY,
    dependencies=[Depends(require_api_key)],
)
async def classify_batch(request: Request, service: ServiceDependency, query: Annotated[ClassifyQuery, Query()]) -> BatchBody:
    """Send each video as a multipart field `files`. One that is broken, empty or too large fails alone."""
    classifier = service.classifier
    wanted = classifier.check_open(query.model, query.version)
    timeout_ms = min(query.timeout_ms or service.request_timeout_ms, service.request_timeout_ms)
    async with received_videos(request, classifier.admission, service.upload_limits, service.batch_limits) as videos:
        flow = Flow(classifier, wanted, timeout_ms / 1000, service.batch_limits.at_once)
        outcomes = await while_connected(request, _outcomes(flow, videos))

    request.state.model = wanted.published.title
    request.state.videos, request.state.failed_videos = len(videos), sum(isinstance(o, Problem) for o in outcomes)
    items = [
        _item(index, video, outcome, query.top_k, request.state.request_id)
        for index, (video, outcome) in enumerate(zip(videos, outcomes, strict=True))
    ]
    return BatchBody(model=wanted.manifest.name, version=wanted.manifest.version, results=items)


async def _outcomes(flow: Flow, videos: Sequence[BatchVideo]) -> list[Classification | Problem]:
    """In the order of ``videos``. Cancelling the call ends the work on all of them."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_outcome(flow, video)) for video in videos]
    return [task.result() for task in tasks]


async def _outcome(flow: Flow, video: BatchVideo) -> Classification | Problem:
    try:
        return await flow.classify(video.video)
    except Problem as problem:
        return problem
    finally:
        video.close()


def _item(
    index: int, video: BatchVideo, outcome: Classification | Problem, top_k: int, request_id: str
) -> BatchResultBody | BatchProblemBody:
    if isinstance(outcome, Problem):
        retry_after_seconds = outcome.retry_after_seconds
        problem = problem_body(outcome, request_id)
        return BatchProblemBody(index=index, outcome="problem", problem=problem, retry_after_seconds=retry_after_seconds)
    times = times_body(video.upload_seconds, outcome)
    return BatchResultBody(index=index, outcome="result", result=classification_body(outcome, times, top_k))
