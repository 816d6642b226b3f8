"""Both parts of a data set, decoded: training clips with spare frames and margin, validation clips as the server sees them.

One process of each machine decodes, the others open its files.
"""

from pathlib import Path

from clips import ClipSpec
from training.config import TrainingConfig
from training.dataset import Dataset, LabelledClip
from training.decoding import DecodedClips, SkippedClip, open_frames, write_frames
from training.processes import Processes


def decoded_parts(
    dataset: Dataset, config: TrainingConfig, files: Path, processes: Processes, *, features_on_disk: bool
) -> tuple[DecodedClips, DecodedClips, list[SkippedClip]]:
    """Training clips, validation clips, and those that could not be decoded. Raises: CommandError: as ``write_frames``."""

    def decoded(clips: list[LabelledClip], spec: ClipSpec, file: Path, kind: str) -> tuple[DecodedClips, list[SkippedClip]]:
        title, what = f"decoding {kind} clips", f"which {kind} clips can be decoded"
        problems = processes.on_each_machine(lambda: write_frames(clips, spec, file, config.workers, title), what)
        return open_frames(clips, spec, file, problems)

    train_clips, bad_train = dataset.part("train"), list[SkippedClip]()
    if features_on_disk:
        print("training clips are not decoded: their features are in the cache", flush=True)
        train = DecodedClips.without_frames(train_clips, config.store_spec)
    else:
        train, bad_train = decoded(train_clips, config.store_spec, files / "train.dat", "training")
    val, bad_val = decoded(dataset.part("val"), config.clip_spec, files / "val.dat", "validation")
    for clip in (skipped := [*bad_train, *bad_val]):
        print(f"skipped: {clip.name}: {clip.message} ({clip.code})", flush=True)
    return train, val, skipped
