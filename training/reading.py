"""Frames of clips, batch by batch, ahead of whoever works on them."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from training.dataset import LabelledClip

Indices = NDArray[np.int64]


class ClipFrames(Protocol):
    """Clips that can be decoded, with their frames: ``DecodedClips`` has them on disk, ``StreamedClips`` decodes them anew."""

    @property
    def clips(self) -> list[LabelledClip]:
        """In their order."""

    def __len__(self) -> int:
        """How many."""

    def in_batches(self, batches: Sequence[Indices]) -> Iterator[tuple[Indices, NDArray[np.uint8]]]:
        """Each batch with its frames, uint8 (batch, frames, height, width, 3)."""


def chunked(order: Indices, size: int) -> list[Indices]:
    """Batches of ``size``; the last one may be smaller."""
    return [order[start : start + size] for start in range(0, len(order), size)]


def read_ahead(
    batches: Sequence[Indices], read: Callable[[Indices], NDArray[np.uint8]]
) -> Iterator[tuple[Indices, NDArray[np.uint8]]]:
    """Each batch with its frames; the next one is read from disk while the caller works on this one."""
    if not batches:
        return
    with ThreadPoolExecutor(1) as reader:
        upcoming = reader.submit(read, batches[0])
        for indices, following in zip(batches, [*batches[1:], None], strict=True):
            frames = upcoming.result()
            if following is not None:
                upcoming = reader.submit(read, following)
            yield indices, frames
