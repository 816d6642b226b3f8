"""The two stages of a run: the head on stored features, then the deeper layers on clips.

stage   trained            batches                                  seconds per epoch
head    linear layer       features, computed once per view         well under one
main    deeper layers too  clips, drawn and augmented every time    minutes on a CPU
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim import Optimizer
from tqdm import tqdm

from training.config import TrainingConfig
from training.device import Device
from training.feeding import Batch, Batches, FeatureBatches, TrainingBatches, ValidationBatches
from training.model import STAGES, VideoClassifier
from training.moving_average import MovingAverage
from training.optimiser import Schedule, freeze, head_optimiser, main_optimiser

_HEAD_BATCH = 64


@dataclass
class Stage:
    """Epochs that share what is trained and how."""

    name: str
    epochs: range
    """Numbers of its epochs, counted over the whole run from 1."""
    train: Batches
    val: Batches
    forward: Callable[[Tensor], Tensor]
    """Inputs of the batches to logits (batch, labels)."""
    optimiser: Optimizer
    schedule: Schedule
    frozen_statistics: bool
    average: MovingAverage | None
    patience: int
    """Epochs without a better macro-F1 after which the stage ends; 0 = never."""
    saves_every_epoch: bool
    """Whether ``last.pt`` is worth writing after each epoch; a stage of seconds is run again instead."""

    def validated_weights(self, model: VideoClassifier) -> AbstractContextManager[dict[str, Tensor]]:
        """The model has the weights to validate and keep inside; its own, if they are others, are handed out."""
        return self.average.applied(model) if self.average else nullcontext({})


@dataclass(frozen=True)
class Feeds:
    """The clips of a run."""

    train: TrainingBatches
    val: ValidationBatches


def head_stage(
    model: VideoClassifier, feeds: Feeds, config: TrainingConfig, device: Device, check: Callable[[], None]
) -> Stage:
    """Logistic regression, in effect; ``check`` is called after every batch of features and may raise."""
    freeze(model, len(STAGES) - 1)
    train, val = _stored_features(model, feeds, config, device, check)
    optimiser = head_optimiser(model, config)
    return Stage(
        name="head",
        epochs=range(1, config.head_epochs + 1),
        train=train,
        val=val,
        forward=model.classify,
        optimiser=optimiser,
        schedule=Schedule(optimiser, config.head_epochs * len(train), warmup_steps=0),
        frozen_statistics=True,
        average=None,
        patience=0,
        saves_every_epoch=False,
    )


def main_stage(model: VideoClassifier, feeds: Feeds, config: TrainingConfig) -> Stage:
    """Everything that is not frozen, each stage of the network at its own rate."""
    freeze(model, config.frozen_stages)
    optimiser, steps = main_optimiser(model, config), len(feeds.train)
    warmup_steps = round(config.warmup_epochs * steps)
    return Stage(
        name="main",
        epochs=range(config.head_epochs + 1, config.total_epochs + 1),
        train=feeds.train,
        val=feeds.val,
        forward=model,
        optimiser=optimiser,
        schedule=Schedule(optimiser, config.epochs * steps, warmup_steps, config.schedule == "cosine"),
        frozen_statistics=config.freeze_batch_norm,
        average=MovingAverage(model, config.ema_decay) if config.ema_decay else None,
        patience=config.patience,
        saves_every_epoch=True,
    )


def _stored_features(
    model: VideoClassifier, feeds: Feeds, config: TrainingConfig, device: Device, check: Callable[[], None]
) -> tuple[FeatureBatches, FeatureBatches]:
    """Features under an untouched trunk: several augmented views of the training clips, the plain validation clips."""
    model.eval()
    views = []
    for view in range(config.head_views):
        batches = feeds.train.in_order([config.seed, 0, view])
        title = f"features, view {view + 1}/{config.head_views}"
        views.append(_features(model, tqdm(batches, title, len(feeds.train), disable=None, leave=False), device, check))
    val_batches = tqdm(feeds.val.one_pass(), "features, validation", len(feeds.val), disable=None, leave=False)
    val = _features(model, val_batches, device, check)
    train = FeatureBatches(torch.stack([view.inputs for view in views]), views[0].targets, _HEAD_BATCH)
    return train, FeatureBatches(val.inputs[None], val.targets, _HEAD_BATCH)


@torch.no_grad()
def _features(model: VideoClassifier, batches: Iterable[Batch], device: Device, check: Callable[[], None]) -> Batch:
    """(clips, 2048) in the order of the batches."""
    features, targets = [], []
    for batch in batches:
        with device.autocast():
            features.append(model.features(batch.inputs).float())
        targets.append(batch.targets)
        check()
    return Batch(torch.cat(features), torch.cat(targets))
