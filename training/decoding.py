"""Decode every clip once, in worker processes, into one file of raw frames that training then reads at random.

clips --load_clip--> frames.dat, uint8 (clips, frames, height, width, 3), mapped into memory, never loaded whole
"""

import errno
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from clips import ClipError, ClipSpec, load_clip
from clips.errors import CommandError
from training.dataset import LabelledClip
from training.reading import Indices, read_ahead
from training.workers import result_of, submitter


class NoRoom(CommandError):
    """The disk is too small for the frames of all clips."""


class SkippedClip(NamedTuple):
    """A clip that could not be decoded, and why."""

    name: str
    label: str
    code: str
    message: str


@dataclass(frozen=True)
class DecodedClips:
    """The clips that could be decoded, with their frames on disk."""

    clips: list[LabelledClip]
    rows: NDArray[np.int64]
    """Row of each clip in ``frames``."""
    frames: NDArray[np.uint8]
    """Shape (rows, frames, height, width, 3), mapped from a file."""

    @classmethod
    def without_frames(cls, clips: list[LabelledClip], spec: ClipSpec) -> "DecodedClips":
        """Clips whose frames nobody needs; to read one raises IndexError."""
        return cls(clips, np.arange(len(clips)), np.empty((0, *spec.shape), np.uint8))

    def __len__(self) -> int:
        return len(self.clips)

    def read(self, indices: Sequence[int] | Indices) -> NDArray[np.uint8]:
        """Copies of some clips: (len(indices), frames, height, width, 3), uint8."""
        return np.stack([self.frames[row] for row in self.rows[np.asarray(indices)]])

    def in_batches(self, batches: Sequence[Indices]) -> Iterator[tuple[Indices, NDArray[np.uint8]]]:
        """Each batch with its frames, as ``read`` gives them; the next one is read meanwhile."""
        return read_ahead(batches, self.read)


def decode_clips(
    clips: Sequence[LabelledClip], spec: ClipSpec, file: Path, workers: int, title: str
) -> tuple[DecodedClips, list[SkippedClip]]:
    """Decode ``clips`` into ``file`` and open it. Raises: CommandError: as ``write_frames``."""
    return open_frames(clips, spec, file, write_frames(clips, spec, file, workers, title))


def write_frames(clips: Sequence[LabelledClip], spec: ClipSpec, file: Path, workers: int, title: str) -> dict[int, SkippedClip]:
    """Decode ``clips`` as ``spec`` says into ``file``; ``workers`` 0 decodes in this process, -1 with one per core.

    Returns the clips that could not be decoded, by their row.
    Raises: CommandError: all clips of a class failed, the disk is too small, or a worker died.
    """
    _allocate(file, (len(clips), *spec.shape))
    return _decode_each(clips, partial(_decode_into, file, len(clips), spec), workers, title)


def try_clips(clips: Sequence[LabelledClip], spec: ClipSpec, workers: int, title: str) -> dict[int, SkippedClip]:
    """Which of ``clips`` cannot be decoded, by their row; nothing is kept. Raises: CommandError: as ``write_frames``."""
    return _decode_each(clips, partial(_try, spec), workers, title)


def _decode_each(
    clips: Sequence[LabelledClip], decode: Callable[[int, LabelledClip], SkippedClip | None], workers: int, title: str
) -> dict[int, SkippedClip]:
    """``decode`` with each row and its clip; the clips that could not be decoded, by their row."""
    problems: dict[int, SkippedClip] = {}
    with submitter(workers, len(clips)) as submit:
        jobs = {submit(decode, row, clip): row for row, clip in enumerate(clips)}
        for job in tqdm(as_completed(jobs), total=len(jobs), desc=title, unit="clip", disable=None, leave=False):
            problem = result_of(job)
            if problem is not None:
                problems[jobs[job]] = problem
    _check_classes(clips, problems)
    return problems


def open_frames(
    clips: Sequence[LabelledClip], spec: ClipSpec, file: Path, problems: dict[int, SkippedClip]
) -> tuple[DecodedClips, list[SkippedClip]]:
    """What ``write_frames`` has written, in this process or another one: the clips with their frames, and the others."""
    rows = [row for row in range(len(clips)) if row not in problems]
    frames = np.memmap(file, dtype=np.uint8, mode="r", shape=(len(clips), *spec.shape))
    skipped = [problems[row] for row in sorted(problems)]
    return DecodedClips([clips[row] for row in rows], np.array(rows, dtype=np.int64), frames), skipped


def decode_clip(clip: LabelledClip, spec: ClipSpec) -> NDArray[np.uint8] | SkippedClip:
    """Frames, uint8 (frames, height, width, 3), or why there are none."""
    try:
        return load_clip(clip.path, spec).frames
    except ClipError as problem:
        return SkippedClip(clip.name, clip.label, problem.code, str(problem))
    except OSError as problem:
        return SkippedClip(clip.name, clip.label, "unreadable", str(problem.strerror))
    except MemoryError:
        return SkippedClip(clip.name, clip.label, "decode_failed", "Decoding it takes more memory than there is.")


def _decode_into(file: Path, count: int, spec: ClipSpec, row: int, clip: LabelledClip) -> SkippedClip | None:
    """Decode one clip and write it into its row of ``file``; a clip that fails is returned with the reason."""
    found = decode_clip(clip, spec)
    if isinstance(found, SkippedClip):
        return found
    np.memmap(file, dtype=np.uint8, mode="r+", shape=(count, *spec.shape))[row] = found
    return None


def _try(spec: ClipSpec, row: int, clip: LabelledClip) -> SkippedClip | None:  # noqa: ARG001 - nothing has a row
    found = decode_clip(clip, spec)
    return found if isinstance(found, SkippedClip) else None


def _allocate(file: Path, shape: tuple[int, ...]) -> None:
    """The room is taken now: to write into a mapped file on a full disk ends the process.

    Raises: NoRoom: there is too little of it.
    """
    size_bytes = int(np.prod(shape, dtype=np.int64))
    free_bytes = shutil.disk_usage(file.parent).free
    if size_bytes > 0.9 * free_bytes:
        raise _no_room(file, size_bytes, free_bytes)
    with file.open("wb") as out:
        try:
            _take_room(out.fileno(), size_bytes)
        except OSError as problem:
            if problem.errno not in {errno.ENOSPC, errno.EDQUOT}:
                raise
            raise _no_room(file, size_bytes, free_bytes) from problem


def _take_room(descriptor: int, size_bytes: int) -> None:
    """Where the system or the file system cannot do that, the file only gets its size."""
    try:
        os.posix_fallocate(descriptor, 0, size_bytes)
    except (AttributeError, OSError) as problem:
        if isinstance(problem, OSError) and problem.errno not in {errno.EOPNOTSUPP, errno.EINVAL}:
            raise
        os.ftruncate(descriptor, size_bytes)


def _no_room(file: Path, size_bytes: int, free_bytes: int) -> NoRoom:
    return NoRoom(
        f"the decoded clips need {size_bytes / 1e9:.1f} GB in {file.parent}, where {free_bytes / 1e9:.1f} GB are free; "
        "make room there, or ask for fewer or smaller frames"
    )


def _check_classes(clips: Sequence[LabelledClip], problems: dict[int, SkippedClip]) -> None:
    decoded = {label for row, clip in enumerate(clips) if row not in problems for label in clip.labels}
    lost = sorted({label for clip in clips for label in clip.labels} - decoded)
    if lost:
        first = next(problems[row] for row in sorted(problems) if lost[0] in clips[row].labels)
        noun = "class" if clips[0].tags is None else "tag"
        raise CommandError(f"no clip of {noun} {lost[0]} can be decoded; {first.name}: {first.message} ({first.code})")
