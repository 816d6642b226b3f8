"""A time in which no decode process is alive, told once it has lasted: all of them may be replaced at the same moment."""

import asyncio
from collections.abc import Callable

OUTAGE_SECONDS = 5.0
"""So long it takes to count."""

_REASON = "no decode process is alive and none starts; the log says why"

TellOutage = Callable[[str | None], None]
"""Called with what is wrong, and with None once that is over."""


class Outage:
    """None, or one that has begun, or one that was told. Used from one event loop."""

    def __init__(self, tell: TellOutage) -> None:
        self._tell = tell
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """The last process has ended."""
        self._timer = self._timer or asyncio.get_running_loop().call_later(OUTAGE_SECONDS, self._tell, _REASON)

    def end(self) -> None:
        """A process is alive (again)."""
        self.forget()
        self._tell(None)

    def forget(self) -> None:
        """Nothing is told of it any more."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
