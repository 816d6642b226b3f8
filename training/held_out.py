"""The clips behind a model, found again: its own split where the data is the one it was trained on."""

from pathlib import Path

import numpy as np

from clips.errors import CommandError
from training.checkpoint import Checkpoint
from training.dataset import Dataset, LabelledClip, read_dataset
from training.split import split_dataset


def training_data(checkpoint: Checkpoint, data: Path | None) -> Dataset:
    """The data set of the checkpoint with the same split, from where it was or from ``data``.

    Raises: CommandError: it is not there, or is not the data that the checkpoint was trained on.
    """
    config = checkpoint.settings
    source = data or Path(config.dataset)
    if not source.exists():
        raise CommandError(f"the training data is not in {source}; say where it is with --data")
    dataset = split_dataset(read_dataset(source, config.task), config.seed, config.val_fraction)
    if dataset.fingerprint() != checkpoint.provenance.fingerprint:
        raise CommandError(
            f"{source} is not the data that the checkpoint was trained on (fingerprint {dataset.fingerprint()[:12]} instead of "
            f"{checkpoint.provenance.fingerprint[:12]}): accuracy would be measured on clips that it may have seen"
        )
    return dataset


def calibration_clips(dataset: Dataset, count: int, seed: int) -> list[LabelledClip]:
    """Up to ``count`` training clips, drawn evenly over the labels, or over what clips have of tags together."""
    random = np.random.default_rng(seed)
    train = dataset.part("train")
    ranks: dict[str, int] = {}
    ranked = []
    for i in random.permutation(len(train)):
        clip = train[i]
        ranks[clip.label] = ranks.get(clip.label, 0) + 1
        ranked.append((ranks[clip.label], clip.name, clip))
    return [clip for _, _, clip in sorted(ranked, key=lambda item: item[:2])[:count]]
