"""The decode processes that wait for a video, and the videos that wait for one."""

import asyncio
from collections.abc import Hashable

from app.inference.decode_worker import DecodeWorker
from app.inference.fair_queue import FairQueue


class IdleWorkers:
    """The process that came last goes first: its memory is still in the processor's caches. Videos take turns by flow."""

    def __init__(self) -> None:
        self._idle: list[DecodeWorker] = []
        self._turns: FairQueue[asyncio.Future[DecodeWorker]] = FairQueue()

    def __len__(self) -> int:
        """How many are idle."""
        return len(self._idle)

    async def get(self, flow: Hashable = None) -> DecodeWorker:
        """The next process that is idle. Cancelling the call loses none.

        Calls of one ``flow`` take turns with the others; without one, a call is its own.
        """
        if self._idle:
            return self._idle.pop()
        turn: asyncio.Future[DecodeWorker] = asyncio.get_running_loop().create_future()
        flow = turn if flow is None else flow
        self._turns.append(turn, flow)
        try:
            return await turn
        except asyncio.CancelledError:
            if not self._turns.discard(turn, flow) and not turn.cancelled():  # it came in the moment in which the caller left
                self.put(turn.result())
            raise

    def put(self, worker: DecodeWorker) -> None:
        """Hand ``worker`` to whoever's turn it is, or keep it."""
        while self._turns:
            turn = self._turns.popleft()
            if not turn.done():
                turn.set_result(worker)
                return
        self._idle.append(worker)

    def discard(self, worker: DecodeWorker) -> bool:
        """Take out this one; False where it is not among them."""
        if worker not in self._idle:
            return False
        self._idle.remove(worker)
        return True
