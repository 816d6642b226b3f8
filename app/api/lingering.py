"""An answer that is given before its request has arrived: say so, read a little more, close.

A connection that stayed open would go on swallowing the rest of a huge body. One that is closed at once is reset by the kernel,
and a client that is still sending may never see the answer. nginx calls the way between them ``lingering_close``.
"""

import asyncio

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LINGER_BYTES = 2**20
LINGER_SECONDS = 1.0
"""After the answer: no more than this, and no longer, is read and thrown away."""


class LingeringClose:
    """Closes the connection of a request that was answered before its body was read. Belongs outside of everything else."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http" or not _has_body(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(receive, send)
        await self._app(scope, exchange.receive, exchange.send)
        await exchange.close()


def _has_body(headers: Headers) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


class _Exchange:
    """One request and its answer."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self._has_arrived = self._is_early = self._holds_end = False

    async def receive(self) -> Message:
        message = await self._receive()
        self._has_arrived = self._has_arrived or not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """The end of an early answer is held back: uvicorn closes with it."""
        if message["type"] == "http.response.start" and not self._has_arrived:
            self._is_early = True
            MutableHeaders(scope=message)["Connection"] = "close"
        elif self._is_early and not message.get("more_body", False):
            self._holds_end = True
            message = {**message, "more_body": True}
        await self._send(message)

    async def close(self) -> None:
        if self._holds_end:
            await self._linger()
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _linger(self) -> None:
        left = LINGER_BYTES
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                while left > 0 and not self._has_arrived:
                    left -= len((await self.receive()).get("body", b""))
        except (TimeoutError, asyncio.CancelledError):  # it takes too long, or the server ends
            pass
