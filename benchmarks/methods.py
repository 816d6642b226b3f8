"""What each method of training gains on people and places that were never seen, fold by fold.

A seed holds out some groups, trains on the others but two, and is measured on those held out: nothing of it has seen them, not
even its backbone. Measured are the model after the last epoch and that of the epoch that the two groups choose: they are so
few clips that the choice is half a lottery. Methods are calls of the commands that users have; those from random or other start
weights, and those with and without a teacher, differ in nothing else. What a work folder has already is not done again, so that
a run can be stopped and go on.
"""

import argparse
import contextlib
import csv
import json
import multiprocessing
import re
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import clipserve
from benchmarks.record import write_result

VALIDATION_GROUPS = 2
METRICS = ("accuracy", "macro_f1", "mean_average_precision")
MEASURED = ("last", "best")
SHAPE = "--num-frames 8 --size 128"
SHARED = "--sampling exact --patience 0 --no-publish"
PLAIN = "--preset baseline --epochs 30"
FROM_SCRATCH = f"{PLAIN} --learning-rate 0.01 --schedule cosine --warmup-epochs 1 --crop-scale-min 0.4 --colour 0.3"
STUDENT = f"{FROM_SCRATCH} --backbone resnet18 --num-frames 4 --frame-choices 2"
FOUR_FRAMES = "--preset finetune --num-frames 4 --frame-choices 4"


@dataclass(frozen=True)
class Method:
    """Flags of ``clipserve train``, where it starts, and what it is compared with."""

    name: str
    flags: str
    start: str = "none"
    """``none``, or the backbone: ``pretrained`` without labels, ``distilled`` from an image network."""
    teacher: str = ""
    """Another method, whose model after the last epoch teaches: the epoch that is chosen is often a worse one."""
    against: str = ""
    """The method that lacks what this one adds."""


METHODS = (
    Method("scratch", FROM_SCRATCH),
    Method("pretrained", FROM_SCRATCH, start="pretrained", against="scratch"),
    Method("distilled", FROM_SCRATCH, start="distilled", against="scratch"),
    Method("taught", FROM_SCRATCH, teacher="distilled", against="scratch"),
    Method("baseline", PLAIN, start="distilled"),
    Method("finetune", "--preset finetune", start="distilled", against="baseline"),
    Method("shift", "--preset finetune --temporal shift", start="distilled", against="finetune"),
    Method("sixteen-frames", "--preset finetune --num-frames 16 --frame-choices 1 --temporal transformer", start="distilled"),
    Method("four-frames", FOUR_FRAMES, start="distilled"),
    Method("four-frames-taught", FOUR_FRAMES, start="distilled", teacher="sixteen-frames", against="four-frames"),
    Method("student", STUDENT),
    Method("student-taught", STUDENT, teacher="distilled", against="student"),
)


@dataclass(frozen=True)
class Fold:
    """One seed with its clips."""

    seed: int
    folder: Path
    """Holds ``train.csv`` (with two groups as `val`), ``test.csv`` and everything that comes of them."""
    pictures: str
    """Of the distillation, beside the clips' frames."""
    distill: str
    """Flags of ``clipserve distill``."""
    pretrain: str
    """Flags of ``clipserve pretrain``."""
    shape: str
    """Flags of ``clipserve train`` that come before those of the method."""


def main() -> None:
    """Run what is missing, print and record."""
    args = _arguments()
    _check_same_flags(args)
    folds = _write_folds(args)
    chosen = needed(args.methods)
    with ProcessPoolExecutor(args.parallel, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = list(pool.map(_run_fold, folds, [chosen] * len(folds)))
    figures = {method.name: _figures(method, found) for method in chosen}
    for metric in METRICS:
        print(f"\n{metric}, after the last epoch")
        for name, row in figures.items():
            print(f"{name:20} {_in_words(row['last'][metric])}")
    test_clips = [len((fold.folder / "test.csv").read_text().splitlines()) - 1 for fold in folds]
    settings = {"shape": args.shape, "shared": SHARED, "methods": {method.name: vars(method) for method in chosen}}
    settings |= {"test_clips": test_clips, "distill": args.distill, "pretrain": args.pretrain, "seeds": args.seeds}
    write_result(args.result, settings | {"found": figures})


def needed(names: Sequence[str]) -> list[Method]:
    """The methods of these names, with their teachers and what they are compared with, in an order in which they can be run."""
    wanted = set(names)
    for method in reversed(METHODS):
        if method.name in wanted:
            wanted |= {method.teacher, method.against}
    return [method for method in METHODS if method.name in wanted]


def _check_same_flags(args: argparse.Namespace) -> None:
    """What lies in the work folder was made with the flags that are recorded beside it."""
    file = args.work / "flags.json"
    given = {name: getattr(args, name) for name in ("clips", "distill", "pretrain", "held_out", "shape", "pictures")}
    methods = {method.name: vars(method) for method in METHODS}
    flags = json.dumps({**given, "shared": SHARED, "methods": methods}, indent=1, default=str)
    args.work.mkdir(parents=True, exist_ok=True)
    if file.exists() and file.read_text() != flags:
        raise SystemExit(f"{args.work} was begun with other flags ({file}); give another folder for --work")
    file.write_text(flags)


def _run_fold(fold: Fold, methods: Sequence[Method]) -> dict[str, dict[str, Any]]:
    """Figures by method. What is said goes into ``log`` in the fold's folder."""
    with (fold.folder / "log").open("a", buffering=1) as log, contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
        return {method.name: _measured(fold, method) for method in methods}


def _measured(fold: Fold, method: Method) -> dict[str, Any]:
    """Train and measure, unless it is done."""
    figures = fold.folder / f"{method.name}.json"
    if not figures.exists():
        start = ["--weights", _start(fold, method.start)]
        taught = ["--teacher", str(_checkpoint(fold, method.teacher, "last"))] if method.teacher else []
        flags = [*SHARED.split(), *fold.shape.split(), *method.flags.split(), *start, *taught]
        _call_or_go_on("train", fold, fold.folder / "runs", method.name, flags)
        measured = {which: _evaluated(fold, method.name, which) for which in MEASURED}
        unfinished = figures.with_suffix(".part")
        unfinished.write_text(json.dumps(measured, indent=1))
        unfinished.replace(figures)
    found: dict[str, Any] = json.loads(figures.read_text())
    return found


def _evaluated(fold: Fold, method: str, which: str) -> dict[str, float]:
    """Metrics of one checkpoint on the groups held out."""
    report = fold.folder / "evaluation.json"
    checkpoint = str(_checkpoint(fold, method, which))
    _call(["evaluate", checkpoint, str(fold.folder / "test.csv"), "--split", "all", "--json", str(report)])
    found = json.loads(report.read_text())
    return {metric: found[metric] for metric in METRICS}


def _start(fold: Fold, start: str) -> str:
    """Start weights for ``--weights``; made first where they are missing."""
    if start == "none":
        return start
    command = {"distilled": "distill", "pretrained": "pretrain"}[start]
    flags = [*fold.distill.split(), *(["--pictures", fold.pictures] if fold.pictures else [])]
    flags = ["--weights", "none", *fold.pretrain.split()] if start == "pretrained" else flags
    return str(_call_or_go_on(command, fold, fold.folder / start, start, flags))


def _call_or_go_on(command: str, fold: Fold, runs: Path, name: str, flags: Sequence[str]) -> Path:
    """The folder of a finished run: of one that was begun, if there is one, else of a new one."""
    begun = sorted((runs / name).glob("*/config.json"), key=lambda file: int(file.parent.name))
    if not begun:
        where = ["--name", name, "--runs", str(runs), "--seed", str(fold.seed)]
        _call([command, str(fold.folder / "train.csv"), *where, *flags])
        begun = list((runs / name).glob("*/config.json"))
    folder = begun[-1].parent
    if not (folder / "summary.json").exists():
        more = ["--no-publish"] if command == "train" else []
        _call([command, "--resume", str(folder), *more])
    return folder


def _checkpoint(fold: Fold, method: str, which: str) -> Path:
    """Of the newest run of a method."""
    return max(fold.folder.glob(f"runs/{method}/*/{which}.pt"), key=lambda file: int(file.parent.name))


def _call(command: list[str]) -> None:
    print("clipserve", *command, flush=True)
    if code := clipserve.main(command):
        raise RuntimeError(f"clipserve {command[0]} ended with {code}; the log in the work folder says why")


def _figures(method: Method, found: Sequence[dict[str, dict[str, Any]]]) -> dict[str, Any]:
    """Over the folds, by checkpoint and metric; the gain is taken within each fold."""
    return {which: {metric: _figure(method, found, which, metric) for metric in METRICS} for which in MEASURED}


def _figure(method: Method, found: Sequence[dict[str, dict[str, Any]]], which: str, metric: str) -> dict[str, Any]:
    values = [fold[method.name][which][metric] for fold in found]
    figure = {"values": values, "mean": mean(values), "deviation": _deviation(values)}
    if method.against not in found[0]:
        return figure
    gains = [value - fold[method.against][which][metric] for value, fold in zip(values, found, strict=True)]
    return figure | {"against": method.against, "gains": gains, "gain": mean(gains), "gain_deviation": _deviation(gains)}


def _in_words(figure: dict[str, Any]) -> str:
    words = f"{figure['mean']:6.1%} ± {figure['deviation']:5.1%}"
    if "gain" not in figure:
        return words
    return f"{words}   gain over {figure['against']}: {figure['gain']:+.1%} ± {figure['gain_deviation']:.1%}"


def _deviation(values: Sequence[float]) -> float:
    return stdev(values) if len(values) > 1 else 0.0


def _write_folds(args: argparse.Namespace) -> list[Fold]:
    """Four groups are held out for each seed: the first four by number for seed 0, the next four for seed 1."""
    with args.clips.open(encoding="utf-8") as file:
        rows = [{**row, "path": str((args.clips.parent / row["path"]).resolve())} for row in csv.DictReader(file)]
    numbers = sorted({_number(row["group"]) for row in rows})
    folds = []
    for seed in args.seeds:
        held_out = numbers[seed * args.held_out : (seed + 1) * args.held_out]
        if len(held_out) < args.held_out or len(numbers) < args.held_out + VALIDATION_GROUPS + 1:
            raise SystemExit(f"--seeds {seed} --held-out {args.held_out}: there are {len(numbers)} groups")
        rest = [number for number in numbers if number not in held_out]
        parts = {number: "val" if number in rest[-VALIDATION_GROUPS:] else "train" for number in rest}
        folder = (args.work / f"fold{seed}").resolve()
        folder.mkdir(parents=True, exist_ok=True)
        _write(
            folder / "train.csv",
            [{**row, "split": parts[_number(row["group"])]} for row in rows if _number(row["group"]) in parts],
        )
        _write(folder / "test.csv", [{**row, "split": ""} for row in rows if _number(row["group"]) in held_out])
        pictures = str(args.pictures.resolve()) if args.pictures else ""
        folds.append(Fold(seed, folder, pictures, args.distill, args.pretrain, args.shape))
    return folds


def _number(group: str) -> str:
    """``v_Lunges_g08`` -> ``08``: groups of one number are the same person in several classes, as far as the data set says."""
    match = re.search(r"_g(\d+)$", group)
    return match.group(1) if match else group


def _write(file: Path, rows: Sequence[dict[str, str]]) -> None:
    columns = ("path", "label", "group", "split")
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(columns)
        writer.writerows([row[column] for column in columns] for row in rows)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.methods",
        description=__doc__,
        epilog="example: python -m benchmarks.methods exercise10/clips.csv --pictures caltech101 --work runs/methods",
    )
    names = [method.name for method in METHODS]
    parser.add_argument("clips", type=Path, help="CSV file with the columns path,label,group")
    parser.add_argument(
        "--work", type=Path, default=Path("runs/methods"), help="what is made on the way (default: %(default)s)"
    )
    parser.add_argument("--pictures", type=Path, help="folder of pictures for the distillation, beside the clips")
    parser.add_argument(
        "--methods",
        nargs="+",
        choices=names,
        default=names,
        metavar="NAME",
        help="with their teachers and what they are compared with (default: %(default)s)",
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="(default: %(default)s)")
    parser.add_argument("--held-out", type=int, default=4, help="groups for each seed (default: %(default)s)")
    parser.add_argument("--parallel", type=int, default=1, help="seeds at a time (default: %(default)s)")
    parser.add_argument("--shape", default=SHAPE, help="flags of `clipserve train` for all methods (default: %(default)s)")
    parser.add_argument("--result", default="methods", metavar="NAME", help="of the file under results (default: %(default)s)")
    parser.add_argument("--distill", default="", help="flags of `clipserve distill`, in one word")
    parser.add_argument(
        "--pretrain", default="--epochs 200 --size 96", help="flags of `clipserve pretrain` (default: %(default)s)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
