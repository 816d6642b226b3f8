"""How fast something grows: a straight line by least squares, and how sure its slope is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Slope:
    """Growth, in units an hour."""

    per_hour: float
    standard_error: float
    start: float
    """Of the line, at second 0."""

    def at(self, seconds: float) -> float:
        """The line."""
        return self.start + self.per_hour * seconds / 3600


def fitted(seconds: Sequence[float], values: Sequence[float]) -> Slope:
    """The line through ``values`` at ``seconds``.

    Neighbouring samples resemble each other, so they count as fewer: the error is multiplied by sqrt((1 + r) / (1 - r)), r
    being the correlation of each residual with the next.

    Raises: ValueError: there are fewer than three.
    """
    if len(values) < 3:
        raise ValueError("three values make a line and its error")
    hours, measured = np.asarray(seconds) / 3600, np.asarray(values)
    centred = hours - hours.mean()
    slope = float((centred * measured).sum() / (centred**2).sum())
    residuals = measured - measured.mean() - slope * centred
    error = np.sqrt((residuals**2).sum() / (len(values) - 2) / (centred**2).sum())
    return Slope(slope, float(error * _fewer(residuals)), float(measured.mean() - slope * hours.mean()))


def _fewer(residuals: np.ndarray) -> float:
    power = float((residuals**2).sum())
    correlation = float((residuals[1:] * residuals[:-1]).sum()) / power if power else 0.0
    correlation = min(max(correlation, 0.0), 0.99)
    return float(np.sqrt((1 + correlation) / (1 - correlation)))
