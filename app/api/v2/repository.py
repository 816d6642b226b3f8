"""``POST /v2/repository/index``: what is served, in the words of Triton's model repository extension."""

from fastapi import APIRouter, Depends, Request
from pydantic import ValidationError

from app.api.auth import require_api_key
from app.api.dependencies import ServiceDependency
from app.api.documented import answer
from app.api.uploads import body_chunks, too_large
from app.api.v2.contract import HEADER_BYTES
from app.api.v2.examples import INDEX
from app.api.v2.protocol import PREFIX
from app.api.v2.reference import failures, inlined_schema
from app.api.v2.schemas import IndexEntryBody, IndexQuery
from app.errors import MalformedRequest, Unauthorized, UploadTimeout, UploadTooLarge

router = APIRouter(
    prefix=PREFIX,
    dependencies=[Depends(require_api_key)],
    responses=failures(Unauthorized, MalformedRequest, UploadTimeout, UploadTooLarge),
)

_INDEX_BODY = {"requestBody": {"content": {"application/json": {"schema": inlined_schema(IndexQuery)}}}}


@router.post("/repository/index", summary="List the served versions", responses=answer(INDEX), openapi_extra=_INDEX_BODY)
async def repository_index(request: Request, service: ServiceDependency) -> list[IndexEntryBody]:
    """Every served version of every model, and whether it takes requests. The body may be empty."""
    query = await _index_query(request, service)
    readiness = service.classifier.readiness
    is_ready = readiness.state == "ready"
    if query.ready and not is_ready:
        return []
    return [
        IndexEntryBody(
            name=model.manifest.name,
            version=str(model.manifest.version),
            state="READY" if is_ready else "UNAVAILABLE",
            reason="; ".join(readiness.reasons),
        )
        for model in service.classifier.models
    ]


async def _index_query(request: Request, service: ServiceDependency) -> IndexQuery:
    """Raises: MalformedRequest, UploadTooLarge, UploadTimeout. ClientDisconnect."""
    body = b""
    async for chunk in body_chunks(request, service.upload_limits):
        body += chunk
        if len(body) > HEADER_BYTES:
            raise too_large(HEADER_BYTES)
    try:
        return IndexQuery.model_validate_json(body or b"{}")
    except ValidationError:
        raise MalformedRequest("The body is empty, or a JSON object whose `ready` is true or false.") from None
