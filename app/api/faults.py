"""An answer where the route gave none: to what nobody foresaw, logged in full, told in one sentence; and as the server ends."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.problems import send_problem
from app.errors import Draining, InternalError
from app.observability import logs


class Faults:
    """The last line of defence: no exception leaves it. Sits inside of CORS, so that a page may read this answer too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_begun = False

        async def watched_send(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched_send)
        except asyncio.CancelledError:  # by uvicorn, when the time to drain is over
            scope["state"]["problem_code"] = Draining.code
            if has_begun:
                raise
            await send_problem(Draining(), scope, receive, send)
        except Exception:  # noqa: BLE001 a fault of ours, whatever it is
            state = scope["state"]
            logs.exception("unforeseen_error", request_id=state["request_id"])
            state["problem_code"] = InternalError.code
            if not has_begun:
                await send_problem(InternalError(), scope, receive, send)
