"""What nobody foresaw is answered in one sentence, in the words of its address."""

import asyncio
import json

import pytest
from starlette.types import Message, Receive, Scope, Send

from app.api.faults import Faults
from app.api.requests import RequestMiddleware


async def broken(scope: Scope, receive: Receive, send: Send) -> None:
    raise RuntimeError("a secret of the inside")


def answer(path: str) -> tuple[Message, bytes]:
    """Head and body of the answer of an application that fails."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {"type": "http", "method": "GET", "path": path, "headers": []}
    asyncio.run(RequestMiddleware(Faults(broken))(scope, receive, send))
    head, body = sent
    return head, body["body"]


@pytest.mark.parametrize(
    ("path", "media_type", "field"),
    [
        ("/classify", b"application/problem+json", "detail"),
        ("/v2", b"application/json", "error"),
        ("/v2/models/colours/infer", b"application/json", "error"),
    ],
)
def test_an_unforeseen_fault(path: str, media_type: bytes, field: str) -> None:
    head, body = answer(path)
    assert head["status"] == 500
    assert dict(head["headers"])[b"content-type"] == media_type
    assert json.loads(body)[field]
    assert b"secret" not in body
