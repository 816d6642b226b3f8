"""Both parts of a data set: training clips with spare frames and margin, validation clips as the server sees them.

--decode once          frames of all clips on disk, decoded by one process of each machine, whose files the others open
--decode every_epoch   nothing on disk; each process decodes what it needs, ahead of its steps
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from clips import ClipSpec
from clips.errors import CommandError
from training.config import TrainingConfig
from training.dataset import Dataset, LabelledClip
from training.decoding import DecodedClips, NoRoom, SkippedClip, open_frames, try_clips, write_frames
from training.processes import Processes
from training.reading import ClipFrames
from training.streaming import StreamedClips
from training.workers import submitter


class Parts(NamedTuple):
    """What a run learns from and is measured on."""

    train: ClipFrames
    val: ClipFrames
    skipped: list[SkippedClip]
    """Of both, those that cannot be decoded."""


@contextmanager
def decoded_parts(
    dataset: Dataset, config: TrainingConfig, files: Path, processes: Processes, *, features_on_disk: bool
) -> Iterator[Parts]:
    """Usable inside. Raises: CommandError: as ``write_frames``."""
    with ExitStack() as pool:
        submit = None
        if config.decode == "every_epoch":
            submit = pool.enter_context(submitter(config.workers, len(dataset.clips), processes.local_size))
        source = _Source(config, files, processes, submit)
        train_clips, bad_train = dataset.part("train"), list[SkippedClip]()
        train: ClipFrames
        if features_on_disk:
            print("training clips are not decoded: their features are in the cache", flush=True)
            train = DecodedClips.without_frames(train_clips, config.store_spec)
        else:
            train, bad_train = source.frames(train_clips, config.store_spec, "train", "training")
        val, bad_val = source.frames(dataset.part("val"), config.clip_spec, "val", "validation")
        for clip in (skipped := [*bad_train, *bad_val]):
            print(f"skipped: {clip.name}: {clip.message} ({clip.code})", flush=True)
        yield Parts(train, val, skipped)


@dataclass(frozen=True)
class _Source:
    """Where frames come from."""

    config: TrainingConfig
    files: Path
    processes: Processes
    submit: Callable[..., Future[Any]] | None
    """Of the pool that decodes ahead of the steps; None where frames are on disk."""

    def frames(
        self, clips: Sequence[LabelledClip], spec: ClipSpec, name: str, kind: str
    ) -> tuple[ClipFrames, list[SkippedClip]]:
        """The clips that can be decoded, and the others; ``kind`` of clips, in words."""
        what, workers = f"which {kind} clips can be decoded", self.config.workers
        if self.submit is None:
            file, title = self.files / f"{name}.dat", f"decoding {kind} clips"
            written = self.processes.on_each_machine(lambda: _written(clips, spec, file, workers, title), what)
            return open_frames(clips, spec, file, written)
        problems = self.processes.on_each_machine(lambda: try_clips(clips, spec, workers, f"trying {kind} clips"), what)
        kept = [clip for row, clip in enumerate(clips) if row not in problems]
        return StreamedClips(kept, spec, self.submit), [problems[row] for row in sorted(problems)]


def _written(clips: Sequence[LabelledClip], spec: ClipSpec, file: Path, workers: int, title: str) -> dict[int, SkippedClip]:
    try:
        return write_frames(clips, spec, file, workers, title)
    except NoRoom as problem:
        raise CommandError(f"{problem}; with --decode every_epoch a run needs no room") from problem
