"""API keys: where they are set, a request carries one of them in ``X-API-Key`` or as ``Authorization: Bearer``."""

from fastapi import Request

from app.api.dependencies import ServiceDependency
from app.errors import Unauthorized


async def require_api_key(request: Request, service: ServiceDependency) -> None:
    """Raises: Unauthorized: keys are set and the request carries none of them."""
    if service.api_keys.are_asked_for and not service.api_keys.accept(_sent_key(request)):
        raise Unauthorized


def _sent_key(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return request.headers.get("x-api-key") or (token.strip() if scheme.lower() == "bearer" else "")
