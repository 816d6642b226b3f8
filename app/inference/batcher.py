"""Clips of many requests to batches of one model. Pure asyncio; each clip leaves with exactly one outcome.

    waiting  [a b c d e f]  --first max_batch_size--> lane 1 runs [a b c d] ---> a's row to a, b's row to b, ...
             [        e f]  -----------------------> lane 2 runs [e f]      ---> ...
             [           ]     meanwhile others arrive, and leave again

A batch is sent as soon as a lane is free: at ``max_queue_delay_seconds`` 0 at once with whatever waits, else when it is full
or its first clip has waited that long; where batches bring nothing they hold one clip, and no lane waits. What a run that fails
means for its clips: ``batch_run``.
"""

import asyncio
from collections.abc import Hashable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import inf
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from app.errors import DeadlineExceeded, Draining, InferenceFailed, Problem, QueueFull
from app.inference.batch_run import BatchRun, Probabilities, RunModel
from app.inference.fair_queue import FairQueue
from app.observability import metrics, stages

CALM_SECONDS = 1.0
"""A clip alone gets all processors where none met another for so long: one that comes meanwhile would find none free."""

ROUNDING = 1e-3
"""So far outside of 0 to 1 may be what a model rounds, in half precision say; it is answered as 0 or 1."""


@dataclass(frozen=True)
class BatchPolicy:
    """When a batch is closed, how many run at once, and how many clips may wait."""

    max_batch_size: int = 8
    max_queue_delay_seconds: float = 0.0
    max_queue_size: int = 64
    lanes: int = 1


@dataclass(eq=False)
class _Waiting:
    clip: NDArray[np.uint8]
    deadline: float
    arrived: float
    outcome: asyncio.Future[Probabilities]
    started: float | None = None
    """When its batch did; None while it waits."""
    ended: float | None = None

    def record_stages(self) -> None:
        """The stages that it was in, the one that its caller did not wait for to the end included."""
        now = monotonic()
        if self.started is None:
            stages.record("queue", now - self.arrived)
            return
        stages.record("queue", self.started - self.arrived)
        stages.record("model", (now if self.ended is None else self.ended) - self.started)


class Batcher:
    """The queue in front of one model. Used from one event loop."""

    def __init__(self, name: str, clip_shape: tuple[int, ...], num_labels: int, run: RunModel, policy: BatchPolicy) -> None:
        self._name, self._clip_shape, self._policy = name, clip_shape, policy
        self._run = BatchRun(name, num_labels, run, policy.max_batch_size)
        self._waiting: FairQueue[_Waiting] = FairQueue()
        self._expected = self._running = 0
        self._last_company = -inf
        self._changed = asyncio.Event()
        self._closed = False
        self._length = metrics.QUEUE_LENGTH.labels(name)
        self._lanes = [asyncio.create_task(self._run_batches()) for _ in range(policy.lanes)]

    def __len__(self) -> int:
        """Clips that wait."""
        return len(self._waiting)

    @contextmanager
    def expected(self) -> Iterator[None]:
        """While a clip is being decoded, which takes a processor: no run has the machine to itself then."""
        self._expected += 1
        self._note_company()
        try:
            yield
        finally:
            self._note_company()
            self._expected -= 1

    async def infer(self, clip: NDArray[np.uint8], deadline: float, flow: Hashable = None) -> Probabilities:
        """The probabilities of ``clip`` (uint8, of the model's shape): float32, shape (labels,), in label order, each 0 to 1.

        ``deadline`` is a time of ``time.monotonic``. Clips of one ``flow`` (those of one request, say) take turns with the
        others; without one, a clip is its own. Cancelling the call takes the clip out of the queue; once its batch runs, only
        the answer is dropped. However the call ends, the stages ``queue`` and ``model`` are on record as far as it came.

        Raises: QueueFull, DeadlineExceeded, Draining, InferenceFailed.
        """
        if clip.shape != self._clip_shape or clip.dtype != np.uint8:
            raise ValueError(f"{self._name} takes uint8 clips of {self._clip_shape}, not {clip.dtype} of {clip.shape}")
        if self._closed:
            raise Draining
        if len(self._waiting) >= self._policy.max_queue_size:
            raise QueueFull
        item = _Waiting(clip, deadline, monotonic(), asyncio.get_running_loop().create_future())
        flow = item if flow is None else flow
        self._waiting.append(item, flow)
        self._note_company()
        self._queue_changed()
        try:
            async with asyncio.timeout(deadline - monotonic()):
                return await item.outcome
        except TimeoutError:
            raise DeadlineExceeded from None
        finally:
            if self._waiting.discard(item, flow):
                self._queue_changed()
            item.record_stages()

    async def close(self) -> None:
        """Answer every clip that waits with Draining; the batches that run are finished and answered."""
        self._closed = True
        for item in self._waiting.clear():
            _fail(item, Draining())
        self._queue_changed()
        await asyncio.gather(*self._lanes)

    def _queue_changed(self) -> None:
        self._length.set(len(self._waiting))
        self._changed.set()

    async def _run_batches(self) -> None:
        """One lane. A batch has no name here, which would keep its clips, and their memory files, until the next one comes."""
        while not self._closed:
            await self._run_batch(await self._next_batch())

    async def _next_batch(self) -> list[_Waiting]:
        """The next clips to run; empty once the batcher is closed."""
        while not self._closed:
            self._changed.clear()
            if not self._waiting:
                await self._changed.wait()
                continue
            patience = self._patience_seconds()
            if patience <= 0:
                return self._close_batch()
            with suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self._changed.wait()
        return []

    def _patience_seconds(self) -> float:
        """How long the clips that wait may go on waiting for others, by the clock of the first."""
        if not self._policy.max_queue_delay_seconds or len(self._waiting) >= self._run.max_batch_size:
            return 0.0
        return min(item.arrived for item in self._waiting) + self._policy.max_queue_delay_seconds - monotonic()

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

    def _note_company(self) -> None:
        """Clips that meet are likely to meet again soon."""
        if len(self._waiting) + self._expected + self._running > 1:
            self._last_company = monotonic()

    async def _run_batch(self, batch: list[_Waiting]) -> None:
        if not batch:
            return
        started = monotonic()
        alone = not (self._waiting or self._expected or self._running) and started - self._last_company >= CALM_SECONDS
        for item in batch:
            item.started = started
        self._running += 1
        try:
            rows = await self._run.rows([item.clip for item in batch], alone)
        finally:
            self._note_company()
            self._running -= 1
        ended = monotonic()
        for item, row in zip(batch, rows, strict=True):
            item.ended = ended
            if not _holds_probabilities(row):
                _fail(item, InferenceFailed())
            elif not item.outcome.done():
                item.outcome.set_result(np.clip(row, 0, 1))


def _holds_probabilities(row: Probabilities) -> bool:
    """Whether nothing but rounding is outside of 0 to 1; what is not a number is."""
    return bool(((row >= -ROUNDING) & (row <= 1 + ROUNDING)).all())


def _fail(item: _Waiting, problem: Problem) -> None:
    if not item.outcome.done():
        item.outcome.set_exception(problem)
        item.outcome.exception()  # the caller may be gone: not a fault
