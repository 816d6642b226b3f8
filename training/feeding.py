"""Decoded clips to batches: shuffled, drawn and augmented for training, in order and untouched for validation.

A training clip is stored with several frames per segment, of which each epoch draws one:

    segment      |   1   |   2   |   3   |
    stored       | x x x | x x x | x x x |
    one epoch    |     x | x     |   x   |
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import ceil
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.augment import Augmentation
from training.decoding import DecodedClips

Indices = NDArray[np.int64]


class Batch(NamedTuple):
    """Inputs of a network and the label indices that belong to them."""

    inputs: Tensor
    targets: Tensor


class Batches(Protocol):
    """Batches of one pass over the clips; the same ``seed`` gives the same pass."""

    def __len__(self) -> int:
        """Batches in one pass."""

    def clips(self) -> int:
        """Clips in one pass."""

    def one_pass(self, seed: Sequence[int]) -> Iterator[Batch]:
        """All batches, on the device."""


class ValidationBatches:
    """Every clip once, in order, as the server would see it."""

    def __init__(self, decoded: DecodedClips, labels: list[str], batch_size: int, device: torch.device) -> None:
        self._decoded, self._device = decoded, device
        self._targets = torch.from_numpy(decoded.targets(labels)).to(device)
        self._batches = _chunks(np.arange(len(decoded)), batch_size)

    def __len__(self) -> int:
        return len(self._batches)

    def clips(self) -> int:
        return len(self._decoded)

    def one_pass(self, seed: Sequence[int] = ()) -> Iterator[Batch]:  # noqa: ARG002 - nothing is random here
        for indices, frames in _read_ahead(self._batches, self._decoded.read):
            yield Batch(torch.from_numpy(frames).to(self._device), self._targets[indices])


class TrainingBatches:
    """Every clip once, shuffled, with one frame drawn per segment and one augmentation per clip."""

    def __init__(
        self, decoded: DecodedClips, targets: Tensor, batch_size: int, num_frames: int, augmentation: Augmentation
    ) -> None:
        self._decoded, self._targets = decoded, targets
        self._batch_size, self._num_frames, self._augmentation = batch_size, num_frames, augmentation

    def __len__(self) -> int:
        return ceil(len(self._decoded) / self._batch_size)

    def clips(self) -> int:
        return len(self._decoded)

    def one_pass(self, seed: Sequence[int]) -> Iterator[Batch]:
        random = np.random.default_rng(seed)
        yield from self._batches(random, random.permutation(len(self._decoded)))

    def in_order(self, seed: Sequence[int]) -> Iterator[Batch]:
        """One augmented pass in the order of the clips."""
        yield from self._batches(np.random.default_rng(seed), np.arange(len(self._decoded)))

    def _batches(self, random: np.random.Generator, order: Indices) -> Iterator[Batch]:
        device = self._targets.device
        for indices, stored in _read_ahead(_chunks(order, self._batch_size), self._decoded.read):
            clips = torch.from_numpy(draw_frames(stored, self._num_frames, random)).to(device, non_blocking=True)
            yield Batch(self._augmentation(clips, random), self._targets[indices])


class FeatureBatches:
    """Stored features (views, clips, features), shuffled; each clip once per pass, in one of its views."""

    def __init__(self, views: Tensor, targets: Tensor, batch_size: int) -> None:
        self._views, self._targets, self._batch_size = views, targets, batch_size

    def __len__(self) -> int:
        return ceil(self.clips() / self._batch_size)

    def clips(self) -> int:
        return self._views.shape[1]

    def one_pass(self, seed: Sequence[int]) -> Iterator[Batch]:
        random = np.random.default_rng(seed)
        view = torch.from_numpy(random.integers(self._views.shape[0], size=self.clips()))
        order = random.permutation(self.clips()) if self._views.shape[0] > 1 else np.arange(self.clips())
        for indices in _chunks(order, self._batch_size):
            yield Batch(self._views[view[indices], indices], self._targets[indices])


def draw_frames(stored: NDArray[np.uint8], num_frames: int, random: np.random.Generator) -> NDArray[np.uint8]:
    """(batch, num_frames x k, ...) -> (batch, num_frames, ...): one of the k stored frames of each segment."""
    choices = stored.shape[1] // num_frames
    drawn = np.arange(num_frames) * choices + random.integers(choices, size=(len(stored), num_frames))
    frames: NDArray[np.uint8] = stored[np.arange(len(stored))[:, None], drawn]
    return frames


def _chunks(order: Indices, size: int) -> list[Indices]:
    return [order[start : start + size] for start in range(0, len(order), size)]


def _read_ahead(
    batches: list[Indices], read: Callable[[Indices], NDArray[np.uint8]]
) -> Iterator[tuple[Indices, NDArray[np.uint8]]]:
    """Each batch with its frames; the next one is read from disk while the caller works on this one."""
    with ThreadPoolExecutor(1) as reader:
        upcoming = reader.submit(read, batches[0])
        for indices, following in zip(batches, [*batches[1:], None], strict=True):
            frames = upcoming.result()
            if following is not None:
                upcoming = reader.submit(read, following)
            yield indices, frames
