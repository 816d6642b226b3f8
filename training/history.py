"""The epochs so far: one row each, the best one, and how long ago it was."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from training.metrics import Metrics
from training.tag_metrics import TagMetrics

Panels = dict[str, dict[str, float]]
"""Title to the values of its curves, by name."""


@dataclass
class Tally:
    """A training epoch so far."""

    steps: int = 0
    seconds: float = 0.0
    """The wait for batches included."""
    clips: int = 0
    correct: float = 0
    """Clips that were right; of a clip with tags, the share of the tags."""
    loss_sum: float = 0.0

    def add(self, loss: float, correct: float, clips: int, seconds: float) -> None:
        """Count one batch: mean loss, clips that were right, clips, how long it took."""
        self.steps += 1
        self.loss_sum += loss * clips
        self.correct += correct
        self.clips += clips
        self.seconds += seconds

    def line(self) -> str:
        """For the progress bar."""
        rate = self.clips / self.seconds
        return f"loss {self.loss_sum / self.clips:.3f}, {self.correct / self.clips:.1%}, {rate:.1f} clips/s"


@dataclass(frozen=True)
class EpochResult:
    """One line of ``results.csv``; shares from 0 to 1."""

    SCORE: ClassVar[str] = "macro-F1"
    """By which epochs are compared."""

    epoch: int
    stage: str
    learning_rate: float
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    val_macro_f1: float
    seconds: float
    clips_per_second: float
    """Training clips through the network, forward and backward."""

    @classmethod
    def of(cls, epoch: int, stage: str, learning_rate: float, tally: Tally, metrics: Metrics) -> "EpochResult":
        """From what training and validation of the epoch gave."""
        return cls(
            epoch=epoch,
            stage=stage,
            learning_rate=learning_rate,
            train_loss=tally.loss_sum / tally.clips,
            train_accuracy=tally.correct / tally.clips,
            val_loss=metrics.loss,
            val_accuracy=metrics.accuracy,
            val_macro_f1=metrics.macro_f1,
            seconds=tally.seconds,
            clips_per_second=tally.clips / tally.seconds,
        )

    def line(self, last: int, left: str = "") -> str:
        """For the terminal; ``left``: the time that is left, in words."""
        return (
            f"epoch {self.epoch:>3}/{last} {self.stage}  loss {self.train_loss:.3f}  train {self.train_accuracy:6.1%}  "
            f"val {self.val_accuracy:6.1%}  macro-F1 {self.val_macro_f1:.3f}  {self.seconds:.1f} s  "
            f"{self.clips_per_second:.1f} clips/s  {left}"
        ).rstrip()

    @property
    def score(self) -> float:
        """The higher, the better."""
        return self.val_macro_f1

    def panels(self) -> Panels:
        """What is drawn over the epochs."""
        return {
            "loss": {"train": self.train_loss, "validation": self.val_loss},
            "accuracy, %": {"train": 100 * self.train_accuracy, "validation": 100 * self.val_accuracy},
            "macro-F1 on validation clips": {"validation": self.val_macro_f1},
        }


@dataclass(frozen=True)
class TagEpochResult:
    """One line of ``results.csv`` where clips have tags; shares from 0 to 1."""

    SCORE: ClassVar[str] = "mAP"
    """By which epochs are compared."""

    epoch: int
    stage: str
    learning_rate: float
    train_loss: float
    train_tags_right: float
    """Share of the pairs of clip and tag that are right at a probability of 0.5."""
    val_loss: float
    val_mean_average_precision: float
    val_macro_f1: float
    """At thresholds tuned on the validation clips of this epoch."""
    seconds: float
    clips_per_second: float
    """Training clips through the network, forward and backward."""

    @classmethod
    def of(cls, epoch: int, stage: str, learning_rate: float, tally: Tally, metrics: TagMetrics) -> "TagEpochResult":
        """From what training and validation of the epoch gave."""
        return cls(
            epoch=epoch,
            stage=stage,
            learning_rate=learning_rate,
            train_loss=tally.loss_sum / tally.clips,
            train_tags_right=tally.correct / tally.clips,
            val_loss=metrics.loss,
            val_mean_average_precision=metrics.mean_average_precision,
            val_macro_f1=metrics.macro_f1,
            seconds=tally.seconds,
            clips_per_second=tally.clips / tally.seconds,
        )

    def line(self, last: int, left: str = "") -> str:
        """For the terminal; ``left``: the time that is left, in words."""
        return (
            f"epoch {self.epoch:>3}/{last} {self.stage}  loss {self.train_loss:.3f}  tags right {self.train_tags_right:6.1%}  "
            f"val mAP {self.val_mean_average_precision:.3f}  macro-F1 {self.val_macro_f1:.3f}  {self.seconds:.1f} s  "
            f"{self.clips_per_second:.1f} clips/s  {left}"
        ).rstrip()

    @property
    def score(self) -> float:
        """The higher, the better."""
        return self.val_mean_average_precision

    def panels(self) -> Panels:
        """What is drawn over the epochs."""
        return {
            "loss": {"train": self.train_loss, "validation": self.val_loss},
            "mAP on validation clips": {"validation": self.val_mean_average_precision},
            "macro-F1 on validation clips": {"validation": self.val_macro_f1},
        }


AnyEpochResult = EpochResult | TagEpochResult


class History:
    """Rows of ``results.csv``, and the best of them by their score, then by loss."""

    def __init__(self, rows: Sequence[dict[str, Any]] = (), kind: type[AnyEpochResult] = EpochResult) -> None:
        self.results: list[AnyEpochResult] = [kind(**row) for row in rows]

    @property
    def epoch(self) -> int:
        """Epochs that are done."""
        return self.results[-1].epoch if self.results else 0

    @property
    def best(self) -> AnyEpochResult:
        """Raises: ValueError: no epoch is done."""
        return max(self._candidates(), key=lambda row: (row.score, -row.val_loss))

    def _candidates(self) -> list[AnyEpochResult]:
        """Every epoch of the main stage, and the head when it is finished.

        A head of few epochs is hardly sure of anything: its labels may be right by luck, and INT8 overturns them
        (58.2% became 55.1% once).
        """
        main = [row for row in self.results if row.stage == "main"]
        return [row for row in self.results if row.stage == "head"][-1:] + main

    def epochs_without_gain(self, stage: str) -> int:
        """Epochs of ``stage`` since its own best one, by their score."""
        scores = [row.score for row in self.results if row.stage == stage]
        return len(scores) - 1 - scores.index(max(scores)) if scores else 0

    def rows(self) -> list[dict[str, Any]]:
        """As plain data."""
        return [asdict(row) for row in self.results]
