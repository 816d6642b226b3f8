"""Clips of many requests to batches of one model. Pure asyncio; each clip leaves with exactly one outcome.

    waiting  [a b c d]  --first max_batch_size--> run [a b c d] ---> a's row to a, b's row to b, ...
             [e f]          meanwhile others arrive, and leave again

A batch is sent as soon as the model is free: at ``max_queue_delay_seconds`` 0 at once with whatever waits, else when it is
full or its first clip has waited that long. What a run that fails means for its clips: ``batch_run``.
"""

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from app.errors import DeadlineExceeded, Draining, InferenceFailed, Problem, QueueFull
from app.inference.batch_run import BatchRun, Probabilities, RunModel
from app.observability import metrics


@dataclass(frozen=True)
class BatchPolicy:
    """When a batch is closed, and how many clips may wait."""

    max_batch_size: int = 8
    max_queue_delay_seconds: float = 0.0
    max_queue_size: int = 64


@dataclass(frozen=True)
class Outcome:
    """What one clip gets."""

    probabilities: Probabilities
    """Shape (labels,), float32, in label order."""
    queue_seconds: float
    model_seconds: float


@dataclass(eq=False)
class _Waiting:
    clip: NDArray[np.uint8]
    deadline: float
    arrived: float
    outcome: asyncio.Future[Outcome]


class Batcher:
    """The queue in front of one model. Used from one event loop."""

    def __init__(self, name: str, clip_shape: tuple[int, ...], num_labels: int, run: RunModel, policy: BatchPolicy) -> None:
        self._name, self._clip_shape, self._policy = name, clip_shape, policy
        self._run = BatchRun(name, num_labels, run, policy.max_batch_size)
        self._waiting: deque[_Waiting] = deque()
        self._changed = asyncio.Event()
        self._closed = False
        self._length = metrics.QUEUE_LENGTH.labels(name)
        self._task = asyncio.create_task(self._run_batches())

    def __len__(self) -> int:
        """Clips that wait."""
        return len(self._waiting)

    async def infer(self, clip: NDArray[np.uint8], deadline: float) -> Outcome:
        """The probabilities of ``clip`` (uint8, of the model's shape). ``deadline`` is a time of ``time.monotonic``.

        Cancelling the call takes the clip out of the queue; once its batch runs, only the answer is dropped.

        Raises: QueueFull, DeadlineExceeded, Draining, InferenceFailed.
        """
        if clip.shape != self._clip_shape or clip.dtype != np.uint8:
            raise ValueError(f"{self._name} takes uint8 clips of {self._clip_shape}, not {clip.dtype} of {clip.shape}")
        if self._closed:
            raise Draining
        if len(self._waiting) >= self._policy.max_queue_size:
            raise QueueFull
        item = _Waiting(clip, deadline, monotonic(), asyncio.get_running_loop().create_future())
        self._waiting.append(item)
        self._queue_changed()
        try:
            async with asyncio.timeout(deadline - monotonic()):
                return await item.outcome
        except TimeoutError:
            raise DeadlineExceeded from None
        finally:
            self._remove(item)

    async def close(self) -> None:
        """Answer every clip that waits with Draining; the batch that runs is finished and answered."""
        self._closed = True
        for item in self._waiting:
            _fail(item, Draining())
        self._waiting.clear()
        self._queue_changed()
        await self._task

    def _remove(self, item: _Waiting) -> None:
        """Take a clip whose caller has left out of the queue."""
        with suppress(ValueError):
            self._waiting.remove(item)
            self._queue_changed()

    def _queue_changed(self) -> None:
        self._length.set(len(self._waiting))
        self._changed.set()

    async def _run_batches(self) -> None:
        while not self._closed:
            if batch := await self._next_batch():
                await self._run_batch(batch)

    async def _next_batch(self) -> list[_Waiting]:
        """The next clips to run; empty once the batcher is closed."""
        while not self._closed:
            self._changed.clear()
            if not self._waiting:
                await self._changed.wait()
                continue
            patience = self._waiting[0].arrived + self._policy.max_queue_delay_seconds - monotonic()
            if patience <= 0 or len(self._waiting) >= self._run.max_batch_size:
                return self._close_batch()
            with suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self._changed.wait()
        return []

    def _close_batch(self) -> list[_Waiting]:
        """Take the first clips whose callers still wait and whose deadline has not passed."""
        batch: list[_Waiting] = []
        now = monotonic()
        while self._waiting and len(batch) < self._run.max_batch_size:
            item = self._waiting.popleft()
            if item.deadline <= now:
                _fail(item, DeadlineExceeded())
            elif not item.outcome.done():
                batch.append(item)
        self._queue_changed()
        return batch

    async def _run_batch(self, batch: list[_Waiting]) -> None:
        started = monotonic()
        rows = await self._run.rows([item.clip for item in batch])
        seconds = monotonic() - started
        for item, row in zip(batch, rows, strict=True):
            if not np.isfinite(row).all():
                _fail(item, InferenceFailed())
            elif not item.outcome.done():
                item.outcome.set_result(Outcome(row, started - item.arrived, seconds))


def _fail(item: _Waiting, problem: Problem) -> None:
    if not item.outcome.done():
        item.outcome.set_exception(problem)
        item.outcome.exception()  # the caller may be gone: not a fault
