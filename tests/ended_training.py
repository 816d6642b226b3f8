"""One of the processes of a run that is ended at a certain moment, however fast the machine is.

usage: python -m torch.distributed.run --standalone --nproc-per-node 2 -m tests.ended_training torchrun CHECKS train FOLDER ...

``torchrun`` is told to end, as by a scheduler; or, in its place, process ``1`` is killed.
"""

import os
import signal
import sys
import time
from unittest.mock import patch

import clipserve
from training.interruption import Interruption
from training.processes import ALONE, Processes


class Ended(Interruption):
    """After so many checks that all processes take part in."""

    def __init__(self, what: str, checks: int) -> None:
        super().__init__()
        self._what, self._checks = what, checks

    def check(self, processes: Processes = ALONE) -> None:
        self._checks -= processes.size > 1
        if self._checks == 0 and not self.requested:
            if self._what == str(processes.rank):
                os.kill(os.getpid(), signal.SIGKILL)
            if self._what == "torchrun" and processes.is_first:
                os.kill(os.getppid(), signal.SIGTERM)
                deadline = time.monotonic() + 60
                while not self.requested and time.monotonic() < deadline:  # it passes the signal on
                    time.sleep(0.01)
        super().check(processes)


if __name__ == "__main__":
    with patch("training.train.Interruption", lambda: Ended(sys.argv[1], int(sys.argv[2]))):
        sys.exit(clipserve.main(sys.argv[3:]))
