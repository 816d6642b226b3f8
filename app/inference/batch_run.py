"""One batch through the model, whatever it holds: every clip gets its row, and one that fails is found and fails alone.

    [a b X d]  fails   ->   [a b] answered   [X d]  fails   ->   [X] fails alone   [d] answered

A batch for which the device lacks memory is halved, and later ones are no larger, until enough of them have gone well.
"""

from collections.abc import Awaitable, Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from app.observability import logs, metrics

Clips = Sequence[NDArray[np.uint8]]
Probabilities = NDArray[np.float32]
RunModel = Callable[[Clips, bool], Awaitable[Probabilities]]
"""Clips, each of one shape, to one row each: float32, shape (clips, labels). The second argument says whether nothing else is
at work or on its way. May raise ``OutOfDeviceMemory``."""

_RUNS_BEFORE_LARGER = 64
"""Batches of the lowered size that must go well before twice as many clips are tried."""


class OutOfDeviceMemory(Exception):
    """The device lacks memory for as many clips as it was given; the message is that of onnxruntime, and for the log."""

    cause = "out of GPU memory"


class BatchRun:
    """The way of batches through one model. One batch of each lane at a time."""

    def __init__(self, name: str, num_labels: int, run: RunModel, max_batch_size: int) -> None:
        self._name, self._num_labels, self._run, self._most = name, num_labels, run, max_batch_size
        self._gone_well = 0
        self.max_batch_size = max_batch_size
        """Clips that the next batch may hold: fewer than asked for while the device lacks memory."""

    async def rows(self, clips: Clips, alone: bool = False) -> Probabilities:
        """Probabilities of ``clips``: float32, shape (clips, labels); a clip that failed has a row that is not finite."""
        metrics.BATCH_SIZE.labels(self._name).observe(len(clips))
        try:
            rows = self._checked(await self._run(clips, alone), len(clips))
        except OutOfDeviceMemory as problem:
            self._lower(len(clips), problem)
        except Exception:  # noqa: BLE001 whatever the model raises, every caller must be answered and the next batch run
            logs.exception("batch_failed", model=self._name, batch_size=len(clips))
        else:
            self._went_well(len(clips))
            return rows
        return await self._halves(clips)

    async def _halves(self, clips: Clips) -> Probabilities:
        """Both halves on their own; nothing is left to halve of one clip, which fails."""
        if len(clips) == 1:
            return np.full((1, self._num_labels), np.nan, np.float32)
        half = len(clips) // 2
        return np.concatenate([await self.rows(clips[:half]), await self.rows(clips[half:])])

    def _lower(self, num_clips: int, problem: OutOfDeviceMemory) -> None:
        self._gone_well = 0
        self.max_batch_size = max(1, min(self.max_batch_size, num_clips // 2))
        sizes = {"batch_size": num_clips, "max_batch_size": self.max_batch_size}
        logs.warning("batch_out_of_memory", model=self._name, **sizes, problem=str(problem))

    def _went_well(self, num_clips: int) -> None:
        if num_clips < self.max_batch_size or self.max_batch_size == self._most:
            return
        self._gone_well += 1
        if self._gone_well >= _RUNS_BEFORE_LARGER:
            self._gone_well = 0
            self.max_batch_size = min(self._most, 2 * self.max_batch_size)
            logs.info("batch_size_raised", model=self._name, max_batch_size=self.max_batch_size)

    def _checked(self, rows: Probabilities, num_clips: int) -> Probabilities:
        if rows.shape != (num_clips, self._num_labels):
            raise ValueError(f"the model gave {rows.shape} for {num_clips} clips and {self._num_labels} labels")
        return rows
