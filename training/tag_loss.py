"""What a step is to make small where clips have tags: binary cross-entropy of each tag, or its focal form."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from training.losses import LEAST_DOUBT, LossName


@dataclass(frozen=True)
class TagLoss:
    """Sum over the tags, mean over the clips of a batch, nats: a learning rate means what it means with one label."""

    name: LossName = "cross_entropy"
    label_smoothing: float = 0.0
    """How far yes and no are moved towards half and half."""
    focal_gamma: float = 2.0
    """The higher, the less a tag counts of which the model is sure; 0 is cross-entropy."""
    class_weights: Tensor | None = None
    """(labels,): how much more a clip with the tag counts than one without; None where all count the same."""

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """``logits`` and ``targets`` (batch, labels); targets are shares from 0 to 1, of each tag by itself.

        Source: focal loss, arXiv:1708.02002, here of tags that may be mixed.
        """
        smoothed = (1 - self.label_smoothing) * targets + self.label_smoothing / 2
        each = F.binary_cross_entropy_with_logits(logits, smoothed, pos_weight=self.class_weights, reduction="none")
        if self.name == "focal":
            probabilities = logits.sigmoid()
            doubt = probabilities + smoothed - 2 * probabilities * smoothed
            each = each * doubt.clamp(min=LEAST_DOUBT) ** self.focal_gamma
        return each.sum(dim=1).mean()


def tag_soft_loss(logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """How far the tags' probabilities are from a teacher's: divergence of yes and no, sum over tags, mean over clips, nats."""
    theirs = teacher_logits.sigmoid()
    apart = F.binary_cross_entropy_with_logits(logits, theirs, reduction="none")
    least = F.binary_cross_entropy_with_logits(teacher_logits, theirs, reduction="none")
    return (apart - least).sum(dim=1).mean()
