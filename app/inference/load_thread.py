"""Loads of models, which nothing can interrupt, in threads that the end of the server does not wait for.

The threads of ``asyncio.to_thread`` are joined twice, by the event loop and by the interpreter as they end.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")

_NAME = "load"


async def in_load_thread(load: Callable[[], T]) -> T:
    """What ``load`` returns or raises. Cancelling the call leaves the thread to itself."""
    outcome: Future[T] = Future()
    outcome.set_running_or_notify_cancel()  # from now on it cannot be cancelled: the thread sets it in any case
    threading.Thread(target=_work, args=(load, outcome), name=_NAME, daemon=True).start()
    return await asyncio.wrap_future(outcome)


def is_loading() -> bool:
    """Whether such a thread runs, waited for or not."""
    return any(thread.name == _NAME for thread in threading.enumerate())


def _work(load: Callable[[], T], outcome: "Future[T]") -> None:
    try:
        result = load()
    except BaseException as problem:  # noqa: BLE001 whatever it is, it is raised where the result is awaited
        outcome.set_exception(problem)
    else:
        outcome.set_result(result)
