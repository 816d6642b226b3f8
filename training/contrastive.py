"""Clips of one video find each other among those of other videos, without labels.

clip a -> trunk -> mean over frames -> projector -> direction   each clip is asked which of the others is of its video:
clip b -> trunk -> mean over frames -> projector -> direction   those in the same direction are the likely ones
Source: NT-Xent, SimCLR, arXiv:2002.05709; clips of one video at two times as the pair, arXiv:2104.14558.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional


class Contrast(NamedTuple):
    """Means over the clips."""

    loss: Tensor
    """Cross-entropy of the question; log(clips - 1) is a guess."""
    found: Tensor
    """Share of the clips to which the other one of their video is the nearest, 0 to 1."""


class Projector(nn.Sequential):
    """What the loss is computed on: three layers above the features, thrown away afterwards."""

    def __init__(self, features: int, width: int) -> None:
        """Random start weights, from torch's global random state."""
        super().__init__(
            nn.Linear(features, width, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(inplace=True),
            nn.Linear(width, width, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(inplace=True),
            nn.Linear(width, width, bias=False),
        )


def contrast(a: Tensor, b: Tensor, temperature: float) -> Contrast:
    """``a`` and ``b`` (videos, width), float32, row by row of the same video; at least two videos.

    ``temperature``: the lower, the more the most similar clips of other videos count.
    """
    directions = functional.normalize(torch.cat([a, b]), dim=1)
    itself = torch.eye(len(directions), dtype=torch.bool, device=a.device)
    logits = (directions @ directions.T / temperature).masked_fill(itself, -torch.inf)
    other = torch.arange(len(directions), device=a.device).roll(len(a))
    return Contrast(functional.cross_entropy(logits, other), (logits.argmax(dim=1) == other).float().mean())
