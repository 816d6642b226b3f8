"""The end of a run: plots, ``summary.json`` and the sentence that says how good the model is."""

from typing import Any

from training.dataset import Dataset
from training.decoding import SkippedClip
from training.history import History
from training.plots import plot_curves
from training.run_folder import RunFolder
from training.task import TASKS, AnyMetrics


def write_outcome(history: History, metrics: AnyMetrics, dataset: Dataset, skipped: list[SkippedClip], run: RunFolder) -> None:
    """Write what a finished run leaves behind, and say it."""
    best, name = history.best, run.path.parent.name
    plot_curves(history.results, best.epoch, f"{name}, run {run.path.name}", run.curves)
    TASKS[dataset.task].plot(metrics, dataset.labels, f"{name}: {metrics.title()}", run.path)
    groups = len({clip.group for clip in dataset.part("val")})
    run.write_summary(_summary(history, metrics, skipped, groups))
    print(f"result: {metrics.sentence(groups)}, best epoch {best.epoch} ({best.stage})")
    if skipped:
        print(f"{len(skipped)} clips could not be decoded; {run.skipped} names them")


def _summary(history: History, metrics: AnyMetrics, skipped: list[SkippedClip], groups: int) -> dict[str, Any]:
    main = [row for row in history.results if row.stage == "main"] or history.results
    return {
        **metrics.headline(),
        "val_clips": metrics.clips,
        "val_groups": groups,
        "skipped_clips": len(skipped),
        "epochs": history.epoch,
        "best_epoch": history.best.epoch,
        "best_stage": history.best.stage,
        "seconds_per_epoch": sum(row.seconds for row in main) / len(main),
        "clips_per_second": sum(row.clips_per_second for row in main) / len(main),
        "training_seconds": sum(row.seconds for row in history.results),
    }
