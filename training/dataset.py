"""Labelled clips on disk: a folder of class folders, or a CSV file.

    FOLDER/lunge/a.mp4         path,label,group,split
    FOLDER/lunge/b.mp4         lunge/a.mp4,lunge,anna,train
    FOLDER/squat/2/c.mp4       squat/2/c.mp4,squat,ben,val

A class folder is searched with its subfolders.
``group`` names what must stay together in one part of the split, such as the person or the recording. ``group`` and
``split`` are optional; paths are relative to the CSV file. For a multi_label task ``label`` holds any number of tags with
``|`` between them: ``wave|smile``, or nothing.
"""

import csv
import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from clips.errors import CommandError, UsageError
from clips.manifest import TaskName
from training.tags import joined, parse_tags

Part = Literal["train", "val"]

VIDEO_SUFFIXES = (".mp4", ".mkv", ".webm", ".avi", ".mov")
"""By which a video is known where other files are to be expected too."""

# UCF101 and its relatives: clips of one recording share everything up to the clip number.
_UCF_NAME = re.compile(r"^(v_.+_g\d+)_c\d+$")


class Row(NamedTuple):
    """One line of a CSV file, or what a class folder says about a file."""

    path: Path
    name: str
    label: str
    group: str
    part: str
    tags: tuple[str, ...] | None = None


@dataclass(frozen=True)
class LabelledClip:
    """One file with its label, or its tags."""

    path: Path
    name: str
    """Path relative to the data set's folder, with forward slashes."""
    label: str
    """Tags joined by ``|`` where the task is multi_label."""
    group: str
    part: Part | None
    sha256: str
    """Of the file's content."""
    tags: tuple[str, ...] | None = None
    """multi_label alone: sorted; a clip may have none."""

    @property
    def labels(self) -> tuple[str, ...]:
        """All that the clip has: its one label, or its tags."""
        return (self.label,) if self.tags is None else self.tags


@dataclass(frozen=True)
class Dataset:
    """All clips of a data set in the order of their names."""

    name: str
    clips: tuple[LabelledClip, ...]
    grouping: str
    """How groups were found, in words."""
    task: TaskName = "single_label"

    @property
    def labels(self) -> list[str]:
        """Distinct labels or tags, sorted: the order of the model's output."""
        return sorted({label for clip in self.clips for label in clip.labels})

    @property
    def noun(self) -> str:
        """What a label is called: ``class`` or ``tag``."""
        return "class" if self.task == "single_label" else "tag"

    @property
    def counted_labels(self) -> str:
        """Such as ``10 classes`` or ``7 tags``."""
        return f"{len(self.labels)} {'classes' if self.task == 'single_label' else 'tags'}"

    def part(self, part: Part) -> list[LabelledClip]:
        """The clips of one part of the split."""
        return [clip for clip in self.clips if clip.part == part]

    def fingerprint(self) -> str:
        """SHA-256 (hexadecimal) over the sorted (path, label, group, split, content hash) of all clips."""
        rows = sorted((clip.name, clip.label, clip.group, clip.part or "", clip.sha256) for clip in self.clips)
        return hashlib.sha256(repr(rows).encode()).hexdigest()


def read_dataset(source: Path, task: TaskName = "single_label", *, keep_unreadable: bool = False) -> Dataset:
    """The labelled clips of a folder or CSV file; nothing is decoded.

    ``keep_unreadable``: a file that is missing or cannot be read is a clip too, with an empty ``sha256``.

    Raises: UsageError: ``source`` is not there, or is a folder where clips have tags. CommandError: it holds no usable list
        of clips, or one that cannot be read.
    """
    if not source.exists():
        raise UsageError(f"{source} does not exist; give a folder of class folders or a CSV file with the columns path,label")
    if task == "multi_label" and source.is_dir():
        raise UsageError(
            f"{source} is a folder, in which each clip has one label; for --task multi_label write a CSV file with the columns "
            "path,label and tags such as wave|smile under `label`"
        )
    rows = list(_csv_rows(source, task, keep_unreadable) if source.is_file() else _folder_rows(source))
    if not rows:
        raise CommandError(f"{source} holds no clips; expected one folder per class with video files in it")
    twice = [name for name, count in Counter(row.name for row in rows).items() if count > 1]
    if twice:
        raise CommandError(f"{source} lists {twice[0]} more than once")
    return _dataset(source, sorted(rows, key=lambda row: row.name), task, keep_unreadable)


def _dataset(source: Path, rows: list[Row], task: TaskName, keep_unreadable: bool) -> Dataset:
    given = any(row.group for row in rows)
    ucf = not given and all(_UCF_NAME.match(row.path.stem) for row in rows)
    clips = tuple(_labelled_clip(row, ucf, keep_unreadable) for row in rows)
    grouping = "from the column `group`" if given else "from names like v_Class_g01_c01" if ucf else "each clip is its own"
    return Dataset(source.resolve().parent.name if source.is_file() else source.resolve().name, clips, grouping, task)


def _labelled_clip(row: Row, ucf: bool, keep_unreadable: bool) -> LabelledClip:
    sha256 = ""
    try:
        with row.path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as problem:
        if not keep_unreadable:
            raise CommandError(
                f"{row.path} cannot be read: {problem.strerror}; `clipserve validate` lists all such files"
            ) from problem
    match = _UCF_NAME.match(row.path.stem) if ucf else None
    # a clip without a group is grouped by content, so that copies of one file stay together
    group = match.group(1) if match else row.group or sha256[:16] or row.name
    part: Part | None = "train" if row.part == "train" else "val" if row.part == "val" else None
    return LabelledClip(row.path, row.name, row.label, group, part, sha256, row.tags)


def _folder_rows(folder: Path) -> Iterable[Row]:
    """Every file that is not hidden counts as a clip, so that an unreadable one is reported and not overlooked.

    Raises: CommandError: a class folder is empty, or a video lies beside the class folders.
    """
    for entry in sorted(folder.iterdir()):
        if entry.is_dir() and not entry.name.startswith("."):
            files = [file for file in sorted(entry.rglob("*")) if file.is_file() and not is_hidden(file, folder)]
            if not files:
                raise CommandError(f"the class folder {entry} holds no files; remove it or put clips into it")
            yield from (Row(file, file.relative_to(folder).as_posix(), entry.name, "", "") for file in files)
        elif entry.suffix.lower() in VIDEO_SUFFIXES and not entry.name.startswith("."):
            raise CommandError(f"{entry} lies beside the class folders and has no label; put it into one of them")


def is_hidden(file: Path, folder: Path) -> bool:
    """Whether ``file``, or a folder between ``folder`` and it, begins with a dot."""
    return any(part.startswith(".") for part in file.relative_to(folder).parts)


def _csv_rows(file: Path, task: TaskName, keep_unreadable: bool) -> Iterable[Row]:
    try:
        lines = list(csv.DictReader(file.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise CommandError(f"{file} is not a readable CSV file in UTF-8") from problem
    for number, line in enumerate(lines, start=2):
        path, label, group, part = ((line.get(column) or "").strip() for column in ("path", "label", "group", "split"))
        tags = _tags(line.get("label"), f"{file}, line {number}") if task == "multi_label" else None
        if not path or (tags is None and not label):
            raise CommandError(f"{file}, line {number}: the columns `path` and `label` must both be filled")
        if part and part not in get_args(Part):
            raise CommandError(f"{file}, line {number}: split is {part!r}; it must be train or val")
        if not keep_unreadable and not (file.parent / path).is_file():
            raise CommandError(
                f"{file}, line {number}: there is no file {path} beside the CSV file; `clipserve validate` lists all such lines"
            )
        yield Row(file.parent / path, Path(path).as_posix(), label if tags is None else joined(tags), group, part, tags)


def _tags(field: str | None, place: str) -> tuple[str, ...]:
    if field is None:
        raise CommandError(f"{place}: there is no column `label`; it may be empty, but it must be there")
    try:
        return parse_tags(field)
    except ValueError as problem:
        raise CommandError(f"{place}: {problem}") from problem
