"""Around every request: its id, security headers, one log line, and an answer to what nobody foresaw.

Plain ASGI: Starlette's BaseHTTPMiddleware would hide the client's disconnect from the routes.
"""

import asyncio
import re
from secrets import token_hex
from time import perf_counter
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.problems import problem_response
from app.errors import Draining, InternalError
from app.observability import logs, metrics

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

_OWN_FILES_ONLY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# Swagger's page runs one inline script and loads the rest from its content delivery network
_DOCS = (
    "default-src 'none'; script-src 'unsafe-inline' https://cdn.jsdelivr.net; "
    "style-src 'unsafe-inline' https://cdn.jsdelivr.net; "
    "img-src data: https://fastapi.tiangolo.com https://cdn.jsdelivr.net; connect-src 'self'; frame-ancestors 'none'"
)


class RequestMiddleware:
    """Gives each request its ``request_id`` and sees it through to its answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        request_id = _request_id(Headers(scope=scope))
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _add_headers(MutableHeaders(scope=message), scope["path"], request_id)
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except asyncio.CancelledError:  # by uvicorn, when the time to drain is over
            state["problem_code"] = Draining.code
            if status:
                raise
            await problem_response(Draining(), request_id)(scope, receive, send_with_headers)
        except Exception:  # noqa: BLE001 the last line of defence: a fault of ours is logged in full and answered in one sentence
            logs.exception("unforeseen_error", request_id=request_id, route=_route(scope))
            state["problem_code"] = InternalError.code
            if not status:
                await problem_response(InternalError(), request_id)(scope, receive, send_with_headers)
        finally:
            _record(scope, state, status, perf_counter() - started)


def _request_id(headers: Headers) -> str:
    """The client's, where it is harmless in a log; else a new one."""
    sent = headers.get("x-request-id", "")
    return sent if _REQUEST_ID.fullmatch(sent) else token_hex(8)


def _route(scope: Scope) -> str:
    """The template of the route, such as ``/models/{name}``: a path is the client's text, a template is ours."""
    return getattr(scope.get("route"), "path", "unmatched")


def _add_headers(headers: MutableHeaders, path: str, request_id: str) -> None:
    headers["X-Request-ID"] = request_id
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Referrer-Policy"] = "no-referrer"
    headers["Content-Security-Policy"] = _DOCS if path == "/docs" else _OWN_FILES_ONLY


def _record(scope: Scope, state: dict[str, Any], status: int, seconds: float) -> None:
    route = _route(scope)
    metrics.REQUESTS.labels(route, str(status)).inc()
    metrics.REQUEST_SECONDS.labels(route).observe(seconds)
    logs.info(
        "request",
        request_id=state["request_id"],
        method=scope["method"] if scope["method"] in _METHODS else "other",
        route=route,
        status=status,
        total_ms=round(seconds * 1000, 3),
        **{key: state[key] for key in ("problem_code", "model", "times_ms", "videos", "failed_videos") if key in state},
    )
