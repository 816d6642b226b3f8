"""Are probabilities what they say? How far they are off, and one number that mends most of it.

Source: Guo et al., On calibration of modern neural networks, arXiv:1706.04599.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.metrics import log_loss

from training.metrics import Probabilities, Targets

BINS = 15
_COLDEST, _HOTTEST = 0.5, 10.0
"""On few clips that are all right the best temperature would be 0, and the model certain of everything."""
_SMALLEST = 1e-12


@dataclass(frozen=True)
class Reliability:
    """Clips by how sure the model was of its first label: ``BINS`` equal bins from 0 to 1, of which empty ones are left out."""

    confidence: list[float]
    """Mean probability of the first label, per bin."""
    accuracy: list[float]
    clips: list[int]

    @property
    def error(self) -> float:
        """Expected calibration error, 0 to 1: the mean distance of confidence and accuracy over the clips."""
        gaps = np.abs(np.array(self.confidence) - np.array(self.accuracy))
        return float(np.average(gaps, weights=self.clips))


def reliability(probabilities: Probabilities, targets: Targets) -> Reliability:
    """``probabilities`` (clips, labels), ``targets`` (clips,)."""
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == targets
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    filled = np.unique(bins)
    return Reliability(
        [float(confidence[bins == each].mean()) for each in filled],
        [float(right[bins == each].mean()) for each in filled],
        [int((bins == each).sum()) for each in filled],
    )


def fit_temperature(probabilities: Probabilities, targets: Targets) -> float:
    """What logits are to be divided by for the smallest cross-entropy on these clips; above 1 where the model is too sure.

    Between 0.5 and 10.
    """
    labels = list(range(probabilities.shape[1]))

    def loss(log_temperature: float) -> float:
        return float(log_loss(targets, at_temperature(probabilities, np.exp(log_temperature)), labels=labels))

    bounds = (np.log(_COLDEST), np.log(_HOTTEST))
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x))


def at_temperature(probabilities: Probabilities, temperature: float) -> NDArray[np.float64]:
    """What the softmax gives where the logits are divided by ``temperature``: logits are known up to a number for each clip."""
    logits = np.log(np.clip(probabilities.astype(np.float64), _SMALLEST, None)) / temperature
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    rows: NDArray[np.float64] = exponents / exponents.sum(axis=1, keepdims=True)
    return rows
