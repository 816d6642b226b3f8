"""The decode processes that wait for a video."""

import asyncio

from app.inference.decode_worker import DecodeWorker


class IdleWorkers(asyncio.LifoQueue[DecodeWorker]):
    """The one that came last goes first: its memory is still in the processor's caches."""

    def _init(self, maxsize: int) -> None:  # noqa: ARG002 asyncio.Queue leaves this to its heirs
        self._queue: list[DecodeWorker] = []

    def discard(self, worker: DecodeWorker) -> bool:
        """Take out this one; False where it is not among them."""
        if worker not in self._queue:
            return False
        self._queue.remove(worker)
        return True
