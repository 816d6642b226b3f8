"""Did a contestant return the frames that were wanted? Each is compared with the wanted one and with its neighbours in time.

Scalers and colour conversions differ by some levels, so the question is not how near a frame is to the wanted one, but
whether any neighbour is nearer. Pictures are compared at a quarter of their size, where the scalers agree best, and without the
shade that a conversion gives to all frames of a clip: in a video that fades in, one level is the next frame.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.decoding.contestant import Frames

AROUND = 15
"""Neighbours looked at, before and after."""

_ALIKE_LEVELS = 0.3
"""Two frames nearer to each other than this look the same: still pictures."""
_STRANGE_LEVELS = 24.0
"""A frame further than this from all neighbours has other colours, or is not of this stretch of the video."""
_SHADE_LEVELS = 4.0
"""Most that a colour conversion is taken to add to a colour of all frames."""
_UNRELATED = 0.7
"""The same for pictures whose brightness and contrast are evened out; two that have nothing in common are about 1 apart."""


@dataclass(frozen=True)
class Verdict:
    """What one contestant returned for one video."""

    is_right: bool
    reason: str
    """Why not; or what else is different (``turned``, ``colours``); empty where there is nothing to say."""
    levels: float
    """Mean absolute difference from our frames at full size, of 255."""


def shrunk(frames: Frames) -> Frames:
    """(..., height, width, 3) -> (..., height / 4, width / 4, 3), the means of squares of 4 x 4 px."""
    *front, height, width, colours = frames.shape
    squares = frames.reshape(*front, height // 4, 4, width // 4, 4, colours)
    return np.asarray(squares.mean(axis=(-4, -2)).round(), np.uint8)


def judge(frames: Frames, ours: Frames, around: Frames) -> Verdict:
    """``around`` as ``with_reference`` gives it; ``frames`` and ``ours`` have the shape of a clip, and are square."""
    turns = min(range(4), key=lambda turn: _difference(np.rot90(frames, turn, (1, 2)), ours))
    upright = np.rot90(frames, turns, (1, 2))
    small = shrunk(upright)
    steps, levels = _nearest(_without_shade(small, around), around.astype(np.float32), _ALIKE_LEVELS)
    notes = [f"turned by {90 * turns} degrees"] if turns else []
    wrong = []
    if max(levels) > _STRANGE_LEVELS:
        notes.append(f"other colours, by {max(levels):.0f} levels")
        steps, distances = _nearest(_evened(small), _evened(around), 0.01)
        wrong = ["pictures that are nowhere near"] if max(distances) > _UNRELATED else []
    wrong += [f"{count} of {len(frames)} frames {step:+d}" for step, count in sorted(Counter(steps).items()) if step]
    return Verdict(not wrong, "; ".join(wrong + notes), round(_difference(upright, ours), 2))


def _without_shade(small: Frames, around: Frames) -> NDArray[np.float32]:
    """``small`` without what most frames have more of a colour than the wanted ones, or less."""
    pictures = small.astype(np.float32)
    shade = np.median((pictures - around[:, AROUND]).mean(axis=(1, 2)), axis=0)
    return np.asarray(pictures - np.clip(shade, -_SHADE_LEVELS, _SHADE_LEVELS), np.float32)


def _nearest(pictures: NDArray[np.float32], around: NDArray[np.float32], alike: float) -> tuple[list[int], list[float]]:
    """For each picture, steps from the wanted frame to the one that it resembles most, and how far it is from that.

    0 steps where the wanted frame is as good, up to ``alike``.
    """
    steps, nearest = [], []
    for picture, neighbours in zip(pictures, around, strict=True):
        distances = np.abs(neighbours - picture).mean(axis=(1, 2, 3))
        best = int(np.argmin(distances))
        steps.append(0 if distances[AROUND] - distances[best] <= alike else best - AROUND)
        nearest.append(float(distances[best]))
    return steps, nearest


def _evened(pictures: Frames) -> NDArray[np.float32]:
    """Grey, with a mean of 0 and a deviation of 1."""
    grey = pictures.astype(np.float32).mean(axis=-1, keepdims=True)
    deviation = np.maximum(grey.std(axis=(-3, -2), keepdims=True), 4)
    return np.asarray((grey - grey.mean(axis=(-3, -2), keepdims=True)) / deviation, np.float32)


def _difference(frames: Frames, others: Frames) -> float:
    return float(np.abs(frames.astype(np.int16) - others).mean())
