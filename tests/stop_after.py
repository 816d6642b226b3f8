"""A user who presses Ctrl-C at a certain step of a run."""

from training.interruption import Interruption
from training.processes import ALONE, Processes


class StopAfter(Interruption):
    """A signal that comes after so many steps."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self._steps = steps

    def check(self, processes: Processes = ALONE) -> None:
        self._steps -= 1
        self.requested = self._steps == 0
        super().check(processes)
