"""How well tags are found, by scikit-learn, and from which probability on each of them counts."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    f1_score,
    log_loss,
    precision_recall_curve,
    precision_recall_fscore_support,
)

from training.metrics import Probabilities, Targets

NEUTRAL = 0.5
"""Threshold of a tag that no clip has, or all: there is nothing to tune it on."""


@dataclass(frozen=True)
class TagRow:
    """One tag among the measured clips."""

    label: str
    precision: float
    recall: float
    f1: float
    average_precision: float
    """0 where no clip has the tag."""
    threshold: float
    clips: int
    """That have the tag."""


@dataclass(frozen=True)
class TagMetrics:
    """All shares run from 0 to 1. Averages over tags count the tags that occur among the clips."""

    clips: int
    mean_average_precision: float
    micro_f1: float
    """Over all pairs of clip and tag, at the thresholds."""
    macro_f1: float
    """At the thresholds."""
    exact_match: float
    """Clips with all tags right and no other."""
    loss: float
    """Binary cross-entropy, sum over the tags, mean over the clips, nats."""
    per_class: list[TagRow]

    @property
    def thresholds(self) -> list[float]:
        """The probability from which each tag counts, in label order."""
        return [row.threshold for row in self.per_class]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def headline(self) -> dict[str, float]:
        """The single numbers, for manifest and checkpoint."""
        names = ("mean_average_precision", "micro_f1", "macro_f1", "exact_match", "loss")
        return {name: getattr(self, name) for name in names}

    def title(self) -> str:
        """Of a plot."""
        return f"mAP {self.mean_average_precision:.3f} on {self.clips} validation clips"

    def words(self) -> str:
        """For the model card."""
        return (
            f"mAP {self.mean_average_precision:.3f}; at the thresholds macro-F1 {self.macro_f1:.3f}, micro-F1 "
            f"{self.micro_f1:.3f}, and all tags right of {self.exact_match:.1%} of the clips"
        )

    def sentence(self, groups: int) -> str:
        """At the end of a run."""
        return (
            f"mAP {self.mean_average_precision:.3f} ({self.clips} validation clips, from {groups} groups that were not trained "
            f"on), macro-F1 {self.macro_f1:.3f} and {self.exact_match:.1%} with all tags right at thresholds tuned on them"
        )


def measure_tags(
    probabilities: Probabilities, targets: Targets, labels: list[str], thresholds: list[float] | None = None
) -> TagMetrics:
    """``probabilities`` (clips, labels), ``targets`` (clips, labels) of 0 and 1; ``thresholds`` are tuned on these if None."""
    thresholds = tuned_thresholds(probabilities, targets) if thresholds is None else thresholds
    predicted = (probabilities >= np.array(thresholds)).astype(np.int64)
    precision, recall, f1, support = precision_recall_fscore_support(targets, predicted, average=None, zero_division=0)
    average = average_precisions(probabilities, targets)
    columns = (precision, recall, f1, average, np.array(thresholds), support)
    return TagMetrics(
        clips=len(targets),
        mean_average_precision=mean_average_precision(probabilities, targets),
        micro_f1=float(f1_score(targets, predicted, average="micro", zero_division=0)),
        macro_f1=macro_f1(probabilities, targets, thresholds),
        exact_match=float(accuracy_score(targets, predicted)),
        loss=float(log_loss(targets.ravel(), exact(probabilities).ravel(), labels=[0, 1])) * len(labels),
        per_class=[TagRow(*row) for row in zip(labels, *map(np.ndarray.tolist, columns), strict=True)],
    )


def average_precisions(probabilities: Probabilities, targets: Targets) -> NDArray[np.float64]:
    """(labels,): area under precision over recall; 0 where no clip has the tag."""
    found, present = np.zeros(targets.shape[1]), targets.any(axis=0)
    if present.any():
        found[present] = average_precision_score(targets[:, present], probabilities[:, present], average=None)
    return found


def mean_average_precision(probabilities: Probabilities, targets: Targets) -> float:
    """Over the tags that occur; 0 where none does."""
    present = targets.any(axis=0)
    return float(average_precisions(probabilities, targets)[present].mean()) if present.any() else 0.0


def macro_f1(probabilities: Probabilities, targets: Targets, thresholds: list[float]) -> float:
    """Over the tags that occur; 0 where none does."""
    present = targets.any(axis=0)
    f1 = f1_score(targets, (probabilities >= np.array(thresholds)).astype(np.int64), average=None, zero_division=0)
    return float(f1[present].mean()) if present.any() else 0.0


def tuned_thresholds(probabilities: Probabilities, targets: Targets) -> list[float]:
    """For each tag the threshold with the highest F1 on these clips."""
    return [_tuned(probabilities[:, tag], targets[:, tag]) for tag in range(targets.shape[1])]


def _tuned(probabilities: Probabilities, targets: Targets) -> float:
    """Halfway down to the next clip, so that rounding in another runtime changes no answer.

    probabilities   .1  .2      .6  .7        ->   .4
    has the tag     no  no     yes  yes
    """
    if not targets.any() or targets.all():
        return NEUTRAL
    precision, recall, reached = precision_recall_curve(targets, probabilities)
    f1 = 2 * precision * recall / np.maximum(precision + recall, np.finfo(float).tiny)
    best = int(f1[: len(reached)].argmax())
    below = reached[best - 1] if best else 0.0
    return float((reached[best] + below) / 2)


def exact(probabilities: Probabilities) -> NDArray[np.float64]:
    """Neither 0 nor 1, whose logarithm would be infinite."""
    return np.clip(probabilities.astype(np.float64), 1e-12, 1 - 1e-12)
