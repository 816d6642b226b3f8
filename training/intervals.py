"""How much of a figure is chance: intervals by resampling what was measured on."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import bootstrap

from training.metrics import Probabilities, Targets

RESAMPLES = 1000
CONFIDENCE = 0.95


class Interval(NamedTuple):
    """Holds the true figure in ``CONFIDENCE`` of the cases."""

    low: float
    high: float


def bootstrap_interval(
    figure: Callable[[Probabilities, Targets], float],
    probabilities: Probabilities,
    targets: Targets,
    groups: Sequence[str],
    seed: int = 0,
) -> Interval:
    """Of ``figure``, drawn again over whole groups, because clips of one person or place are right and wrong together.

    ``probabilities`` (clips, labels), ``targets`` (clips,), ``groups`` (clips,). Where all clips are of one group there is
    nothing to draw, and the interval is everything from 0 to 1.

    Source: Efron and Tibshirani, An introduction to the bootstrap, 1993; over clusters, Davison and Hinkley, 1997, section 3.8.
    """
    names, of_clip = np.unique(np.asarray(groups), return_inverse=True)
    if len(names) < 2:
        return Interval(0.0, 1.0)
    members = [np.flatnonzero(of_clip == group) for group in range(len(names))]

    def drawn(sample: np.ndarray) -> float:
        clips = np.concatenate([members[group] for group in sample])
        return figure(probabilities[clips], targets[clips])

    found = bootstrap(
        (np.arange(len(names)),),
        drawn,
        vectorized=False,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(float(found.low), float(found.high))
