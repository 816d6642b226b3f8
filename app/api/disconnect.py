"""A caller that leaves stops costing anything: its work is cancelled as soon as the connection closes."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect

T = TypeVar("T")


async def while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of ``work``. Call it once the body was read, so that the next message can only be the disconnect.

    Raises: ClientDisconnect: the caller left first; ``work`` was cancelled.
    """
    task = asyncio.current_task()
    assert task, "a request is answered in a task"
    cancelled_before = task.cancelling()
    leaving = asyncio.create_task(_cancel_once_left(request, task))
    try:
        return await work
    except asyncio.CancelledError:
        if leaving.done() and task.uncancel() <= cancelled_before:  # nobody else wants it cancelled
            raise ClientDisconnect from None
        raise
    finally:
        leaving.cancel()


async def _cancel_once_left(request: Request, task: "asyncio.Task[Any]") -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    task.cancel()
