"""How much of the time that a run may take has passed."""

from dataclasses import dataclass

from training.history import History, Tally
from training.processes import Processes


@dataclass(frozen=True)
class TimeLimit:
    """Over all epochs, by the clock of the first process."""

    hours: float
    """0 where there is no bound."""
    history: History
    processes: Processes

    def share(self, tally: Tally) -> float:
        """Of the time, with that of an epoch that is being trained; 0 where there is no bound."""
        passed = sum(row.seconds for row in self.history.results) + tally.seconds
        return self.processes.from_first(lambda: passed / (3600 * self.hours)) if self.hours else 0.0

    def ends_before_another_epoch(self, stage: str) -> bool:
        """Whether another epoch as long as the last one of the stage would be too long."""
        before = [row.seconds for row in self.history.results if row.stage == stage]
        return bool(before) and self.share(Tally(seconds=before[-1])) > 1
