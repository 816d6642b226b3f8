"""Whether the server takes videos, and why not."""

from typing import Literal

from app.errors import Draining, NotReady
from app.observability import logs, metrics

State = Literal["loading", "warming", "ready", "empty", "unhealthy", "draining"]


class Readiness:
    """loading -> warming -> ready, or unhealthy with reasons; draining from any of them, and for good.

    ready <-> empty, as the last model is unloaded and another one is loaded. Either is unhealthy while there is an obstacle.
    """

    def __init__(self) -> None:
        self._state: State = "loading"
        self._reasons = ["models are loading"]
        self._obstacle: str | None = None

    @property
    def state(self) -> State:
        """What the server is at the moment."""
        return "unhealthy" if self._is_hindered else self._state

    @property
    def reasons(self) -> list[str]:
        """Why it takes no video; empty where it does."""
        return [self._obstacle] if self._obstacle and self._is_hindered else self._reasons

    @property
    def _is_hindered(self) -> bool:
        return self._obstacle is not None and self._state in ("ready", "empty")

    def become(self, state: State, *reasons: str) -> None:
        """Change the state; a draining server stays one."""
        if self._state == "draining":
            return
        self._state, self._reasons = state, list(reasons)
        self._tell()

    def meet(self, obstacle: str | None) -> None:
        """Something keeps the server from taking videos for now, whatever comes of its models; None: no longer."""
        if obstacle != self._obstacle:
            self._obstacle = obstacle
            self._tell()

    def check(self) -> None:
        """Raises: Draining, NotReady: the server takes no video now; the detail gives the reasons."""
        if self.state == "draining":
            raise Draining
        if self.state != "ready":
            raise NotReady(f"The server is {self.state}: {'; '.join(self.reasons)}.")

    def check_open_to_models(self) -> None:
        """Raises: Draining, NotReady: no model can be loaded or unloaded now."""
        if self.state != "empty":
            self.check()

    def is_empty(self) -> None:
        """The last model is gone."""
        if self._state == "ready":
            self.become("empty", "no model is served; load one")

    def is_served(self) -> None:
        """There is a model (again)."""
        if self._state == "empty":
            self.become("ready")

    def _tell(self) -> None:
        metrics.READY.set(self.state == "ready")
        logs.info("readiness", state=self.state, reasons=self.reasons)
