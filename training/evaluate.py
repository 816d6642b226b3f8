"""Measure a checkpoint or a published model on labelled clips.

MODEL is best.pt or last.pt of a run, models/NAME/VERSION, or models/NAME for its newest version. DATA is a folder of
class folders or a CSV file; for a model that gives tags, a CSV file with tags. Of the data that the model was trained on,
only the clips that were held back count (--split val); other data counts as a whole.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

from clips.errors import CommandError, UsageError
from clips.manifest import Precision
from training.dataset import Dataset, LabelledClip, read_dataset
from training.decoding import decode_clips
from training.model_source import TrainedModel, open_model
from training.multi_view import Views, classify_views
from training.output_files import check_output_file, write_whole
from training.robustness import RobustnessRow, robustness
from training.robustness_report import robustness_section, robustness_text
from training.split import split_dataset
from training.targets import label_targets
from training.task import AnyEvaluation

EXAMPLE = "clipserve evaluate models/my-model/1 my-clips"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``clipserve evaluate``."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="checkpoint, or folder of a published model")
    parser.add_argument("data", type=Path, metavar="DATA", help="folder of class folders, or a CSV file")
    parser.add_argument("--split", choices=("val", "train", "all"), help="which clips [val for the model's own data, else all]")
    parser.add_argument("--variant", choices=get_args(Precision), help="file of a published model [int8 where there is one]")
    parser.add_argument("--clips", type=int, default=1, metavar="N", help="views of each clip in time, averaged [1]")
    parser.add_argument("--crops", type=int, default=1, choices=(1, 3, 5), help="views of each clip in space, averaged [1]")
    parser.add_argument(
        "--robustness",
        action="store_true",
        help="measure poorer videos too, and a checkpoint with other numbers of frames and other sizes",
    )
    parser.add_argument(
        "--report", type=Path, metavar="FILE.html", help="write figures, plots and the worst mistakes as a page"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE as well")
    parser.add_argument("--workers", type=int, default=-1, metavar="N", help="processes that decode; -1 = one per core [-1]")


def run(args: argparse.Namespace) -> None:
    """Print the figures. Raises: CommandError, UsageError."""
    check_output_file(args.report, "--report")
    check_output_file(args.json, "--json")
    if args.robustness and (args.clips, args.crops) != (1, 1):
        raise UsageError("--robustness looks at each clip once; leave out --clips and --crops")
    model = open_model(args.model, args.variant)
    task = model.task
    chosen, which = _choose_clips(read_dataset(args.data, task.name), model, args.split)
    views = Views(args.clips, args.crops)
    with TemporaryDirectory() as folder:
        stored = views.stored(model.spec)
        decoded, skipped = decode_clips(chosen, stored, Path(folder) / "clips.dat", args.workers, "decoding")
        probabilities = classify_views(decoded, model.classify, model.spec, views, "classifying")
        truth = task.truth(label_targets(decoded, model.labels)).numpy()
        evaluation = task.evaluated(probabilities, truth, model.labels, decoded.clips, model.thresholds)
        for clip in skipped:
            print(f"skipped: {clip.name}: {clip.message} ({clip.code})")
        data = f"{args.data}, {which}, {len(decoded)} clips of {evaluation.groups} groups, {len(skipped)} skipped"
        print(f"model: {model.title}\ndata: {data}\nviews: {args.clips} in time, {args.crops} in space\n")
        print(task.evaluation_text(evaluation, model.labels))
        rows = robustness(model, decoded.clips, evaluation.metrics, args.workers) if args.robustness else []
        if rows:
            print("\n" + robustness_text(rows))
        if args.json:
            _write_json(args.json, model, evaluation, [str(args.data), which], rows)
        if args.report:
            more = [robustness_section(rows)] if rows else []
            page = task.evaluation_page(evaluation, model.labels, decoded, (model.title, data), more)
            write_whole(args.report, page)
            print(f"\nreport: {args.report}")


def _choose_clips(dataset: Dataset, model: TrainedModel, part: str | None) -> tuple[list[LabelledClip], str]:
    """The clips to measure on, and which they are, in words."""
    unknown = sorted(set(dataset.labels) - set(model.labels))
    if unknown:
        raise CommandError(f"the model does not know the label {unknown[0]!r}; it knows {', '.join(model.labels)}")
    if part == "all":
        return list(dataset.clips), "all clips"
    given = any(clip.part for clip in dataset.clips)
    split = _try_split(dataset, model)
    own = split is not None and split.fingerprint() == model.fingerprint
    if part is None and not own and not given:
        return list(dataset.clips), "all clips (not the data that the model was trained on)"
    if split is None or not (own or given):
        raise CommandError("the data is not what the model was trained on and gives no split; use --split all")
    chosen = split.part("train" if part == "train" else "val")
    return chosen, f"{part or 'val'} part of the " + ("training data" if own else "split given in the data")


def _try_split(dataset: Dataset, model: TrainedModel) -> Dataset | None:
    """As in training; None where this data cannot be split."""
    try:
        return split_dataset(dataset, model.seed, model.val_fraction)
    except CommandError:
        return None


def _write_json(
    file: Path, model: TrainedModel, evaluation: AnyEvaluation, data: list[str], rows: Sequence[RobustnessRow]
) -> None:
    content = {"model": model.title, "data": data[0], "clips_used": data[1], "labels": model.labels, **evaluation.as_dict()}
    if rows:
        content["robustness"] = [row.as_dict() for row in rows]
    write_whole(file, json.dumps(content, indent=2) + "\n")
