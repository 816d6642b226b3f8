"""Both parts of a data set: training clips with spare frames and margin, validation clips as the server sees them.

--decode once          frames of all clips on disk, decoded by one process of each machine, whose files the others open
--decode every_epoch   nothing on disk; each process decodes what it needs, ahead of its steps
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from clips import ClipSpec
from training.config import TrainingConfig
from training.dataset import Dataset, LabelledClip
from training.decoding import DecodedClips, SkippedClip, open_frames, try_clips, write_frames
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
    with ExitStack() as pools:
        source = _Source(config, files, processes, pools)
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
    pools: ExitStack

    def frames(
        self, clips: Sequence[LabelledClip], spec: ClipSpec, name: str, kind: str
    ) -> tuple[ClipFrames, list[SkippedClip]]:
        """The clips that can be decoded, and the others; ``kind`` of clips, in words."""
        what, workers = f"which {kind} clips can be decoded", self.config.workers
        if self.config.decode == "once":
            file, title = self.files / f"{name}.dat", f"decoding {kind} clips"
            written = self.processes.on_each_machine(lambda: write_frames(clips, spec, file, workers, title), what)
            return open_frames(clips, spec, file, written)
        problems = self.processes.on_each_machine(lambda: try_clips(clips, spec, workers, f"trying {kind} clips"), what)
        kept = [clip for row, clip in enumerate(clips) if row not in problems]
        submit = self.pools.enter_context(submitter(workers, len(kept), self.processes.local_size))
        return StreamedClips(kept, spec, submit), [problems[row] for row in sorted(problems)]
