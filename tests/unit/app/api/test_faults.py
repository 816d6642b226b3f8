"""What nobody foresaw: told in one sentence, logged in full, and never taken for an answer that has begun."""

import asyncio
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
def log(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """What was logged so far; the handlers of the others come back afterwards."""
    for name in ("clipserve", "uvicorn", "asyncio", "opentelemetry", "python_multipart"):
        logger = logging.getLogger(name)
        for attribute in ("handlers", "level", "propagate"):
            monkeypatch.setattr(logger, attribute, getattr(logger, attribute))
    logs.set_up("info")
    return lambda: capsys.readouterr().err


async def raises(scope: Scope, receive: Receive, send: Send) -> None:
    raise RuntimeError(SECRET)


async def raises_late(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"half", "more_body": True})
    raise RuntimeError(SECRET)


def ask(app: ASGIApp) -> httpx.Response:
    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(RequestMiddleware(Faults(app)))
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return await client.get("/")

    return asyncio.run(asked())


def test_a_fault_is_a_problem_that_tells_nothing(log: Callable[[], str]) -> None:
    before = count("500")
    answer = ask(raises)
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert SECRET not in answer.text
    assert count("500") == before + 1
    logged = log()
    assert SECRET in logged
    assert logged.count(answer.json()["request_id"]) == 2


def test_an_answer_that_has_begun_is_left_as_it_is(log: Callable[[], str]) -> None:
    sent: list[dict[str, Any]] = []

    async def keep(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    asyncio.run(RequestMiddleware(Faults(raises_late))(scope, never, keep))
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert '"problem_code": "internal_error"' in log()


def test_a_start_that_fails_is_no_request() -> None:
    with pytest.raises(RuntimeError):
        asyncio.run(Faults(raises)({"type": "lifespan"}, never, never))


async def never(*_: object) -> Any:
    raise AssertionError("nothing is read or sent here")


def count(status: str) -> float:
    return metrics.REQUESTS.labels("unmatched", status)._value.get()
