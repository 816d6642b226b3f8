"""Frames of clips to batches: shuffled, drawn and augmented for training, in order and untouched for validation.

Frames are read, or decoded, ahead of the step; they are augmented between two steps, on the device.
A training clip has several frames per segment, of which each epoch draws one:

    segment      |   1   |   2   |   3   |
    stored       | x x x | x x x | x x x |
    one epoch    |     x | x     |   x   |
"""

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from training.augment import Augmentation
from training.batch_part import BatchPart
from training.dataset import LabelledClip
from training.mixing import Mixing
from training.processes import ALONE, Processes
from training.reading import ClipFrames, Indices, chunked
from training.targets import label_targets


class Batch(NamedTuple):
    """Inputs of a network, and what it should answer."""

    inputs: Tensor
    targets: Tensor
    """(batch, labels), float32: probabilities, 1 and 0 where clips are not mixed."""
    all_frames: Tensor | None = None
    """The same views with every stored frame, for a teacher."""
    counts: bool = True
    """False where the clips are there only because every process takes part in every step."""


class Batches(Protocol):
    """Batches of one pass over the clips; the same ``seed`` gives the same pass, wherever in it one begins."""

    @property
    def processes(self) -> Processes:
        """Those that share a pass."""

    def __len__(self) -> int:
        """Batches in one pass, of all processes."""

    def clips(self) -> int:
        """Clips in one pass, of all processes."""

    @property
    def batch_size(self) -> int:
        """Clips in a batch, of all processes; the last one may have fewer."""

    def one_pass(self, seed: Sequence[int], start: int = 0) -> Iterator[Batch]:
        """The share of this process: of all batches from number ``start`` on, on the device."""


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
    """Every clip once, in order, as the server would see it; a process takes some of the batches, whole ones."""

    def __init__(
        self, decoded: ClipFrames, labels: list[str], batch_size: int, device: torch.device, processes: Processes = ALONE
    ) -> None:
        self._decoded, self._device = decoded, device
        self.batch_size, self.processes = batch_size, processes
        self.targets = label_targets(decoded, labels).to(device)
        self._batches = chunked(np.arange(len(decoded)), batch_size)

    def __len__(self) -> int:
        return len(self._batches)

    def clips(self) -> int:
        return len(self._decoded)

    @property
    def labelled_clips(self) -> list[LabelledClip]:
        """In their order."""
        return self._decoded.clips

    def one_pass(self, seed: Sequence[int] = (), start: int = 0) -> Iterator[Batch]:  # noqa: ARG002 - nothing is random here
        own = [self._batches[number] for number in self.processes.share(len(self)) if number >= start]
        for indices, frames in self._decoded.in_batches(own):
            yield Batch(torch.from_numpy(frames).to(self._device), self.targets[indices])

    def in_order(self, indices: Indices, seed: Sequence[int] = ()) -> Iterator[Tensor]:  # noqa: ARG002 - as above
        """Some clips, in this order, in batches of this process alone."""
        for _, frames in self._decoded.in_batches(chunked(indices, self.batch_size)):
            yield torch.from_numpy(frames).to(self._device)


class TrainingBatches:
    """Every clip once, shuffled, with one frame drawn per segment and one augmentation per clip; each batch is shared."""

    processes = ALONE

    def __init__(self, decoded: ClipFrames, targets: Tensor, batch_size: int, num_frames: int, variety: Variety) -> None:
        """``targets`` (clips, labels), on the device where batches are wanted."""
        self._decoded, self.targets = decoded, targets
        self.batch_size, self._num_frames, self._variety = batch_size, num_frames, variety

    def shared_by(self, processes: Processes) -> "TrainingBatches":
        """The same batches, of which this process gets its part."""
        shared = copy(self)
        shared.processes = processes
        return shared

    def __len__(self) -> int:
        return ceil(len(self._decoded) / self.batch_size)

    def clips(self) -> int:
        return len(self._decoded)

    @property
    def labelled_clips(self) -> list[LabelledClip]:
        """In their order."""
        return self._decoded.clips

    def one_pass(self, seed: Sequence[int], start: int = 0) -> Iterator[Batch]:
        random = np.random.default_rng(seed)
        order = self._balanced(random) if self._variety.balanced_sampling else random.permutation(len(self._decoded))
        chunks, mixed = chunked(order, self.batch_size)[start:], self._variety.mixing.is_on
        parts = [BatchPart.of(len(chunk), self.processes, mixed=mixed) for chunk in chunks]
        stored = self._stored([chunk[part.positions] for chunk, part in zip(chunks, parts, strict=True)])
        for number, (part, (frames, targets)) in enumerate(zip(parts, stored, strict=True), start=start):
            yield self._batch(frames, targets, part, [*seed, number + 1])  # a 0 at the end would be the order's seed

    def in_order(self, indices: Indices, seed: Sequence[int]) -> Iterator[Tensor]:
        """Some clips, in this order, none of them mixed, in batches of this process alone; what is random depends on a clip's
        content and ``seed`` alone.
        """
        chunks = chunked(indices, self.batch_size)
        for chunk, (stored, _) in zip(chunks, self._stored(chunks), strict=True):
            randoms = [np.random.default_rng([*seed, content]) for content in self._content(chunk)]
            drawn = [drawn_frames(1, stored.shape[1], self._num_frames, random) for random in randoms]
            seeds = [int(_clip_seeds(1, random)[0]) for random in randoms]
            yield self._variety.augmentation(take_frames(stored, np.concatenate(drawn)), seeds)

    def _content(self, indices: Indices) -> list[int]:
        """A number for the content of each clip."""
        return [int(self._decoded.clips[at].sha256, 16) for at in indices]

    def _balanced(self, random: np.random.Generator) -> Indices:
        """As many clips as there are, every label equally often: some clips several times, others not at all."""
        share = 1 / self.targets.sum(dim=0).clamp(min=1)
        weights = (self.targets * share).sum(dim=1).double().cpu().numpy()
        return random.choice(len(weights), size=len(weights), p=weights / weights.sum())

    def _batch(self, stored: Tensor, targets: Tensor, part: BatchPart, seed: Sequence[int]) -> Batch:
        """What is random in a batch depends on ``seed`` alone: a run that goes on needs no state, and everything is drawn
        for the whole batch, whoever computes it.
        """
        random, variety = np.random.default_rng(seed), self._variety
        drawn = drawn_frames(part.whole, stored.shape[1], self._num_frames, random)[part.positions]
        seeds = _clip_seeds(part.whole, random)[part.positions]
        if not variety.for_teacher:  # no frame is augmented that nobody sees
            clips, shares = variety.mixing(variety.augmentation(take_frames(stored, drawn), seeds), targets, random)
            return Batch(clips[part.lead :], shares[part.lead :], counts=part.counts)
        clips, shares = variety.mixing(variety.augmentation(stored, seeds), targets, random)
        own, drawn = clips[part.lead :], drawn[part.lead :]
        return Batch(take_frames(own, drawn), shares[part.lead :], own, part.counts)

    def _stored(self, batches: list[Indices]) -> Iterator[tuple[Tensor, Tensor]]:
        """Every stored frame (uint8) and the targets of each batch, on the device."""
        device = self.targets.device
        for indices, stored in self._decoded.in_batches(batches):
            yield torch.from_numpy(stored).to(device, non_blocking=True), self.targets[indices]


def drawn_frames(clips: int, stored: int, num_frames: int, random: np.random.Generator) -> Indices:
    """(clips, num_frames): which of the ``stored`` frames, one of each of ``num_frames`` equal segments."""
    choices = stored // num_frames
    drawn: Indices = np.arange(num_frames) * choices + random.integers(choices, size=(clips, num_frames))
    return drawn


def take_frames(clips: Tensor, drawn: Indices) -> Tensor:
    """(batch, stored, ...) -> (batch, num_frames, ...)."""
    return clips[torch.arange(len(clips))[:, None], torch.from_numpy(drawn)]


def _clip_seeds(clips: int, random: np.random.Generator) -> Indices:
    return random.integers(2**62, size=clips)
