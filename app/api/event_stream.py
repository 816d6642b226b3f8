"""An answer that grows: one JSON object a line, or Server-Sent Events where the caller asks for them.

NDJSON (https://github.com/ndjson/ndjson-spec)   {"event": "window", ...}\\n
Server-Sent Events (WHATWG HTML, section 9.2)    event: window\\ndata: {"event": "window", ...}\\n\\n
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

from fastapi import Request, Response
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from app.api.disconnect import while_connected
from app.api.timeline_events import Event
from app.errors import Draining
from app.observability import metrics

NDJSON = "application/x-ndjson"
SERVER_SENT_EVENTS = "text/event-stream"


_LAST_WORD_SECONDS = 1.0
"""For a caller that reads; for others the server does not wait at its end."""


class EventStream(Response):
    """Sends each event as soon as there is one. A caller that leaves, or no longer reads, ends the work on the rest.

    ``interrupted`` is the last event where the server ends before the events do.
    """

    media_type = NDJSON

    def __init__(self, request: Request, events: AsyncGenerator[Event, None], interrupted: Event) -> None:
        self._events, self._interrupted = events, interrupted
        self._is_sse = SERVER_SENT_EVENTS in request.headers.get("accept", "").lower()
        # nginx would hold back what comes in small pieces
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(None, headers=headers, media_type=SERVER_SENT_EVENTS if self._is_sse else NDJSON)
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            await while_connected(Request(scope, receive), self._send_all(send))
        except ClientDisconnect:
            scope["state"]["problem_code"] = "client_closed_request"
            return
        except asyncio.CancelledError:  # by uvicorn, when the time to drain is over
            scope["state"]["problem_code"] = Draining.code
            metrics.PROBLEMS.labels(Draining.code).inc()
            with suppress(TimeoutError):
                async with asyncio.timeout(_LAST_WORD_SECONDS):
                    await self._send(self._interrupted, send)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_all(self, send: Send) -> None:
        async with aclosing(self._events):
            async for event in self._events:
                await self._send(event, send)

    async def _send(self, event: Event, send: Send) -> None:
        line = event.model_dump_json()
        text = f"event: {event.event}\ndata: {line}\n\n" if self._is_sse else f"{line}\n"
        await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
