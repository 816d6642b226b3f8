"""Clips that were decoded elsewhere, to probabilities: the way of a video from the queue on."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.inference.batch_run import Probabilities
from app.inference.batcher import Batcher
from app.observability import metrics


@dataclass(frozen=True)
class ClipOutcomes:
    """What the clips of one request get."""

    probabilities: Probabilities
    """(clips, labels), float32, in the order of the clips."""
    stage_seconds: dict[str, float]
    """``queue`` and ``model`` of the clip that took longest, in order."""


async def infer_clips(batcher: Batcher, clips: Iterable[NDArray[np.uint8]], deadline: float) -> ClipOutcomes:
    """Queue every clip (uint8, of the model's shape) at once. The first that fails takes the others out of the queue.

    ``deadline`` is a time of ``time.monotonic``.

    Raises: QueueFull, DeadlineExceeded, Draining, InferenceFailed.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(batcher.infer(clip, deadline)) for clip in clips]
    except BaseExceptionGroup as problems:
        raise problems.exceptions[0] from None
    outcomes = [task.result() for task in tasks]
    for outcome in outcomes:
        metrics.STAGE_SECONDS.labels("queue").observe(outcome.queue_seconds)
        metrics.STAGE_SECONDS.labels("model").observe(outcome.model_seconds)
    slowest = max(outcomes, key=lambda outcome: outcome.queue_seconds + outcome.model_seconds)
    stage_seconds = {"queue": slowest.queue_seconds, "model": slowest.model_seconds}
    return ClipOutcomes(np.stack([outcome.probabilities for outcome in outcomes]), stage_seconds)
