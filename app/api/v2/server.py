"""``GET /v2``: who answers, and what beyond the protocol it understands."""

from fastapi import APIRouter, Depends, Request

from app.api.auth import require_api_key
from app.api.documented import answer
from app.api.v2.examples import SERVER
from app.api.v2.protocol import EXTENSIONS, PREFIX
from app.api.v2.reference import failures
from app.api.v2.schemas import ServerBody
from app.errors import Unauthorized

router = APIRouter(dependencies=[Depends(require_api_key)], responses=failures(Unauthorized))


@router.get(PREFIX, summary="Describe the server", responses=answer(SERVER))
@router.get(PREFIX + "/", include_in_schema=False)
async def server_metadata(request: Request) -> ServerBody:
    """Name, version and the extensions of the protocol that it understands."""
    return ServerBody(name="clipserve", version=request.app.version, extensions=EXTENSIONS)
