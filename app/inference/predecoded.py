"""Several clips of one request to probabilities, decoded here or elsewhere: the way of a video from the queue on."""

import asyncio
from collections.abc import Hashable, Iterable

import numpy as np
from numpy.typing import NDArray

from app.inference.batch_run import Probabilities
from app.inference.batcher import Batcher
from app.observability import stages


async def infer_clips(
    batcher: Batcher, clips: Iterable[NDArray[np.uint8]], deadline: float, flow: Hashable = None
) -> Probabilities:
    """Queue every clip (uint8, of the model's shape) at once. The first that fails takes the others out of the queue.

    Gives (clips, labels), float32, in the order of the clips. The times on record are those of the clip that took longest,
    also where they fail. ``deadline`` is a time of ``time.monotonic``. Clips of one ``flow`` take turns with others; without
    one, these are one.

    Raises: QueueFull, DeadlineExceeded, Draining, InferenceFailed.
    """
    flow = object() if flow is None else flow
    times: list[stages.StageTimes] = []

    async def infer(clip: NDArray[np.uint8]) -> Probabilities:
        with stages.keep_record() as of_clip:
            times.append(of_clip)
            return await batcher.infer(clip, deadline, flow)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(infer(clip)) for clip in clips]
    except BaseExceptionGroup as problems:
        raise problems.exceptions[0] from None
    finally:
        stages.note_longest(times)
    return np.stack([task.result() for task in tasks])
