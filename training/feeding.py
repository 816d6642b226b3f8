"""Decoded clips to batches: shuffled, drawn and augmented for training, in order and untouched for validation.

A training clip is stored with several frames per segment, of which each epoch draws one:

    segment      |   1   |   2   |   3   |
    stored       | x x x | x x x | x x x |
    one epoch    |     x | x     |   x   |
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.augment import Augmentation
from training.decoding import DecodedClips
from training.mixing import Mixing

Indices = NDArray[np.int64]


class Batch(NamedTuple):
    """Inputs of a network, and what it should answer."""

    inputs: Tensor
    targets: Tensor
    """(batch, labels), float32: probabilities, 1 and 0 where clips are not mixed."""
    all_frames: Tensor | None = None
    """The same views with every stored frame, for a teacher."""


class Batches(Protocol):
    """Batches of one pass over the clips; the same ``seed`` gives the same pass, wherever in it one begins."""

    def __len__(self) -> int:
        """Batches in one pass."""

    def clips(self) -> int:
        """Clips in one pass."""

    @property
    def batch_size(self) -> int:
        """Clips in a batch; the last one may have fewer."""

    def one_pass(self, seed: Sequence[int], start: int = 0) -> Iterator[Batch]:
        """All batches from number ``start`` on, on the device."""


@dataclass(frozen=True)
class Variety:
    """What makes each pass over the training clips another one."""

    augmentation: Augmentation
    mixing: Mixing
    balanced_sampling: bool = False
    """Every label equally often, in place of every clip once."""
    for_teacher: bool = False
    """Batches carry all frames too."""


class ValidationBatches:
    """Every clip once, in order, as the server would see it."""

    def __init__(self, decoded: DecodedClips, labels: list[str], batch_size: int, device: torch.device) -> None:
        self._decoded, self._device = decoded, device
        self.batch_size = batch_size
        self._targets = label_targets(decoded, labels).to(device)
        self._batches = _chunks(np.arange(len(decoded)), batch_size)

    def __len__(self) -> int:
        return len(self._batches)

    def clips(self) -> int:
        return len(self._decoded)

    def one_pass(self, seed: Sequence[int] = (), start: int = 0) -> Iterator[Batch]:  # noqa: ARG002 - nothing is random here
        for indices, frames in _read_ahead(self._batches[start:], self._decoded.read):
            yield Batch(torch.from_numpy(frames).to(self._device), self._targets[indices])


class TrainingBatches:
    """Every clip once, shuffled, with one frame drawn per segment and one augmentation per clip."""

    def __init__(self, decoded: DecodedClips, targets: Tensor, batch_size: int, num_frames: int, variety: Variety) -> None:
        """``targets`` (clips, labels), on the device where batches are wanted."""
        self._decoded, self._targets = decoded, targets
        self.batch_size, self._num_frames, self._variety = batch_size, num_frames, variety

    def __len__(self) -> int:
        return ceil(len(self._decoded) / self.batch_size)

    def clips(self) -> int:
        return len(self._decoded)

    def one_pass(self, seed: Sequence[int], start: int = 0) -> Iterator[Batch]:
        random = np.random.default_rng(seed)
        order = self._balanced(random) if self._variety.balanced_sampling else random.permutation(len(self._decoded))
        for number, stored, targets in self._stored(order, start):
            yield self._batch(stored, targets, [*seed, number + 1])  # a 0 at the end would be the order's seed

    def in_order(self, seed: Sequence[int]) -> Iterator[Batch]:
        """One augmented pass in the order of the clips, none of them mixed."""
        for number, stored, targets in self._stored(np.arange(len(self._decoded)), start=0):
            random = np.random.default_rng([*seed, number + 1])
            drawn = drawn_frames(len(stored), stored.shape[1], self._num_frames, random)
            yield Batch(self._variety.augmentation(take_frames(stored, drawn), random), targets)

    def _balanced(self, random: np.random.Generator) -> Indices:
        """As many clips as there are, every label equally often: some clips several times, others not at all."""
        share = 1 / self._targets.sum(dim=0).clamp(min=1)
        weights = (self._targets * share).sum(dim=1).double().cpu().numpy()
        return random.choice(len(weights), size=len(weights), p=weights / weights.sum())

    def _batch(self, stored: Tensor, targets: Tensor, seed: Sequence[int]) -> Batch:
        """What is random in a batch depends on ``seed`` alone: a run that goes on needs no state."""
        random, variety = np.random.default_rng(seed), self._variety
        drawn = drawn_frames(len(stored), stored.shape[1], self._num_frames, random)
        if not variety.for_teacher:  # no frame is augmented that nobody sees
            clips = variety.augmentation(take_frames(stored, drawn), random)
            return Batch(*variety.mixing(clips, targets, random))
        clips, shares = variety.mixing(variety.augmentation(stored, random), targets, random)
        return Batch(take_frames(clips, drawn), shares, clips)

    def _stored(self, order: Indices, start: int) -> Iterator[tuple[int, Tensor, Tensor]]:
        """Batches by number, from ``start`` on: every stored frame (uint8) and the targets, on the device."""
        device = self._targets.device
        chunks = _chunks(order, self.batch_size)[start:]
        for number, (indices, stored) in enumerate(_read_ahead(chunks, self._decoded.read), start=start):
            yield number, torch.from_numpy(stored).to(device, non_blocking=True), self._targets[indices]


class FeatureBatches:
    """Stored features (views, clips, frames, features); each clip once per pass, in one of its views."""

    def __init__(self, views: Tensor, targets: Tensor, batch_size: int, *, shuffled: bool) -> None:
        self._views, self._targets, self.batch_size, self._shuffled = views, targets, batch_size, shuffled

    def __len__(self) -> int:
        return ceil(self.clips() / self.batch_size)

    def clips(self) -> int:
        return self._views.shape[1]

    def one_pass(self, seed: Sequence[int], start: int = 0) -> Iterator[Batch]:
        random = np.random.default_rng(seed)
        view = torch.from_numpy(random.integers(self._views.shape[0], size=self.clips()))
        order = random.permutation(self.clips()) if self._shuffled else np.arange(self.clips())
        for indices in _chunks(order, self.batch_size)[start:]:
            yield Batch(self._views[view[indices], indices], self._targets[indices])


def label_targets(decoded: DecodedClips, labels: list[str]) -> Tensor:
    """(clips, labels), float32: 1 for the label of each clip, or for each of its tags."""
    positions = {label: column for column, label in enumerate(labels)}
    targets = torch.zeros(len(decoded), len(labels))
    for row, clip in enumerate(decoded.clips):
        targets[row, [positions[label] for label in clip.labels]] = 1.0
    return targets


def drawn_frames(clips: int, stored: int, num_frames: int, random: np.random.Generator) -> Indices:
    """(clips, num_frames): which of the ``stored`` frames, one of each of ``num_frames`` equal segments."""
    choices = stored // num_frames
    drawn: Indices = np.arange(num_frames) * choices + random.integers(choices, size=(clips, num_frames))
    return drawn


def take_frames(clips: Tensor, drawn: Indices) -> Tensor:
    """(batch, stored, ...) -> (batch, num_frames, ...)."""
    return clips[torch.arange(len(clips))[:, None], torch.from_numpy(drawn)]


def _chunks(order: Indices, size: int) -> list[Indices]:
    return [order[start : start + size] for start in range(0, len(order), size)]


def _read_ahead(
    batches: list[Indices], read: Callable[[Indices], NDArray[np.uint8]]
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
