"""Around every request: its id, security headers, one log line, and what the metrics count.

Plain ASGI: Starlette's BaseHTTPMiddleware would hide the client's disconnect from the routes.
"""

import re
from secrets import token_hex
from time import perf_counter
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.observability import logs, metrics

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TRACEPARENT = re.compile(r"00-(?P<trace_id>(?!0{32})[0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_LOGGED = ("trace_id", "problem_code", "model", "videos", "failed_videos", "windows", "failed_windows")
"""Of what the request's state holds."""
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
        state = scope.setdefault("state", {})
        _identify(state, Headers(scope=scope))
        status = received_bytes = 0

        async def counting_receive() -> Message:
            nonlocal received_bytes
            message = await receive()
            received_bytes += len(message.get("body", b""))
            return message

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _add_headers(MutableHeaders(scope=message), scope["path"], state)
            await send(message)

        with metrics.REQUESTS_IN_PROGRESS.track_inprogress():
            try:
                await self._app(scope, counting_receive, send_with_headers)
            finally:
                _record(scope, state, status, received_bytes, perf_counter() - started)


def _identify(state: dict[str, Any], headers: Headers) -> None:
    """The ids that the client gives the request, where they are harmless in a log; else a new request id."""
    sent = headers.get("x-request-id", "")
    state["request_id"] = sent if _REQUEST_ID.fullmatch(sent) else token_hex(8)
    parent = _TRACEPARENT.fullmatch(headers.get("traceparent", ""))
    if parent and "trace_id" not in state:
        state["trace_id"] = parent["trace_id"]


def _route(scope: Scope) -> str:
    """The template of the route, such as ``/models/{name}``: a path is the client's text, a template is ours."""
    return getattr(scope.get("route"), "path", "unmatched")


def _add_headers(headers: MutableHeaders, path: str, state: dict[str, Any]) -> None:
    headers["X-Request-ID"] = state["request_id"]
    if "stages" in state and state["stages"].seconds:
        headers["Server-Timing"] = state["stages"].server_timing()
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Referrer-Policy"] = "no-referrer"
    headers["Content-Security-Policy"] = _DOCS if path == "/docs" else _OWN_FILES_ONLY


def _record(scope: Scope, state: dict[str, Any], status: int, received_bytes: int, seconds: float) -> None:
    route = _route(scope)
    metrics.REQUESTS.labels(route, str(status)).inc()
    metrics.REQUEST_SECONDS.labels(route).observe(seconds)
    metrics.RECEIVED_BYTES.inc(received_bytes)
    times = {"times_ms": state["stages"].ms} if "stages" in state else {}
    logs.info(
        "request",
        request_id=state["request_id"],
        method=scope["method"] if scope["method"] in _METHODS else "other",
        route=route,
        status=status,
        received_bytes=received_bytes,
        total_ms=round(seconds * 1000, 3),
        **{key: state[key] for key in _LOGGED if key in state},
        **times,
    )
