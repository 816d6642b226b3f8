"""Weights of the loss that make rare classes count."""

import torch
from torch import Tensor

from training.decoding import DecodedClips

_IMBALANCE = 1.5


def class_weights(decoded: DecodedClips, labels: list[str], balance: bool, device: torch.device) -> Tensor | None:
    """(labels,), inversely proportional to the number of clips, mean 1 over the clips; None where classes are about even."""
    counts = torch.bincount(torch.from_numpy(decoded.targets(labels)), minlength=len(labels)).float()
    if not balance or counts.max() < _IMBALANCE * counts.min():
        return None
    return (counts.sum() / (len(labels) * counts)).to(device)
