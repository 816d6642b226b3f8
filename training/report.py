"""``report/`` of a published version: metrics, plots, the table per class and the model card."""

import csv
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from training.parity import AnyParity
from training.task import AnyMetrics, Task


def write_report(folder: Path, card: str, metrics: AnyMetrics, parities: Sequence[AnyParity], task: Task) -> None:
    """Write everything but the curves, which only a run folder has."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model_card.md").write_text(card, encoding="utf-8")
    labels = [row.label for row in metrics.per_class]
    variants = [parity.as_dict() for parity in parities]
    content = {"torch_fp32": metrics.as_dict(), "labels": labels, "variants": variants}
    (folder / "metrics.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    with (folder / "per_class.csv").open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, list(asdict(metrics.per_class[0])))
        writer.writeheader()
        writer.writerows(asdict(row) for row in metrics.per_class)
    task.plot(metrics, labels, metrics.title(), folder)


def copy_curves(run_folder: Path, folder: Path) -> None:
    """The curves and epochs of the run, where the checkpoint still lies in its run folder."""
    for name in ("curves.png", "results.csv"):
        if (run_folder / name).exists():
            shutil.copyfile(run_folder / name, folder / name)
