"""Distillation from an image network: views, what the student must match, and a run that is interrupted and resumed."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

import clipserve
from clips.errors import CommandError
from tests.stop_after import StopAfter
from tests.videos import solid_video
from training.architecture import Architecture
from training.distill import distill
from training.distill_config import DistillConfig
from training.interruption import Interruption
from training.model import VideoClassifier
from training.run_folder import RunFolder
from training.student import FeatureLoss, Student
from training.teacher import FEATURE_CHANNELS, STAGE_CHANNELS
from training.views import Views
from training.weights import load_start_weights

TINY = {
    "name": "d", "backbone": "resnet18", "views": 20, "batch_size": 4, "warmup_views": 4, "frames_per_clip": 2, "size": 32,
    "early_share": 0.0, "teacher_scale": 2.0, "device": "cpu",
}  # fmt: skip
FLAGS = [word for key, value in TINY.items() for word in ("--" + key.replace("_", "-"), str(value))]


@pytest.fixture
def clips(make_clips) -> Path:
    return make_clips({"red": 2, "green": 2})


def config(clips: Path, **changes: object) -> DistillConfig:
    return DistillConfig(**{**TINY, "data": str(clips), **changes})


def pictures(count: int) -> list[np.ndarray]:
    random = np.random.default_rng(1)
    return [random.integers(0, 256, (48, 64 + i, 3), np.uint8) for i in range(count)]


def test_views_are_repeatable_and_in_range() -> None:
    first, second = (Views([pictures(3), pictures(2)], seed=7).draw(6, 32) for _ in range(2))
    assert torch.equal(first, second)
    assert first.shape == (6, 3, 32, 32)
    assert first.min() >= 0
    assert first.max() <= 1


def test_an_empty_collection_is_never_drawn_from() -> None:
    assert Views([pictures(1), []], seed=0).draw(8, 16).shape == (8, 3, 16, 16)


def test_a_student_that_copies_its_teacher_leaves_nothing_unexplained() -> None:
    torch.manual_seed(0)
    maps = [torch.randn(8, c, 4, 4) for c in (*STAGE_CHANNELS, FEATURE_CHANNELS)]
    loss_of = FeatureLoss([maps])
    normalised = [(m - mean) / deviation for m, mean, deviation in zip(maps, loss_of.means, loss_of.deviations, strict=True)]
    assert loss_of(normalised, maps) == pytest.approx(torch.zeros(6), abs=1e-4)
    assert (loss_of([torch.zeros_like(m) for m in maps], maps) > 0.8).all()


def test_the_learning_rate_rises_stays_and_falls() -> None:
    settings = DistillConfig(name="d", data="clips", views=100_000)
    rates = [settings.rate(seen) for seen in (0, 1_200, 30_000, 60_000, 80_000, 100_000)]
    assert rates == pytest.approx([0, 5e-4, 1e-3, 1e-3, 5e-4, 1e-5])


def test_the_backbone_has_torchvisions_names_without_the_classifier() -> None:
    weights = Student().backbone()
    assert "conv1.weight" in weights
    assert not any(name.startswith(("fc.", "trunk.")) for name in weights)


def test_a_run_leaves_a_backbone_that_training_starts_from(clips: Path, big_files: Path, capsys) -> None:
    assert clipserve.main(["distill", str(clips), *FLAGS, "--runs", str(big_files)]) == 0
    run = RunFolder(big_files / "d" / "1")
    assert f"--weights {run.path} --backbone resnet18" in capsys.readouterr().out
    model = VideoClassifier(2, architecture=Architecture(backbone="resnet18"))
    load_start_weights(model, str(run.path), "resnet18")
    [row] = csv.DictReader(run.results.read_text().splitlines())
    assert row["views"] == "20"
    assert 0.3 < float(row["pooled_feature"]) < 2
    assert json.loads(run.summary.read_text())["pooled_feature"] == float(row["pooled_feature"])
    files = {"config.json", "results.csv", "curves.png", "summary.json", "last.pt", "backbone.pt"}
    assert {file.name for file in run.path.iterdir()} == files
    assert clipserve.main(["distill", "--resume", str(run.path)]) == 1
    assert "is complete" in capsys.readouterr().err


@pytest.mark.parametrize("steps", [1, 3])
def test_an_interrupted_run_goes_on_to_the_same_end(
    clips: Path, big_files: Path, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.distillation.STEPS_PER_ROW", 2)
    whole = distill(config(clips), None, big_files, Interruption())
    with pytest.raises(KeyboardInterrupt):
        distill(config(clips), None, big_files, StopAfter(steps))
    cut = RunFolder(big_files / "d" / "2")
    resumed = distill(config(clips), cut, big_files, Interruption())
    first, second = (torch.load(run.backbone, weights_only=True) for run in (whole, resumed))
    assert all(torch.equal(first[name], second[name]) for name in first)
    rows = [
        [{**row, "seconds": ""} for row in csv.DictReader(run.results.read_text().splitlines())] for run in (whole, resumed)
    ]
    assert rows[0] == rows[1]
    assert [row["views"] for row in rows[0]] == ["8", "16", "20"]


def test_a_run_does_not_go_on_from_other_clips(clips: Path, big_files: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        distill(config(clips), None, big_files, StopAfter(1))
    (clips / "red" / "0.mp4").write_bytes(solid_video((90, 90, 9), num_frames=6, width=48))
    with pytest.raises(CommandError, match="have changed since the run began"):
        distill(config(clips), RunFolder(big_files / "d" / "1"), big_files, Interruption())


def test_only_the_device_of_a_run_that_goes_on_can_be_chosen(clips: Path, big_files: Path, capsys) -> None:
    with pytest.raises(KeyboardInterrupt):
        distill(config(clips), None, big_files, StopAfter(1))
    run = big_files / "d" / "1"
    assert f"stopped after 4 views; go on with: clipserve distill --resume {run}" in capsys.readouterr().out
    assert clipserve.main(["distill", "--resume", str(run), "--views", "9"]) == 2
    assert "leave out views" in capsys.readouterr().err
    assert clipserve.main(["distill", "--resume", str(run), "--device", "cpu"]) == 0


def test_settings_are_those_of_a_file_and_flags_count_more(tmp_path: Path, capsys) -> None:
    assert clipserve.main(["distill", "--print-config", "--views", "7000"]) == 0
    file = tmp_path / "settings.toml"
    file.write_text(capsys.readouterr().out)
    assert clipserve.main(["distill", "--print-config", "--config", str(file), "--size", "64"]) == 0
    printed = capsys.readouterr().out
    assert "views = 7000  #" in printed
    assert "size = 64  #" in printed


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--name", "d"], "give DATA and --name"),
        (["clips", "--name", "d", "--teacher-scale", "0.5"], "--teacher-scale: Input should be greater than or equal to 1"),
        (["clips", "--name", "d", "--views", "10"], "warmup_views 2400 leaves nothing of 10 views"),
        (["clips", "--name", "d", "--config", "none.toml"], "cannot be read"),
        (["--resume", "none"], "no run folder of this command"),
    ],
)
def test_what_does_not_fit_is_told_before_anything_is_read(arguments: list[str], problem: str, capsys) -> None:
    assert clipserve.main(["distill", *arguments]) == 2
    assert problem in capsys.readouterr().err
