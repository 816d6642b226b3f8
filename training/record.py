"""What is kept of a run as it goes on: a line for each epoch, the best weights, and all that it takes to go on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.checkpoint import Checkpoint
from training.history import AnyEpochResult, History
from training.model import VideoClassifier
from training.processes import ALONE, Processes
from training.run_folder import RunFolder
from training.task import AnyMetrics
from training.tracking import Tracker


@dataclass(frozen=True)
class Record:
    """All processes of a run know its history; the first one writes it."""

    run: RunFolder
    history: History
    template: Checkpoint
    """Labels, spec, settings and origin for the checkpoints."""
    trackers: Sequence[Tracker] = ()
    processes: Processes = ALONE

    def add(self, result: AnyEpochResult, model: VideoClassifier, metrics: AnyMetrics | None) -> None:
        """An epoch that is done; ``best.pt`` where it is the best so far. ``metrics``: None where it cannot be."""
        self.history.results.append(result)
        if metrics is not None and self.history.best is result:
            self._save(self.run.best, model, metrics=metrics.headline(), thresholds=metrics.thresholds)
        if self.processes.is_first:
            self.run.write_results(self.history.rows())
            for tracker in self.trackers:
                tracker.epoch(result)

    def save_last(self, model: VideoClassifier, training: Mapping[str, Any]) -> None:
        """``last.pt``, with what training goes on with."""
        self._save(self.run.last, model, training={"results": self.history.rows(), **training})

    def _save(self, file: Path, model: VideoClassifier, **changed: Any) -> None:
        """``changed``: fields of the checkpoint."""
        if self.processes.is_first:
            state = {"model": model.state_dict(), "epoch": self.history.epoch}
            Checkpoint(**{**vars(self.template), **state, **changed}).save(file)
