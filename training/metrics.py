"""What a classifier got right, by scikit-learn."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    confusion_matrix,
    f1_score,
    log_loss,
    precision_recall_fscore_support,
    recall_score,
)

Probabilities = NDArray[np.floating[Any]]
Targets = NDArray[np.int64]


@dataclass(frozen=True)
class ClassMetrics:
    """One label among the measured clips."""

    label: str
    precision: float
    recall: float
    f1: float
    clips: int


@dataclass(frozen=True)
class Metrics:
    """All shares run from 0 to 1. Averages over classes count the classes that occur among the clips."""

    clips: int
    accuracy: float
    top5_accuracy: float
    macro_f1: float
    balanced_accuracy: float
    mean_average_precision: float
    """Each label against all others."""
    loss: float
    """Mean cross-entropy, nats."""
    per_class: list[ClassMetrics]
    confusion: list[list[int]]
    """Row = true label, column = predicted label, in the model's label order."""
    confusion_normalised: list[list[float]]
    """The same as shares of the clips of each true label; 0 where it has none."""

    @property
    def thresholds(self) -> None:
        """Of tags alone."""
        return

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def title(self) -> str:
        """Of a plot."""
        return f"{self.accuracy:.1%} of {self.clips} validation clips"

    def words(self) -> str:
        """For the model card."""
        return (
            f"accuracy {self.accuracy:.1%}, top-5 {self.top5_accuracy:.1%}, macro-F1 {self.macro_f1:.3f}, "
            f"balanced accuracy {self.balanced_accuracy:.1%}"
        )

    def sentence(self, groups: int) -> str:
        """At the end of a run."""
        right = round(self.accuracy * self.clips)
        return (
            f"accuracy {self.accuracy:.1%} ({right} of {self.clips} validation clips, from {groups} groups that were not "
            f"trained on), macro-F1 {self.macro_f1:.3f}"
        )

    def headline(self) -> dict[str, float]:
        """The single numbers, for manifest and checkpoint."""
        return {
            "accuracy": self.accuracy,
            "top5_accuracy": self.top5_accuracy,
            "macro_f1": self.macro_f1,
            "balanced_accuracy": self.balanced_accuracy,
            "mean_average_precision": self.mean_average_precision,
            "loss": self.loss,
        }


def measure(
    probabilities: Probabilities,
    targets: Targets,
    labels: list[str],
    thresholds: None = None,  # noqa: ARG001 - of tags alone
) -> Metrics:
    """``probabilities`` (clips, labels), ``targets`` (clips,) as indices into ``labels``."""
    everything = list(range(len(labels)))
    present = sorted(set(targets.tolist()))
    predicted = probabilities.argmax(axis=1)
    precision, recall, f1, support = precision_recall_fscore_support(targets, predicted, labels=everything, zero_division=0)
    return Metrics(
        clips=len(targets),
        accuracy=float(accuracy_score(targets, predicted)),
        top5_accuracy=_top_accuracy(probabilities, targets, 5),
        macro_f1=float(f1_score(targets, predicted, labels=present, average="macro", zero_division=0)),
        balanced_accuracy=float(recall_score(targets, predicted, labels=present, average="macro", zero_division=0)),
        mean_average_precision=float(
            np.mean([average_precision_score(targets == label, probabilities[:, label]) for label in present])
        ),
        loss=float(log_loss(targets, _normalised(probabilities), labels=everything)),
        per_class=[
            ClassMetrics(*row) for row in zip(labels, *map(np.ndarray.tolist, (precision, recall, f1, support)), strict=True)
        ],
        confusion=confusion_matrix(targets, predicted, labels=everything).tolist(),
        confusion_normalised=confusion_matrix(targets, predicted, labels=everything, normalize="true").tolist(),
    )


def _top_accuracy(probabilities: Probabilities, targets: Targets, k: int) -> float:
    """Written out because scikit-learn warns where there are no more than k labels, and top-5 of 5 labels is 1."""
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    return float((best == targets[:, None]).any(axis=1).mean())


def _normalised(probabilities: Probabilities) -> NDArray[np.float64]:
    exact = np.clip(probabilities.astype(np.float64), 1e-12, None)
    rows: NDArray[np.float64] = exact / exact.sum(axis=1, keepdims=True)
    return rows
