"""What is known of a model on labelled clips: figures with their intervals, calibration, and what it gets most wrong."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score

from training.calibration import Reliability, at_temperature, fit_temperature, reliability
from training.dataset import LabelledClip
from training.intervals import Interval, bootstrap_interval
from training.metrics import Metrics, Probabilities, Targets, measure


@dataclass(frozen=True)
class Mistake:
    """A clip with the wrong first label."""

    position: int
    """Among the clips that were measured."""
    name: str
    label: str
    predicted: str
    probability: float
    """Of the predicted label."""


@dataclass(frozen=True)
class Evaluation:
    """One model on one set of clips."""

    metrics: Metrics
    intervals: dict[str, Interval]
    """95%, of ``accuracy`` and ``macro_f1``, by resampling groups."""
    groups: int
    reliability: Reliability
    temperature: float
    """Fitted on these clips; 1 where the model is as sure as it should be."""
    calibrated_error: float
    """Expected calibration error at that temperature, on the clips that it was fitted on."""
    mistakes: list[Mistake]
    """Surest first."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            **self.metrics.as_dict(),
            "intervals": {name: list(interval) for name, interval in self.intervals.items()},
            "groups": self.groups,
            "calibration": {
                "error": self.reliability.error,
                "temperature": self.temperature,
                "error_at_temperature": self.calibrated_error,
                **asdict(self.reliability),
            },
            "mistakes": [asdict(mistake) for mistake in self.mistakes],
        }


def evaluated(
    probabilities: NDArray[np.float32],
    targets: Targets,
    labels: list[str],
    clips: Sequence[LabelledClip],
    thresholds: None = None,  # noqa: ARG001 - of tags alone
) -> Evaluation:
    """``probabilities`` (clips, labels), ``targets`` and ``clips`` (clips,)."""
    temperature = fit_temperature(probabilities, targets)
    groups = [clip.group for clip in clips]
    return Evaluation(
        metrics=measure(probabilities, targets, labels),
        intervals={
            "accuracy": bootstrap_interval(_accuracy, probabilities, targets, groups),
            "macro_f1": bootstrap_interval(_macro_f1, probabilities, targets, groups),
        },
        groups=len(set(groups)),
        reliability=reliability(probabilities, targets),
        temperature=temperature,
        calibrated_error=reliability(at_temperature(probabilities, temperature), targets).error,
        mistakes=_mistakes(probabilities, targets, labels, clips),
    )


def _accuracy(probabilities: Probabilities, targets: Targets) -> float:
    return float(accuracy_score(targets, probabilities.argmax(axis=1)))


def _macro_f1(probabilities: Probabilities, targets: Targets) -> float:
    present = np.unique(targets)
    return float(f1_score(targets, probabilities.argmax(axis=1), labels=present, average="macro", zero_division=0))


def _mistakes(
    probabilities: Probabilities, targets: Targets, labels: list[str], clips: Sequence[LabelledClip]
) -> list[Mistake]:
    predicted = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != targets).tolist()
    found = [
        Mistake(at, clips[at].name, clips[at].label, labels[predicted[at]], float(probabilities[at, predicted[at]]))
        for at in wrong
    ]
    return sorted(found, key=lambda mistake: -mistake.probability)
