"""``report/`` of a published version: metrics, plots, the table per class and the model card."""

import csv
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training.latency import Benchmark
from training.metrics import Metrics
from training.plots import plot_accuracy_over_time, plot_confusion_matrix
from training.variants import CheckedVariant


def files_content(kept: Sequence[CheckedVariant], measured: Benchmark) -> dict[str, Any]:
    """For JSON: ``variants``, with size, parity, and latencies where they were measured; ``latency_notes`` say on what."""
    rows = [
        {
            **vars(each.parity),
            "accuracy_drop": each.parity.accuracy_drop,
            "size_bytes": each.variant.size_bytes,
            "quantisation": each.variant.quantisation,
            "latencies": [latency.as_dict() for latency in measured.latencies.get(each.variant.precision, ())],
        }
        for each in kept
    ]
    return {"variants": rows, "latency_notes": list(measured.notes)}


def write_report(folder: Path, card: str, metrics: Metrics, labels: list[str], files: dict[str, Any]) -> None:
    """Write everything but the curves, which only a run folder has. ``files`` as ``files_content`` makes it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model_card.md").write_text(card, encoding="utf-8")
    content = {"torch_fp32": metrics.as_dict(), "labels": labels, **files}
    (folder / "metrics.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    with (folder / "per_class.csv").open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(("label", "precision", "recall", "f1", "clips"))
        writer.writerows((row.label, row.precision, row.recall, row.f1, row.clips) for row in metrics.per_class)
    title = f"{metrics.accuracy:.1%} of {metrics.clips} validation clips"
    plot_confusion_matrix(metrics.confusion, labels, title, folder / "confusion_matrix.png")
    if files["latency_notes"]:
        _plot_latency(files["variants"], folder / "latency.png")


def _plot_latency(variants: Sequence[dict[str, Any]], file: Path) -> None:
    """Accuracy of each file over the time of a clip that comes alone, on all cores."""
    alone = {
        row["precision"]: [way for way in row["latencies"] if way["batch"] == 1 and way["provider"] == "cpu"][-1]
        for row in variants
    }
    points = [(row["precision"], alone[row["precision"]]["median_ms"], 100 * row["accuracy"]) for row in variants]
    plot_accuracy_over_time(points, "a clip alone on the CPU, all cores, ms", file)


def copy_curves(run_folder: Path, folder: Path) -> None:
    """The curves and epochs of the run, where the checkpoint still lies in its run folder."""
    for name in ("curves.png", "results.csv"):
        if (run_folder / name).exists():
            shutil.copyfile(run_folder / name, folder / name)
