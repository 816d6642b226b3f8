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
from training.tag_split import held_back_groups

_ATTEMPTS = 50


def split_dataset(dataset: Dataset, seed: int, val_fraction: float = 0.2) -> Dataset:
    """The data set with ``part`` filled in: as given, or chosen by groups, stratified by label or tags.

    The same clips and seed give the same split. Every label is in both parts.

    Raises: CommandError: there is one label only, a label cannot be in both parts, all clips have the same tag, or the given
        split leaks.
    """
    if len(dataset.labels) < 2:
        found = ", ".join(dataset.labels) or "none"
        raise CommandError(f"the data has one {dataset.noun} only ({found}); a classifier needs at least two")
    _check_told_apart(dataset)
    given = sum(clip.part is not None for clip in dataset.clips)
    if 0 < given < len(dataset.clips):
        raise CommandError(f"the column `split` is empty for {len(dataset.clips) - given} clips; fill it for all or for none")
    split = dataset if given else replace(dataset, clips=_choose(dataset, seed, val_fraction))
    _check_parts(split)
    _check_leak(split, "group", lambda clip: clip.group)
    _check_leak(split, "file content", lambda clip: clip.sha256)
    return split


def _check_told_apart(dataset: Dataset) -> None:
    everywhere = set(dataset.labels).intersection(*(clip.labels for clip in dataset.clips))
    if everywhere:
        raise CommandError(f"every clip has the tag {min(everywhere)}: nothing can be learnt of it; leave it out")


def _choose(dataset: Dataset, seed: int, val_fraction: float) -> tuple[LabelledClip, ...]:
    clips, noun = dataset.clips, dataset.noun
    groups: dict[str, set[str]] = defaultdict(set)
    for clip in clips:
        for label in clip.labels:
            groups[label].add(clip.group)
    fewest = min(groups, key=lambda label: len(groups[label]))
    if len(groups[fewest]) < 2:
        raise CommandError(f"{noun} {fewest} has one clip or group only; it needs two or more to be trained on and measured")
    folds = min(round(1 / val_fraction), len(groups[fewest]))
    tagged = dataset.task == "multi_label"
    for val in _tag_candidates(dataset, seed, val_fraction) if tagged else _candidates(clips, folds, seed):
        parts = [
            {label for i, clip in enumerate(clips) if (i in val) is side for label in clip.labels} for side in (True, False)
        ]
        if parts[0] == parts[1] == set(dataset.labels):
            return tuple(replace(clip, part="val" if i in val else "train") for i, clip in enumerate(clips))
    raise CommandError(f"no split has every {noun} in both parts; give more groups, or a column `split` in a CSV file")


def _tag_candidates(dataset: Dataset, seed: int, val_fraction: float) -> Iterable[set[int]]:
    """Indices of the validation clips, the most even choice first."""
    for groups in held_back_groups(dataset.clips, dataset.labels, seed, val_fraction):
        yield {i for i, clip in enumerate(dataset.clips) if clip.group in groups}


def _candidates(clips: Sequence[LabelledClip], folds: int, seed: int) -> Iterable[set[int]]:
    """Indices of the validation clips: every fold of one shuffle, then of the next."""
    for attempt in range(_ATTEMPTS):
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed + attempt)
        indices = splitter.split(clips, [clip.label for clip in clips], [clip.group for clip in clips])
        yield from (set(map(int, val)) for _, val in indices)


def _check_parts(dataset: Dataset) -> None:
    for part in ("train", "val"):
        missing = set(dataset.labels) - {label for clip in dataset.part(part) for label in clip.labels}
        if missing:
            raise CommandError(f"no clip of {dataset.noun} {', '.join(sorted(missing))} is in the {part} part of the split")


def _check_leak(dataset: Dataset, what: str, key: Callable[[LabelledClip], str]) -> None:
    train = {key(clip): clip for clip in dataset.part("train")}
    leaks = {key(clip): (train[key(clip)], clip) for clip in dataset.part("val") if key(clip) in train}
    if leaks:
        shown = (f"{name if what == 'group' else ''} ({a.name}, {b.name})".strip() for name, (a, b) in islice(leaks.items(), 3))
        raise CommandError(
            f"the split leaks: {len(leaks)} {what}(s) in both train and val, such as {'; '.join(shown)}. "
            "Put each on one side, or leave the column `split` out"
        )
