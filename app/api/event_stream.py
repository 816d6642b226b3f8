"""An answer that grows: one JSON object a line, or Server-Sent Events where the caller asks for them.

NDJSON (https://github.com/ndjson/ndjson-spec)   {"event": "window", ...}\\n
Server-Sent Events (WHATWG HTML, section 9.2)    event: window\\ndata: {"event": "window", ...}\\n\\n
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from fastapi import Request, Response
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from app.api.disconnect import while_connected
from app.api.timeline_events import Event

NDJSON = "application/x-ndjson"
SERVER_SENT_EVENTS = "text/event-stream"

READ_SECONDS = 60.0
"""How long a caller may leave what was sent to it unread."""

_GONE = "client_closed_request"


class EventStream(Response):
    """Sends each event as soon as there is one. A caller that leaves, or no longer reads, ends the work on the rest."""

    media_type = NDJSON

    def __init__(self, request: Request, events: AsyncGenerator[Event, None]) -> None:
        self._events = events
        self._is_sse = SERVER_SENT_EVENTS in request.headers.get("accept", "").lower()
        # nginx would hold back what comes in small pieces
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(None, headers=headers, media_type=SERVER_SENT_EVENTS if self._is_sse else NDJSON)
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        try:
            await while_connected(Request(scope, receive), self._send(send))
        except (ClientDisconnect, TimeoutError):
            scope["state"]["problem_code"] = _GONE

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with aclosing(self._events):
            async for event in self._events:
                async with asyncio.timeout(READ_SECONDS):
                    await send({"type": "http.response.body", "body": self._written(event), "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _written(self, event: Event) -> bytes:
        line = event.model_dump_json()
        return (f"event: {event.event}\ndata: {line}\n\n" if self._is_sse else f"{line}\n").encode()
