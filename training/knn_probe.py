"""How good are features that nobody trained for these labels? Each clip gets the label of the clips that look most like it."""

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.neighbors import KNeighborsClassifier

from training.dataset import Dataset, Part, read_dataset
from training.decoding import DecodedClips, decode_clips
from training.device import Device
from training.feeding import ValidationBatches
from training.model import VideoClassifier
from training.pretrain_config import PretrainConfig
from training.split import split_dataset
from training.targets import label_targets

_NEIGHBOURS = 5
_BATCH = 32


def probe_clips(config: PretrainConfig) -> Dataset:
    """The clips that ``config.probe`` names, split as ``clipserve train`` does. Raises: UsageError, CommandError."""
    return split_dataset(read_dataset(Path(config.probe)), config.seed)


@dataclass(frozen=True)
class KnnProbe:
    """Labelled clips, of which one part is looked up among the other."""

    train: DecodedClips
    val: DecodedClips
    labels: list[str]
    device: Device

    @classmethod
    def decoded(cls, dataset: Dataset, config: PretrainConfig, files: Path, device: Device) -> "KnnProbe":
        """The clips of ``dataset``, decoded into ``files``. Raises: CommandError: all of a class fail."""
        parts = []
        for part in get_args(Part):
            file, title = files / f"probe-{part}.dat", f"decoding probe clips, {part}"
            decoded, skipped = decode_clips(dataset.part(part), config.probe_spec, file, config.workers, title)
            for clip in skipped:
                print(f"skipped: {clip.name}: {clip.message} ({clip.code})", flush=True)
            parts.append(decoded)
        return cls(parts[0], parts[1], dataset.labels, device)

    def accuracy(self, model: VideoClassifier) -> float:
        """Share of the validation clips that get their label, 0 to 1: by cosine, of the nearest five, near ones count more.

        Source: arXiv:1805.01978, section 3.4, with five neighbours in place of 200, for small data sets.
        """
        neighbours = KNeighborsClassifier(min(_NEIGHBOURS, len(self.train)), metric="cosine", weights="distance")
        neighbours.fit(self._features(model, self.train), self._targets(self.train))
        return float(neighbours.score(self._features(model, self.val), self._targets(self.val)))

    def _targets(self, decoded: DecodedClips) -> NDArray[np.int64]:
        """(clips,), indices of labels."""
        targets: NDArray[np.int64] = label_targets(decoded, self.labels).argmax(dim=1).numpy()
        return targets

    @torch.no_grad()
    def _features(self, model: VideoClassifier, decoded: DecodedClips) -> NDArray[np.float32]:
        """(clips, features): the mean over the frames."""
        was_training = model.training
        model.eval()
        found = []
        for batch in ValidationBatches(decoded, self.labels, _BATCH, self.device.torch_device).one_pass():
            with self.device.autocast():
                features = model.features(batch.inputs)
            found.append(features.float().mean(dim=1).cpu().numpy())
        model.train(was_training)
        return np.concatenate(found)
