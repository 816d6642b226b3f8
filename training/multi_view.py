"""Several looks at one clip, whose probabilities are averaged: other moments of each segment, other parts of the picture.

    segment    |   1   |   2   |        --clips 3: the first of each is one view, the second another, the third another
    decoded    | a b c | a b c |

Crops come from frames 8/7 as large: the middle, then top left and bottom right, then the other two corners.
Source: multi-view testing as in temporal segment networks, arXiv:1608.00859; 256 to 224 px as usual for ImageNet.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from clips import ClipSpec
from training.decoding import DecodedClips
from training.model_source import Classify

_LARGER = 8 / 7
_BATCH = 4


@dataclass(frozen=True)
class Views:
    """How often each clip is looked at."""

    clips: int = 1
    """In time."""
    crops: int = 1
    """In space: 1, 3 or 5."""

    def stored(self, spec: ClipSpec) -> ClipSpec:
        """What is decoded, so that every view is in it."""
        if self.crops == 1:
            return spec.model_copy(update={"num_frames": spec.num_frames * self.clips})
        height, width = round(spec.height * _LARGER), round(spec.width * _LARGER)
        return spec.model_copy(update={"num_frames": spec.num_frames * self.clips, "height": height, "width": width})

    def of(self, stored: NDArray[np.uint8], spec: ClipSpec) -> list[NDArray[np.uint8]]:
        """Every view of ``stored`` (batch, frames, height, width, 3), each (batch, *spec.shape)."""
        tops, lefts = self._places(stored.shape[2] - spec.height, stored.shape[3] - spec.width)
        return [
            np.ascontiguousarray(stored[:, moment :: self.clips, top : top + spec.height, left : left + spec.width])
            for moment in range(self.clips)
            for top, left in zip(tops, lefts, strict=True)
        ]

    def _places(self, high: int, wide: int) -> tuple[list[int], list[int]]:
        """Top and left of each crop, where so many px are left over."""
        return [high // 2, 0, high, 0, high][: self.crops], [wide // 2, 0, wide, wide, 0][: self.crops]


def classify_views(decoded: DecodedClips, classify: Classify, spec: ClipSpec, views: Views, title: str) -> NDArray[np.float32]:
    """Probabilities (clips, labels), the mean over the views of each clip, in the order of the clips."""
    found = []
    for start in tqdm(range(0, len(decoded), _BATCH), desc=title, unit="batch", disable=None, leave=False):
        stored = decoded.read(range(start, min(start + _BATCH, len(decoded))))
        found.append(np.mean([classify(view) for view in views.of(stored, spec)], axis=0, dtype=np.float32))
    return np.concatenate(found)
