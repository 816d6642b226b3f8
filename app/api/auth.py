"""API keys: where they are set, a request carries one of them in ``X-API-Key`` or as ``Authorization: Bearer``."""

from typing import Annotated

from fastapi import Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from app.api.dependencies import ServiceDependency
from app.errors import Unauthorized

# for the reference alone: what was sent is read and compared below, whatever these make of it
_ApiKey = Annotated[str | None, Security(APIKeyHeader(name="X-API-Key", scheme_name="ApiKey", auto_error=False))]
_Bearer = Annotated[HTTPAuthorizationCredentials | None, Security(HTTPBearer(scheme_name="Bearer", auto_error=False))]


async def require_api_key(request: Request, service: ServiceDependency, _header: _ApiKey, _bearer: _Bearer) -> None:
    """Raises: Unauthorized: keys are set and the request carries none of them."""
    if service.api_keys.are_asked_for and not service.api_keys.accept(_sent_key(request)):
        raise Unauthorized


def _sent_key(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return request.headers.get("x-api-key") or (token.strip() if scheme.lower() == "bearer" else "")
