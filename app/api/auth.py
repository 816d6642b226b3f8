"""API keys: where they are set, a request carries one of them in ``X-API-Key`` or as ``Authorization: Bearer``."""

import hmac
from collections.abc import Iterable
from hashlib import sha256

from fastapi import Request

from app.api.dependencies import ServiceDependency
from app.errors import Unauthorized


def digests(keys: Iterable[str]) -> tuple[bytes, ...]:
    """SHA-256 of each key: all of one length, so that comparing them takes the same time for all."""
    return tuple(sha256(key.encode()).digest() for key in keys)


async def require_api_key(request: Request, service: ServiceDependency) -> None:
    """Raises: Unauthorized: keys are set and the request carries none of them."""
    if not service.api_key_digests:
        return
    sent = sha256(_sent_key(request).encode()).digest()
    if not sum(hmac.compare_digest(sent, known) for known in service.api_key_digests):  # not any: every key takes its time
        raise Unauthorized


def _sent_key(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return request.headers.get("x-api-key") or (token.strip() if scheme.lower() == "bearer" else "")
