"""How fast batches go through sessions, on a machine that may have other things to do."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from app.inference.session import Session

WORTH_IT = 1.05
"""So much faster must something be to be worth a price; less is noise."""
_NOISE = 1.02
_ROUND_SECONDS = 0.05
_ROUNDS = 2


@dataclass(frozen=True)
class Speed:
    """Of all lanes together."""

    clips_per_second: float
    processor_seconds: float
    """Of one clip."""
    processors_used: float
    """On average; fewer than there were threads means that somebody else used them, or that threads waited for each other."""

    def is_worth_more_than(self, smaller: "Speed", *, on_processors: bool) -> bool:
        """Whether the clips of a larger batch are done so much sooner that waiting for them pays.

        A busy machine disturbs every clock but that of the processors: what takes more of their time cannot be faster.
        """
        if on_processors and self.processor_seconds > _NOISE * smaller.processor_seconds:
            return False
        return self.clips_per_second >= WORTH_IT * smaller.clips_per_second


def measure(sessions: Sequence[Session], lanes: int, batch: Sequence[NDArray[np.uint8]]) -> Speed:
    """Of all lanes at once; the best of a few rounds, because whatever disturbs a round only makes it longer."""
    with ThreadPoolExecutor(lanes) as threads:

        def seconds(repeats: int) -> tuple[float, float]:
            start, used = time.perf_counter(), time.process_time()
            runs = [threads.submit(_repeat, sessions[i % len(sessions)], batch, repeats) for i in range(lanes)]
            for run in runs:
                run.result()
            return (time.perf_counter() - start) / repeats, (time.process_time() - used) / repeats

        rounds = [seconds(1)]
        repeats = max(1, ceil(_ROUND_SECONDS / rounds[0][0]))
        rounds = rounds if repeats == 1 else []  # a run that short says little
        rounds += [seconds(repeats) for _ in range(_ROUNDS - len(rounds))]
        passed, used = zip(*rounds, strict=True)
        clips = lanes * len(batch)
        return Speed(clips / min(passed), min(used) / clips, max(u / p for p, u in rounds))


def _repeat(session: Session, batch: Sequence[NDArray[np.uint8]], repeats: int) -> None:
    for _ in range(repeats):
        session.run(batch)
