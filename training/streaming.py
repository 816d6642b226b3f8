"""Clips that are decoded again whenever they are wanted, by processes that are batches ahead of the step.

step           |   batch 0   |   batch 1   |   batch 2   |
workers   0  1 |      2      |      3      |      4      |
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clips import ClipSpec
from clips.errors import CommandError
from training.dataset import LabelledClip
from training.decoding import SkippedClip, decode_clip
from training.reading import Indices
from training.workers import result_of

_AHEAD = 2
"""Batches that are decoded while the caller works on one."""


@dataclass(frozen=True)
class StreamedClips:
    """The clips that can be decoded; nothing of them is on disk or in memory but what is about to be used."""

    clips: list[LabelledClip]
    spec: ClipSpec
    submit: Callable[..., Future[Any]]
    """Of a pool of processes that lives as long as this."""

    def __len__(self) -> int:
        return len(self.clips)

    def in_batches(self, batches: Sequence[Indices]) -> Iterator[tuple[Indices, NDArray[np.uint8]]]:
        """Each batch with its frames, those that ``DecodedClips`` would have.

        Raises: CommandError: a clip can no longer be decoded, or a worker died.
        """
        waiting: deque[tuple[Indices, list[Future[Any]]]] = deque()
        try:
            for indices in batches:
                waiting.append((indices, [self.submit(decode_clip, self.clips[at], self.spec) for at in indices]))
                if len(waiting) > _AHEAD:
                    yield self._decoded(*waiting.popleft())
            while waiting:
                yield self._decoded(*waiting.popleft())
        finally:
            for job in (job for _, jobs in waiting for job in jobs):
                job.cancel()

    def _decoded(self, indices: Indices, jobs: list[Future[Any]]) -> tuple[Indices, NDArray[np.uint8]]:
        found = [result_of(job) for job in jobs]
        for clip in found:
            if isinstance(clip, SkippedClip):
                raise CommandError(f"{clip.name} could be decoded at first and no longer can: {clip.message} ({clip.code})")
        return indices, np.stack(found)
