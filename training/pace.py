"""How long a stage will still take, judged by its epochs so far."""

import time

from tqdm import tqdm


class Pace:
    """Begins when it is made; counts everything between two epochs: validation, checkpoints, records."""

    def __init__(self, epochs: int) -> None:
        """``epochs`` are still to come."""
        self._to_come, self._done = epochs, 0
        self._begun = time.monotonic()

    def after_an_epoch(self) -> str:
        """``left 1:02:03``, at most; nothing after the last one."""
        self._to_come, self._done = self._to_come - 1, self._done + 1
        seconds = (time.monotonic() - self._begun) / self._done * self._to_come
        return f"left {tqdm.format_interval(seconds)}" if self._to_come else ""
