"""The benchmark of methods: nothing that is measured on was learnt from, and methods differ in what they say they do."""

import argparse
import csv
import json
from pathlib import Path

import pytest

from benchmarks import methods
from benchmarks.folds import Fold, write_folds
from benchmarks.methods import (
    METHODS,
    Method,
    _call_or_go_on,
    _check_same_flags,
    _measured,
    chosen_methods,
    needed,
    start_commands,
)

Calls = list[list[str]]


def arguments(folder: Path, **changes: object) -> argparse.Namespace:
    """For five labels and nine groups of two clips."""
    rows = [
        (f"{label}_g{group:02d}_{clip}.avi", label, f"v_{label}_g{group:02d}")
        for label in "abcde"
        for group in range(9)
        for clip in "xy"
    ]
    clips = folder / "clips.csv"
    clips.write_text("path,label,group\n" + "".join(",".join(row) + "\n" for row in rows))
    settings = {"clips": clips, "work": folder / "work", "seeds": [0, 1], "held_out": 3, "pictures": None, "shape": ""}
    settings |= {"distill": "--views 9", "pretrain": "--epochs 8", "pretrain_pictured": "--epochs 7"}
    return argparse.Namespace(**{**settings, **changes})


def folds(folder: Path, few: int = 2, **changes: object) -> list[Fold]:
    args = arguments(folder, **changes)
    return write_folds(args, start_commands(args), {0, few})


def parts(*files: Path) -> dict[str, set[str]]:
    """Group numbers by part."""
    found: dict[str, set[str]] = {"train": set(), "val": set(), "test": set()}
    for file in files:
        for row in csv.DictReader(file.read_text().splitlines()):
            found[row["split"] or "test"].add(row["group"][-2:])
    return found


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Commands that are called, each of which leaves behind what it should and computes nothing."""
    seen: Calls = []

    def call(command: list[str]) -> None:
        seen.append(command)
        if command[0] == "evaluate":
            Path(option(command, "--json")).write_text(json.dumps(dict.fromkeys(methods.METRICS, 0.5)))
            return
        run = Path(option(command, "--runs")) / option(command, "--name") / "1"
        run.mkdir(parents=True)
        for name in ("config.json", "summary.json", "last.pt", "best.pt"):
            (run / name).touch()

    monkeypatch.setattr(methods, "_call", call)
    return seen


def option(command: list[str], flag: str) -> str:
    return command[command.index(flag) + 1]


def test_groups_of_one_number_are_in_one_part_alone_and_all_are_used(tmp_path: Path) -> None:
    for fold in folds(tmp_path):
        found = parts(fold.train_csv(), fold.test_csv)
        assert not found["train"] & found["val"]
        assert not found["test"] & (found["train"] | found["val"])
        assert len(found["test"]) == 3
        assert len(found["val"]) == 2
        assert len(found["test"] | found["val"] | found["train"]) == 9


def test_few_groups_are_the_first_of_those_to_train_with_and_are_chosen_by_the_same(tmp_path: Path) -> None:
    for fold in folds(tmp_path):
        whole, few = parts(fold.train_csv()), parts(fold.train_csv(2))
        assert few["train"] == set(sorted(whole["train"])[:2])
        assert few["val"] == whole["val"]
        assert fold.train_csv(2).name == "train-2-groups.csv"


def test_seeds_hold_out_other_groups(tmp_path: Path) -> None:
    first, second = (parts(fold.test_csv) for fold in folds(tmp_path))
    assert not first["test"] & second["test"]


@pytest.mark.parametrize("changes", [{"seeds": [3]}, {"few": 5}, {"held_out": 7}])
def test_more_groups_than_there_are_are_refused(changes: dict[str, int], tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="there are 9 groups, too few"):
        folds(tmp_path, **changes)


def test_a_method_comes_with_its_teacher_and_what_it_is_compared_with() -> None:
    assert [method.name for method in needed(["finetune"])] == ["baseline", "finetune"]
    assert [method.name for method in needed(["few-pictured"])] == ["few-scratch", "few-pictured"]
    taught = [method.name for method in needed(["student-taught"])]
    assert taught == ["scratch", "distilled", "student", "student-taught"]
    assert needed([method.name for method in METHODS]) == list(METHODS)


def test_methods_come_after_what_they_need_and_are_compared_with_the_same_labels() -> None:
    before: dict[str, Method] = {"": METHODS[0]}
    for method in METHODS:
        assert {method.teacher, method.against} <= before.keys()
        assert not method.against or method.groups == before[method.against].groups
        before[method.name] = method


@pytest.mark.parametrize("name", ["pictured", "few-pictured"])
def test_a_method_that_starts_from_pictures_is_refused_without_them(name: str, tmp_path: Path) -> None:
    without, given = (start_commands(arguments(tmp_path, pictures=pictures)) for pictures in (None, tmp_path))
    with pytest.raises(SystemExit, match=f"^{name}: give the pictures to start from with --pictures FOLDER"):
        chosen_methods(["scratch", name], without)
    assert name in [method.name for method in chosen_methods([name], given)]


def test_all_methods_are_run_where_none_is_named_but_for_those_that_lack_pictures(tmp_path: Path) -> None:
    without, given = (start_commands(arguments(tmp_path, pictures=pictures)) for pictures in (None, tmp_path))
    assert chosen_methods(None, given) == list(METHODS)
    left_out = set(METHODS) - set(chosen_methods(None, without))
    assert {method.name for method in left_out} == {"pictured", "few-pictured"}


def test_few_labels_are_trained_on_after_all_clips_have_been_seen_without(tmp_path: Path, calls: Calls) -> None:
    fold = folds(tmp_path, few=4)[0]
    for method in needed(["few-pretrained"]):
        _measured(fold, method)
    commands = [(command[0], Path(command[1]).name) for command in calls if command[0] != "evaluate"]
    few = ("train", "train-4-groups.csv")
    assert commands == [few, ("pretrain", "train.csv"), few]
    scratch, pretrained = (command for command in calls if command[0] == "train")
    assert option(scratch, "--weights") == "none"
    assert option(pretrained, "--weights") == str(fold.folder / "pretrained" / "pretrained" / "1")
    tested = {command[2] for command in calls if command[0] == "evaluate"}
    assert tested == {str(fold.test_csv)}


def test_each_start_is_made_once_with_its_own_flags(tmp_path: Path, calls: Calls) -> None:
    fold = folds(tmp_path, few=4, pictures=tmp_path)[0]
    for method in needed(["pretrained", "pictured", "few-pictured", "distilled"]):
        _measured(fold, method)
    made = {option(command, "--name"): command for command in calls if command[0] not in {"train", "evaluate"}}
    assert len(made) == len([command for command in calls if command[0] in {"pretrain", "distill"}])
    flags = {name: [command[0], *command[2 : command.index("--name")]] for name, command in made.items()}
    pictures = ["--pictures", str(tmp_path)]
    assert flags == {
        "pretrained": ["pretrain", "--weights", "none", "--epochs", "8"],
        "pictured": ["pretrain", "--weights", "none", "--epochs", "7", *pictures],
        "distilled": ["distill", "--views", "9", *pictures],
    }


@pytest.mark.parametrize("option", ["distill", "pretrain", "pretrain_pictured", "shape", "held_out", "pictures"])
def test_a_work_folder_is_not_gone_on_with_under_other_flags(option: str, tmp_path: Path) -> None:
    for _ in range(2):
        _check_same_flags(arguments(tmp_path))
    with pytest.raises(SystemExit, match="was begun with other flags"):
        _check_same_flags(arguments(tmp_path, **{option: "other"}))


def test_a_run_that_was_begun_goes_on_and_a_finished_one_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: Calls = []
    folder = tmp_path / "runs" / "m" / "2"  # number 1 was never written

    def call(command: list[str]) -> None:
        calls.append(command)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").touch()
        if "--resume" in command:
            (folder / "summary.json").touch()

    monkeypatch.setattr(methods, "_call", call)
    command = ["train", "clips.csv", "--epochs", "1"]
    assert [_call_or_go_on(command, tmp_path / "runs", "m", seed=3) for _ in range(3)] == [folder] * 3
    begun = [*command, "--name", "m", "--runs", str(tmp_path / "runs"), "--seed", "3"]
    assert calls == [begun, ["train", "--resume", str(folder), "--no-publish"]]
