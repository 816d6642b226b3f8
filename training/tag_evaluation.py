"""What is known of a model that gives tags: figures with their intervals, calibration, and what it gets most wrong."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.calibration import Reliability
from training.dataset import LabelledClip
from training.intervals import Interval, bootstrap_interval
from training.metrics import Probabilities, Targets
from training.tag_calibration import fit_tag_temperature, tag_reliability, tags_at_temperature
from training.tag_metrics import TagMetrics, macro_f1, mean_average_precision, measure_tags


@dataclass(frozen=True)
class TagMistake:
    """A tag that a clip has and does not get, or the other way round."""

    position: int
    """Of the clip, among those that were measured."""
    name: str
    tags: list[str]
    """Those that the clip has."""
    tag: str
    missed: bool
    """The clip has the tag."""
    probability: float
    """Of the tag."""

    @property
    def certainty(self) -> float:
        """Of the wrong answer."""
        return 1 - self.probability if self.missed else self.probability


@dataclass(frozen=True)
class TagEvaluation:
    """One model on one set of clips."""

    metrics: TagMetrics
    tuned_here: bool
    """The thresholds are tuned on these clips, because the model has none."""
    intervals: dict[str, Interval]
    """95%, of ``mean_average_precision`` and ``macro_f1``, by resampling groups."""
    groups: int
    reliability: Reliability
    temperature: float
    """Fitted on these clips; 1 where the model is as sure as it should be."""
    calibrated_error: float
    """Expected calibration error at that temperature, on the clips that it was fitted on."""
    mistakes: list[TagMistake]
    """Surest first."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            **self.metrics.as_dict(),
            "thresholds_tuned_on_these_clips": self.tuned_here,
            "intervals": {name: list(interval) for name, interval in self.intervals.items()},
            "groups": self.groups,
            "calibration": {
                "error": self.reliability.error,
                "temperature": self.temperature,
                "error_at_temperature": self.calibrated_error,
                "confidence": self.reliability.confidence,
                "share_there": self.reliability.accuracy,
                "clips_and_tags": self.reliability.clips,
            },
            "mistakes": [asdict(mistake) for mistake in self.mistakes],
        }


def evaluated_tags(
    probabilities: NDArray[np.float32],
    targets: Targets,
    labels: list[str],
    clips: Sequence[LabelledClip],
    thresholds: list[float] | None,
) -> TagEvaluation:
    """``probabilities`` and ``targets`` (clips, labels), ``clips`` (clips,); ``thresholds`` None: tuned on these clips."""
    metrics = measure_tags(probabilities, targets, labels, thresholds)
    temperature = fit_tag_temperature(probabilities, targets)
    groups = [clip.group for clip in clips]
    f1 = partial(macro_f1, thresholds=metrics.thresholds)
    return TagEvaluation(
        metrics=metrics,
        tuned_here=thresholds is None,
        intervals={
            "mean_average_precision": bootstrap_interval(mean_average_precision, probabilities, targets, groups),
            "macro_f1": bootstrap_interval(f1, probabilities, targets, groups),
        },
        groups=len(set(groups)),
        reliability=tag_reliability(probabilities, targets),
        temperature=temperature,
        calibrated_error=tag_reliability(tags_at_temperature(probabilities, temperature), targets).error,
        mistakes=_mistakes(probabilities, targets, metrics, clips),
    )


def _mistakes(
    probabilities: Probabilities, targets: Targets, metrics: TagMetrics, clips: Sequence[LabelledClip]
) -> list[TagMistake]:
    wrong = (probabilities >= np.array(metrics.thresholds)) != targets.astype(bool)
    found = [
        TagMistake(
            position=at,
            name=clips[at].name,
            tags=list(clips[at].labels),
            tag=metrics.per_class[tag].label,
            missed=bool(targets[at, tag]),
            probability=float(probabilities[at, tag]),
        )
        for at, tag in np.argwhere(wrong).tolist()
    ]
    return sorted(found, key=lambda mistake: -mistake.certainty)
