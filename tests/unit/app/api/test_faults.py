"""What nobody foresaw: told in one sentence, logged in full, and never taken for an answer that has begun."""

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.faults import Faults
from app.api.requests import RequestMiddleware
from app.observability import logs, metrics

SECRET = "a-path-of-the-server"


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Callable[[], list[dict[str, Any]]]:
    """The lines that were logged so far, as fields; a traceback is the field ``exception``."""
    caplog.set_level(logging.INFO, "clipserve")
    return lambda: [json.loads(logs.JsonLines().format(record)) for record in caplog.records if record.name == "clipserve"]


async def raises(scope: Scope, receive: Receive, send: Send) -> None:
    raise RuntimeError(SECRET)


async def raises_late(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"half", "more_body": True})
    raise RuntimeError(SECRET)


async def is_cut_off(scope: Scope, receive: Receive, send: Send) -> None:
    raise asyncio.CancelledError


def ask(app: ASGIApp) -> httpx.Response:
    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(RequestMiddleware(Faults(app)))
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return await client.get("/")

    return asyncio.run(asked())


def test_a_fault_is_a_problem_that_tells_nothing(log: Callable[[], list[dict[str, Any]]]) -> None:
    before = count("500")
    answer = ask(raises)
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert SECRET not in answer.text
    assert count("500") == before + 1
    fault, request = log()
    assert SECRET in fault["exception"]
    assert fault["request_id"] == request["request_id"] == answer.json()["request_id"]


def test_an_answer_that_has_begun_is_left_as_it_is(log: Callable[[], list[dict[str, Any]]]) -> None:
    sent: list[dict[str, Any]] = []

    async def keep(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    asyncio.run(RequestMiddleware(Faults(raises_late))(scope, never, keep))
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert log()[-1]["problem_code"] == "internal_error"


def test_what_is_cut_off_as_the_server_ends_is_told_to_come_again() -> None:
    answer = ask(is_cut_off)
    assert (answer.status_code, answer.json()["code"]) == (503, "draining")
    assert answer.headers["retry-after"]


def test_a_start_that_fails_is_no_request() -> None:
    with pytest.raises(RuntimeError):
        asyncio.run(Faults(raises)({"type": "lifespan"}, never, never))


async def never(*_: object) -> Any:
    raise AssertionError("nothing is read or sent here")


def count(status: str) -> float:
    return metrics.REQUESTS.labels("unmatched", status)._value.get()
