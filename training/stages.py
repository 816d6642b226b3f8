"""The two stages of a run: the head on stored features, then the deeper layers on clips.

stage   trained            batches                                  seconds per epoch
head    temporal model     features, computed once per view         well under one, once
        and linear layer                                            they are computed
main    deeper layers too  clips, drawn and augmented every time    minutes on a CPU
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from math import ceil

from torch import Tensor
from torch.optim import Optimizer

from training.config import TrainingConfig
from training.device import Device
from training.feature_batches import Feeds, stored_features
from training.feeding import Batches
from training.model import STAGES, BatchNorm, VideoClassifier
from training.moving_average import MovingAverage
from training.optimiser import Schedule, freeze, frozen_stages, head_optimiser, main_optimiser


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
    batch_norm: BatchNorm
    frozen_stages: Callable[[int], int]
    """How many of ``STAGES`` stay as they are in an epoch of this stage, counted from 0."""
    accumulate_steps: int
    """Batches whose gradients make one step of the optimiser."""
    average: MovingAverage | None
    patience: int
    """Epochs without a better score after which the stage ends; 0 = never."""
    saves_every_epoch: bool
    """Whether ``last.pt`` is worth writing after each epoch; the head's stage is run again instead."""

    @property
    def steps(self) -> int:
        """Of the optimiser, in one epoch."""
        return ceil(len(self.train) / self.accumulate_steps)

    def ends_step(self, batch: int) -> bool:
        """Whether the optimiser takes a step after the batch of this number; the last one of an epoch may have fewer."""
        return (batch + 1) % self.accumulate_steps == 0 or batch + 1 == len(self.train)

    def clips_in_step(self, batch: int) -> int:
        """Of all batches of the step to which the batch of this number belongs."""
        first = (batch - batch % self.accumulate_steps) * self.train.batch_size
        return min(self.accumulate_steps * self.train.batch_size, self.train.clips() - first)

    def validated_weights(self, model: VideoClassifier) -> AbstractContextManager[dict[str, Tensor]]:
        """The model has the weights to validate and keep inside; its own, if they are others, are handed out."""
        return self.average.applied(model) if self.average else nullcontext({})


def head_stage(
    model: VideoClassifier, feeds: Feeds, config: TrainingConfig, device: Device, check: Callable[[], None]
) -> Stage:
    """Of all after the backbone, on features found or computed now; ``check`` is called after each batch of them and may raise.

    Each process trains the same head.
    """
    freeze(model, len(STAGES) - 1)
    train, val = stored_features(model, feeds, config, device, check)
    optimiser = head_optimiser(model, config)
    return Stage(
        name="head",
        epochs=range(1, config.head_epochs + 1),
        train=train,
        val=val,
        forward=model.classify,
        optimiser=optimiser,
        schedule=Schedule(optimiser, config.head_epochs * len(train), warmup_steps=0),
        batch_norm="frozen",
        frozen_stages=lambda _: len(STAGES) - 1,
        accumulate_steps=1,
        average=None,
        patience=0,
        saves_every_epoch=False,
    )


def main_stage(model: VideoClassifier, feeds: Feeds, config: TrainingConfig) -> Stage:
    """Everything that is not frozen, each stage of the network at its own rate."""
    freeze(model, config.frozen_stages)
    if config.compile:
        model.trunk.compile()
    optimiser, steps = main_optimiser(model, config), ceil(len(feeds.train) / config.accumulate_steps)
    warmup_steps = round(config.warmup_epochs * steps)
    return Stage(
        name="main",
        epochs=range(config.head_epochs + 1, config.total_epochs + 1),
        train=feeds.train,
        val=feeds.val,
        forward=model,
        optimiser=optimiser,
        schedule=Schedule(optimiser, config.epochs * steps, warmup_steps, config.schedule),
        batch_norm=config.batch_norm,
        frozen_stages=partial(frozen_stages, config),
        accumulate_steps=config.accumulate_steps,
        average=MovingAverage(model, config.ema_decay) if config.ema_decay else None,
        patience=config.patience,
        saves_every_epoch=True,
    )
