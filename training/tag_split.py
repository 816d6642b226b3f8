"""Which groups are held back where clips have tags: every tag in both parts, and about as often as there is room for.

Tag by tag, the one with the fewest groups left first, each group goes where the tag is missing or is wanted the most:

    groups of the rarest tag    A  B         ->  train A, validation B
    of the next                 C  D  E  F   ->  train C, validation D, train E F

scikit-learn stratifies by one label per clip only.
Source: Sechidis et al., On the stratification of multi-label data, ECML PKDD 2011; here of groups, and no tag is left out.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from training.dataset import LabelledClip

Counts = NDArray[np.float64]

_ATTEMPTS = 30
_TRAIN, _VAL, _NEITHER = 0, 1, -1


def held_back_groups(clips: Sequence[LabelledClip], labels: Sequence[str], seed: int, val_fraction: float) -> list[set[str]]:
    """Names of the groups for validation, in several ways, the most even one first; in some a tag may be in one part alone."""
    names = sorted({clip.group for clip in clips})
    counts = _counts(clips, labels, names)
    sizes = Counter(clip.group for clip in clips)
    columns = np.column_stack([counts, [sizes[name] for name in names]])
    columns = columns[:, columns.any(axis=0)]
    ways = [_one_way(counts, (seed, attempt), val_fraction) for attempt in range(_ATTEMPTS)]

    def unevenness(held_back: NDArray[np.bool_]) -> float:
        """How far the shares of the tags, and of all clips, are from the one that is wanted."""
        shares = columns[held_back].sum(axis=0) / columns.sum(axis=0)
        return float(np.square(shares - val_fraction).sum())

    return [{names[group] for group in np.flatnonzero(way)} for way in sorted(ways, key=unevenness)]


def _one_way(counts: Counts, seed: tuple[int, int], val_fraction: float) -> NDArray[np.bool_]:
    """(groups,): which are held back."""
    order = np.random.default_rng(seed).permutation(len(counts))
    parts = _Parts(counts, val_fraction)
    while len(left := order[parts.of_group[order] == _NEITHER]):
        groups_left = (counts[left] > 0).sum(axis=0)
        rarest = int(np.where(groups_left, groups_left, np.inf).argmin())
        for group in left[counts[left, rarest] > 0]:
            parts.assign(group, rarest)
    held_back: NDArray[np.bool_] = parts.of_group == _VAL
    return held_back


class _Parts:
    """What is in the two parts so far, and what each of them still wants."""

    def __init__(self, counts: Counts, val_fraction: float) -> None:
        self._counts = counts
        self._has = np.zeros((2, counts.shape[1]))
        self._wants = np.outer([1 - val_fraction, val_fraction], counts.sum(axis=0))
        self.of_group = np.full(len(counts), _NEITHER)

    def assign(self, group: int, tag: int) -> None:
        """Where ``tag`` is missing, else where more of it is wanted, else where more clips are."""
        lacking = self._has[:, tag] == 0
        missing = self._wants - self._has
        part = max((_TRAIN, _VAL), key=lambda each: (lacking[each], missing[each, tag], missing[each].sum()))
        self.of_group[group] = part
        self._has[part] += self._counts[group]


def _counts(clips: Sequence[LabelledClip], labels: Sequence[str], names: Sequence[str]) -> Counts:
    """(groups, labels + 1): clips of each group with each tag; the last column is that of clips without one."""
    rows, columns = {name: row for row, name in enumerate(names)}, {label: column for column, label in enumerate(labels)}
    counts = np.zeros((len(names), len(labels) + 1))
    for clip in clips:
        for column in [columns[label] for label in clip.labels] or [len(labels)]:
            counts[rows[clip.group], column] += 1
    return counts
