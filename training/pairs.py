"""Two clips of each video, at two times, augmented apart from each other; and of each picture, which has no time.

stored frames  | x x x x x x x x x x x x |
clip a            [ x   x   x ]              a window of the video, one frame of each of its segments
clip b                    [ x     x x ]

picture        x       both clips            [ x x x ]
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.augment import Augmentation
from training.decoding import DecodedClips
from training.feeding import drawn_frames
from training.pictures import NO_PICTURES, StoredPictures
from training.reading import Indices, chunked, read_ahead


@dataclass(frozen=True)
class ClipPairs:
    """Batches of pairs: every video and picture once in a pass, in another order each, but for a rest that fills no batch."""

    decoded: DecodedClips
    batch_size: int
    """Videos and pictures in a batch."""
    num_frames: int
    """Of a clip."""
    window: float
    """Share of the video that a clip is drawn from, 0 to 1."""
    augmentation: Augmentation
    device: torch.device
    pictures: StoredPictures = NO_PICTURES
    """As large as the frames of the videos."""

    def __len__(self) -> int:
        """Batches in a pass; the last one is left out where it is not full: its statistics would be others."""
        return max(1, (len(self.decoded) + len(self.pictures)) // self.batch_size)

    def one_pass(self, seed: Sequence[int], start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Both clips of each, float 0 to 255, (batch, frames, size, size, 3); from batch number ``start`` on."""
        random = np.random.default_rng(seed)
        order, times = random.permutation(len(self.decoded) + len(self.pictures)), self._times(random)

        def read(indices: Indices) -> NDArray[np.uint8]:
            return np.stack([self._both(number, times) for number in indices])

        batches = chunked(order, self.batch_size)[: len(self)][start:]
        for number, (_, frames) in enumerate(read_ahead(batches, read), start=start):
            both = torch.from_numpy(frames).to(self.device, non_blocking=True)
            drawn = np.random.default_rng([*seed, number + 1])  # a 0 at the end would be the order's seed
            seeds = drawn.integers(2**62, size=(2, len(both)))
            yield (
                self.augmentation(both[:, : self.num_frames], seeds[0]),
                self.augmentation(both[:, self.num_frames :], seeds[1]),
            )

    def _both(self, number: int, times: Indices) -> NDArray[np.uint8]:
        """The frames of both clips, one after the other; the pictures are numbered after the videos."""
        if number >= len(self.decoded):
            picture = self.pictures.frames[number - len(self.decoded)]
            return np.broadcast_to(picture, (2 * self.num_frames, *picture.shape))
        frames: NDArray[np.uint8] = self.decoded.frames[self.decoded.rows[number]][times[number]]
        return frames

    def _times(self, random: np.random.Generator) -> Indices:
        """(videos, 2 x num_frames): which stored frames the two clips of each video take."""
        stored, videos = self.decoded.frames.shape[1], len(self.decoded)
        length = max(self.num_frames, round(self.window * stored) // self.num_frames * self.num_frames)
        clips = []
        for _ in range(2):
            start = random.integers(stored - length + 1, size=(videos, 1))
            clips.append(start + drawn_frames(videos, length, self.num_frames, random))
        return np.concatenate(clips, axis=1)
