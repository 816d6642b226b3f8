"""Every clip of a data set, decoded once: what it is like, and what is wrong with it."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from clips import ClipError, ClipSpec, VideoFacts, load_clip
from training.dataset import Dataset, LabelledClip
from training.workers import result_of, submitter

_SPEC = ClipSpec(num_frames=3, height=96, width=128, fit="stretch", sampling="nearest_reference")


@dataclass(frozen=True)
class Inspected:
    """One clip."""

    clip: LabelledClip
    facts: VideoFacts | None = None
    """None where it cannot be decoded."""
    thumbnail: NDArray[np.uint8] | None = None
    """Its middle, uint8 (96, 128, 3)."""
    problem: str = ""
    """Why it cannot be decoded, in words."""
    code: str = ""
    """As in ``skipped.csv``."""


@dataclass(frozen=True)
class Finding:
    """Something to look at before training."""

    kind: str
    clips: tuple[str, ...]
    """Names."""
    words: str

    @property
    def line(self) -> str:
        """For the terminal."""
        return f"{self.kind}: {', '.join(self.clips)}: {self.words}"


def inspect(dataset: Dataset, workers: int) -> list[Inspected]:
    """Decode three frames of each clip, in the order of the data set. Raises: CommandError: a worker died."""
    found: dict[int, Inspected] = {}
    clips = dataset.clips
    with submitter(workers, len(clips)) as submit:
        jobs = {submit(_inspect, clip): number for number, clip in enumerate(clips)}
        for job in tqdm(as_completed(jobs), total=len(jobs), desc="decoding", unit="clip", disable=None, leave=False):
            found[jobs[job]] = result_of(job)
    return [found[number] for number in range(len(clips))]


def _inspect(clip: LabelledClip) -> Inspected:
    try:
        decoded = load_clip(clip.path, _SPEC)
    except ClipError as problem:
        return Inspected(clip, problem=str(problem), code=problem.code)
    except OSError as problem:
        return Inspected(clip, problem=str(problem.strerror), code="unreadable")
    except MemoryError:
        return Inspected(clip, problem="Decoding it takes more memory than there is.", code="decode_failed")
    return Inspected(clip, decoded.video, decoded.frames[1].copy())


def findings(inspected: Sequence[Inspected], shortest_seconds: float) -> list[Finding]:
    """What is wrong or odd, worst first: unreadable, twice with two labels, in both parts, twice, too short, damaged."""
    return [*_unreadable(inspected), *_copies(inspected), *_odd(inspected, shortest_seconds)]


def _unreadable(inspected: Sequence[Inspected]) -> Iterator[Finding]:
    for one in inspected:
        if one.problem:
            yield Finding("unreadable", (one.clip.name,), f"{one.problem} ({one.code})")


def _copies(inspected: Sequence[Inspected]) -> Iterator[Finding]:
    same: defaultdict[str, list[LabelledClip]] = defaultdict(list)
    for one in inspected:
        if one.clip.sha256:
            same[one.clip.sha256].append(one.clip)
    for clips in (clips for clips in same.values() if len(clips) > 1):
        names = tuple(clip.name for clip in clips)
        if len(labels := sorted({clip.label for clip in clips})) > 1:
            yield Finding(
                "two labels", names, f"the same file is labelled {' and '.join(label or 'with no tag' for label in labels)}"
            )
        elif len({clip.part for clip in clips}) > 1:
            yield Finding("in both parts", names, "the same file is trained on and measured on")
        else:
            yield Finding("copies", names, "the same file")


def _odd(inspected: Sequence[Inspected], shortest_seconds: float) -> Iterator[Finding]:
    for one in inspected:
        if one.facts and one.facts.duration_seconds < shortest_seconds:
            yield Finding("short", (one.clip.name,), f"{one.facts.duration_seconds:.2f} s, {one.facts.frame_count} frames")
        if one.facts and one.facts.partial:
            yield Finding("damaged", (one.clip.name,), f"{one.facts.missing_fraction:.0%} of its frames are missing or damaged")
