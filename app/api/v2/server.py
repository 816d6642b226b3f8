"""``GET /v2``: who answers, and what beyond the protocol it understands."""

from fastapi import APIRouter, Depends, Request

from app.api.auth import require_api_key
from app.api.v2.protocol import PREFIX
from app.api.v2.reference import described_errors
from app.api.v2.schemas import ServerBody

router = APIRouter(dependencies=[Depends(require_api_key)], responses=described_errors(401))

EXTENSIONS = ["binary_tensor_data", "classification", "model_configuration"]


@router.get(PREFIX, summary="Describe the server")
@router.get(PREFIX + "/", include_in_schema=False)
async def describe_server(request: Request) -> ServerBody:
    """Name, version and the extensions of the protocol that it understands."""
    return ServerBody(name="clipserve", version=request.app.version, extensions=EXTENSIONS)
