"""List the clips of a folder, or of a public data set with its own lists, in a CSV file for `clipserve train`.

The file has the columns path,label,group,split. A folder without a split is split by groups, stratified by label. What is
listed and not there is named and left out.
"""

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from clips.errors import CommandError, UsageError
from training.annotations import Format, IndexRow, annotated
from training.dataset import Dataset, read_dataset
from training.split import split_dataset

EXAMPLE = (
    "clipserve index my-clips --output my-clips/clips.csv\n"
    "  clipserve index UCF-101 --format ucf101 --annotations ucfTrainTestlist --fold 1 --output UCF-101/fold1.csv"
)
_SHOWN = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``clipserve index``."""
    parser.add_argument("videos", type=Path, metavar="FOLDER", help="where the videos are")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="CSV file to write, in FOLDER")
    parser.add_argument("--format", choices=get_args(Format), default="folder", help="what lists them [class folders]")
    parser.add_argument("--annotations", type=Path, metavar="PATH", help="the data set's own lists")
    parser.add_argument("--fold", type=int, default=1, help="split of UCF101 or HMDB51, 1 to 3 [1]")
    parser.add_argument("--seed", type=int, default=0, help="of the split of a folder [0]")
    parser.add_argument("--val-fraction", type=float, default=0.2, help="share held back of a folder [0.2]")


def run(args: argparse.Namespace) -> None:
    """Write the file. Raises: UsageError, CommandError."""
    if not args.videos.is_dir():
        raise UsageError(f"{args.videos} is no folder")
    if args.output.resolve().parent != args.videos.resolve():
        raise UsageError(f"--output must be in {args.videos}: paths in the file are relative to it")
    rows, missing = _rows(args)
    if not rows:
        raise CommandError(f"none of the {len(missing)} clips that are listed is in {args.videos}, such as {missing[0]}")
    dataset = _written(args.output, rows, args.seed)
    print(_summary(dataset, missing))
    print(f"wrote {args.output}; next: clipserve validate {args.output}")


def _written(file: Path, rows: Sequence[IndexRow], seed: int) -> Dataset:
    """What the file lists. Raises: CommandError: it leaks, or cannot be read; what was there before is kept."""
    unfinished = file.with_name(f".{file.name}.tmp")
    try:
        with unfinished.open("w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out)
            writer.writerow(IndexRow._fields)
            writer.writerows(rows)
        dataset = read_dataset(unfinished)
        split_dataset(dataset, seed)
        unfinished.replace(file)
    except OSError as problem:
        raise CommandError(f"{file} cannot be written: {problem.strerror}; what was there before is kept") from problem
    except CommandError as problem:
        raise type(problem)(str(problem).replace(str(unfinished), str(file))) from problem
    finally:
        unfinished.unlink(missing_ok=True)
    return dataset


def _rows(args: argparse.Namespace) -> tuple[list[IndexRow], list[str]]:
    if args.format != "folder":
        if not args.annotations:
            raise UsageError(f"--format {args.format} needs --annotations, the lists that come with the data set")
        return annotated(args.videos, args.annotations, args.format, args.fold)
    dataset = split_dataset(read_dataset(args.videos), args.seed, args.val_fraction)
    return [IndexRow(clip.name, clip.label, clip.group, clip.part or "") for clip in dataset.clips], []


def _summary(dataset: Dataset, missing: list[str]) -> str:
    train, val = dataset.part("train"), dataset.part("val")
    lines = [
        f"{len(dataset.clips)} clips, {len(dataset.labels)} classes: {len(train)} to train on, {len(val)} held back",
        f"fingerprint {dataset.fingerprint()[:16]}",
    ]
    if missing:
        lines.append(f"{len(missing)} clips are listed and not there, such as {', '.join(missing[:_SHOWN])}")
    return "\n".join(lines)
