"""API keys: where they are set, a request carries one of them in ``X-API-Key`` or as ``Authorization: Bearer``."""

import hmac
from collections.abc import Iterable
from hashlib import sha256
from typing import Annotated

from fastapi import Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from app.api.dependencies import ServiceDependency
from app.errors import Unauthorized

# for the reference alone: what was sent is read and compared below, whatever these make of it
_ApiKey = Annotated[str | None, Security(APIKeyHeader(name="X-API-Key", scheme_name="ApiKey", auto_error=False))]
_Bearer = Annotated[HTTPAuthorizationCredentials | None, Security(HTTPBearer(scheme_name="Bearer", auto_error=False))]


def digests(keys: Iterable[str]) -> tuple[bytes, ...]:
    """SHA-256 of each key: all of one length, so that comparing them takes the same time for all."""
    return tuple(sha256(key.encode()).digest() for key in keys)


async def require_api_key(request: Request, service: ServiceDependency, _header: _ApiKey, _bearer: _Bearer) -> None:
    """Raises: Unauthorized: keys are set and the request carries none of them."""
    if not service.api_key_digests:
        return
    sent = sha256(_sent_key(request).encode()).digest()
    if not sum(hmac.compare_digest(sent, known) for known in service.api_key_digests):  # not any: every key takes its time
        raise Unauthorized


def _sent_key(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return request.headers.get("x-api-key") or (token.strip() if scheme.lower() == "bearer" else "")
