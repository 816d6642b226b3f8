"""The lists that come with public data sets, as rows of a CSV file of ours.

format      what to give                                       split                         group
folder      FOLDER/label/clip.mp4                              by groups, stratified         of names like v_Label_g01_c01
ucf101      --annotations trainlist01.txt's folder, --fold     train and test list           v_Label_g01
hmdb51      --annotations folder of label_test_split1.txt      1 train, 2 test, 0 left out   the film: all but the last number
kinetics    --annotations train.csv and val.csv (or one)       column `split`, else the name  the YouTube id
"""

import csv
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from clips.errors import CommandError, UsageError
from training.dataset import VIDEO_SUFFIXES

Format = Literal["folder", "ucf101", "hmdb51", "kinetics"]

_HMDB_PARTS = {"1": "train", "2": "val"}
_KINETICS_COLUMNS = {"label", "youtube_id", "time_start", "time_end"}


class IndexRow(NamedTuple):
    """A line of the CSV file that ``clipserve train`` reads."""

    path: str
    """Relative to the folder of videos."""
    label: str
    group: str
    split: str


def annotated(videos: Path, annotations: Path, kind: Format, fold: int) -> tuple[list[IndexRow], list[str]]:
    """The clips that are listed and there, and the names of those that are listed and missing.

    Raises: UsageError: the lists are not where they are said to be. CommandError: a line cannot be read.
    """
    readers: dict[Format, Callable[[], Iterable[IndexRow]]] = {
        "ucf101": lambda: _ucf101(annotations, fold),
        "hmdb51": lambda: _hmdb51(annotations, fold),
        "kinetics": lambda: _kinetics(videos, annotations),
    }
    rows = sorted(readers[kind]())
    there = [row for row in rows if (videos / row.path).is_file()]
    return there, [row.path for row in rows if not (videos / row.path).is_file()]


def _ucf101(folder: Path, fold: int) -> Iterator[IndexRow]:
    for name, part in (("trainlist", "train"), ("testlist", "val")):
        for line in _lines(folder / f"{name}{fold:02d}.txt"):
            path = line.split()[0]
            label, _, clip = path.partition("/")
            group = re.match(r"(v_.+_g\d+)_c\d+\.\w+$", clip)
            if not group:
                raise CommandError(
                    f"{folder}/{name}{fold:02d}.txt: {line!r} is not a clip of UCF101 (Label/v_Label_g01_c01.avi)"
                )
            yield IndexRow(path, label, group[1], part)


def _hmdb51(folder: Path, fold: int) -> Iterator[IndexRow]:
    lists = sorted(folder.glob(f"*_test_split{fold}.txt"))
    if not lists:
        raise UsageError(f"{folder} holds no lists of HMDB51 for fold {fold} (label_test_split{fold}.txt)")
    for file in lists:
        label = file.name.removesuffix(f"_test_split{fold}.txt")
        for line in _lines(file):
            name, _, number = line.rpartition(" ")
            if number not in {"0", *_HMDB_PARTS}:
                raise CommandError(f"{file}: {line!r} does not end with 0, 1 or 2")
            if number in _HMDB_PARTS:
                film = re.sub(r"_\d+\.\w+$", "", name.strip())
                yield IndexRow(f"{label}/{name.strip()}", label, film, _HMDB_PARTS[number])


def _kinetics(videos: Path, annotations: Path) -> Iterator[IndexRow]:
    files = sorted(annotations.glob("*.csv")) if annotations.is_dir() else [annotations]
    if not files:
        raise UsageError(f"{annotations} holds no CSV files")
    for file in files:
        lines = csv.DictReader(_lines(file))
        if missing := _KINETICS_COLUMNS - set(lines.fieldnames or ()):
            raise CommandError(f"{file} has no column {', '.join(sorted(missing))}; it is no list of Kinetics")
        for number, line in enumerate(lines, start=2):
            split = line.get("split") or file.stem
            if split not in {"train", "val", "validate", "test"}:
                raise CommandError(f"{file}: the split {split!r} is none of train, val, validate and test")
            if split == "test":
                continue
            try:
                times = [int(float(line[column])) for column in ("time_start", "time_end")]
            except ValueError as problem:
                raise CommandError(f"{file}, line {number}: time_start and time_end must be seconds") from problem
            name = f"{line['youtube_id']}_{times[0]:06d}_{times[1]:06d}"
            yield IndexRow(
                _kinetics_path(videos, line["label"], name),
                line["label"],
                line["youtube_id"],
                "train" if split == "train" else "val",
            )


def _kinetics_path(videos: Path, label: str, name: str) -> str:
    """Where the usual downloaders put it: in a folder of its label, with blanks or underscores, or all in one folder."""
    for folder in (label, label.replace(" ", "_"), ""):
        for suffix in VIDEO_SUFFIXES:
            path = f"{folder}/{name}{suffix}" if folder else f"{name}{suffix}"
            if (videos / path).is_file():
                return path
    return f"{label}/{name}.mp4"


def _lines(file: Path) -> list[str]:
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError as problem:
        raise UsageError(f"there is no {file}") from problem
    except (OSError, UnicodeDecodeError) as problem:
        raise CommandError(f"{file} cannot be read as text") from problem
    return [line.strip() for line in lines if line.strip()]
