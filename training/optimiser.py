"""Which weights learn how fast: a rate per stage, warm-up and cosine, no decay on biases and batch norm."""

import math
from collections.abc import Iterable
from typing import Literal

from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from training.config import TrainingConfig
from training.model import STAGES, VideoClassifier

ScheduleShape = Literal["cosine", "step", "constant"]

_STEPS_AT = (0.4, 0.8)
"""Shares of the steps at which ``step`` falls to a tenth. Source: the recipes of arXiv:1811.08383."""


def freeze(model: VideoClassifier, stages: int) -> None:
    """The first ``stages`` of ``STAGES`` get no gradient, the others do."""
    for depth, stage in enumerate(STAGES):
        for parameter in model.stage_parameters(stage):
            parameter.requires_grad_(depth >= stages)


def frozen_stages(config: TrainingConfig, epoch: int) -> int:
    """How many of ``STAGES`` stay as they are in ``epoch`` of the main stage, counted from 0.

    unfreeze_epochs 2, frozen_stages 3:   epoch 0 1 2 3 4    head alone, then with layer4, then with layer3
                                                5 5 4 4 3
    Source: gradual unfreezing, arXiv:1801.06146.
    """
    if not config.unfreeze_epochs:
        return config.frozen_stages
    return max(config.frozen_stages, len(STAGES) - 1 - epoch // config.unfreeze_epochs)


def head_optimiser(model: VideoClassifier, config: TrainingConfig) -> Optimizer:
    """AdamW over the head alone."""
    return AdamW(parameter_groups(model.stage_parameters("head"), config.head_learning_rate, weight_decay=1e-2))


def main_optimiser(model: VideoClassifier, config: TrainingConfig) -> Optimizer:
    """SGD or AdamW over the stages that are not frozen.

    stage                stem   layer1  layer2  layer3  layer4  head
    rate, decay 0.4        -      -     0.064    0.16     0.4     1      x learning_rate
    """
    groups = []
    for height, stage in enumerate(reversed(STAGES)):
        trained = [parameter for parameter in model.stage_parameters(stage) if parameter.requires_grad]
        groups += parameter_groups(trained, config.learning_rate * config.stage_decay**height, config.weight_decay)
    if config.optimiser == "adamw":
        return AdamW(groups)
    return SGD(groups, lr=config.learning_rate, momentum=config.momentum)


def parameter_groups(parameters: Iterable[nn.Parameter], rate: float, weight_decay: float) -> list[dict[str, object]]:
    """For an optimiser: weights of convolutions and linear layers decay; vectors (biases, batch norm) do not."""
    parameters = list(parameters)
    decayed = [parameter for parameter in parameters if parameter.ndim > 1]
    others = [parameter for parameter in parameters if parameter.ndim <= 1]
    sets = [(decayed, weight_decay), (others, 0.0)]
    return [{"params": group, "lr": rate, "peak_lr": rate, "weight_decay": decay} for group, decay in sets if group]


class Schedule:
    """Learning rate at each step of the optimiser, as a factor on the peak of every group.

    1 |   /--\\__
      |  /       \\__        linear warm-up, then half a cosine, or steps down, or nothing more
    0 | /           \\___
    """

    def __init__(self, optimiser: Optimizer, steps: int, warmup_steps: int, shape: ScheduleShape = "cosine") -> None:
        self._optimiser, self._steps, self._warmup_steps, self._shape = optimiser, steps, warmup_steps, shape

    def set(self, step: int, time_share: float = 0.0) -> None:
        """Set the rates for ``step``, counted from 0, where so much of the time there is has passed (0 to 1)."""
        for group in self._optimiser.param_groups:
            group["lr"] = group["peak_lr"] * self.factor(step, time_share)

    def factor(self, step: int, time_share: float = 0.0) -> float:
        """0 to 1."""
        step = max(step, math.floor(time_share * self._steps))
        if step < self._warmup_steps:
            return (step + 1) / (self._warmup_steps + 1)
        if self._shape == "constant":
            return 1.0
        if self._shape == "step":
            return 0.1 ** sum(step >= share * self._steps for share in _STEPS_AT)
        progress = (step - self._warmup_steps) / max(1, self._steps - self._warmup_steps)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
