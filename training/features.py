"""What an untouched trunk makes of clips: from the disk where it lies there, computed where it does not.

A feature depends on its own clip alone, not on its neighbours: each clip draws its view by itself, and every batch has the
same shape. So it does not matter which clips were computed together, nor by which process, and features of any run fit those
of another.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
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
from training.feeding import TrainingBatches, ValidationBatches
from training.model import VideoClassifier
from training.processes import Processes
from training.reading import Indices


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
    """The cache of a run, for its first process; None where it has none."""
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
    """Of the first process alone: what it finds there goes to the others, and what they compute comes to it."""
    check: Callable[[], None]
    """Called after each batch; may raise."""

    def features(self, batches: TrainingBatches | ValidationBatches, look: Look, title: str) -> Tensor:
        """(clips, frames, features) in the order of the clips; one frame, their mean, where no more is needed.

        Each process computes its share of those that are not in the cache; all of them get all.
        """
        processes = batches.processes
        keys = [self.cache.key(clip.sha256, look.key) if self.cache else "" for clip in batches.labelled_clips]
        found = processes.together(lambda: self._found(keys))
        missing = processes.from_first(lambda: np.setdiff1d(np.arange(len(keys)), list(found)))
        share = processes.share(len(missing))
        own = missing[share.start : share.stop]
        computed = processes.together(lambda: self._kept(keys, own, self._computed(batches, look, own, title)))
        features = self._in_order([*found.values(), *computed], missing, len(keys), processes)
        others = missing[share.stop :] if self.cache else missing[:0]
        processes.together(lambda: self._kept(keys, others, features[torch.from_numpy(others)].cpu().numpy()))
        return features

    def _found(self, keys: Sequence[str]) -> dict[int, Features]:
        """Those of the cache, by the number of the clip."""
        if self.cache is None:
            return {}
        read = {at: self.cache.read(key) for at, key in enumerate(keys)}
        found = {at: features for at, features in read.items() if features is not None}
        self.cache.found += len(found)
        return found

    def _kept(self, keys: Sequence[str], clips: Indices, features: Iterable[Features]) -> list[Features]:
        """The ``features`` of ``clips``; each is in the cache before the next one is computed."""
        kept = []
        for at, each in zip(clips, features, strict=True):
            if self.cache:
                self.cache.write(keys[at], each)
                self.cache.computed += 1
            kept.append(each)
        return kept

    def _in_order(self, own: Sequence[Features], missing: Indices, clips: int, processes: Processes) -> Tensor:
        """What all processes have, which is what the cache had and then what was ``missing``, in the order of the clips."""
        parts = [torch.from_numpy(np.stack(own)).to(self.device.torch_device)] if own else []
        everywhere = processes.concatenated(parts, self.device.torch_device)
        places = np.argsort(np.concatenate([np.setdiff1d(np.arange(clips), missing), missing]))
        return everywhere[torch.from_numpy(places)]

    def _computed(
        self, batches: TrainingBatches | ValidationBatches, look: Look, clips: Indices, title: str
    ) -> Iterator[Features]:
        """Of each of ``clips``, in their order."""
        with tqdm(total=len(clips), desc=title, unit="clip", disable=None, leave=False) as bar:
            for frames in batches.in_order(clips, look.seed):
                yield from self._one_batch(frames, batches.batch_size)
                bar.update(len(frames))
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
