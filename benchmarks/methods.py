"""What each method of training gains on people and places that were never seen, fold by fold.

A seed holds out some groups, trains on the others but two, and is measured on those held out: nothing of it has seen them, not
even its backbone. Measured are the model after the last epoch and that of the epoch that the two groups choose: they are so
few clips that the choice is half a lottery. Methods are calls of the commands that users have; those from random or other start
weights, and those with and without a teacher, differ in nothing else. Some train with the labels of a few groups alone; their
backbones have seen the clips of the others, too, without labels. What a work folder has already is not done again, so that a
run can be stopped and go on.
"""

import argparse
import contextlib
import json
import multiprocessing
from collections.abc import Collection, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import clipserve
from benchmarks.folds import Fold, write_folds
from benchmarks.record import write_result

METRICS = ("accuracy", "macro_f1", "mean_average_precision")
MEASURED = ("last", "best")
SHAPE = "--num-frames 8 --size 128"
SHARED = "--sampling exact --patience 0 --no-publish"
PLAIN = "--preset baseline --epochs 30"
FROM_SCRATCH = f"{PLAIN} --learning-rate 0.01 --schedule cosine --warmup-epochs 1 --crop-scale-min 0.4 --colour 0.3"
FEW_LABELS = f"{FROM_SCRATCH} --epochs 60"
STUDENT = f"{FROM_SCRATCH} --backbone resnet18 --num-frames 4 --frame-choices 2"
FOUR_FRAMES = "--preset finetune --num-frames 4 --frame-choices 4"


@dataclass(frozen=True)
class Method:
    """Flags of ``clipserve train``, where it starts, and what it is compared with."""

    name: str
    flags: str
    start: str = "none"
    """``none``, or the backbone: ``pretrained`` without labels, ``pictured`` the same with pictures beside the clips,
    ``distilled`` from an image network."""
    teacher: str = ""
    """Another method, whose model after the last epoch teaches: the epoch that is chosen is often a worse one."""
    against: str = ""
    """The method that lacks what this one adds."""
    groups: int = 0
    """Of which the labels are used; 0 for all. Backbones see the training clips of all."""


METHODS = (
    Method("scratch", FROM_SCRATCH),
    Method("pretrained", FROM_SCRATCH, start="pretrained", against="scratch"),
    Method("pictured", FROM_SCRATCH, start="pictured", against="scratch"),
    Method("distilled", FROM_SCRATCH, start="distilled", against="scratch"),
    Method("taught", FROM_SCRATCH, teacher="distilled", against="scratch"),
    Method("few-scratch", FEW_LABELS, groups=4),
    Method("few-pretrained", FEW_LABELS, start="pretrained", against="few-scratch", groups=4),
    Method("few-pictured", FEW_LABELS, start="pictured", against="few-scratch", groups=4),
    Method("baseline", PLAIN, start="distilled"),
    Method("finetune", "--preset finetune", start="distilled", against="baseline"),
    Method("shift", "--preset finetune --temporal shift", start="distilled", against="finetune"),
    Method("sixteen-frames", "--preset finetune --num-frames 16 --frame-choices 1 --temporal transformer", start="distilled"),
    Method("four-frames", FOUR_FRAMES, start="distilled"),
    Method("four-frames-taught", FOUR_FRAMES, start="distilled", teacher="sixteen-frames", against="four-frames"),
    Method("student", STUDENT),
    Method("student-taught", STUDENT, teacher="distilled", against="student"),
)


def main() -> None:
    """Run what is missing, print and record."""
    args = _arguments()
    starts = start_commands(args)
    chosen = chosen_methods(args.methods, starts)
    _check_same_flags(args)
    folds = write_folds(args, starts, {method.groups for method in chosen})
    with ProcessPoolExecutor(args.parallel, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = list(pool.map(_run_fold, folds, [chosen] * len(folds)))
    figures = {method.name: _figures(method, found) for method in chosen}
    for metric in METRICS:
        print(f"\n{metric}, after the last epoch")
        for name, row in figures.items():
            print(f"{name:20} {_in_words(row['last'][metric])}")
    test_clips = [len(fold.test_csv.read_text().splitlines()) - 1 for fold in folds]
    settings = {"shape": args.shape, "shared": SHARED, "methods": {method.name: vars(method) for method in chosen}}
    settings |= {name: getattr(args, name) for name in ("distill", "pretrain", "pretrain_pictured", "seeds")}
    write_result(args.result, settings | {"test_clips": test_clips, "found": figures})


def needed(names: Sequence[str]) -> list[Method]:
    """The methods of these names, with their teachers and what they are compared with, in an order in which they can be run."""
    wanted = set(names)
    for method in reversed(METHODS):
        if method.name in wanted:
            wanted |= {method.teacher, method.against}
    return [method for method in METHODS if method.name in wanted]


def start_commands(args: argparse.Namespace) -> dict[str, list[str]]:
    """By name, how start weights are made; without pictures there is no ``pictured``."""
    pictures = ["--pictures", str(args.pictures.resolve())] if args.pictures else []
    pretrain = ["pretrain", "--weights", "none"]
    starts = {
        "distilled": ["distill", *args.distill.split(), *pictures],
        "pretrained": [*pretrain, *args.pretrain.split()],
    }
    if pictures:
        starts["pictured"] = [*pretrain, *args.pretrain_pictured.split(), *pictures]
    return starts


def chosen_methods(names: Sequence[str] | None, starts: Collection[str]) -> list[Method]:
    """Those of these names with all that they need; None for all that can be run.

    Raises: SystemExit: one starts from what there is not.
    """
    possible = [method.name for method in METHODS if method.start in {"none", *starts}]
    chosen = needed(possible if names is None else names)
    if missing := [method.name for method in chosen if method.name not in possible]:
        raise SystemExit(f"{', '.join(missing)}: give the pictures to start from with --pictures FOLDER")
    return chosen


def _check_same_flags(args: argparse.Namespace) -> None:
    """What lies in the work folder was made with the flags that are recorded beside it."""
    file = args.work / "flags.json"
    names = ("clips", "distill", "pretrain", "pretrain_pictured", "held_out", "shape", "pictures")
    given = {name: getattr(args, name) for name in names}
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
        _call_or_go_on(["train", str(fold.train_csv(method.groups)), *flags], fold.folder / "runs", method.name, fold.seed)
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
    _call(["evaluate", checkpoint, str(fold.test_csv), "--split", "all", "--json", str(report)])
    found = json.loads(report.read_text())
    return {metric: found[metric] for metric in METRICS}


def _start(fold: Fold, start: str) -> str:
    """Start weights for ``--weights``; made first where they are missing."""
    if start == "none":
        return start
    command, *flags = fold.starts[start]
    return str(_call_or_go_on([command, str(fold.train_csv()), *flags], fold.folder / start, start, fold.seed))


def _call_or_go_on(command: Sequence[str], runs: Path, name: str, seed: int) -> Path:
    """The folder of a finished run: of one that was begun, if there is one, else of a new one."""
    begun = sorted((runs / name).glob("*/config.json"), key=lambda file: int(file.parent.name))
    if not begun:
        _call([*command, "--name", name, "--runs", str(runs), "--seed", str(seed)])
        begun = list((runs / name).glob("*/config.json"))
    folder = begun[-1].parent
    if not (folder / "summary.json").exists():
        more = ["--no-publish"] if command[0] == "train" else []
        _call([command[0], "--resume", str(folder), *more])
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
    parser.add_argument("--pictures", type=Path, help="folder of pictures for distillation and pre-training, beside the clips")
    parser.add_argument(
        "--methods",
        nargs="+",
        choices=names,
        metavar="NAME",
        help=f"of {', '.join(names)}; with their teachers and what they are compared with (default: all, of those that start "
        "from pictures only with --pictures)",
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
    parser.add_argument(
        "--pretrain-pictured",
        default="--epochs 40 --batch-size 128 --warmup-epochs 2 --size 96",
        help="the same, where pictures are beside the clips (default: %(default)s)",
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
