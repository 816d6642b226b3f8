"""What one process reads and augments of a batch that several of them share."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.processes import Processes


class BatchPart(NamedTuple):
    """Clips of a batch that follow each other.

    batch of 5, two processes, mixed   | 0 1 | 2 3 4 |    rank 0 reads 4 0 1, rank 1 reads 1 2 3 4 (each clip is mixed
                                                         with the one in front of it)
    """

    whole: int
    """Clips in the batch."""
    positions: NDArray[np.int64]
    """Of the clips that are read, in the batch."""
    lead: int
    """How many of them, in front, are there to be mixed with alone."""
    counts: bool
    """False where the batch has fewer clips than there are processes: who has none computes the first, for no gain."""

    @classmethod
    def of(cls, whole: int, processes: Processes, *, mixed: bool) -> "BatchPart":
        """The part of a process of a batch of ``whole`` clips."""
        share = processes.share(whole)
        positions = np.array(share or [0], dtype=np.int64)
        lead = int(mixed and len(positions) < whole)
        if lead:
            positions = np.concatenate([(positions[:1] - 1) % whole, positions])
        return cls(whole, positions, lead, bool(share))
