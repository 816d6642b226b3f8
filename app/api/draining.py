"""While the server drains, every answer closes its connection: a proxy that kept it would send its next request into the end.

The header goes out with whatever is answered, to requests that were admitted before too. (RFC 9112, section 9.6)
"""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.inference.readiness import Readiness


class CloseWhileDraining:
    """Adds ``Connection: close``, upon which uvicorn closes."""

    def __init__(self, app: ASGIApp, readiness: Readiness) -> None:
        self._app, self._readiness = app, readiness

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""

        async def send_and_close(message: Message) -> None:
            if message["type"] == "http.response.start" and self._readiness.state == "draining":
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        await self._app(scope, receive, send_and_close)
