"""``report/`` of a published version: metrics, plots, the table per class and the model card."""

import csv
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from training.latency import Benchmark
from training.plots import plot_accuracy_over_time
from training.task import AnyMetrics, Task
from training.variants import CheckedVariant


@dataclass(frozen=True)
class CheckedFiles:
    """All that are published, and how long they take where that was measured."""

    kept: Sequence[CheckedVariant]
    measured: Benchmark

    def as_dict(self) -> dict[str, Any]:
        """For JSON: ``variants``, with size, parity, and latencies where they were measured; ``latency_notes`` say on what."""
        rows = [
            {
                **each.parity.as_dict(),
                "size_bytes": each.variant.size_bytes,
                "quantisation": each.variant.quantisation,
                "latencies": [latency.as_dict() for latency in self.measured.latencies.get(each.variant.precision, ())],
            }
            for each in self.kept
        ]
        return {"variants": rows, "latency_notes": list(self.measured.notes)}


def write_report(folder: Path, card: str, metrics: AnyMetrics, files: CheckedFiles, task: Task) -> None:
    """Write everything but the curves, which only a run folder has."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model_card.md").write_text(card, encoding="utf-8")
    labels = [row.label for row in metrics.per_class]
    content = {"torch_fp32": metrics.as_dict(), "labels": labels, **files.as_dict()}
    (folder / "metrics.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    with (folder / "per_class.csv").open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, list(asdict(metrics.per_class[0])))
        writer.writeheader()
        writer.writerows(asdict(row) for row in metrics.per_class)
    task.plot(metrics, labels, metrics.title(), folder)
    if files.measured.latencies:
        _plot_latency(files, task, folder / "latency.png")


def _plot_latency(files: CheckedFiles, task: Task, file: Path) -> None:
    """How good each file is, over the time of a clip that comes alone, on all cores."""
    points = []
    for each in files.kept:
        ways = files.measured.latencies[each.variant.precision]
        alone = [latency for latency in ways if latency.way.batch == 1 and latency.way.provider == "cpu"][-1]
        points.append((each.variant.precision, alone.median_ms, 100 * each.parity.score))
    plot_accuracy_over_time(points, "a clip alone on the CPU, all cores, ms", f"{task.figure}, %", file)


def copy_curves(run_folder: Path, folder: Path) -> None:
    """The curves and epochs of the run, where the checkpoint still lies in its run folder."""
    for name in ("curves.png", "results.csv"):
        if (run_folder / name).exists():
            shutil.copyfile(run_folder / name, folder / name)
