"""Ctrl-C and SIGTERM: the first one ends the run at the next batch, with everything saved; the second one at once."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from training.processes import ALONE, Processes

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Set by a signal, asked for by the loop."""

    def __init__(self) -> None:
        self.requested = False
        self._deferred = False

    @contextmanager
    def handled(self) -> Iterator["Interruption"]:
        """Both signals raise KeyboardInterrupt here, so that worker processes are always stopped."""
        before = {number: signal.signal(number, self._on_signal) for number in _SIGNALS}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Here the first signal only sets ``requested``."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False

    def check(self, processes: Processes = ALONE) -> None:
        """Raises: KeyboardInterrupt: a signal came, to one of ``processes`` or more; all of them have to ask."""
        if processes.anywhere(self.requested):
            raise KeyboardInterrupt

    def _on_signal(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signature is Python's
        if self.requested or not self._deferred:
            raise KeyboardInterrupt
        self.requested = True
        print("\nstopping after this batch; once more stops at once", flush=True)
