"""Distillation from an image network: views, what the student must match, and a run that is interrupted and resumed."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch

import clipserve
from training.architecture import Architecture
from training.device import choose_device
from training.distill import Distillation
from training.distill_config import DistillConfig
from training.model import VideoClassifier
from training.student import FeatureLoss, Student
from training.teacher import FEATURE_CHANNELS, STAGE_CHANNELS, EfficientNetLite2
from training.views import Views
from training.weights import load_start_weights

CPU = choose_device("cpu")
TINY = DistillConfig(views=8, batch_size=4, warmup_views=4, size=32, early_share=0, teacher_scale=2)
FLAGS = [
    word
    for field in ("views", "batch_size", "size", "early_share", "teacher_scale")
    for word in ("--" + field.replace("_", "-"), str(getattr(TINY, field)))
] + ["--frames-per-clip", "2", "--backbone", "resnet18"]


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
    config = DistillConfig(views=100_000)
    rates = [config.rate(seen) for seen in (0, 1_200, 30_000, 60_000, 80_000, 100_000)]
    assert rates == pytest.approx([0, 5e-4, 1e-3, 1e-3, 5e-4, 1e-5])


def test_the_backbone_has_torchvisions_names_without_the_classifier() -> None:
    weights = Student().backbone()
    assert "conv1.weight" in weights
    assert not any(name.startswith(("fc.", "trunk.")) for name in weights)


class InterruptedViews(Views):
    """Views whose user presses Ctrl-C at the last batch of the run."""

    def draw(self, count: int, size: int) -> torch.Tensor:
        if count == TINY.batch_size and self.drawn == 1:
            raise KeyboardInterrupt
        self.drawn += count == TINY.batch_size
        return super().draw(count, size)

    drawn = 0


def test_an_interrupted_run_goes_on_to_the_same_end(tmp_path: Path) -> None:
    whole = Distillation(TINY, Views([pictures(4)], 0), tmp_path / "whole.pt", io.StringIO(), CPU).run(EfficientNetLite2())
    with pytest.raises(KeyboardInterrupt):
        Distillation(
            TINY, InterruptedViews([pictures(4)], 0), tmp_path / "parts.pt", io.StringIO(), CPU, save_every_steps=1
        ).run(EfficientNetLite2())
    resumed = Distillation(TINY, Views([pictures(4)], 0), tmp_path / "parts.pt", io.StringIO(), CPU).run(EfficientNetLite2())
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True))


def test_the_command_leaves_a_backbone_that_training_starts_from(make_clips, big_files: Path, capsys) -> None:
    clips, output = make_clips({"red": 2, "green": 2}), big_files / "backbone"
    assert clipserve.main(["distill", str(clips), "--output", str(output), *FLAGS]) == 0
    assert f"--weights {output} --backbone resnet18" in capsys.readouterr().out
    model = VideoClassifier(2, architecture=Architecture(backbone="resnet18"))
    load_start_weights(model, str(output), "resnet18")
    rows = list(csv.DictReader((output / "results.csv").read_text().splitlines()))
    assert [row["views"] for row in rows] == ["8"]
    assert 0 < float(rows[0]["pooled feature"]) < 2
    assert {file.name for file in output.iterdir()} == {"config.json", "results.csv", "curves.png", "last.pt", "backbone.pt"}
    assert clipserve.main(["distill", str(clips), "--output", str(output), "--resume"]) == 1
    assert "is complete" in capsys.readouterr().err


def test_a_resumed_run_has_the_settings_that_it_was_begun_with(make_clips, big_files: Path, capsys) -> None:
    clips, output = str(make_clips({"red": 2, "green": 2})), big_files / "backbone"
    command = ["distill", clips, "--output", str(output)]
    assert clipserve.main([*command, "--resume"]) == 2
    assert "there is no run to resume" in capsys.readouterr().err
    output.mkdir()
    (output / "config.json").write_text(TINY.model_copy(update={"backbone": "resnet18"}).model_dump_json())
    assert clipserve.main([*command, *FLAGS]) == 2
    assert "has a run" in capsys.readouterr().err
    assert clipserve.main([*command, "--resume", "--views", "9"]) == 2
    assert "leave out --views" in capsys.readouterr().err
    assert clipserve.main([*command, "--resume", "--device", "cpu"]) == 0
    assert json.loads((output / "config.json").read_text())["views"] == 8


def test_settings_are_those_of_a_file_and_flags_count_more(tmp_path: Path, capsys) -> None:
    assert clipserve.main(["distill", "--print-config", "--views", "7"]) == 0
    file = tmp_path / "settings.toml"
    file.write_text(capsys.readouterr().out)
    assert clipserve.main(["distill", "--print-config", "--config", str(file), "--size", "64"]) == 0
    printed = capsys.readouterr().out
    assert "views = 7  #" in printed
    assert "size = 64  #" in printed


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "give DATA"),
        (["clips", "--teacher-scale", "0.5"], "--teacher-scale: Input should be greater than or equal to 1"),
        (["clips", "--config", "none.toml"], "cannot be read"),
    ],
)
def test_what_does_not_fit_is_told_before_anything_is_read(arguments: list[str], problem: str, capsys) -> None:
    assert clipserve.main(["distill", *arguments]) == 2
    assert problem in capsys.readouterr().err
