"""Are the probabilities of tags what they say? Each pair of clip and tag is a question of its own, with yes and no.

A sigmoid of a logit is a softmax of the two logits 0 and x, so that what holds of labels holds of yes and no.
"""

import numpy as np
from numpy.typing import NDArray

from training.calibration import BINS, Reliability, at_temperature, fit_temperature
from training.metrics import Probabilities, Targets
from training.tag_metrics import exact


def tag_reliability(probabilities: Probabilities, targets: Targets) -> Reliability:
    """Pairs of clip and tag by the tag's probability: how probable they were, how often they are there, how many there are.

    ``probabilities`` and ``targets`` (clips, labels).
    """
    told, there = probabilities.ravel().astype(np.float64), targets.ravel()
    bins = np.minimum((told * BINS).astype(int), BINS - 1)
    filled = np.unique(bins)
    return Reliability(
        [float(told[bins == each].mean()) for each in filled],
        [float(there[bins == each].mean()) for each in filled],
        [int((bins == each).sum()) for each in filled],
    )


def fit_tag_temperature(probabilities: Probabilities, targets: Targets) -> float:
    """What the logits are to be divided by for the smallest binary cross-entropy on these clips. Between 0.5 and 10."""
    return fit_temperature(_no_and_yes(probabilities), targets.ravel())


def tags_at_temperature(probabilities: Probabilities, temperature: float) -> NDArray[np.float64]:
    """(clips, labels): what the sigmoid gives where the logits are divided by ``temperature``."""
    return at_temperature(_no_and_yes(probabilities), temperature)[:, 1].reshape(probabilities.shape)


def _no_and_yes(probabilities: Probabilities) -> NDArray[np.float64]:
    """(clips * labels, 2)."""
    yes = exact(probabilities).ravel()
    return np.stack([1 - yes, yes], axis=1)
