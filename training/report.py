"""``report/`` of a published version: metrics, plots, the table per class and the model card."""

import csv
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from training.metrics import Metrics
from training.parity import Parity
from training.plots import plot_confusion_matrix


def write_report(folder: Path, card: str, metrics: Metrics, labels: list[str], parities: Sequence[Parity]) -> None:
    """Write everything but the curves, which only a run folder has."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model_card.md").write_text(card, encoding="utf-8")
    variants = [{**vars(parity), "accuracy_drop": parity.accuracy_drop} for parity in parities]
    content = {"torch_fp32": metrics.as_dict(), "labels": labels, "variants": variants}
    (folder / "metrics.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    with (folder / "per_class.csv").open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(("label", "precision", "recall", "f1", "clips"))
        writer.writerows((row.label, row.precision, row.recall, row.f1, row.clips) for row in metrics.per_class)
    title = f"{metrics.accuracy:.1%} of {metrics.clips} validation clips"
    plot_confusion_matrix(metrics.confusion, labels, title, folder / "confusion_matrix.png")


def copy_curves(run_folder: Path, folder: Path) -> None:
    """The curves and epochs of the run, where the checkpoint still lies in its run folder."""
    for name in ("curves.png", "results.csv"):
        if (run_folder / name).exists():
            shutil.copyfile(run_folder / name, folder / name)
