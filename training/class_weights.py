"""Weights of the loss that make rare classes count."""

import torch
from torch import Tensor

from training.reading import ClipFrames
from training.targets import label_targets

_IMBALANCE = 1.5


def class_weights(decoded: ClipFrames, labels: list[str], balance: bool, device: torch.device) -> Tensor | None:
    """(labels,), inversely proportional to the number of clips, mean 1 over the clips; None where labels are about even."""
    counts = label_targets(decoded, labels).sum(dim=0)
    if not balance or counts.max() < _IMBALANCE * counts.min():
        return None
    return (counts.sum() / (len(labels) * counts)).to(device)
