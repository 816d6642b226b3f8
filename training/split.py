"""Which clips are trained on and which are held back, without leaks: clips of one group never sit on both sides.

A random split of clips that share a person or a recording inflates accuracy by tens of points, so a given split that
leaks is refused instead of used.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import islice

from sklearn.model_selection import StratifiedGroupKFold

from clips.errors import CommandError
from training.dataset import Dataset, LabelledClip

_ATTEMPTS = 50


def split_dataset(dataset: Dataset, seed: int, val_fraction: float = 0.2) -> Dataset:
    """The data set with ``part`` filled in: as given, or chosen by groups, stratified by label.

    The same clips and seed give the same split. Every label is in both parts.

    Raises: CommandError: there is one label only, a label cannot be in both parts, or the given split leaks.
    """
    if len(dataset.labels) < 2:
        raise CommandError(f"the data has one class only ({dataset.labels[0]}); a classifier needs at least two")
    given = sum(clip.part is not None for clip in dataset.clips)
    if 0 < given < len(dataset.clips):
        raise CommandError(f"the column `split` is empty for {len(dataset.clips) - given} clips; fill it for all or for none")
    split = dataset if given else replace(dataset, clips=_choose(dataset.clips, seed, val_fraction))
    _check_parts(split)
    _check_leak(split, "group", lambda clip: clip.group)
    _check_leak(split, "file content", lambda clip: clip.sha256)
    return split


def _choose(clips: Sequence[LabelledClip], seed: int, val_fraction: float) -> tuple[LabelledClip, ...]:
    groups: dict[str, set[str]] = defaultdict(set)
    for clip in clips:
        groups[clip.label].add(clip.group)
    fewest = min(groups, key=lambda label: len(groups[label]))
    if len(groups[fewest]) < 2:
        raise CommandError(f"class {fewest} has one clip or group only; it needs two or more to be trained on and measured")
    folds = min(round(1 / val_fraction), len(groups[fewest]))
    labels = [clip.label for clip in clips]
    for val in _candidates(clips, folds, seed):
        if {labels[i] for i in val} == set(labels) == {label for i, label in enumerate(labels) if i not in val}:
            return tuple(replace(clip, part="val" if i in val else "train") for i, clip in enumerate(clips))
    raise CommandError("no split has every class in both parts; give more groups, or a column `split` in a CSV file")


def _candidates(clips: Sequence[LabelledClip], folds: int, seed: int) -> Iterable[set[int]]:
    """Indices of the validation clips: every fold of one shuffle, then of the next."""
    for attempt in range(_ATTEMPTS):
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed + attempt)
        indices = splitter.split(clips, [clip.label for clip in clips], [clip.group for clip in clips])
        yield from (set(map(int, val)) for _, val in indices)


def _check_parts(dataset: Dataset) -> None:
    for part in ("train", "val"):
        missing = set(dataset.labels) - {clip.label for clip in dataset.part(part)}
        if missing:
            raise CommandError(f"no clip of class {', '.join(sorted(missing))} is in the {part} part of the split")


def _check_leak(dataset: Dataset, what: str, key: Callable[[LabelledClip], str]) -> None:
    train = {key(clip): clip for clip in dataset.part("train")}
    leaks = {key(clip): (train[key(clip)], clip) for clip in dataset.part("val") if key(clip) in train}
    if leaks:
        shown = (f"{name if what == 'group' else ''} ({a.name}, {b.name})".strip() for name, (a, b) in islice(leaks.items(), 3))
        raise CommandError(
            f"the split leaks: {len(leaks)} {what}(s) in both train and val, such as {'; '.join(shown)}. "
            "Put each on one side, or leave the column `split` out"
        )
