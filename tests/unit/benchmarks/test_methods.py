"""The folds of the benchmark of methods: nothing that is measured on was learnt from."""

import argparse
import csv
from pathlib import Path

import pytest

from benchmarks import methods
from benchmarks.methods import METHODS, Fold, _call_or_go_on, _write_folds, needed


def folds(folder: Path, **changes: object) -> list[dict[str, set[str]]]:
    """Group numbers by part, of each fold, for five labels and eight groups of two clips."""
    rows = [
        (f"{label}_g{group:02d}_{clip}.avi", label, f"v_{label}_g{group:02d}")
        for label in "abcde"
        for group in range(8)
        for clip in "xy"
    ]
    clips = folder / "clips.csv"
    clips.write_text("path,label,group\n" + "".join(",".join(row) + "\n" for row in rows))
    settings = {"clips": clips, "work": folder / "work", "seeds": [0, 1], "held_out": 3, "pictures": None}
    args = argparse.Namespace(**{**settings, "distill": "", "pretrain": "", "shape": "", **changes})
    found = []
    for fold in _write_folds(args):
        parts: dict[str, set[str]] = {"train": set(), "val": set(), "test": set()}
        for name in ("train", "test"):
            for row in csv.DictReader((fold.folder / f"{name}.csv").read_text().splitlines()):
                parts[row["split"] or "test"].add(row["group"][-2:])
        found.append(parts)
    return found


def test_groups_of_one_number_are_in_one_part_alone_and_all_are_used(tmp_path: Path) -> None:
    for fold in folds(tmp_path):
        assert not fold["train"] & fold["val"]
        assert not fold["test"] & (fold["train"] | fold["val"])
        assert len(fold["test"]) == 3
        assert len(fold["val"]) == 2
        assert len(fold["test"] | fold["val"] | fold["train"]) == 8


def test_seeds_hold_out_other_groups(tmp_path: Path) -> None:
    first, second = folds(tmp_path)
    assert not first["test"] & second["test"]


def test_more_seeds_than_groups_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="there are 8 groups"):
        folds(tmp_path, seeds=[2])


def test_a_method_comes_with_its_teacher_and_what_it_is_compared_with() -> None:
    assert [method.name for method in needed(["finetune"])] == ["baseline", "finetune"]
    taught = [method.name for method in needed(["student-taught"])]
    assert taught == ["scratch", "distilled", "student", "student-taught"]
    assert needed([method.name for method in METHODS]) == list(METHODS)


def test_a_run_that_was_begun_goes_on_and_a_finished_one_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[list[str]] = []
    folder = tmp_path / "runs" / "m" / "2"  # number 1 was never written

    def call(command: list[str]) -> None:
        calls.append(command)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").touch()
        if "--resume" in command:
            (folder / "summary.json").touch()

    monkeypatch.setattr(methods, "_call", call)
    fold = Fold(0, tmp_path, "", "", "", "")
    assert [_call_or_go_on("train", fold, tmp_path / "runs", "m", ["--epochs", "1"]) for _ in range(3)] == [folder] * 3
    assert [command[:2] for command in calls] == [["train", str(tmp_path / "train.csv")], ["train", "--resume"]]
