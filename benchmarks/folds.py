"""The folds of the benchmark of methods: which clips are trained on, chosen by and measured on."""

import argparse
import csv
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

VALIDATION_GROUPS = 2


@dataclass(frozen=True)
class Fold:
    """One seed with its clips."""

    seed: int
    folder: Path
    """Holds the lists of clips and everything that comes of them."""
    starts: dict[str, list[str]]
    """By name, the command that makes start weights, without its clips, and its flags."""
    shape: str
    """Flags of ``clipserve train`` that come before those of the method."""

    @property
    def test_csv(self) -> Path:
        """The clips of the groups held out."""
        return self.folder / "test.csv"

    def train_csv(self, groups: int = 0) -> Path:
        """The others, those of two groups as `val`; as `train` those of the first ``groups`` numbers, of all where it is 0."""
        return self.folder / (f"train-{groups}-groups.csv" if groups else "train.csv")


def write_folds(args: argparse.Namespace, starts: dict[str, list[str]], few: Collection[int]) -> list[Fold]:
    """Four groups are held out for each seed: the first four by number for seed 0, the next four for seed 1.

    ``few``: how many groups there are to train with, beside all of them. Raises: SystemExit: there are too few groups.
    """
    with args.clips.open(encoding="utf-8") as file:
        rows = [{**row, "path": str((args.clips.parent / row["path"]).resolve())} for row in csv.DictReader(file)]
    numbers = sorted({_number(row["group"]) for row in rows})
    needed = args.held_out + VALIDATION_GROUPS + max([1, *few])
    folds = []
    for seed in args.seeds:
        held_out = numbers[seed * args.held_out : (seed + 1) * args.held_out]
        if len(held_out) < args.held_out or len(numbers) < needed:
            raise SystemExit(f"--seeds {seed} --held-out {args.held_out}: there are {len(numbers)} groups, too few")
        rest = [number for number in numbers if number not in held_out]
        train, val = rest[:-VALIDATION_GROUPS], rest[-VALIDATION_GROUPS:]
        fold = Fold(seed, (args.work / f"fold{seed}").resolve(), starts, args.shape)
        fold.folder.mkdir(parents=True, exist_ok=True)
        _write(fold.test_csv, rows, dict.fromkeys(held_out, ""))
        for groups in {0, *few}:
            _write(fold.train_csv(groups), rows, dict.fromkeys(train[: groups or None], "train") | dict.fromkeys(val, "val"))
        folds.append(fold)
    return folds


def _number(group: str) -> str:
    """``v_Lunges_g08`` -> ``08``: groups of one number are the same person in several classes, as far as the data set says."""
    match = re.search(r"_g(\d+)$", group)
    return match.group(1) if match else group


def _write(file: Path, rows: Sequence[dict[str, str]], splits: dict[str, str]) -> None:
    """The clips whose group has a number in ``splits``."""
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(("path", "label", "group", "split"))
        for row in rows:
            if (number := _number(row["group"])) in splits:
                writer.writerow((row["path"], row["label"], row["group"], splits[number]))
