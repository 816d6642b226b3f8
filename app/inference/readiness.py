"""Whether the server takes videos, and why not."""

from dataclasses import dataclass, field
from typing import Literal

from app.errors import Draining, NotReady
from app.observability import logs, metrics

State = Literal["loading", "warming", "ready", "empty", "unhealthy", "draining"]


@dataclass
class Readiness:
    """loading -> warming -> ready, or unhealthy with reasons; draining from any of them, and for good.

    ready <-> empty, as the last model is unloaded and another one is loaded.
    """

    state: State = "loading"
    reasons: list[str] = field(default_factory=lambda: ["models are loading"])

    def become(self, state: State, *reasons: str) -> None:
        """Change the state; a draining server stays one."""
        if self.state == "draining":
            return
        self.state, self.reasons = state, list(reasons)
        metrics.READY.set(state == "ready")
        logs.info("readiness", state=state, reasons=self.reasons)

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
        if self.state == "ready":
            self.become("empty", "no model is served; load one")

    def is_served(self) -> None:
        """There is a model (again)."""
        if self.state == "empty":
            self.become("ready")
