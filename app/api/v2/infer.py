"""``POST /v2/models/{name}/infer``: clips that were decoded elsewhere in, probabilities out."""

import asyncio
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from time import monotonic

from fastapi import APIRouter, Depends, Request, Response

from app.api.auth import require_api_key
from app.api.dependencies import Service, ServiceDependency
from app.api.disconnect import while_connected
from app.api.uploads import MAX_LENGTH_DIGITS
from app.api.v2.answer import infer_answer
from app.api.v2.body import received_body
from app.api.v2.contract import HEADER_BYTES, TensorContract
from app.api.v2.message import InferMessage, read_message
from app.api.v2.models import ExactModel, NewestModel
from app.api.v2.protocol import PREFIX
from app.api.v2.reference import HEADER_LENGTH, described_infer_answer, described_infer_request, failures
from app.errors import (
    DeadlineExceeded,
    Draining,
    InferenceFailed,
    MalformedRequest,
    ModelUnloaded,
    NotFound,
    NotReady,
    QueueFull,
    StorageFull,
    Unauthorized,
    UnknownModel,
    UnsupportedMediaType,
    UploadTimeout,
    UploadTooLarge,
)
from app.inference.admission import Place
from app.inference.batch_run import Probabilities
from app.inference.predecoded import infer_clips
from app.inference.served import ServedModel
from app.observability.stages import keep_record, timed

_BODY = (MalformedRequest, UploadTimeout, UploadTooLarge, UnsupportedMediaType, StorageFull)
_MODEL = (NotFound, UnknownModel, ModelUnloaded, NotReady, Draining)
_RUN = (QueueFull, DeadlineExceeded, InferenceFailed)

router = APIRouter(
    prefix=PREFIX,
    dependencies=[Depends(require_api_key)],
    responses=described_infer_answer() | failures(Unauthorized, *_BODY, *_MODEL, *_RUN),
)

_json_reader = ThreadPoolExecutor(1, "json_reader")
"""One: the interpreter reads one text at a time anyhow, and each takes several times its size meanwhile."""


@router.post("/models/{name}/infer", summary="Classify clips", openapi_extra=described_infer_request())
async def model_infer(request: Request, service: ServiceDependency, model: NewestModel) -> Response:
    """Clips of the shape in the model's metadata, as JSON or binary data; all of them or none are answered."""
    return await _infer(request, service, model)


@router.post(
    "/models/{name}/versions/{version}/infer",
    summary="Classify clips with a version of a model",
    openapi_extra=described_infer_request(),
)
async def model_version_infer(request: Request, service: ServiceDependency, model: ExactModel) -> Response:
    """Clips of the shape in the model's metadata, as JSON or binary data; all of them or none are answered."""
    return await _infer(request, service, model)


async def _infer(request: Request, service: Service, model: ServedModel) -> Response:
    service.classifier.readiness.check()
    header_bytes = _header_bytes(request)
    contract = TensorContract.of(model, service)
    with model.in_use(), service.classifier.admission.enter() as place, keep_record() as stages:
        request.state.model, request.state.stages = model.published.title, stages
        async with AsyncExitStack() as stack:
            with timed("upload"):
                uploading = received_body(request, service.upload_limits, contract.max_body_bytes, contract.memory_bytes)
                body = await stack.enter_async_context(uploading)
            place.upload_ended()
            longest_seconds = service.request_timeout_ms / 1000
            reading = _read(body, header_bytes, contract, longest_seconds)
            work = _inferred(reading, model, place, longest_seconds)
            message, probabilities = await while_connected(request, work)
    answer = infer_answer(message, model.manifest, probabilities)
    if answer.header_bytes is None:
        return Response(answer.content, media_type="application/json")
    return Response(answer.content, headers={HEADER_LENGTH: str(answer.header_bytes)}, media_type="application/octet-stream")


def _header_bytes(request: Request) -> int | None:
    """How much of the body is JSON; None for all. Raises: MalformedRequest."""
    sent = request.headers.get(HEADER_LENGTH)
    if sent is None:
        return None
    if not sent.isdecimal() or len(sent) > MAX_LENGTH_DIGITS:
        raise MalformedRequest(f"{HEADER_LENGTH} must be a number of bytes.")
    return int(sent)


async def _inferred(
    reading: Awaitable[InferMessage], model: ServedModel, place: Place, longest_seconds: float
) -> tuple[InferMessage, Probabilities]:
    """Raises: MalformedRequest, QueueFull, DeadlineExceeded, Draining, InferenceFailed."""
    started = monotonic()
    message = await reading
    place.hold(len(message.clips))
    seconds = min(longest_seconds, message.timeout_seconds or longest_seconds)
    return message, await infer_clips(model.batcher, message.clips, started + seconds)


async def _read(body: memoryview, header_bytes: int | None, contract: TensorContract, longest_seconds: float) -> InferMessage:
    """A short text at once, a long one in its thread. Raises: MalformedRequest, DeadlineExceeded."""
    json_bytes = len(body) if header_bytes is None else header_bytes
    if json_bytes <= HEADER_BYTES:
        return read_message(body, header_bytes, contract)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(longest_seconds):
            return await loop.run_in_executor(_json_reader, read_message, body, header_bytes, contract)
    except TimeoutError:
        raise DeadlineExceeded from None
