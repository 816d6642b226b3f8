"""Features that are alike for two clips of one video, without labels and without collapsing into one point.

clip a -> trunk -> mean over frames -> expander -> a (batch, width)   similarity: a and b of one video are near each other
clip b -> trunk -> mean over frames -> expander -> b (batch, width)   variance:   each number differs from video to video
                                                                      covariance: no two numbers say the same
Source: VICReg, arXiv:2105.04906; clips of one video at two times as the pair, arXiv:2104.14558.
"""

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional

_LEAST_VARIANCE = 1e-4
"""The slope of a root is infinite at 0."""


class Terms(NamedTuple):
    """The three terms, each a mean."""

    similarity: Tensor
    variance: Tensor
    covariance: Tensor


class Expander(nn.Sequential):
    """What the terms are computed on: three layers above the features, thrown away afterwards."""

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


def vicreg_terms(a: Tensor, b: Tensor) -> Terms:
    """``a`` and ``b`` (videos, width), float32, row by row of the same video; at least two videos."""
    halves = [(_variance(each), _covariance(each)) for each in (a, b)]
    return Terms(
        similarity=functional.mse_loss(a, b),
        variance=(halves[0][0] + halves[1][0]) / 2,
        covariance=halves[0][1] + halves[1][1],
    )


def spread(embedded: Tensor) -> Tensor:
    """Mean deviation of each number of (videos, width): 1 is what the variance term asks for, 0 is a collapse."""
    return (embedded.var(dim=0) + _LEAST_VARIANCE).sqrt().mean()


def _variance(embedded: Tensor) -> Tensor:
    deviation = (embedded.var(dim=0) + _LEAST_VARIANCE).sqrt()
    return functional.relu(1 - deviation).mean()


def _covariance(embedded: Tensor) -> Tensor:
    centred = embedded - embedded.mean(dim=0)
    covariance = centred.T @ centred / (len(embedded) - 1)
    total: Tensor = covariance.pow(2).sum() - covariance.diagonal().pow(2).sum()
    return total / embedded.shape[1]
