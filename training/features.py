"""What an untouched trunk makes of clips: from the disk where it lies there, computed where it does not.

A feature depends on its own clip alone, not on its neighbours: each clip draws its view by itself, and every batch has the
same shape. So it does not matter which clips were computed together, and features of any run fit those of another.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from training.config import TrainingConfig
from training.dataset import LabelledClip
from training.device import Device
from training.feature_cache import FeatureCache, Features, weights_hash
from training.feeding import Indices, TrainingBatches, ValidationBatches
from training.model import VideoClassifier


@dataclass(frozen=True)
class Look:
    """What is done to the frames of a clip before the trunk sees them."""

    seed: tuple[int, ...]
    """Of all that is random in it."""
    key: dict[str, Any]
    """Everything that decides it, as plain data."""


def validation_look(config: TrainingConfig) -> Look:
    """As the server sees a clip."""
    return Look((), {"spec": config.clip_spec.model_dump(mode="json"), "frames": config.num_frames})


def training_looks(config: TrainingConfig) -> list[Look]:
    """One for each of ``head_views``; where nothing is random in them, one, as the server sees a clip."""
    augmentation = asdict(config.augmentation)
    if config.store_spec == config.clip_spec and not any(augmentation[each] for each in ("flip", "colour", "rand_augment")):
        return [validation_look(config)]
    spec = config.store_spec.model_dump(mode="json")
    seeds = [(config.seed, 0, view) for view in range(config.head_views)]
    return [Look(seed, {"spec": spec, "frames": config.num_frames, **augmentation, "seed": seed}) for seed in seeds]


def open_cache(model: VideoClassifier, config: TrainingConfig, device: Device) -> FeatureCache | None:
    """The cache of a run; None where it has none."""
    if not config.feature_cache:
        return None
    common = {
        "trunk": weights_hash(model.trunk.state_dict()),
        "backbone": config.backbone,
        "temporal_shift": config.temporal == "shift",
        "pooled": _is_pooled(model),
        "batch_size": config.batch_size,
        "device": device.note,
    }
    return FeatureCache(Path(config.feature_cache), common)


def need_no_frames(clips: Sequence[LabelledClip], model: VideoClassifier, config: TrainingConfig, device: Device) -> bool:
    """Whether a run trains the head alone, and all features of its training ``clips`` lie on the disk, undamaged."""
    cache = open_cache(model, config, device) if config.head_epochs and not config.epochs else None
    keys = [cache.key(clip.sha256, look.key) for clip in clips for look in training_looks(config)] if cache else []
    return cache is not None and all(cache.read(key) is not None for key in keys)


@dataclass(frozen=True)
class Trunk:
    """The network up to its features, on a device."""

    model: VideoClassifier
    device: Device
    cache: FeatureCache | None
    check: Callable[[], None]
    """Called after each batch; may raise."""

    def features(self, batches: TrainingBatches | ValidationBatches, look: Look, title: str) -> Tensor:
        """(clips, frames, features) in the order of the clips; one frame, their mean, where no more is needed."""
        keys = [self.cache.key(clip.sha256, look.key) if self.cache else "" for clip in batches.labelled_clips]
        found = [self.cache.read(key) if self.cache else None for key in keys]
        missing = np.array([at for at, features in enumerate(found) if features is None], dtype=np.int64)
        for at, features in self._computed(batches, look, missing, title):
            found[at] = features
            if self.cache:
                self.cache.write(keys[at], features)
        if self.cache:
            self.cache.found += len(found) - len(missing)
            self.cache.computed += len(missing)
        return torch.from_numpy(np.stack([features for features in found if features is not None])).to(self.device.torch_device)

    def _computed(
        self, batches: TrainingBatches | ValidationBatches, look: Look, missing: Indices, title: str
    ) -> Iterator[tuple[int, Features]]:
        """Each of the ``missing`` clips by its number, with its features."""
        places = iter(missing.tolist())
        with tqdm(total=len(missing), desc=title, unit="clip", disable=None, leave=False) as bar:
            for clips in batches.in_order(missing, look.seed):
                for features in self._one_batch(clips, batches.batch_size):
                    yield next(places), features
                bar.update(len(clips))
                self.check()

    @torch.no_grad()
    def _one_batch(self, clips: Tensor, batch_size: int) -> Features:
        """(batch, frames, features); the last batch is filled up, because kernels may sum up otherwise for another shape."""
        filled = torch.cat([clips, clips[-1:].expand(batch_size - len(clips), *clips.shape[1:])])
        with self.device.autocast():
            found = self.model.features(filled).float()[: len(clips)]
        pooled: Features = (found.mean(dim=1, keepdim=True) if _is_pooled(self.model) else found).cpu().numpy()
        return pooled


def _is_pooled(model: VideoClassifier) -> bool:
    """Whether the mean over the frames is all that the temporal model makes of them."""
    return not list(model.temporal.parameters())
