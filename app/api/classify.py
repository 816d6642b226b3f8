"""``POST /classify``: one video in, label probabilities out."""

from contextlib import AsyncExitStack
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from app.api.auth import require_api_key
from app.api.dependencies import ServiceDependency
from app.api.disconnect import while_connected
from app.api.documented import ASKED, UPLOAD, VIDEO, answer, problems
from app.api.examples import CLASSIFICATION
from app.api.form import ONE_FILE
from app.api.predictions import told
from app.api.queries import ClassifyQuery
from app.api.schemas import ClassificationBody, TimesBody, VideoBody
from app.api.uploads import received_video
from app.errors import ModelUnloaded
from app.inference.classify import CacheResult, Classification
from app.observability.stages import StageTimes, keep_record, timed

router = APIRouter(tags=["classify"])

_BINARY = {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}
VIDEO_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {ONE_FILE.field: _BINARY},
                    "required": [ONE_FILE.field],
                    "maxProperties": ONE_FILE.max_parts,
                }
            },
            "application/octet-stream": {"schema": _BINARY},
            "video/*": {"schema": _BINARY},
        },
    }
}
_CACHE_STATUS: dict[CacheResult, str] = {"hit": "ClipServe; hit", "miss": "ClipServe; fwd=miss"}
"""RFC 9211."""


@router.post(
    "/classify",
    summary="Classify one video",
    responses=answer(CLASSIFICATION, "Server-Timing", "Cache-Status") | problems(*ASKED, *UPLOAD, *VIDEO, ModelUnloaded),
    openapi_extra=VIDEO_BODY,
    dependencies=[Depends(require_api_key)],
)
async def classify(
    request: Request,
    response: Response,
    service: ServiceDependency,
    query: Annotated[ClassifyQuery, Query()],
) -> ClassificationBody:
    """Send the video as the multipart field `file`, or as the raw body with a `video/*` or `application/octet-stream` type."""
    timeout_ms = min(query.timeout_ms or service.request_timeout_ms, service.request_timeout_ms)
    classifier = service.classifier
    with (
        classifier.opened(query.model, query.version) as wanted,
        classifier.admission.enter() as place,
        keep_record() as stages,
    ):
        request.state.model, request.state.stages = wanted.published.title, stages
        async with AsyncExitStack() as stack:
            with timed("upload"):
                video = await stack.enter_async_context(received_video(request, service.upload_limits))
            place.upload_ended()
            answer = await while_connected(request, classifier.classify(video, wanted, timeout_ms / 1000))
            if answer.cache == "hit":
                place.was_known()
    if answer.cache:
        response.headers["Cache-Status"] = _CACHE_STATUS[answer.cache]
    return classification_body(answer, stages, query.top_k)


def classification_body(answer: Classification, stages: StageTimes, top_k: int) -> ClassificationBody:
    """The answer to one video, with its ``top_k`` labels; 0 for all."""
    manifest, clip = answer.model.manifest, answer.clip
    return ClassificationBody(
        model=manifest.name,
        version=manifest.version,
        **told(manifest, answer.predictions, top_k),
        video=VideoBody(**vars(clip.video), frame_times_seconds=list(clip.frame_times_seconds)),
        times_ms=TimesBody(**stages.ms),
    )
