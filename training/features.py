"""What the untouched trunk makes of the clips, computed once and kept, for a head that is trained on nothing else."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from training.config import TrainingConfig
from training.device import Device
from training.feeding import Batch, TrainingBatches, ValidationBatches, chunked
from training.model import VideoClassifier
from training.processes import ALONE, Processes

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

    Each process computes its share; all of them get all. ``check`` is called after each batch and may raise.
    """
    model.eval()
    views = []
    for view in range(config.head_views):
        batches = feeds.train.in_order([config.seed, 0, view])
        title = f"features, view {view + 1}/{config.head_views}"
        views.append(_features(model, _with_bar(batches, feeds.train, title), device, feeds.train.processes, check))
    val_batches = _with_bar(feeds.val.one_pass(), feeds.val, "features, validation")
    val = _features(model, val_batches, device, feeds.val.processes, check)
    train = FeatureBatches(torch.stack([view.inputs for view in views]), views[0].targets, _HEAD_BATCH, shuffled=True)
    return train, FeatureBatches(val.inputs[None], val.targets, _HEAD_BATCH, shuffled=False)


def _features(
    model: VideoClassifier, batches: Iterable[Batch], device: Device, processes: Processes, check: Callable[[], None]
) -> Batch:
    """(clips, frames, features) of all processes in the order of the clips; one frame, their mean, where no more is needed."""
    found = processes.together(lambda: _own_features(model, batches, device, check))
    features = processes.concatenated([batch.inputs for batch in found], device.torch_device)
    return Batch(features, processes.concatenated([batch.targets for batch in found], device.torch_device))


@torch.no_grad()
def _own_features(model: VideoClassifier, batches: Iterable[Batch], device: Device, check: Callable[[], None]) -> list[Batch]:
    blind = not list(model.temporal.parameters())
    computed = []
    for batch in batches:
        with device.autocast():
            found = model.features(batch.inputs).float()
        computed.append(Batch(found.mean(dim=1, keepdim=True) if blind else found, batch.targets))
        check()
    return computed


def _with_bar(batches: Iterator[Batch], of: TrainingBatches | ValidationBatches, title: str) -> Iterable[Batch]:
    return tqdm(batches, title, len(of.processes.share(len(of))), disable=None, leave=False)
