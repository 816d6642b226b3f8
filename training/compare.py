"""Put several runs side by side: what differs in their settings, what came of it, and how they got there.

RUN is a run folder (runs/NAME/1); several runs of one name with different seeds become one line with mean and deviation.
"""

import argparse
import csv
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from clips.errors import CommandError, UsageError
from clips.manifest import TaskName
from training.config import NOT_THE_OUTCOME, TrainingConfig
from training.output_files import check_output_file, write_whole
from training.page import page, picture
from training.plots import Curve, curves_figure
from training.run_folder import RunFolder

EXAMPLE = "clipserve compare runs/average/1 runs/lstm/1 runs/lstm/2 --report runs.html"

_FIGURES: dict[TaskName, dict[str, str]] = {
    "single_label": {"accuracy": "accuracy", "macro_f1": "macro-F1", "balanced_accuracy": "balanced", "loss": "loss"},
    "multi_label": {"mean_average_precision": "mAP", "macro_f1": "macro-F1", "exact_match": "exact match", "loss": "loss"},
}
"""In ``summary.json``, with what they are called."""
_SCORES: dict[TaskName, str] = {"single_label": "macro_f1", "multi_label": "mean_average_precision"}
_NOT_COMPARED = {"name", "seed", *NOT_THE_OUTCOME}


@dataclass(frozen=True)
class FinishedRun:
    """What a run left behind."""

    path: Path
    config: TrainingConfig
    summary: dict[str, Any]
    epochs: list[dict[str, str]]
    """Rows of ``results.csv``."""
    val_clips: frozenset[str]
    """Content hashes of the clips that it was measured on."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``clipserve compare``."""
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="run folders, such as runs/my-model/1")
    parser.add_argument("--report", type=Path, metavar="FILE.html", help="the table and the curves as a page")


def run(args: argparse.Namespace) -> None:
    """Print the table. Raises: UsageError: one is no run folder. CommandError: one is not finished, or of other clips."""
    check_output_file(args.report, "--report")
    groups = grouped([read_run(path) for path in args.runs])
    settings = differing(groups)
    header, rows = table(groups, settings)
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    for row in (header, *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    if args.report:
        write_whole(args.report, _page(groups, header, rows))
        print(f"\nreport: {args.report}")


def read_run(path: Path) -> FinishedRun:
    """Raises: UsageError: it is no run folder. CommandError: it is not finished."""
    folder, config = RunFolder.open(path)
    try:
        summary = json.loads(folder.summary.read_text(encoding="utf-8"))
        epochs, clips, skipped = _rows(folder.results), _rows(folder.split), {row["name"] for row in _rows(folder.skipped)}
    except FileNotFoundError as problem:
        raise CommandError(f"{path} is not finished; go on with `clipserve train --resume {path}`") from problem
    measured = frozenset(row["sha256"] for row in clips if row["split"] == "val" and row["path"] not in skipped)
    return FinishedRun(path, config, summary, epochs, measured)


def _rows(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))


def grouped(runs: Sequence[FinishedRun]) -> dict[str, list[FinishedRun]]:
    """Runs that differ in their seed alone, under the name of their model, which gets a number where settings differ too.

    Raises: UsageError: one is given twice. CommandError: some give tags, or the groups were measured on different clips; the
        runs of a group may differ in that, where its seeds split the data.
    """
    if len({run.config.task for run in runs}) > 1:
        raise CommandError("some runs give one label and others give tags: their figures cannot be compared")
    if len({run.path.resolve() for run in runs}) < len(runs):
        raise UsageError("a run is given twice")
    alike: dict[tuple[str, str], list[FinishedRun]] = defaultdict(list)
    for run in runs:
        settings = run.config.model_dump(mode="json", exclude=_NOT_COMPARED)
        alike[run.config.name, json.dumps(settings, sort_keys=True)].append(run)
    _check_same_clips(list(alike.values()))
    names = [name for name, _ in alike]
    return {
        name if names.count(name) == 1 else f"{name} {names[: place + 1].count(name)}": members
        for place, ((name, _), members) in enumerate(alike.items())
    }


def _check_same_clips(groups: Sequence[Sequence[FinishedRun]]) -> None:
    first, *others = [{run.val_clips for run in members} for members in groups]
    for members, clips in zip(groups[1:], others, strict=True):
        if clips != first:
            raise CommandError(
                f"{groups[0][0].path} and {members[0].path} were measured on different clips and cannot be compared; "
                "give the same seeds of both, or train on a CSV file with the column `split` (`clipserve index` writes one)"
            )


def differing(groups: dict[str, list[FinishedRun]]) -> list[str]:
    """Settings in which the groups are not all alike."""
    configs = [members[0].config for members in groups.values()]
    fields = [field for field in TrainingConfig.model_fields if field not in _NOT_COMPARED]
    return [field for field in fields if len({str(getattr(config, field)) for config in configs}) > 1]


def table(groups: dict[str, list[FinishedRun]], settings: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """A header and a line for each group, the best by their score first."""
    task = _task(groups)
    names = _FIGURES[task]
    header = ["run", "seeds", *names.values(), "seconds", *settings]
    ordered = sorted(groups.items(), key=lambda group: -mean(run.summary[_SCORES[task]] for run in group[1]))
    rows = []
    for name, members in ordered:
        figures = [_figure([run.summary[figure] for run in members]) for figure in names]
        seconds = f"{mean(run.summary['training_seconds'] for run in members):.0f}"
        rows.append([name, str(len(members)), *figures, seconds, *(str(getattr(members[0].config, s)) for s in settings)])
    return header, rows


def _task(groups: dict[str, list[FinishedRun]]) -> TaskName:
    """Of all of them."""
    return next(iter(groups.values()))[0].config.task


def _figure(values: Sequence[float]) -> str:
    return f"{mean(values):.3f}" + (f" ± {stdev(values):.3f}" if len(values) > 1 else "")


def _page(groups: dict[str, list[FinishedRun]], header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    task = _task(groups)
    column = f"val_{_SCORES[task]}"
    curves = [
        Curve(name, [int(row["epoch"]) for row in run.epochs], [float(row[column]) for row in run.epochs])
        for name, members in groups.items()
        for run in members
    ]
    cells = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    lines = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    figure = picture(curves_figure(curves, f"{_FIGURES[task][_SCORES[task]]} on validation clips"))
    return page("runs", [f"<h1>Runs</h1><table><tr>{cells}</tr>{lines}</table>", figure])
