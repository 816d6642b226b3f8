"""``runs/<name>/<n>/``: everything that one run leaves behind.

config.json     the resolved settings              curves.png             loss, accuracy, macro-F1, learning rate
split.csv       which clip was in which part       confusion_matrix.png   of the best epoch; of tags tags.png
skipped.csv     clips that could not be decoded    best.pt, last.pt       checkpoints; backbone.pt of pretrain and distill
results.csv     one line per epoch                 summary.json           the outcome
tensorboard/    with --tensorboard                 mlflow_run_id          with --mlflow
"""

import csv
import io
import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from clips.errors import CommandError, UsageError
from training.config import TrainingConfig
from training.dataset import Dataset
from training.decoding import SkippedClip
from training.distill_config import DistillConfig
from training.output_files import write_whole
from training.pretrain_config import PretrainConfig
from training.processes import ALONE, Processes

Settings = TypeVar("Settings", bound=BaseModel)


class RunFolder:
    """Paths and small files of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config, self.split, self.skipped = path / "config.json", path / "split.csv", path / "skipped.csv"
        self.results, self.summary = path / "results.csv", path / "summary.json"
        self.curves = path / "curves.png"
        self.tensorboard, self.mlflow_run_id = path / "tensorboard", path / "mlflow_run_id"
        self.best, self.last, self.backbone = path / "best.pt", path / "last.pt", path / "backbone.pt"

    @classmethod
    def create(cls, runs: Path, config: TrainingConfig | PretrainConfig | DistillConfig) -> "RunFolder":
        """The next free number under ``runs/<name>``; nothing is ever overwritten."""
        parent = runs / config.name
        parent.mkdir(parents=True, exist_ok=True)
        number = 1 + max((int(entry.name) for entry in parent.iterdir() if entry.name.isdecimal()), default=0)
        run = cls(parent / str(number))
        run.path.mkdir()
        write_whole(run.config, config.model_dump_json(indent=2) + "\n")
        return run

    @classmethod
    def open(cls, path: Path) -> tuple["RunFolder", TrainingConfig]:
        """A run that was begun, with its settings.

        Raises: UsageError: this is no run folder.
        """
        run = cls(path)
        return run, run.settings(TrainingConfig)

    def settings(self, kind: type[Settings]) -> Settings:
        """What ``config.json`` says. Raises: UsageError: this is no folder of such a run."""
        try:
            return kind.model_validate_json(self.config.read_bytes())
        except (OSError, ValidationError) as problem:
            raise UsageError(f"{self.path} is no run folder of this command: it has no valid config.json") from problem

    @contextmanager
    def frame_files(self, processes: Processes = ALONE) -> Iterator[Path]:
        """A folder for decoded frames, one for each machine, whether or not they share the run folder; it is gone afterwards,
        because it is large and quickly made again.
        """
        folder = self.path / ("frames" if processes.machine == 0 else f"frames-{processes.machine}")
        if processes.is_first_here:
            folder.mkdir(parents=True, exist_ok=True)
        try:
            yield folder
        finally:
            if processes.is_first_here:
                shutil.rmtree(folder)
                self._forget_if_empty()

    def _forget_if_empty(self) -> None:
        """A machine that does not share the run folder had nothing but frames in it."""
        if not any(self.path.iterdir()):
            self.path.rmdir()

    def write_split(self, dataset: Dataset) -> None:
        """One line per clip; the columns are those that ``clipserve train`` reads, and the content hash."""
        rows = ((clip.name, clip.label, clip.group, clip.part, clip.sha256) for clip in dataset.clips)
        _write_csv(self.split, ("path", "label", "group", "split", "sha256"), rows)

    def write_skipped(self, skipped: Sequence[SkippedClip]) -> None:
        """One line per clip that could not be decoded."""
        _write_csv(self.skipped, SkippedClip._fields, skipped)

    def write_results(self, rows: Sequence[dict[str, Any]]) -> None:
        """All epochs so far."""
        _write_csv(self.results, tuple(rows[0]), (row.values() for row in rows))

    def write_summary(self, summary: dict[str, Any]) -> None:
        """The outcome as JSON."""
        write_whole(self.summary, json.dumps(summary, indent=2) + "\n")


def check_resumable(run: RunFolder) -> None:
    """Raises: CommandError: the run is complete."""
    if run.summary.exists():
        raise CommandError(f"the run in {run.path} is complete; start a new one, from it with `--weights {run.path}`")


def _write_csv(file: Path, header: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(header)
    writer.writerows(rows)
    write_whole(file, out.getvalue())
