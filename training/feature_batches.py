"""Features of clips in memory, for a head that is trained on nothing else."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
import torch
from torch import Tensor

from training.config import TrainingConfig
from training.device import Device
from training.features import Trunk, open_cache, training_looks, validation_look
from training.feeding import Batch, TrainingBatches, ValidationBatches
from training.model import VideoClassifier
from training.processes import ALONE
from training.reading import chunked

_HEAD_BATCH = 64


@dataclass(frozen=True)
class Feeds:
    """The clips of a run."""

    train: TrainingBatches
    val: ValidationBatches


class FeatureBatches:
    """Stored features (views, clips, frames, features); each clip once per pass, in one of its views."""

    def __init__(self, views: Tensor, targets: Tensor, batch_size: int, *, shuffled: bool) -> None:
        self._views, self._targets, self.batch_size, self._shuffled = views, targets, batch_size, shuffled
        self.processes = ALONE
        """Every process goes through all of them: a head is trained sooner than its gradients are sent."""

    def __len__(self) -> int:
        return ceil(self.clips() / self.batch_size)

    def clips(self) -> int:
        return self._views.shape[1]

    def one_pass(self, seed: Sequence[int], start: int = 0) -> Iterator[Batch]:
        random = np.random.default_rng(seed)
        view = torch.from_numpy(random.integers(self._views.shape[0], size=self.clips()))
        order = random.permutation(self.clips()) if self._shuffled else np.arange(self.clips())
        for indices in chunked(order, self.batch_size)[start:]:
            yield Batch(self._views[view[indices], indices], self._targets[indices])


def stored_features(
    model: VideoClassifier, feeds: Feeds, config: TrainingConfig, device: Device, check: Callable[[], None]
) -> tuple[FeatureBatches, FeatureBatches]:
    """Features under an untouched trunk: several augmented views of the training clips, the plain validation clips.

    All processes have all of them. ``check`` is called after each batch that is computed and may raise.
    """
    model.eval()
    processes = feeds.train.processes
    trunk = Trunk(model, device, open_cache(model, config, device) if processes.is_first else None, check)
    looks = training_looks(config)
    views = [
        trunk.features(feeds.train, look, f"features, view {number}/{len(looks)}") for number, look in enumerate(looks, start=1)
    ]
    val = trunk.features(feeds.val, validation_look(config), "features, validation")
    if trunk.cache:
        print(f"feature cache: {trunk.cache.found} found, {trunk.cache.computed} computed; {trunk.cache.folder}", flush=True)
    train = FeatureBatches(torch.stack(views), feeds.train.targets, _HEAD_BATCH, shuffled=True)
    return train, FeatureBatches(val[None], feeds.val.targets, _HEAD_BATCH, shuffled=False)
