"""``POST /classify``: one video in, label probabilities out."""

from time import perf_counter
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from app.api.auth import require_api_key
from app.api.dependencies import ServiceDependency
from app.api.disconnect import while_connected
from app.api.form import ONE_FILE
from app.api.schemas import ClassificationBody, ClassifyQuery, PredictionBody, ProblemBody, TimesBody, VideoBody
from app.api.uploads import received_video
from app.inference.classify import Classification
from app.observability import metrics

router = APIRouter(tags=["classify"])

_BINARY = {"type": "string", "format": "binary"}
_REQUEST_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {"type": "object", "properties": {ONE_FILE.field: _BINARY}, "required": [ONE_FILE.field]}
            },
            "application/octet-stream": {"schema": _BINARY},
            "video/*": {"schema": _BINARY},
        },
    }
}
_PROBLEM_STATUSES = (400, 401, 404, 408, 413, 415, 422, 429, 500, 503, 504)
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": ProblemBody, "content": {"application/problem+json": {}}} for status in _PROBLEM_STATUSES
}


@router.post(
    "/classify",
    summary="Classify one video",
    responses=PROBLEMS,
    openapi_extra=_REQUEST_BODY,
    dependencies=[Depends(require_api_key)],
)
async def classify(
    request: Request,
    response: Response,
    service: ServiceDependency,
    query: Annotated[ClassifyQuery, Query()],
) -> ClassificationBody:
    """Send the video as the multipart field `file`, or as the raw body with a `video/*` or `application/octet-stream` type."""
    wanted = service.classifier.check_open(query.model, query.version)
    timeout_ms = min(query.timeout_ms or service.request_timeout_ms, service.request_timeout_ms)
    started = perf_counter()
    with service.classifier.admission.enter() as place:
        async with received_video(request, service.upload_limits) as video:
            place.upload_ended()
            upload_seconds = perf_counter() - started
            metrics.STAGE_SECONDS.labels("upload").observe(upload_seconds)
            answer = await while_connected(request, service.classifier.classify(video, wanted, timeout_ms / 1000))

    times = times_body(upload_seconds, answer)
    request.state.model = answer.model.published.title
    request.state.times_ms = times.model_dump()
    response.headers["Server-Timing"] = ", ".join(f"{stage};dur={ms}" for stage, ms in times)
    return classification_body(answer, times, query.top_k)


def times_body(upload_seconds: float, answer: Classification) -> TimesBody:
    """The time of each stage, ms."""
    stages = {"upload": upload_seconds, **answer.stage_seconds}
    return TimesBody(**{stage: round(seconds * 1000, 3) for stage, seconds in stages.items()})


def classification_body(answer: Classification, times: TimesBody, top_k: int) -> ClassificationBody:
    """The answer to one video, with its ``top_k`` labels; 0 for all."""
    manifest, clip = answer.model.manifest, answer.clip
    return ClassificationBody(
        model=manifest.name,
        version=manifest.version,
        predictions=[
            PredictionBody(label=prediction.label, probability=prediction.probability)
            for prediction in answer.predictions[: top_k or None]
        ],
        video=VideoBody(**vars(clip.video), frame_times_seconds=list(clip.frame_times_seconds)),
        times_ms=times,
    )
