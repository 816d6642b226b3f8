"""What a step is to make small: cross-entropy, or the focal loss, which looks away from what is easy. Labels may be mixed."""

from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

LossName = Literal["cross_entropy", "focal"]


LEAST_DOUBT = 1e-6
"""The slope of a root is infinite at 0."""


@dataclass(frozen=True)
class Loss:
    """Mean over the clips of a batch, nats; a clip of a class that weighs twice counts twice in the sum, not in the number."""

    name: LossName = "cross_entropy"
    label_smoothing: float = 0.0
    """Probability that is taken from the labels and spread over all."""
    focal_gamma: float = 2.0
    """The higher, the less a clip counts of which the model is sure; 0 is cross-entropy."""
    class_weights: Tensor | None = None
    """(labels,), or None where all count the same."""

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """``logits`` and ``targets`` (batch, labels); targets are probabilities and add up to 1.

        Source: focal loss, arXiv:1708.02002, here of a softmax over labels that may be mixed.
        """
        if self.name == "cross_entropy":
            return F.cross_entropy(logits, targets, self.class_weights, label_smoothing=self.label_smoothing)
        smoothed = (1 - self.label_smoothing) * targets + self.label_smoothing / targets.shape[1]
        log_probabilities = F.log_softmax(logits, dim=1)
        doubt = (1 - log_probabilities.exp()).clamp(min=LEAST_DOUBT)
        each = -smoothed * doubt**self.focal_gamma * log_probabilities
        if self.class_weights is not None:
            each = each * self.class_weights
        return each.sum(dim=1).mean()


def soft_loss(logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """How far probabilities are from a teacher's: Kullback-Leibler divergence, mean over the clips, nats."""
    ours, theirs = (F.log_softmax(each, dim=1) for each in (logits, teacher_logits))
    return F.kl_div(ours, theirs, reduction="batchmean", log_target=True)
