"""Decode every clip of a data set and say what is wrong with it, before hours of training do.

Unreadable files with the reason, files that are there twice (with two labels, or on both sides of the split), clips that are
too short or damaged; how many clips there are of each class and how long they are. With --report, a page with plots and
pictures.
Exit code 1 where training would leave clips out, fail or measure wrongly.
"""

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import get_args

from clips.errors import CommandError
from clips.manifest import TaskName
from training.data_report import data_report
from training.dataset import Dataset, read_dataset
from training.inspection import Finding, Inspected, findings, inspect
from training.output_files import check_output_file, write_whole
from training.split import split_dataset

EXAMPLE = "clipserve validate my-clips --report data.html"

_GRAVE = {"unreadable", "two labels", "in both parts"}
_SHOWN = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``clipserve validate``."""
    parser.add_argument("data", type=Path, metavar="DATA", help="folder of class folders, or a CSV file")
    parser.add_argument(
        "--task", choices=get_args(TaskName), default="single_label", help="one label a clip, or tags [%(default)s]"
    )
    parser.add_argument("--report", type=Path, metavar="FILE.html", help="plots and pictures as a page")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was found to FILE as well")
    parser.add_argument("--shortest-seconds", type=float, default=0.5, metavar="S", help="shorter clips are named [0.5]")
    parser.add_argument("--workers", type=int, default=-1, metavar="N", help="processes that decode; -1 = one per core [-1]")


def run(args: argparse.Namespace) -> None:
    """Print what was found. Raises: UsageError; CommandError: there is no such data set, or something grave was found."""
    check_output_file(args.report, "--report")
    check_output_file(args.json, "--json")
    dataset = read_dataset(args.data, args.task, keep_unreadable=True)
    inspected = inspect(dataset, args.workers)
    found = findings(inspected, args.shortest_seconds)
    print(_classes(dataset, inspected), flush=True)
    for finding in found[:_SHOWN]:
        print(finding.line)
    if len(found) > _SHOWN:
        print(f"... and {len(found) - _SHOWN} more; --json and --report have them all")
    if args.json:
        write_whole(args.json, json.dumps(_content(dataset, found), indent=2) + "\n")
    if args.report:
        write_whole(args.report, data_report(dataset, inspected, found))
        print(f"report: {args.report}")
    grave = [finding for finding in found if finding.kind in _GRAVE]
    if grave:
        raise CommandError(f"{len(grave)} of {len(found)} findings are to be mended before training, such as: {grave[0].line}")
    split_dataset(dataset, seed=0)
    print("nothing keeps it from being trained on")


def _classes(dataset: Dataset, inspected: list[Inspected]) -> str:
    width = max(map(len, dataset.labels))
    lines = [f"{'label':<{width}}  clips  groups  seconds, median"]
    for label in dataset.labels:
        ours = [one for one in inspected if label in one.clip.labels]
        seconds = sorted(one.facts.duration_seconds for one in ours if one.facts)
        middle = f"{seconds[len(seconds) // 2]:.1f}" if seconds else "-"
        lines.append(f"{label:<{width}}  {len(ours):>5}  {len({one.clip.group for one in ours}):>6}  {middle:>15}")
    untagged = sum(not clip.labels for clip in dataset.clips)
    told = f", {untagged} clips without any" if dataset.task == "multi_label" else ""
    total = f"{len(dataset.clips)} clips, {dataset.counted_labels}{told}, groups {dataset.grouping}"
    return "\n".join([*lines, "", total, f"fingerprint {dataset.fingerprint()}"])


def _content(dataset: Dataset, found: list[Finding]) -> dict[str, object]:
    return {
        "clips": len(dataset.clips),
        "task": dataset.task,
        "labels": dataset.labels,
        "clips_of_each_label": dict(Counter(label for clip in dataset.clips for label in clip.labels)),
        "fingerprint": dataset.fingerprint(),
        "findings": [vars(finding) for finding in found],
    }
