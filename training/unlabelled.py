"""Videos without labels: all files below a folder, or those that a CSV file lists, but for what it holds back."""

import csv
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from clips.errors import CommandError, UsageError
from training.dataset import LabelledClip, Part, is_hidden

_LABEL = "(without label)"
"""What messages call them."""


def read_videos(source: Path) -> list[LabelledClip]:
    """In the order of their names, each file content once, all under one label. Nothing is decoded.

    Of a CSV file with the column `split` the clips of `val` are left out: a model that has seen them, labels or not, is
    measured on them no more.

    Raises: UsageError: ``source`` is not there. CommandError: it lists no videos, or one that cannot be read.
    """
    if not source.exists():
        raise UsageError(f"{source} does not exist; give a folder of videos or a CSV file with the column path")
    files = sorted(_listed(source) if source.is_file() else _found(source))
    videos: dict[str, LabelledClip] = {}
    root = source.parent if source.is_file() else source
    for file in files:
        sha256 = _sha256(file)
        name = file.relative_to(root).as_posix() if file.is_relative_to(root) else file.name
        videos.setdefault(sha256, LabelledClip(file, name, _LABEL, sha256[:16], None, sha256))
    if not videos:
        raise CommandError(f"{source} holds no videos")
    return list(videos.values())


def _found(folder: Path) -> Iterator[Path]:
    """Every file that is not hidden, so that an unreadable one is reported and not overlooked; no tables and no notes."""
    for file in folder.rglob("*"):
        if file.is_file() and not is_hidden(file, folder) and file.suffix.lower() not in {".csv", ".txt", ".md", ".json"}:
            yield file


def _listed(file: Path) -> Iterator[Path]:
    try:
        lines = list(csv.DictReader(file.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise CommandError(f"{file} is not a readable CSV file in UTF-8") from problem
    for number, line in enumerate(lines, start=2):
        path = (line.get("path") or "").strip()
        if not path or not (file.parent / path).is_file():
            raise CommandError(f"{file}, line {number}: there is no file {path or '(the column `path` is empty)'}")
        if (part := (line.get("split") or "").strip()) not in {"", *get_args(Part)}:
            raise CommandError(f"{file}, line {number}: split is {part!r}; it must be train or val")
        if part != "val":
            yield file.parent / path


def _sha256(file: Path) -> str:
    try:
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as problem:
        raise CommandError(f"{file} cannot be read: {problem.strerror}") from problem
