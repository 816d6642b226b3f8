"""What is lent to one at a time, decode processes or turns on the processors, and those who wait for it."""

import asyncio
from collections.abc import Hashable
from typing import Generic, TypeVar

from app.inference.fair_queue import FairQueue

T = TypeVar("T")


class FairPool(Generic[T]):
    """What came last goes first: a process' memory is still in the processor's caches. Those who wait take turns by flow."""

    def __init__(self) -> None:
        self._idle: list[T] = []
        self._turns: FairQueue[asyncio.Future[T]] = FairQueue()

    def __len__(self) -> int:
        """How many are idle."""
        return len(self._idle)

    async def get(self, flow: Hashable = None) -> T:
        """The next one that is idle. Cancelling the call loses none.

        Calls of one ``flow`` take turns with the others; without one, a call is its own.
        """
        if self._idle:
            return self._idle.pop()
        turn: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        flow = turn if flow is None else flow
        self._turns.append(turn, flow)
        try:
            return await turn
        except asyncio.CancelledError:
            if not self._turns.discard(turn, flow) and not turn.cancelled():  # it came in the moment in which the caller left
                self.put(turn.result())
            raise

    def put(self, item: T) -> None:
        """Hand ``item`` to whoever's turn it is, or keep it."""
        while self._turns:
            turn = self._turns.popleft()
            if not turn.done():
                turn.set_result(item)
                return
        self._idle.append(item)

    def discard(self, item: T) -> bool:
        """Take out this one; False where it is not among the idle."""
        if item not in self._idle:
            return False
        self._idle.remove(item)
        return True
