"""The answers that one model gave of late, by the SHA-256 of the video's bytes. The least recently used goes first.

It holds what was computed and not what was sent, so that ``top_k`` is applied to either alike; and no frames, which are large.
It belongs to one loaded model: nothing in it outlives the model, or mixes up versions.
"""

from collections import OrderedDict
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from app.observability import metrics
from clips import Clip


@dataclass(frozen=True)
class KnownAnswer:
    """What a model made of a video."""

    clip: Clip
    """Without its frames."""
    probabilities: NDArray[np.float32]
    """Shape (labels,), in label order."""


class ResponseCache:
    """At most ``max_entries`` answers, of some 1.5 kB and 4 bytes for each label; 0 keeps none. Used from one event loop."""

    def __init__(self, max_entries: int) -> None:
        self._max_entries = max_entries
        self._answers: OrderedDict[bytes, KnownAnswer] = OrderedDict()

    def __len__(self) -> int:
        """Answers that are kept."""
        return len(self._answers)

    @property
    def is_on(self) -> bool:
        """Whether it is worth it to ask."""
        return self._max_entries > 0

    def find(self, video_sha256: bytes) -> KnownAnswer | None:
        """The answer to a video that was classified before."""
        answer = self._answers.get(video_sha256)
        metrics.RESPONSE_CACHE.labels("miss" if answer is None else "hit").inc()
        if answer is not None:
            self._answers.move_to_end(video_sha256)
        return answer

    def keep(self, video_sha256: bytes, clip: Clip, probabilities: NDArray[np.float32]) -> None:
        """Remember the answer to a video, and forget the one that was not asked for the longest."""
        without_frames = replace(clip, frames=np.empty((0, *clip.frames.shape[1:]), np.uint8))
        self._answers[video_sha256] = KnownAnswer(without_frames, probabilities.copy())  # the row is a view of its batch
        self._answers.move_to_end(video_sha256)
        if len(self._answers) > self._max_entries:
            self._answers.popitem(last=False)
